import { describe, expect, test } from "vitest";
import type { RunOrigin } from "#core/entry.ts";
import { encode } from "#core/value.ts";
import { runForkPlan, runSteps, undoPlan } from "#engine/run-history.ts";
import { begin, broken, plain, reversible, settle, worldFor } from "./steps.ts";
import { type Definitions, flow, type World } from "./world.ts";

const fork = (step: string): RunOrigin => ({ runId: "r1", relation: "fork", step });
const rollback = (step: string | null = null): RunOrigin => ({ runId: "r1", relation: "rollback", step });
const code = (value: string) => expect.objectContaining({ code: value });

type Flow = Parameters<typeof flow>[0];
type At = () => World;

/** provision → (approve ∥ migrate) → deploy → notify */
const deployment =
  (at: At, name = "deploy"): Flow =>
  async ({ input, step }) => {
    const id = await plain(at, step, "provision", () => "infra-1");
    await step.sleep("settle", "1h");
    const approved = await step.waitForEvent<string>("approved");
    const results = await Promise.all([plain(at, step, "migrate"), plain(at, step, "warm")]);
    const deployed = await plain(at, step, name, () => `${name} ${JSON.stringify(input)}`);
    return [id, approved.ok && approved.payload, ...results, deployed, await plain(at, step, "notify")];
  };

const definitions =
  (run: (at: At) => Flow, version = "1") =>
  (at: At): Definitions => ({ workflows: [flow(run(at), { version })] });

/** A run of the deployment that has ended. */
async function deployed(): Promise<World> {
  const world = worldFor(definitions((at) => deployment(at)));
  world.start("p", { tier: 1 });
  await world.rest();
  await world.sendEvent("approved", "by ann");
  await world.finish();
  return world;
}

describe("a fork", () => {
  test("keeps the results before its step, calls none of them again, and takes the edited input", async () => {
    const source = await deployed();
    const world = worldFor(definitions((at) => deployment(at)));
    expect(runForkPlan(source.historySource, "deploy")).toEqual({
      kept: ["provision", "settle", "approved", "migrate", "warm"],
      repeated: ["deploy", "notify"],
      unsafe: [],
    });
    expect(world.startFrom(source, fork("deploy"), { input: encode({ tier: 2 }) })).toBe(true);
    const startedAt = world.clock.now();
    await world.finish();
    expect(world.effectKeys).toEqual(["deploy", "notify"]);
    expect(world.output).toEqual(["infra-1", "by ann", "migrate", "warm", 'deploy {"tier":2}', "notify"]);
    expect(world.clock.now()).toBe(startedAt);
    expect(world.run.engine.summary).toMatchObject({ id: "r2", origin: { runId: "r1", relation: "fork", step: "deploy" } });
    expect(world.effects.map((effect) => effect.idempotencyKey)).toEqual(["default/r2/deploy", "default/r2/notify"]);
  });

  test("from every step comes to the same end as the run did, repeating just what its plan says", async () => {
    const source = await deployed();
    for (const from of ["provision", "migrate", "warm", "deploy", "notify"]) {
      const world = worldFor(definitions((at) => deployment(at)));
      world.startFrom(source, fork(from), { input: source.run.journal.value(1) });
      if (from === "provision") {
        await world.pass(3_600_000);
        await world.sendEvent("approved", "by ann");
      }
      await world.finish();
      expect(world.output, from).toEqual(source.output);
      const { repeated } = runForkPlan(source.historySource, from);
      expect(world.effectKeys, from).toEqual(repeated.filter((key) => !["settle", "approved"].includes(key)));
    }
  });

  test("goes on in another version, where the step after the kept ones is another", async () => {
    const source = await deployed();
    const world = worldFor((at) => ({ workflows: [flow(deployment(at), { version: "1" }), flow(deployment(at, "deploy-new"), { version: "2" })] }));
    world.startFrom(source, fork("deploy"), { version: "2" });
    await world.finish();
    expect([world.effectKeys, world.run.engine.summary.version]).toEqual([["deploy-new", "notify"], "2"]);
  });

  test("comes to the same end whichever turn the process dies after", async () => {
    const source = await deployed();
    for (let turn = 0; turn < 12; turn++) {
      const world = worldFor(definitions((at) => deployment(at)));
      world.startFrom(source, fork("deploy"), { input: source.run.journal.value(1) });
      world.run.endTurn();
      await world.finish({ onTurn: () => world.turns === turn && world.run.crash() });
      expect(world.output).toEqual(source.output);
      expect(new Set(world.effectKeys)).toEqual(new Set(["deploy", "notify"]));
    }
  });

  test("asked for again is the same run and changes nothing; from another step it is refused", async () => {
    const source = await deployed();
    const world = worldFor(definitions((at) => deployment(at)));
    world.startFrom(source, fork("deploy"));
    await world.finish();
    const { size } = world.run.journal;
    expect(world.startFrom(source, fork("deploy"))).toBe(false);
    expect(() => world.startFrom(source, fork("notify"))).toThrow(code("run_exists"));
    expect(() => world.start("p", null, { runId: "r2" })).toThrow(code("run_exists"));
    expect(world.run.journal.size).toBe(size);
  });

  test("of a run that still goes on leaves that alone", async () => {
    const source = worldFor(definitions((at) => deployment(at)));
    source.start("p");
    await source.rest();
    const before = source.run.journal.size;
    const world = worldFor(definitions((at) => deployment(at)));
    world.startFrom(source, fork("settle"));
    await world.pass(3_600_000);
    expect([world.status, world.run.engine.summary.step]).toEqual(["waiting", "approved"]);
    expect(world.effectKeys).toEqual([]);
    expect(source.run.journal.size).toBe(before);
  });

  test("of a fork keeps what both did", async () => {
    const source = await deployed();
    const first = worldFor(definitions((at) => deployment(at)));
    first.startFrom(source, fork("deploy"));
    await first.finish();
    const second = worldFor(definitions((at) => deployment(at)));
    second.startFrom(first, { ...fork("notify"), runId: "r2" }, { runId: "r3" });
    await second.finish();
    expect(second.effectKeys).toEqual(["notify"]);
    expect(second.output).toEqual(first.output);
  });

  test("keeps values that are too large to be read with the journal, and inputs that a person corrected", async () => {
    const large = "x".repeat(100_000);
    const run =
      (at: At): Flow =>
      async ({ step }) => {
        const big = await step.do("big", () => large);
        const fixed = await step.do("fixed", { input: { n: -1 }, onFailure: "pause", retries: { limit: 0 } }, ({ input }) =>
          input.n < 0 ? broken() : input.n,
        );
        return [big.length, fixed, await plain(at, step, "last")];
      };
    const source = worldFor(definitions(run));
    source.start("p");
    await settle(source);
    source.operate({ action: "retry", key: "fixed", value: encode({ n: 7 }) });
    await source.finish();
    const world = worldFor(definitions(run));
    world.startFrom(source, fork("last"));
    await world.finish();
    expect(world.output).toEqual([100_000, 7, "last"]);
    expect(runSteps(world.historySource, 0, 10).items[1]).toMatchObject({ key: "fixed", input: encode({ n: 7 }), output: encode(7) });
  });

  test("keeps an approval with who decided, and asks nobody again", async () => {
    const run =
      (at: At): Flow =>
      async ({ step }) => {
        const legal = await step.approval("legal", { assignees: ["ann", "bob"], quorum: 2 });
        return [legal.ok, legal.decisions.map((it) => [it.actor, it.comment]), await plain(at, step, "sign")];
      };
    const source = worldFor(definitions(run));
    source.start("p");
    await settle(source);
    for (const actor of ["ann", "bob"])
      await source.run.engine.decide({ key: "legal", actor, via: "api", decision: "approved", comment: `${actor}!`, form: null });
    await source.finish();
    const world = worldFor(definitions(run));
    world.startFrom(source, fork("sign"));
    await world.finish();
    expect(world.output).toEqual([
      true,
      [
        ["ann", "ann!"],
        ["bob", "bob!"],
      ],
      "sign",
    ]);
  });

  test("has a step fail and park as any run has", async () => {
    const source = await deployed();
    let fixed = false;
    const world = worldFor((at) => ({
      workflows: [
        flow(async (context) => {
          const { step } = context;
          for (const name of ["provision"]) await plain(at, step, name);
          await step.sleep("settle", "1h");
          await step.waitForEvent("approved");
          await Promise.all([plain(at, step, "migrate"), plain(at, step, "warm")]);
          return step.do("deploy", { onFailure: "pause", retries: { limit: 0 } }, () => (fixed ? "ok" : broken()));
        }),
      ],
    }));
    world.startFrom(source, fork("deploy"));
    await settle(world);
    expect(world.status).toBe("paused");
    fixed = true;
    world.operate({ action: "resume" });
    await world.finish();
    expect([world.output, world.effectKeys]).toEqual(["ok", []]);
  });
});

const saga =
  (at: At): Flow =>
  async ({ step }) => {
    await reversible(at, step, "a");
    await reversible(at, step, "b");
    await reversible(at, step, "c");
    return step.waitForEvent("end");
  };

/** A run of the saga that has come to an end of this kind. */
async function endedSaga(how: "completed" | "terminated" | "cancelled" | "held and terminated" | "blocked and terminated"): Promise<World> {
  const world = worldFor(definitions(saga));
  world.start("p");
  await settle(world);
  if (how === "completed") await world.sendEvent("end");
  if (how === "cancelled") world.operate({ action: "cancel", compensate: false });
  if (how === "held and terminated") world.operate({ action: "pause" });
  if (how === "blocked and terminated") {
    world.deploy({ workflows: [] });
    world.run.engine.wake();
    expect(world.status).toBe("blocked");
  }
  if (how.endsWith("terminated")) world.operate({ action: "terminate" });
  await world.finish();
  return world;
}

describe("the rollback of a run that has ended", () => {
  test.each(["completed", "terminated", "cancelled", "held and terminated", "blocked and terminated"] as const)(
    "as %s is a run of its own that undoes it in reverse order",
    async (how) => {
      const source = await endedSaga(how);
      expect(undoPlan(source.historySource, null)).toEqual(["c", "b", "a"]);
      const world = worldFor(definitions(saga));
      expect(world.startFrom(source, rollback())).toBe(true);
      await world.finish();
      expect(world.run.engine.summary).toMatchObject({ status: "completed", origin: { runId: "r1", relation: "rollback" } });
      expect(world.effectKeys).toEqual(["undo c c-id", "undo b b-id", "undo a a-id"]);
      expect(world.startFrom(source, rollback())).toBe(false);
    },
  );

  test("from a step on leaves what began before it", async () => {
    const source = await endedSaga("completed");
    const world = worldFor(definitions(saga));
    world.startFrom(source, rollback("b"));
    await world.finish();
    expect(world.effectKeys).toEqual(["undo c c-id", "undo b b-id"]);
  });

  test("comes to the same end whichever turn the process dies after", async () => {
    const source = await endedSaga("terminated");
    for (let turn = 0; turn < 15; turn++) {
      const world = worldFor(definitions(saga));
      world.startFrom(source, rollback());
      world.run.endTurn();
      await world.finish({ onTurn: () => world.turns === turn && world.run.crash() });
      expect([world.status, [...new Set(world.effectKeys)]]).toEqual(["completed", ["undo c c-id", "undo b b-id", "undo a a-id"]]);
    }
  });

  test("goes on where one that was terminated half-way stopped", async () => {
    const run =
      (fails: () => boolean) =>
      (at: At): Flow =>
      async ({ step }) => {
        await reversible(at, step, "a");
        await reversible(at, step, "b", { undo: () => fails() && broken() });
        await reversible(at, step, "c");
        throw new Error("over");
      };
    const source = worldFor(definitions(run(() => true)));
    source.start("p");
    await settle(source);
    expect(source.run.engine.summary).toMatchObject({ status: "paused", reason: { code: "compensation_failed", step: "~b" } });
    source.operate({ action: "terminate" });
    await source.finish();
    const world = worldFor(definitions(run(() => false)));
    world.startFrom(source, rollback());
    await settle(world);
    expect(world.status).toBe("completed");
    expect(world.effectKeys).toEqual(["undo b b-id", "undo a a-id"]);
  });

  test("when there is nothing to undo is refused, and leaves no run behind", async () => {
    const run =
      (at: At): Flow =>
      async ({ step }) => {
        await plain(at, step, "plain");
        return reversible(at, step, "late");
      };
    const source = worldFor(definitions(run));
    source.start("p");
    source.operate({ action: "terminate" });
    await source.finish();
    const world = worldFor(definitions(run));
    expect(() => world.startFrom(source, rollback())).toThrow(code("nothing_to_undo"));
    expect(world.run.journal.size).toBe(0);
    await world.pass(3_600_000);
    expect(world.effectKeys).toEqual([]);
  });
});

test("a step that a person failed without an error, in a run that is then looked at, shows its attempts", async () => {
  const world = begin(
    () =>
      ({ step }) =>
        step.do("s", { onFailure: "pause", retries: { limit: 0 } }, () => broken()).catch(() => "caught"),
  );
  await settle(world);
  world.operate({ action: "fail", key: "s", value: null });
  await world.finish();
  expect(world.output).toBe("caught");
  expect(runSteps(world.historySource, 0, 10).items[0]).toMatchObject({ key: "s", status: "failed", attempts: [{ attempt: 1, outcome: "failed" }] });
});

test("a step that a person completed shows the attempts that were made, and no other", async () => {
  const world = begin(
    () =>
      ({ step }) =>
        step.do("s", { onFailure: "pause", retries: { limit: 0 } }, () => broken()),
  );
  await settle(world);
  world.operate({ action: "complete", key: "s", value: encode("by hand") });
  await world.finish();
  expect(runSteps(world.historySource, 0, 10).items[0]?.attempts.map((it) => [it.attempt, it.outcome])).toEqual([[1, "failed"]]);
});
