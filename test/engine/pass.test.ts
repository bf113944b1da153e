import { expect, test } from "vitest";
import { decode, encode } from "#core/value.ts";
import { ManualClock, MemoryRun } from "#engine/memory.ts";
import { createRegistry } from "#sdk/registry.ts";
import { type AnyWorkflow, workflow } from "#sdk/workflow.ts";

function setUp(...workflows: AnyWorkflow[]) {
  const clock = new ManualClock();
  const run = new MemoryRun({ registry: createRegistry({ workflows }), clock });
  return { clock, run };
}

const command = { namespace: "default", runId: "r1", version: null, attributes: {}, delayMs: 0, trigger: "api", publicUrl: "http://localhost" };

test("a run of three steps records each once and completes", async () => {
  const calls: string[] = [];
  const flow = workflow({
    name: "three",
    run: async ({ step }) => {
      const a = await step.do("a", () => (calls.push("a"), 1));
      const b = await step.do("b", async () => (calls.push("b"), a + 1));
      return step.do("c", () => (calls.push("c"), { total: a + b, at: new Date(5) }));
    },
  });
  const { clock, run } = setUp(flow);
  run.engine.start({ ...command, workflow: "three", input: encode(null) });
  await clock.idle();
  await clock.idle();
  await clock.idle();
  expect(run.engine.summary.status).toBe("completed");
  expect(calls).toEqual(["a", "b", "c"]);
  expect(decode(run.journal.value(run.engine.state.lastSeq))).toEqual({ total: 3, at: new Date(5) });
  expect(run.journal.page(0, 100).map((entry) => entry.kind)).toEqual([
    "run.created",
    "step.started",
    "step.completed",
    "step.started",
    "step.completed",
    "step.started",
    "step.completed",
    "run.ended",
  ]);
});

test("a run that sleeps, is evicted and crashes goes on where it was", async () => {
  const calls: string[] = [];
  const flow = workflow({
    name: "sleepy",
    run: async ({ step }) => {
      await step.do("a", () => void calls.push("a"));
      await step.sleep("nap", "3d");
      await step.do("b", () => void calls.push("b"));
      return "done";
    },
  });
  const { clock, run } = setUp(flow);
  run.engine.start({ ...command, workflow: "sleepy", input: encode(null) });
  for (let i = 0; i < 5; i++) await clock.idle();
  expect(run.engine.summary).toMatchObject({ status: "waiting", reason: { code: "sleep", step: "nap" } });
  run.engine.indexed(run.engine.summary.seq);
  expect(run.alarmAt).toBe(clock.now() + 3 * 86_400_000);
  run.endTurn();
  run.crash();
  clock.set(clock.now() + 3 * 86_400_000);
  expect(run.fireAlarm()).toBe(true);
  for (let i = 0; i < 5; i++) await clock.idle();
  expect(run.engine.summary.status).toBe("completed");
  expect(calls).toEqual(["a", "b"]);
});
