import type { D1Migration } from "@cloudflare/vitest-pool-workers";
import type { SegnoEnv } from "segno";

declare global {
  interface ImportMeta {
    /** Vite's: the files of a pattern. */
    glob(pattern: string, options: { readonly query: "?raw"; readonly import: "default"; readonly eager: true }): Record<string, string>;
  }
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import("./worker.ts");
    }
    interface Env extends SegnoEnv {
      readonly STATE: D1Database;
      readonly KYC_SECRET: string;
      readonly SLACK_SIGNING_SECRET: string;
      readonly TEST_MIGRATIONS: D1Migration[];
      readonly MOCK_MIGRATIONS: D1Migration[];
    }
  }
}
