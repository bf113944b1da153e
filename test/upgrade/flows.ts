import { env } from "cloudflare:workers";
import { automation } from "#sdk/automation.ts";
import { NonRetryableError } from "#sdk/errors.ts";
import type { Notice } from "#sdk/step.ts";
import { type AnyWorkflow, type WorkflowContext, workflow } from "#sdk/workflow.ts";

/**
 * The workflows of the stored builds: each does something that can be under way when the code under it changes. Those of a stored build are never changed, for
 * its runs go on with them: add others. Most do the same twice, in two legs, so that a run is in the middle at two changes. The effect of a step has the step's key as
 * its name, and the sink decides by it when to answer.
 */

interface Attempt {
  readonly attempt: number;
  readonly idempotencyKey: string;
}

interface Told {
  readonly runId: string;
  readonly key: string;
  readonly detail?: unknown;
}

export async function tell(effect: Told, { attempt, idempotencyKey }: Attempt): Promise<string> {
  const { SINK } = env as unknown as { readonly SINK: string };
  const response = await fetch(SINK, { method: "POST", body: JSON.stringify({ detail: null, ...effect, attempt, idempotencyKey }) });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`The sink answered ${response.status}.`);
  return effect.key;
}

const remote = automation<Told, string>({ name: "remote", dispatch: "queue", run: (context) => tell(context.input, context) });

/** Tells what people are told. The key of a notice is known by its idempotency key alone. */
const teller = automation<Notice>({
  name: "teller",
  run: (context) => tell({ runId: context.input.runId, key: decodeURIComponent(context.idempotencyKey.split("/").at(-1) ?? "") }, context),
});

const legs = [1, 2] as const;

type Context = WorkflowContext<unknown>;

/** One leg of a run. Its names end with its number. */
function legOf(nth: number, { run, step }: Context) {
  const name = (text: string): string => `${text}-${nth}`;
  const told = (key: string, detail?: unknown): Told => ({ runId: run.id, key, detail });
  return {
    step,
    name,
    told,
    act: (text: string, detail?: unknown): Promise<string> => step.do(name(text), (context) => tell(told(name(text), detail), context)),
    queue: (text: string): Promise<string> => step.run(remote, told(name(text)), { name: name(text) }),
  };
}

export function twice(name: string, run: (leg: ReturnType<typeof legOf>, input: unknown) => Promise<unknown>): AnyWorkflow {
  return workflow({
    name,
    run: async (context) => {
      const made: unknown[] = [];
      for (const nth of legs) made.push(await run(legOf(nth, context), context.input));
      return made;
    },
  });
}

/** A step that can be undone. Its undoing is told under `~` and its name. */
function reversible({ run, step }: Context, name: string): Promise<string> {
  const told = (key: string): Told => ({ runId: run.id, key });
  const compensate = (context: Attempt & { readonly output: unknown }) => tell({ ...told(`~${name}`), detail: context.output }, context);
  return step.do<string, undefined>(name, { compensate }, (context) => tell(told(name), context));
}

export const large = "🙂".repeat(400_000);

const workflows: readonly AnyWorkflow[] = [
  twice("steps", async ({ step, act }) => {
    const seen = [await step.uuid(), (await step.now()).getTime(), await step.random()];
    await act("told", seen);
    await act("held", seen);
    await act("last", seen);
    return seen;
  }),
  twice("naps", async ({ step, act, name }) => {
    await act("before");
    await step.sleep(name("nap"), "6s");
    return act("after");
  }),
  twice("events", async ({ step, act, name }) => {
    const go = await step.waitForEvent(name("go"));
    const early = await step.waitForEvent(name("early"), { event: "early" });
    const both = [go.ok && go.payload, early.ok && early.payload];
    await act("took", both);
    return both;
  }),
  twice("callbacks", async ({ step, told, name }) => {
    const kyc = await step.callback(name("kyc"), { timeout: "1h" }, (context) => tell(told(name("kyc"), context.url), context));
    return kyc.ok && kyc.payload;
  }),
  twice("approvals", async ({ step, act, name }) => {
    const legal = await step.approval(name("legal"), { assignees: ["ann", "bob", "cleo"], quorum: 2, notify: teller });
    await act("decided");
    return legal.ok && legal.decisions.map(({ actor }) => actor);
  }),
  twice("retries", ({ step, told, name }) =>
    step.do(name("flaky"), { retries: { limit: 100, backoff: "constant", delay: "1s", jitter: 0 } }, (context) => tell(told(name("flaky")), context)),
  ),
  twice("queued", async ({ step, queue, name }) => {
    const quick = await queue("quick");
    await step.waitForEvent(name("begin"));
    return [quick, await queue("held"), await queue("last")];
  }),
  twice("parallel", async ({ step, act, queue, told, name }) => {
    // Which branch calls the step first is up to how long each is given.
    const branch = async (who: string, hops: number): Promise<string> => {
      await step.sleep(name("nap"), "2s");
      for (let hop = 0; hop < hops; hop++) await null;
      const key = who === "ann" ? name("same") : `${name("same")}#2`;
      return step.do(name("same"), { input: who }, async (context) => (await tell(told(key), context), context.input));
    };
    const go = step.waitForEvent(name("go")).then((event) => event.ok && event.payload);
    const first = Promise.race([act("quick"), step.sleep(name("slow"), "1h")]);
    return Promise.all([act("done"), act("held"), queue("queued"), branch("ann", 30), branch("bob", 0), go, first]);
  }),
  twice("large", async ({ step, act, told, name }, input) => {
    const padding = String(input);
    const made = await step.do(name("made"), { input: padding }, async (context) => (await tell(told(name("made")), context), large));
    await act("held");
    const again = await step.do(name("again"), { input: made }, async (context) => (await tell(told(name("again")), context), context.input));
    return [made === large, again === large, padding.length];
  }),
  twice("paused", async ({ step, act, name }) => {
    await act("before");
    await step.sleep(name("nap"), "2s");
    return act("after");
  }),
  twice("parked", ({ step, told, name }) =>
    step.do(name("flaky"), { retries: { limit: 0 }, onFailure: "pause" }, (context) => tell(told(name("flaky")), context)),
  ),
  workflow({
    name: "saga",
    run: async (context) => {
      const { step } = context;
      await reversible(context, "a");
      await step.waitForEvent("go-1");
      await reversible(context, "b");
      await reversible(context, "c");
      await step.waitForEvent("go-2");
      await step.do("d", () => {
        throw new NonRetryableError("That is that.");
      });
    },
  }),
  workflow({
    name: "undoing",
    run: async (context) => {
      for (const name of ["a", "b", "c"]) await reversible(context, name);
      await context.step.sleep("long", "30d");
    },
  }),
  workflow({
    name: "delayed",
    run: ({ run, step }) => step.do("only", (context) => tell({ runId: run.id, key: "only" }, context)),
  }),
  workflow({
    name: "ended",
    run: async (context) => [await reversible(context, "a"), await reversible(context, "b")],
  }),
];

/** What every build has. */
export const flows = { workflows, automations: [remote], alerts: teller };
