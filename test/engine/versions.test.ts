import { describe, expect, test } from "vitest";
import { automation } from "#sdk/automation.ts";
import type { Step } from "#sdk/step.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";
import { flow, World } from "./world.ts";

const note = (calls: string[], step: Step, name: string) => step.do(name, () => (calls.push(name), name));

describe("a run stays on its version", () => {
  const nap = (version: string, calls: string[]): AnyWorkflow =>
    flow(
      async ({ step }) => {
        await note(calls, step, `${version} a`);
        await step.sleep("nap", "3d");
        return note(calls, step, `${version} b`);
      },
      { version },
    );

  test("that it began on, while new runs take the newest", async () => {
    const calls: string[] = [];
    const world = World.begin(nap("9", calls));
    await world.rest();
    world.deploy({ workflows: [nap("9", calls), nap("10", calls)] });
    await world.finish();
    expect([world.output, world.run.engine.summary.version]).toEqual(["9 b", "9"]);
    const next = new World({ workflows: [nap("9", calls), nap("10", calls)] });
    next.start("p");
    expect(next.run.engine.summary.version).toBe("10");
  });

  test("is blocked when that is not deployed, writes nothing more, and goes on by itself when it is back", async () => {
    const calls: string[] = [];
    const world = World.begin(nap("1", calls));
    await world.rest();
    world.deploy({ workflows: [nap("2", calls)] });
    await world.pass(3 * 86_400_000 + 3_600_000);
    expect(world.run.engine.summary).toMatchObject({
      status: "blocked",
      reason: { code: "version_missing", message: expect.stringContaining("Version 1 of p") },
    });
    expect(world.kinds.filter((kind) => kind === "run.blocked")).toHaveLength(1);
    world.deploy({ workflows: [nap("2", calls), nap("1", calls)] });
    await world.finish();
    expect(world.output).toBe("1 b");
    expect(calls).toEqual(["1 a", "1 b"]);
    expect(world.kinds.filter((kind) => kind === "run.unblocked")).toHaveLength(1);
  });
});

/** What ran before, what was deployed while the run slept, and what the message must name. */
const changes: Record<
  string,
  { readonly before: (step: Step) => Promise<unknown>; readonly after: (step: Step) => Promise<unknown>; readonly names: readonly string[] }
> = {
  "a step is removed": {
    before: async (step) => [await step.do("a", () => 1), await step.do("b", () => 2), await step.sleep("nap", "1h")],
    after: async (step) => [await step.do("a", () => 1), await step.sleep("nap", "1h")],
    names: ["b (do)", "nap (sleep)"],
  },
  "a step is renamed": {
    before: async (step) => [await step.do("a", () => 1), await step.sleep("nap", "1h")],
    after: async (step) => [await step.do("z", () => 1), await step.sleep("nap", "1h")],
    names: ["a (do)", "z (do)"],
  },
  "two steps are swapped": {
    before: async (step) => [await step.do("a", () => 1), await step.do("b", () => 2), await step.sleep("nap", "1h")],
    after: async (step) => [await step.do("b", () => 2), await step.do("a", () => 1), await step.sleep("nap", "1h")],
    names: ["a (do)", "b (do)"],
  },
  "a step becomes another kind": {
    before: async (step) => [await step.do("a", () => 1), await step.sleep("nap", "1h")],
    after: async (step) => [await step.waitForEvent("a"), await step.sleep("nap", "1h")],
    names: ["a", "as do", "as event"],
  },
  "a step calls another automation": {
    before: async (step) => [await step.run(automation({ name: "one", run: () => 1 }), undefined, { name: "a" }), await step.sleep("nap", "1h")],
    after: async (step) => [await step.run(automation({ name: "two", run: () => 1 }), undefined, { name: "a" }), await step.sleep("nap", "1h")],
    names: ["a", "one", "two"],
  },
  "a step is put in before what is recorded": {
    before: async (step) => [await step.do("a", () => 1), await step.sleep("nap", "1h")],
    after: async (step) => [await step.do("new", () => 1), await step.do("a", () => 1), await step.sleep("nap", "1h")],
    names: ["a (do)", "new (do)"],
  },
  "the code ends early": {
    before: async (step) => [await step.do("a", () => 1), await step.sleep("nap", "1h")],
    after: async (step) => [await step.do("a", () => 1)],
    names: ["nap (sleep)", "ended"],
  },
  "one of several branches is gone": {
    before: (step) => Promise.all([step.waitForEvent("x"), step.sleep("nap", "1h")]),
    after: (step) => Promise.all([step.waitForEvent("x")]),
    names: ["nap (sleep)"],
  },
};

describe.each(Object.entries(changes))("when %s under a running run", (_title, { before, after, names }) => {
  const definition = (run: (step: Step) => Promise<unknown>) => ({ workflows: [flow(({ step }) => run(step))] });

  test("it is blocked with a difference that names both, writes nothing else, and goes on when the right code is back", async () => {
    const world = new World(definition(before));
    world.start("p");
    await world.rest();
    const { size } = world.run.journal;
    world.deploy(definition(after));
    world.run.engine.wake();
    await world.rest(5000);
    expect(world.run.engine.summary).toMatchObject({ status: "blocked", reason: { code: "nondeterminism" } });
    for (const name of names) expect(world.run.engine.summary.reason?.message).toContain(name);
    expect(world.kinds.slice(size)).toEqual(["run.blocked"]);
    await world.pass(4 * 3_600_000);
    expect(world.kinds.slice(size)).toEqual(["run.blocked"]);
    world.deploy(definition(before));
    if (world.run.engine.state.open.has("x")) await world.sendEvent("x");
    await world.finish();
    expect(world.status).toBe("completed");
  });
});

test("a payload for a run whose code no longer fits is not waited for for ever", async () => {
  const { z } = await import("zod");
  const schema = z.number();
  const world = new World({ workflows: [flow(({ step }) => Promise.all([step.waitForEvent("x", { schema }), step.sleep("nap", "9h")]))] });
  world.start("p");
  await world.rest();
  world.deploy({ workflows: [flow(({ step }) => Promise.all([step.waitForEvent("x", { schema })]))] });
  let answered = false;
  const sent = world.sendEvent("x", 1).finally(() => (answered = true));
  sent.catch(() => {});
  await world.rest(5000);
  expect(answered).toBe(true);
  expect(await sent).toMatchObject({ step: "x" });
});

test("a step added at the end, after all that is recorded, is simply done", async () => {
  const calls: string[] = [];
  const world = World.begin(flow(async ({ step }) => (await step.sleep("nap", "1h"), note(calls, step, "a"))));
  await world.rest();
  world.deploy({ workflows: [flow(async ({ step }) => (await step.sleep("nap", "1h"), await note(calls, step, "a"), note(calls, step, "new")))] });
  await world.finish();
  expect([world.output, calls]).toEqual(["new", ["a", "new"]]);
});

test("code that waits for nothing Segno knows of still counts as running, and its alarm keeps standing", async () => {
  const world = World.begin(flow(() => new Promise(() => {})));
  await world.pass(60_000);
  expect(world.run.alarmAt).toBeGreaterThan(world.clock.now());
  expect(["running", "blocked"]).toContain(world.status);
});

test("a run of more than 25000 steps fails as step_limit, even when the code catches everything", async () => {
  const definition = flow(async ({ step }) => {
    for (;;) await step.now().catch(() => {});
  });
  const world = World.begin(definition);
  await world.finish({ maxTurns: 100_000 });
  expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "step_limit" } });
  expect(world.run.engine.state.steps.size).toBe(25_000);
});

test("log lines are written once, however often the code is replayed", async () => {
  const world = World.begin(
    flow(async ({ step, log }) => {
      log.info("begin");
      for (const name of ["a", "b", "c"]) {
        await step.do(name, ({ log: inner }) => inner.info(`in ${name}`));
        log.warn(`after ${name}`);
        await step.sleep(`nap ${name}`, "1h");
        log.error(`woken ${name}`);
      }
    }),
  );
  await world.finish({ onTurn: () => void (world.run.engine.busy || world.evict()) });
  expect(world.logs).toEqual(["begin", ...["a", "b", "c"].flatMap((name) => [`in ${name}`, `after ${name}`, `woken ${name}`])]);
});

test("log lines of two branches that wake together from eviction are both written", async () => {
  const world = World.begin(
    flow(async ({ step, log }) => {
      const branch = async (name: string) => {
        await step.sleep(name, "1h");
        log.info(`woken ${name}`);
      };
      await Promise.all([branch("a"), branch("b")]);
      await step.sleep("more", "1h");
    }),
  );
  await world.rest();
  world.evict();
  await world.pass(3_600_000);
  world.evict();
  await world.finish();
  expect(world.logs).toEqual(["woken a", "woken b"]);
});

describe("a step that pauses on failure", () => {
  const parked = (answers: (() => unknown)[]) => {
    let tries = 0;
    return flow(({ step }) =>
      step.do("s", { onFailure: "pause", retries: { limit: 1, delay: "1s", jitter: 0 } }, () => (answers[tries++] ?? (() => "well"))()),
    );
  };
  const fail = () => Promise.reject(new Error("down"));

  test("parks the run for a person, costs nothing while it waits, and is tried again on resume with a fresh budget", async () => {
    const world = World.begin(parked([fail, fail, fail]));
    await world.pass(30 * 86_400_000);
    expect(world.run.engine.summary).toMatchObject({ status: "paused", reason: { step: "s", until: null } });
    expect(world.run.alarmAt).toBe(null);
    world.evict();
    world.run.engine.operate({ actor: "ann", reason: null, expectedSeq: null, action: "resume" });
    await world.finish();
    expect([world.status, world.output]).toEqual(["completed", "well"]);
  });

  test("parks again when it keeps failing; a run that is not paused can't be resumed", async () => {
    const world = World.begin(parked([fail, fail, fail, fail]));
    await world.pass(60_000);
    world.run.engine.operate({ actor: "ann", reason: null, expectedSeq: null, action: "resume" });
    expect(() => world.run.engine.operate({ actor: "ann", reason: null, expectedSeq: null, action: "resume" })).toThrow(
      expect.objectContaining({ code: "not_paused" }),
    );
    await world.pass(60_000);
    expect(world.status).toBe("paused");
    expect(world.kinds.filter((kind) => kind === "step.parked" || kind === "operator.acted")).toEqual(["step.parked", "operator.acted", "step.parked"]);
  });

  test("can be cancelled while it is parked", async () => {
    const world = World.begin(parked([fail, fail]));
    await world.pass(60_000);
    world.run.engine.operate({ actor: "ann", reason: null, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    expect(world.status).toBe("cancelled");
  });
});
