import { type SegnoEnv, segno } from "segno";
import type { StartCommand } from "#core/command.ts";
import { encode } from "#core/value.ts";
import { type RunNamespace, runHandle } from "#objects/runs.ts";
import { workflow } from "#sdk/workflow.ts";
import { BareObject } from "./bare-object.ts";
import { countingDatabase, countingStorage, type WriteCounts } from "./counting.ts";

/** The Worker of the benchmark: Segno with the measured workflows, and the bare objects beside it. */

const sequential = workflow({
  name: "sequential",
  run: async ({ input, step }) => {
    const { steps, markEvery } = input as { steps: number; markEvery?: number };
    const marks: number[] = [];
    for (let i = 0; i < steps; i++) {
      if (markEvery && i % markEvery === 0) marks.push(Date.now());
      await step.do("step", () => Promise.resolve(i));
    }
    marks.push(Date.now());
    return { marks };
  },
});

const turns = workflow({
  name: "turns",
  run: async ({ input, step }) => {
    const { steps } = input as { steps: number };
    for (let i = 0; i < steps; i++) {
      await step.do("step", async () => {
        await scheduler.wait(0);
        return i;
      });
    }
  },
});

const fanOut = workflow({
  name: "fan-out",
  run: async ({ input, step }) => {
    const { steps } = input as { steps: number };
    const results = await Promise.all(Array.from({ length: steps }, (_, i) => step.do("step", () => Promise.resolve(i))));
    return results.length;
  },
});

const event = workflow({
  name: "event",
  run: async ({ step }) => {
    const go = await step.waitForEvent<number>("go");
    return go.ok ? go.payload + 1 : 0;
  },
});

interface Env extends SegnoEnv {
  readonly COUNTED: RunNamespace;
  readonly BARE: DurableObjectNamespace<BareObject>;
}

const app = segno({ workflows: [sequential, turns, fanOut, event] });

export { BareObject };
export class RunObject extends app.RunObject {}

/** A run object that counts its writes. It is apart from the measured ones, so that counting costs them nothing. */
export class CountedRun extends app.RunObject {
  readonly #counts: WriteCounts = { rows: 0, alarmsSet: 0, alarmsCleared: 0 };

  constructor(context: DurableObjectState, env: SegnoEnv) {
    super(context, env);
    const counted = { id: context.id, storage: countingStorage(context.storage, this.#counts), abort: (reason: string) => context.abort(reason) };
    Object.defineProperty(this, "ctx", { value: counted });
  }

  counts(): WriteCounts {
    return { ...this.#counts };
  }
}

/** Runs of this namespace live in counted objects. */
const countedNamespace = "counted";

/** What the index took, of all runs since the start. */
const indexed = { batches: 0, messages: 0, rows: 0 };

const worker = {
  fetch: (request: Request<unknown, IncomingRequestCfProperties>, env: Env, context: ExecutionContext): Promise<Response> | Response => {
    const url = new URL(request.url);
    const [, area, what] = url.pathname.split("/");
    if (area === "bare") return bare(what ?? "", url.searchParams, env);
    if (area === "counted") return counted(what ?? "", url.searchParams, env);
    if (area === "indexed") return Response.json(indexed);
    return app.worker.fetch(request, env, context);
  },
  queue: async (batch: MessageBatch<unknown>, env: Env, context: ExecutionContext): Promise<void> => {
    if (batch.queue.endsWith("-summaries")) {
      indexed.batches++;
      indexed.messages += batch.messages.length;
    }
    const runs = { getByName: (name: string) => (name.startsWith(`${countedNamespace}:`) ? env.COUNTED : env.RUNS).getByName(name) } as RunNamespace;
    const database = countingDatabase(env.INDEX, (rows) => {
      indexed.rows += rows;
    });
    await app.worker.queue(batch, { ...env, RUNS: runs, INDEX: database }, context);
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
    park: () => object.park(durable),
    finished: () => object.finished(),
    event: () => object.event(1, durable),
  };
  return Response.json({ result: (await actions[what]?.()) ?? null });
}

async function counted(name: string, parameters: URLSearchParams, env: Env): Promise<Response> {
  const runId = parameters.get("id") ?? crypto.randomUUID();
  const input = encode({ steps: Number(parameters.get("steps")) });
  const command: StartCommand = {
    namespace: countedNamespace,
    runId,
    workflow: name,
    version: null,
    input,
    attributes: {},
    delayMs: 0,
    trigger: "bench",
    publicUrl: "http://localhost",
  };
  if (!parameters.has("id")) await runHandle(env.COUNTED, countedNamespace, runId).start(command, 60_000);
  const object = env.COUNTED.getByName(`${countedNamespace}:${runId}`) as unknown as { counts(): Promise<WriteCounts> };
  return Response.json({ id: runId, counts: await object.counts() });
}
