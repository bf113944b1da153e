import { DurableObject } from "cloudflare:workers";
import { type SegnoEnv, segno } from "segno";
import type { RunNamespace } from "#objects/runs.ts";
import { BareObject } from "./bare-object.ts";
import { countCalls, countingDatabase, countingStorage, noCounts, type RunCounts } from "./counting.ts";
import { type PeerInput, PeerWorkflow } from "./peer-workflow.ts";
import { shapeAutomation, shapes } from "./shape-workflows.ts";
import { workflows } from "./workflows.ts";

/** The Worker of the benchmark: Segno with the measured workflows, and what it is measured against beside it. */

interface Env extends SegnoEnv {
  readonly COUNTED: DurableObjectNamespace<CountedRun>;
  readonly BARE: DurableObjectNamespace<BareObject>;
  readonly PEER: Workflow<PeerInput>;
}

const app = segno({ workflows: [...workflows, ...shapes], automations: [shapeAutomation] });

export { BareObject, PeerWorkflow };
export class RunObject extends app.RunObject {}

/** A run object that counts. It is apart from the measured ones, so that counting costs them nothing. */
export class CountedRun extends app.RunObject {
  readonly #counts = noCounts();

  constructor(context: DurableObjectState, env: SegnoEnv) {
    super(context, env);
    const counted = { id: context.id, storage: countingStorage(context.storage, this.#counts), abort: (reason: string) => context.abort(reason) };
    Object.defineProperty(this, "ctx", { value: counted });
  }

  static of(run: object): RunCounts {
    return (run as CountedRun).#counts;
  }

  counts(): RunCounts {
    return { ...this.#counts };
  }
}
countCalls(CountedRun.prototype, DurableObject.prototype, CountedRun.of);

/** The runs as the app finds them: those of the namespace `counted` live in counted objects. */
function runsOf(env: Env): RunNamespace {
  return { getByName: (name: string) => (name.startsWith("counted:") ? env.COUNTED : env.RUNS).getByName(name) } as unknown as RunNamespace;
}

/** What the queues and the index took, of all runs since the start. */
const seen = { stepMessages: 0, summaries: 0, batches: 0, indexRowsWritten: 0, indexRowsRead: 0, lagsMs: [] as number[] };

const worker = {
  fetch: (request: Request<unknown, IncomingRequestCfProperties>, env: Env, context: ExecutionContext): Promise<Response> | Response => {
    const url = new URL(request.url);
    const [, area, what] = url.pathname.split("/");
    if (area === "bare") return bare(what ?? "", url.searchParams, env);
    if (area === "peer") return peer(what ?? "", url.searchParams, env);
    if (area === "counts") return counts(what ?? "", env);
    if (area === "seen") return Response.json(seen);
    return app.worker.fetch(request, { ...env, RUNS: runsOf(env) }, context);
  },
  queue: async (batch: MessageBatch<unknown>, env: Env, context: ExecutionContext): Promise<void> => {
    const isIndex = batch.queue.endsWith("-summaries");
    let indexedAt = 0;
    const database = countingDatabase(env.INDEX, (rows) => {
      seen.indexRowsWritten += rows.written;
      seen.indexRowsRead += rows.read;
      indexedAt = Date.now();
    });
    await app.worker.queue(batch, { ...env, RUNS: runsOf(env), INDEX: database }, context);
    seen.batches++;
    seen[isIndex ? "summaries" : "stepMessages"] += batch.messages.length;
    for (const { body } of isIndex ? batch.messages : []) {
      const { endedAt } = body as { endedAt: number | null };
      if (endedAt !== null && seen.lagsMs.length < 20_000) seen.lagsMs.push(indexedAt - endedAt);
    }
  },
};
export default worker;

async function bare(what: string, parameters: URLSearchParams, env: Env): Promise<Response> {
  const object = env.BARE.getByName(parameters.get("name") ?? crypto.randomUUID());
  const steps = Number(parameters.get("steps"));
  const durable = parameters.get("durable") === "true";
  const actions: Record<string, () => Promise<unknown>> = {
    sequential: () => object.sequential(steps, durable),
    turns: () => object.turns(steps, durable),
    "fan-out": () => object.fanOut(steps, durable),
    payload: () => object.payload(steps, durable),
    nap: () => object.nap(Number(parameters.get("ms"))),
    park: () => object.park(durable),
    finished: () => object.finished(),
    event: () => object.event(1, durable),
  };
  return Response.json({ result: (await actions[what]?.()) ?? null });
}

/** Cloudflare Workflows, asked in the same way: `start` begins a run that waits, `go` sends its event, anything else runs to the end. */
async function peer(what: string, parameters: URLSearchParams, env: Env): Promise<Response> {
  const told = parameters.get("name") ?? crypto.randomUUID();
  if (what === "go") await (await env.PEER.get(told)).sendEvent({ type: "go", payload: 1 });
  else await env.PEER.create({ id: told, params: { program: what === "start" ? "event" : what, steps: Number(parameters.get("steps")), told } });
  return Response.json({ result: what === "start" ? null : await env.BARE.getByName(told).finished() });
}

async function counts(runId: string, env: Env): Promise<Response> {
  const run = env.COUNTED.getByName(`counted:${runId}`) as unknown as { counts(): Promise<RunCounts> };
  return Response.json(await run.counts());
}
