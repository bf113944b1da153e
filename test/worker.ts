import { compose, type SegnoEnv } from "segno/testing";
import { createMockSaas } from "#examples/mock-saas/app.ts";
import { clock, registry } from "./world.ts";

/** Segno over the tests' clock and registry, and, under the host `mock-saas`, the mock SaaS that the workflows call. */
const app = compose({ registry, clock, settings: {} });

const mock = createMockSaas({
  // The KYC provider calls back by HTTP; here that is this Worker.
  fetch: async (url, init) => fetchHandler(new Request(url, init), environment),
});

let environment: Cloudflare.Env;

async function fetchHandler(request: Request, env: Cloudflare.Env, context?: ExecutionContext): Promise<Response> {
  environment = env;
  if (new URL(request.url).hostname === "mock-saas") return mock.fetch(request, env, context);
  return app.worker.fetch(
    request as Request<unknown, IncomingRequestCfProperties>,
    env as SegnoEnv,
    context ?? ({ waitUntil() {}, passThroughOnException() {}, props: {} } as unknown as ExecutionContext),
  );
}

export const RunObject = app.RunObject;

export default {
  fetch: fetchHandler,
  queue: app.worker.queue,
  scheduled: app.worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
