import { expect, test } from "vitest";
import { auditOf } from "#core/audit.ts";
import type { Operation } from "#core/command.ts";
import { decode, encode } from "#core/value.ts";
import { runAudit } from "#engine/run-audit.ts";
import { workflow } from "#sdk/workflow.ts";
import { World } from "./world.ts";

const ann = { actor: "ann", reason: null, expectedSeq: null };

/** A run that parks at `charge` until the amount is right, and then waits for an event. */
function begun(): World {
  return World.begin(
    workflow({
      name: "p",
      redact: ["card"],
      run: async ({ step }) => {
        await step.do("account", { compensate: () => {} }, () => "a");
        await step.do("charge", { input: { amount: -1, card: "4242" }, retries: { limit: 0 }, onFailure: "pause" }, ({ input }) => {
          if (input.amount < 0) throw new Error("negative");
        });
        await step.waitForEvent("paid", { timeout: "1d" });
      },
    }),
  );
}

function audit(world: World) {
  return runAudit({ state: world.run.engine.state, journal: world.run.journal, callbacks: { url: () => "", approvalUrl: () => "" } }, 0, 100).items;
}

test("the audit tells who did what and why, and the status before and right after, whatever happened at the same instant", async () => {
  const world = begun();
  await world.rest();
  const acts: Operation[] = [
    { ...ann, action: "pause", reason: "let me look" },
    { ...ann, action: "resume" },
    { ...ann, actor: "bob", action: "retry", key: "charge", value: encode({ amount: 5, card: "4343" }), reason: "typo" },
    { ...ann, action: "pause" },
    { ...ann, action: "resume" },
    { ...ann, action: "skip", key: "paid", value: null },
  ];
  for (const act of acts) {
    world.run.engine.operate(act);
    await world.rest();
  }

  expect(world.status).toBe("completed");
  const records = audit(world);
  expect(records.map(({ actor, action, reason, keys, before, after }) => [actor, action, reason, keys, before, after])).toEqual([
    ["ann", "pause", "let me look", [], "paused", "paused"],
    ["ann", "resume", null, ["charge"], "paused", "waiting"],
    ["bob", "retry", "typo", ["charge"], "paused", "waiting"],
    ["ann", "pause", null, [], "waiting", "paused"],
    ["ann", "resume", null, [], "paused", "waiting"],
    ["ann", "skip", null, ["paid"], "waiting", "running"],
  ]);
  expect(records.map((record) => record.value && decode(record.value))).toEqual([null, null, { amount: 5, card: "[redacted]" }, null, null, null]);
  expect(records.every((record) => record.at === world.clock.now())).toBe(true);
  expect(records.map((record) => record.seq)).toEqual(records.map((record) => record.seq).toSorted((a, b) => a - b));
});

test.each([
  [{ ...ann, action: "cancel", compensate: true }, "running"],
  [{ ...ann, action: "rollback", from: null }, "compensating"],
  [{ ...ann, action: "terminate" }, "terminated"],
  [{ ...ann, action: "discard", reason: "test data" }, "terminated"],
  [{ ...ann, action: "complete", key: "charge", value: encode(1) }, "running"],
  [{ ...ann, action: "fail", key: "charge", value: encode(new Error("no")) }, "running"],
] as const)("%j leaves a parked run %s", async (operation, after) => {
  const world = begun();
  await world.rest();
  world.run.engine.operate(operation);
  await world.rest();
  expect(audit(world)).toMatchObject([{ action: operation.action, before: "paused", after }]);
});

test("what nobody did is not in the audit, and pages go on where they stopped", async () => {
  const world = begun();
  await world.rest();
  expect(audit(world)).toEqual([]);
  for (let turn = 0; turn < 3; turn++) {
    world.run.engine.operate({ ...ann, action: "pause" });
    world.run.engine.operate({ ...ann, action: "resume" });
    await world.rest();
  }
  const source = { state: world.run.engine.state, journal: world.run.journal, callbacks: { url: () => "", approvalUrl: () => "" } };
  const first = runAudit(source, 0, 4);
  const last = runAudit(source, first.next ?? 0, 4);
  expect([...first.items, ...last.items]).toEqual(audit(world));
  expect([first.items.length, last.items.length, last.next]).toEqual([4, 2, null]);
  expect(auditOf([])).toEqual([]);
});
