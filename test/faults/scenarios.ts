import { automation, type Notice, workflow } from "segno";
import { z } from "zod";
import { act, actElsewhere } from "./effects.ts";
import { ask, hasEnded, untilHeard, untilIndexed } from "./outside.ts";
import { reach } from "./points.ts";

/** Runs of every kind, and what those outside do for them. */
export interface Scenario {
  readonly name: string;
  /** Makes what the run is made of, before anything breaks. */
  readonly before?: (id: string) => Promise<void>;
  /** Starts the run, and does everything else that it needs from outside. */
  readonly live: (id: string) => Promise<void>;
}

const retries = { limit: 4, delay: "20ms", backoff: "constant", jitter: 0 } as const;

const remote = automation<{ readonly place: number; readonly failures?: number }, number>({
  name: "faulty-remote",
  dispatch: "queue",
  retries,
  compensate: { retries, run: (context) => act(100 - context.input.place, context) },
  run: async (context) => {
    const { place, failures = 0 } = context.input;
    await actElsewhere(place, context);
    if (context.attempt <= failures) throw new Error("not yet");
    return place;
  },
});

const tell = automation<Notice>({ name: "faulty-tell", retries, run: (context) => actElsewhere(200, context) });

type Step = Parameters<Parameters<typeof workflow>[0]["run"]>[0]["step"];

interface Doing {
  readonly undo?: boolean;
  readonly failures?: number;
  readonly undoFailures?: number;
}

/** An inline step that acts at its place, fails as often as is said, and can be undone if that is said. */
function doing(step: Step, name: string, place: number, { undo = false, failures = 0, undoFailures = 0 }: Doing = {}): Promise<number> {
  const undoing = {
    retries,
    run: async (context: Parameters<typeof act>[1]) => {
      await act(100 - place, context);
      if (context.attempt <= undoFailures) throw new Error("not yet");
    },
  };
  return step.do(name, { retries, ...(undo && { compensate: undoing }) }, async (context) => {
    await act(place, context);
    if (context.attempt <= failures) throw new Error("not yet");
    return place;
  });
}

function flow(name: string, run: (step: Step) => Promise<unknown>) {
  return workflow({
    name,
    input: z.unknown(),
    attributes: () => ({ scenario: name }),
    run: async (context) => {
      reach(context.run.id, "the code begins");
      return run(context.step);
    },
  });
}

const workflows = [
  flow("faulty-onboarding", async (step) => {
    const project = await doing(step, "create-project", 1);
    await doing(step, "provision", 2);
    await step.run(remote, { place: 3 }, { name: "welcome" });
    const token = await step.uuid();
    await step.sleep("settle", "30ms");
    return [project, token.length > 0, await doing(step, "kickoff", 4)];
  }),
  flow("faulty-approval", async (step) => {
    const legal = await step.approval("legal", { assignees: ["ann", "bob"], quorum: 2, notify: tell, form: z.object({ amount: z.number() }) });
    return [legal.ok && legal.form, await doing(step, "pay", 2)];
  }),
  flow("faulty-retries", async (step) => [
    await doing(step, "flaky", 1, { failures: 2 }),
    await step.run(remote, { place: 2, failures: 1 }, { name: "dispatched" }),
    await step.do("optional", { onFailure: "continue", fallback: "plan b", retries: { limit: 0 } }, (): string => {
      throw new Error("no");
    }),
  ]),
  flow("faulty-queue", async (step) => {
    const made: number[] = [];
    for (const place of [1, 2, 3]) made.push(await step.run(remote, { place }));
    return made;
  }),
  flow("faulty-parallel", (step) =>
    Promise.all([
      doing(step, "a", 1),
      step.run(remote, { place: 1 }, { name: "b" }),
      step.sleep("nap", "60ms").then(() => doing(step, "after", 1)),
      step.waitForEvent("go").then((event) => event.ok && event.payload),
    ]),
  ),
  flow("faulty-race", async (step) => {
    const first = await Promise.race([step.sleep("slow", "1h").then(() => "slow"), doing(step, "quick", 1).then(() => "quick")]);
    return [first, await doing(step, "last", 2)];
  }),
  flow("faulty-rollback", async (step) => {
    await doing(step, "a", 1, { undo: true });
    await step.run(remote, { place: 2 }, { name: "b" });
    await doing(step, "c", 3, { undo: true, undoFailures: 1 });
    throw new Error("no use");
  }),
  flow("faulty-callback", async (step) => {
    const kyc = await step.callback("kyc", { timeout: "1h", retries }, (context) => act(1, context, context.url));
    return [kyc.ok && kyc.payload, await doing(step, "note", 2)];
  }),
  flow("faulty-cancel", async (step) => {
    await doing(step, "a", 1, { undo: true });
    try {
      await step.waitForEvent("never");
    } finally {
      await doing(step, "clean-up", 2);
    }
  }),
  flow("faulty-hold", async (step) => [
    await doing(step, "a", 1),
    await step.waitForEvent("go").then((event) => event.ok && event.payload),
    await doing(step, "b", 2),
  ]),
  flow("faulty-origin", async (step) => [
    await doing(step, "a", 1, { undo: true }),
    await doing(step, "b", 2, { undo: true }),
    await doing(step, "c", 3, { undo: true }),
  ]),
];

export const definitions = [...workflows, remote, tell];

const starts = (name: string) => (id: string) => start(name, id);

async function start(name: string, id: string): Promise<void> {
  await ask("POST", `/v1/workflows/${name}/runs`, { id, input: null });
}

async function ended(id: string): Promise<void> {
  await untilIndexed(id, hasEnded);
}

export const scenarios: readonly Scenario[] = [
  { name: "onboarding", live: starts("faulty-onboarding") },
  {
    name: "approval",
    live: async (id) => {
      await start("faulty-approval", id);
      await untilHeard(id, "~notice:approval:legal:0");
      for (const actor of ["ann", "bob"]) {
        const decision = { actor, decision: "approved", form: { amount: 7 } };
        await ask("POST", `/v1/approvals/${id}/legal/decide`, decision, { done: ["already_decided"], notYet: ["step_not_found"] });
      }
    },
  },
  { name: "retries", live: starts("faulty-retries") },
  { name: "queue steps", live: starts("faulty-queue") },
  {
    name: "parallel",
    live: async (id) => {
      await start("faulty-parallel", id);
      await ask("POST", `/v1/runs/${id}/events/go`, { id: "go", payload: "gone" }, { done: ["run_ended"] });
    },
  },
  { name: "race", live: starts("faulty-race") },
  { name: "rollback", live: starts("faulty-rollback") },
  {
    name: "callback",
    live: async (id) => {
      await start("faulty-callback", id);
      const url = new URL(String(await untilHeard(id, "kyc")));
      await ask("POST", url.pathname, { verified: true }, { done: ["callback_used"] });
    },
  },
  {
    name: "cancel",
    live: async (id) => {
      await start("faulty-cancel", id);
      await untilIndexed(id, (row) => row.reason_code === "event");
      await ask("POST", `/v1/runs/${id}/cancel`, { compensate: true });
    },
  },
  {
    name: "hold",
    live: async (id) => {
      await start("faulty-hold", id);
      await untilIndexed(id, (row) => row.reason_code === "event");
      await ask("POST", `/v1/runs/${id}/pause`, {});
      await untilIndexed(id, (row) => row.status === "paused");
      await ask("POST", `/v1/runs/${id}/events/go`, { id: "go", payload: "gone" });
      await ask("POST", `/v1/runs/${id}/resume`, {}, { done: ["not_paused", "run_ended"] });
    },
  },
  {
    name: "fork",
    before: (id) => start("faulty-origin", `${id}.origin`).then(() => ended(`${id}.origin`)),
    live: async (id) => {
      await ask("POST", `/v1/runs/${id}.origin/fork`, { from: "b", id });
    },
  },
  {
    name: "undoing of an ended run",
    before: (id) => start("faulty-origin", `${id}.origin`).then(() => ended(`${id}.origin`)),
    live: async (id) => {
      await ask("POST", `/v1/runs/${id}.origin/rollback`, { id });
    },
  },
];
