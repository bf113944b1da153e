import type { SegnoEnv } from "segno";

declare global {
  namespace Cloudflare {
    /** The bindings of the example Worker, for `import { env } from "cloudflare:workers"`. */
    interface Env extends SegnoEnv {
      /** The mock SaaS that the examples call. */
      readonly MOCK_SAAS: Fetcher;
    }
  }
}
