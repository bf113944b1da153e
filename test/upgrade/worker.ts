import { type Clock, compose, createRegistry, type Segno, type SegnoEnv } from "segno/testing";
import { systemClock } from "#objects/system.ts";
import { flows } from "./flows.ts";
import { laterWorkflows } from "./later-flows.ts";

/** The Worker of a stored build. */

const registry = createRegistry({ ...flows, workflows: [...flows.workflows, ...laterWorkflows] });
const settings = { leaseMs: 3_000, resendMs: 1_000 };
const composed = (clock: Clock): Segno => compose({ registry, clock, settings });
const app = composed(systemClock);

export const RunObject = app.RunObject;

/** The sweeper as it works while a quarter of an hour goes by, each minute once. */
async function sweep(env: SegnoEnv, context: ExecutionContext): Promise<Response> {
  for (let minute = 15; minute < 30; minute++) {
    const clock = { ...systemClock, now: () => systemClock.now() + minute * 60_000 };
    await composed(clock).worker.scheduled({ scheduledTime: clock.now(), cron: "* * * * *", noRetry() {} }, env, context);
  }
  return new Response(null, { status: 204 });
}

const worker = {
  ...app.worker,
  fetch: (request: Request<unknown, IncomingRequestCfProperties>, env: SegnoEnv, context: ExecutionContext): Response | Promise<Response> =>
    new URL(request.url).pathname === "/sweep" ? sweep(env, context) : app.worker.fetch(request, env, context),
};
export default worker;
