import { compose, type SegnoEnv } from "segno/testing";
import { createMockSaas } from "#examples/mock-saas/app.ts";
import { systemClock } from "#objects/system.ts";
import { hear } from "./faults/effects.ts";
import { type FaultyEnv, faultyRunObject } from "./faults/faulty-object.ts";
import { troubledBatch, troubledIndex } from "./faults/trouble.ts";
import { clock, registry } from "./world.ts";

/** Segno over the tests' clock and registry, and, under the host `mock-saas`, the mock SaaS that the workflows call. */
const app = compose({ registry, clock, settings: {} });

/** The same once more, on the platform's own clock and alarms, with bindings of its own that tests break, under the host `faulty`. */
const faulty = compose({ registry, clock: systemClock, settings: { leaseMs: 200, resendMs: 200 } });

function faultyEnv(env: Cloudflare.Env): SegnoEnv {
  const { FAULTY_RUNS, INDEX } = env as Cloudflare.Env & FaultyEnv;
  return { ...env, RUNS: FAULTY_RUNS, INDEX: troubledIndex(INDEX), SEGNO_URL: "http://faulty" };
}

const mock = createMockSaas({
  // The KYC provider calls back by HTTP; here that is this Worker.
  fetch: async (url, init) => fetchHandler(new Request(url, init), environment),
});

let environment: Cloudflare.Env;

async function fetchHandler(request: Request, env: Cloudflare.Env, context?: ExecutionContext): Promise<Response> {
  environment = env;
  const { hostname } = new URL(request.url);
  if (hostname === "mock-saas") return mock.fetch(request, env, context);
  if (hostname === "effects") return hear(request);
  return (hostname === "faulty" ? faulty : app).worker.fetch(
    request as Request<unknown, IncomingRequestCfProperties>,
    hostname === "faulty" ? faultyEnv(env) : (env as SegnoEnv),
    context ?? ({ waitUntil() {}, passThroughOnException() {}, props: {} } as unknown as ExecutionContext),
  );
}

async function queueHandler(batch: MessageBatch<unknown>, env: Cloudflare.Env, context: ExecutionContext): Promise<void> {
  if (!batch.queue.startsWith("faulty-")) return app.worker.queue(batch, env, context);
  troubledBatch();
  return faulty.worker.queue(batch, faultyEnv(env), context);
}

export const RunObject = app.RunObject;
export const FaultyRunObject = faultyRunObject(faulty.RunObject);

export default {
  fetch: fetchHandler,
  queue: queueHandler,
  scheduled: app.worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
