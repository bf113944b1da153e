import type { Fault } from "#core/fault.ts";
import { encode } from "#core/value.ts";
import type { Step } from "#sdk/step.ts";
import { workflow } from "#sdk/workflow.ts";
import { flow, type World } from "../engine/world.ts";
import { type Act, code, type Feature } from "./feature.ts";
import { failing, greeter, steady } from "./steps.ts";

/** Deaths, code that is missing or another, and what operators do. */

const hour = 3_600_000;

export const recoveryFeatures: readonly Feature[] = [
  {
    name: "lost-inline",
    define: (act) => ({
      workflows: code(async (step) => [await plain(act, step, "a"), await plain(act, step, "b")]),
    }),
    mishap: (world) => {
      // Three times in a row, so that the pause between them is recorded too.
      const step = world.run.engine.state.steps.get("a");
      if (step?.status === "running" && step.attempt <= 3) world.evict();
    },
  },
  {
    name: "lost-queue",
    define: (act) => {
      const greet = greeter(act, "queue");
      return { automations: [greet], workflows: code((step) => step.run(greet, { key: "greet", who: "ann" })) };
    },
    mishap: (world) => {
      world.executorsDie = world.run.engine.state.steps.get("greet")?.attempt === 1;
    },
  },
  {
    name: "hold",
    define: (act) => {
      const greet = greeter(act, "queue");
      return {
        automations: [greet],
        workflows: code(
          (step) =>
            Promise.all([
              step.run(greet, { key: "greet", who: "ann" }),
              step.sleep("nap", "1d").then(() => plain(act, step, "a")),
              step.approval("legal", { assignees: ["ann"], timeout: "2d" }),
            ]),
          { timeout: "30d" },
        ),
      };
    },
    outside: (world) => {
      const { paused } = world.run.engine.state;
      const resumesAt = (paused?.at ?? 0) + 6 * hour;
      if (paused && world.clock.now() < resumesAt) world.clock.set(resumesAt);
      else if (paused) world.operate({ action: "resume" });
      else if (!wasDone(world, "pause")) world.operate({ action: "pause" });
      else return false;
      return true;
    },
  },
  {
    name: "hold-retrying",
    define: (act) => ({
      workflows: code((step) => step.do("a", { retries: { ...steady, delay: "4m" } }, (context) => act({ key: "a", ...context }, onceNot(context)))),
    }),
    outside: (world) => holdsOnce(world, "a"),
  },
  {
    name: "hold-budget",
    define: (act) => {
      // Its hour would be over, if the time in which the run is held counted.
      const retries = { ...steady, limit: 10, backoff: "constant", delay: "1m", totalTimeout: "1h" } as const;
      return { workflows: code((step) => step.do("a", { retries }, (context) => act({ key: "a", ...context }, onceNot(context)))) };
    },
    outside: (world) => holdsOnce(world, "a"),
  },
  {
    name: "hold-rollback",
    define: (act) => ({
      workflows: code(async (step) => {
        await reversible(act, step, "a");
        const run = (context: Context & Attempt) => act({ key: "~b", ...context }, onceNot(context));
        await step.do("b", { compensate: { retries: { ...steady, delay: "4m" }, run } }, (context) => act({ key: "b", ...context }, () => "b-id"));
        await failing(act, "c", (name, action) => step.do(name, { retries: { limit: 0 } }, action));
      }),
    }),
    outside: (world) => holdsOnce(world, "~b"),
  },
  {
    name: "cancel",
    define: (act) => ({
      workflows: code(async (step) => {
        await plain(act, step, "a");
        try {
          await step.sleep("long", "30d");
        } finally {
          await plain(act, step, "clean-up");
        }
      }),
    }),
    outside: (world) =>
      once(world, "long", "cancel", () =>
        world.run.engine.operate({ action: "cancel", actor: "ann", reason: "not wanted any more", expectedSeq: null, compensate: false }),
      ),
  },
  {
    name: "cancel-and-undo",
    define: (act) => ({ workflows: code((step) => saga(act, step)) }),
    outside: (world) => once(world, "long", "cancel", () => world.operate({ action: "cancel", compensate: true })),
  },
  {
    name: "terminate",
    define: (act) => ({ workflows: code((step) => saga(act, step)) }),
    outside: (world) => once(world, "long", "terminate", () => world.operate({ action: "terminate" })),
  },
  {
    name: "discard",
    define: (act) => ({ workflows: code((step) => failing(act, "a", (name, action) => step.do(name, { onFailure: "pause", retries: { limit: 0 } }, action))) }),
    outside: (world) => {
      const isParked = world.statusOf("a") === "parked";
      if (isParked) world.operate({ action: "discard" });
      return isParked;
    },
  },
  {
    name: "rollback",
    define: (act) => ({ workflows: code((step) => saga(act, step)) }),
    outside: (world) => once(world, "long", "rollback", () => world.operate({ action: "rollback", from: "b" })),
  },
  {
    name: "rollback-in-doubt",
    define: (act) => ({
      workflows: code(async (step) => {
        await reversible(act, step, "a");
        await failing(act, "b", (name, action) => step.do<unknown, undefined>(name, { retries: { limit: 0 }, compensate: undo(act, "b") }, action));
      }),
    }),
  },
  {
    name: "undo-context",
    define: (act) => ({
      workflows: code(async (step) => {
        const told = ({ error, stepAttempt, inDoubt, output }: Undoing) => [(error as Error).message, (error as Fault).code, stepAttempt > 1, inDoubt, output];
        const compensate = (key: string) => (context: Context & Undoing) => act({ key, ...context }, () => told(context));
        await step.do("a", { retries: steady, compensate: compensate("~a") }, (context) => act({ key: "a", ...context }, onceNot(context)));
        await failing(act, "b", (name, action) =>
          step.do<unknown, undefined>(name, { retries: { ...steady, limit: 1 }, compensate: compensate("~b") }, action),
        ).catch((error: Error) => {
          throw Object.assign(new RangeError(`not without b: ${error.message}`), { code: "E_NO_B" });
        });
      }),
    }),
  },
  {
    name: "rollback-parked",
    define: (act) => ({
      workflows: code(async (step) => {
        await reversible(act, step, "a");
        const compensate = (context: { readonly idempotencyKey: string }) => failing(act, "~b", (_name, action) => action(context));
        await step.do("b", { compensate: { retries: { limit: 0 }, run: compensate } }, (context) => act({ key: "b", ...context }, () => "b-id"));
        await failing(act, "c", (name, action) => step.do(name, { retries: { limit: 0 } }, action));
      }),
    }),
    outside: (world) => {
      if (world.statusOf("~b") !== "parked") return false;
      if (wasDone(world, "retry")) world.operate({ action: "skip", key: "~b", value: null });
      else world.operate({ action: "retry", key: "~b", value: null });
      return true;
    },
  },
  {
    name: "origin",
    define: (act) => ({ workflows: code(origin(act)) }),
    outside: sendsGo,
  },
  {
    name: "fork",
    define: (act) => ({ workflows: code(origin(act)) }),
    start: { runId: "r2" },
    from: { feature: "origin", origin: { runId: "r1", relation: "fork", step: "c" } },
    outside: sendsGo,
  },
  {
    name: "rollback-of-ended",
    define: (act) => ({ workflows: code(origin(act)) }),
    start: { runId: "r3" },
    from: { feature: "origin", origin: { runId: "r1", relation: "rollback", step: null } },
  },
  {
    name: "undo-of-fork",
    define: (act) => ({ workflows: code(origin(act)) }),
    start: { runId: "r4" },
    from: { feature: "fork", origin: { runId: "r2", relation: "rollback", step: null } },
  },
  // An instance of the layer for Cloudflare Workflows is a chain of runs. Its restarts carry the time at which the first was created.
  { name: "instance", define: (act) => ({ workflows: [instance(act)] }), start: { runId: "p.one.1" } },
  {
    name: "instance-restart",
    define: (act) => ({ workflows: [instance(act)] }),
    start: { runId: "p.one.2", trigger: "restart:1767225600000", input: encode("in") },
    from: { feature: "instance", origin: { runId: "p.one.1", relation: "fork", step: "last" } },
  },
  {
    name: "instance-restart-again",
    define: (act) => ({ workflows: [instance(act)] }),
    start: { runId: "p.one.3", trigger: "restart:1767225600000", input: encode("in") },
    from: { feature: "instance-restart", origin: { runId: "p.one.2", relation: "fork", step: "nap" } },
  },
  {
    name: "blocked-version",
    define: (act) => ({ workflows: code(async (step) => [await plain(act, step, "a"), await step.sleep("nap", "1d"), await plain(act, step, "b")]) }),
    mishap: (world, { workflows, ...more }) => {
      if (world.statusOf("nap") === "waiting" && !wasBlocked(world)) {
        world.deploy({ ...more, workflows: [workflow({ name: "p", version: "2", run: () => {} })] });
        world.run.engine.poke();
      } else if (world.status === "blocked") world.deploy({ ...more, workflows });
    },
  },
  {
    name: "blocked-nondeterminism",
    define: (act) => ({ workflows: code(async (step) => [await plain(act, step, "a"), await step.sleep("nap", "1d"), await plain(act, step, "b")]) }),
    mishap: (world, { workflows, ...more }) => {
      if (world.statusOf("nap") === "waiting" && !wasBlocked(world)) {
        world.deploy({ ...more, workflows: code((step) => step.sleep("a", "1d")) });
        world.run.engine.poke();
      } else if (world.status === "blocked") world.deploy({ ...more, workflows });
    },
  },
  {
    name: "crash-loop",
    define: (act) => ({ workflows: code((step) => plain(act, step, "a")) }),
    mishap: (world) => {
      if (world.statusOf("a") === "running" && !wasBlocked(world)) world.evict();
    },
  },
];

type Context = { readonly idempotencyKey: string };
type Attempt = { readonly attempt: number };
type Undoing = { readonly error: unknown; readonly stepAttempt: number; readonly inDoubt: boolean; readonly output: unknown };

/** Fails at the first attempt. */
function onceNot({ attempt }: Attempt): () => string {
  return () => {
    if (attempt === 1) throw new Error("not yet");
    return "done";
  };
}

function instance(act: Act) {
  return flow(async ({ step, run }) => {
    const first = await reversible(act, step, "first");
    await step.sleep("nap", "1h");
    return [first, await reversible(act, step, "last"), run.trigger];
  });
}

/** Holds the run for six hours while a step waits for its next attempt. */
function holdsOnce(world: World, key: string): boolean {
  const { paused } = world.run.engine.state;
  if (paused === null && (world.statusOf(key) !== "retrying" || wasDone(world, "pause"))) return false;
  const resumesAt = (paused?.at ?? 0) + 6 * hour;
  if (paused === null) world.operate({ action: "pause" });
  else if (world.clock.now() < resumesAt) world.clock.set(resumesAt);
  else world.operate({ action: "resume" });
  return true;
}

function plain(act: Act, step: Step, name: string): Promise<string> {
  return step.do(name, (context) => act({ key: name, ...context }, () => name));
}

function undo(act: Act, name: string) {
  return { retries: { ...steady, limit: 1 }, run: (context: Context) => act({ key: `~${name}`, ...context }, () => {}) };
}

function reversible(act: Act, step: Step, name: string): Promise<string> {
  return step.do(name, { compensate: undo(act, name) }, (context) => act({ key: name, ...context }, () => `${name}-id`));
}

async function saga(act: Act, step: Step): Promise<void> {
  await reversible(act, step, "a");
  await Promise.all([reversible(act, step, "b"), reversible(act, step, "c")]);
  await step.sleep("long", "30d");
}

const origin =
  (act: Act) =>
  async (step: Step, input: unknown): Promise<unknown> => {
    const made = [await reversible(act, step, "a"), await reversible(act, step, "b")];
    await step.sleep("nap", "1h");
    const go = await step.waitForEvent("go");
    return [...made, go.ok && go.payload, await step.uuid().then((it) => it.length), await reversible(act, step, "c"), input];
  };

async function sendsGo(world: World): Promise<boolean> {
  const isWaiting = world.statusOf("go") === "waiting";
  if (isWaiting) await world.sendEvent("go", "go", { id: "go" });
  return isWaiting;
}

/** Acts when the step waits, unless that was done before. */
function once(world: World, key: string, action: string, act: () => void): boolean {
  if (world.statusOf(key) !== "waiting" || wasDone(world, action)) return false;
  act();
  return true;
}

function wasDone(world: World, action: string): boolean {
  return world.entries.some((entry) => entry.kind === "operator.acted" && entry.action === action);
}

function wasBlocked(world: World): boolean {
  return world.kinds.includes("run.blocked");
}
