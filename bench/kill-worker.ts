import { type SegnoEnv, segno } from "segno";
import { automation } from "#sdk/automation.ts";
import { workflow } from "#sdk/workflow.ts";

/** The Worker of the kill test. Each run has 22 steps of every kind; those that do something, or undo it, tell the sink in the harness process. */

interface Env extends SegnoEnv {
  readonly SINK: string;
}

/** What the sink hears. `place` grows along the workflow: a step of a higher place begins only after all lower ones are over. */
interface EffectInput {
  readonly sink: string;
  readonly runId: string;
  readonly step: string;
  readonly place: number;
}

interface Attempt {
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

async function effect(input: EffectInput, { attempt, idempotencyKey, signal }: Attempt): Promise<number> {
  const { sink, ...told } = input;
  const response = await fetch(sink, { method: "POST", body: JSON.stringify({ ...told, attempt, idempotencyKey }), signal });
  if (!response.ok) throw new Error(`The sink answered ${response.status}.`);
  await response.body?.cancel();
  return input.place;
}

/** Undoing goes the other way, after everything that was done. It is the effect of the run that undoes, which may be another than the one that did. */
function undone(input: EffectInput, context: Attempt): Promise<number> {
  const [, runId = ""] = context.idempotencyKey.split("/");
  return effect({ ...input, runId, step: `~${input.step}`, place: 100 - input.place }, context);
}

const retries = { limit: 5, backoff: "constant", delay: "50ms" } as const;

const remote = automation<EffectInput, number>({
  name: "remote",
  dispatch: "queue",
  retries,
  compensate: { retries, run: (context) => undone(context.input, context) },
  run: (context) => effect(context.input, context),
});

const mixed = workflow({
  name: "mixed",
  run: async ({ input, step, run }) => {
    const { sink } = input as { sink: string };
    const at = (name: string, place: number): EffectInput => ({ sink, runId: run.id, step: name, place });
    const inline = (name: string, place: number): Promise<number> => step.do(name, { retries }, (context) => effect(at(name, place), context));
    const undoable = (name: string, place: number): Promise<number> =>
      step.do(name, { retries, compensate: { retries, run: (context) => undone(at(name, place), context) } }, (context) => effect(at(name, place), context));
    const dispatched = (name: string, place: number): Promise<number> => step.run(remote, at(name, place), { name });

    await undoable("a", 1);
    await inline("b", 2);
    await step.uuid();
    await dispatched("c", 3);
    await step.sleep("nap", "200ms");
    await inline("d", 4);
    await inline("flaky", 5);
    await Promise.all([undoable("e", 6), dispatched("f", 6), inline("g", 6), step.sleep("pause", "50ms")]);
    await inline("h", 7);
    const go = await step.waitForEvent<number>("go");
    await undoable("i", 8);
    await step.sleep("rest", "20ms");
    await step.now();
    await dispatched("j", 9);
    await inline("k", 10);
    await Promise.race([inline("l", 11), step.sleep("slow", "1h")]);
    await step.random();
    await inline("last", 12);
    return go.ok ? go.payload : null;
  },
});

const app = segno({ workflows: [mixed], automations: [remote], settings: { leaseMs: 1_000, resendMs: 2_000 } });

/** A run object whose queue repeats itself, as a real one may and the local one never does. */
export class RunObject extends app.RunObject {
  constructor(context: DurableObjectState, env: Env) {
    super(context, { ...env, STEPS: repeating(env.STEPS) });
  }
}

/** Every third message is sent twice. */
function repeating(queue: Queue): Queue {
  const sendBatch: Queue["sendBatch"] = (messages, options) => {
    const once = [...messages];
    return queue.sendBatch([...once, ...once.filter(() => Math.random() < 1 / 3)], options);
  };
  return { sendBatch } as Queue;
}

/** The index is read past the API, and so past every run: looking must not wake anybody. */
const queries: Readonly<Record<string, string>> = {
  "/index": "SELECT id, status FROM runs",
  "/index/ended": "SELECT count(*) AS ended FROM runs WHERE status IN ('completed', 'failed', 'cancelled', 'terminated')",
};

const worker = {
  ...app.worker,
  fetch: async (request: Request<unknown, IncomingRequestCfProperties>, env: Env, context: ExecutionContext): Promise<Response> => {
    const query = queries[new URL(request.url).pathname];
    if (query === undefined) return app.worker.fetch(request, env, context);
    return Response.json((await env.INDEX.prepare(query).all()).results);
  },
};
export default worker;
