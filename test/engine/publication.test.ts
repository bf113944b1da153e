import { expect, test } from "vitest";
import { utf8Bytes } from "#core/value.ts";
import { flow, World } from "./world.ts";

test("a run that ends at once publishes once, and its alarm is gone when the index has it", async () => {
  const world = World.begin(flow(async ({ step }) => [await step.do("a", () => 1), await step.do("b", () => 2)]));
  await world.pass(3_600_000);
  expect(world.run.published.map((summary) => summary.status)).toEqual(["completed"]);
  expect(world.run.alarmAt).toBe(null);
});

test("a run that sleeps publishes that it waits, with its next wake, and then its end", async () => {
  const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
  const began = world.clock.now();
  await world.finish();
  await world.pass(2000);
  expect(world.run.published.map((summary) => [summary.status, summary.nextWakeAt])).toEqual([
    ["waiting", began + 3_600_000],
    ["completed", null],
  ]);
});

test("a run that is busy for more than a second is shown as running", async () => {
  const world = World.begin(flow(({ step }) => step.do("long", () => new Promise(() => {}))));
  await world.pass(1500);
  expect(world.run.published.map((summary) => summary.status)).toEqual(["running"]);
});

test("a delayed run is shown as queued at once", async () => {
  const world = World.begin(
    flow(() => 1),
    { delayMs: 60_000 },
  );
  await world.rest();
  expect(world.run.published.map((summary) => [summary.status, summary.nextWakeAt])).toEqual([["queued", world.clock.now() + 60_000]]);
});

test.each([false, true])("a summary that nobody confirms is sent again, with growing pauses of at most 15 minutes, for ever (evicted: %s)", async (evicted) => {
  const world = World.begin(flow(() => 1));
  world.confirms = false;
  await world.rest();
  const times: number[] = [];
  const began = world.clock.now();
  for (let seen = world.run.published.length; times.length < 9; seen = world.run.published.length) {
    if (evicted && times.length === 3) world.evict();
    expect(world.run.alarmAt).not.toBe(null);
    world.clock.set(Math.max(world.run.alarmAt ?? 0, world.clock.now()));
    await world.rest();
    if (world.run.published.length > seen) times.push(world.clock.now() - began);
  }
  const pauses = times.map((time, index) => time - (times[index - 1] ?? 0));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(15 * 60_000);
  expect(pauses[0]).toBe(30_000);
  if (!evicted) expect(pauses).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000, 900_000]);
  world.run.engine.indexed(world.run.engine.summary.seq);
  expect(world.run.alarmAt).toBe(null);
});

test("news is sent again soon, however often the index has not answered to what was news before", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      for (let nap = 0; nap < 6; nap++) await step.sleep("nap", "5s");
    }),
  );
  world.confirms = false;
  await world.finish();
  const sent = world.run.published.length;
  expect(sent).toBeGreaterThan(5);
  await world.pass(31_000);
  expect(world.run.published.slice(sent).map((summary) => summary.status)).toEqual(["completed"]);
});

test("a late confirmation of an old summary does not stop the newest from being sent again", async () => {
  const world = World.begin(flow(({ step }) => step.sleep("nap", "5s")));
  world.confirms = false;
  await world.rest();
  const old = world.run.published.at(-1)?.seq ?? 0;
  await world.pass(5000);
  world.run.engine.indexed(old);
  const sent = world.run.published.length;
  await world.pass(60_000);
  expect(world.run.published.length).toBeGreaterThan(sent);
  expect(world.run.published.at(-1)?.status).toBe("completed");
});

test("summaries of a run grow in seq with every change, over evictions, and the last is the end", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      for (let i = 0; i < 10; i++) await step.sleep("nap", "1m");
    }),
  );
  await world.finish({ onTurn: () => void (world.run.engine.busy || world.evict()) });
  await world.pass(2000);
  const seqs = world.run.published.map((summary) => summary.seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  expect(world.run.published.at(-1)).toEqual(world.run.engine.summary);
});

test("a run that changes many times a second is published about once a second", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      for (let i = 0; i < 100; i++) await step.sleep("nap", 50);
    }),
  );
  await world.finish();
  await world.pass(2000);
  expect(world.run.published.length).toBeLessThan(12);
  expect(world.run.published.at(-1)?.status).toBe("completed");
});

test("a poke publishes again what the index may have lost", async () => {
  const world = World.begin(flow(() => 1));
  await world.rest();
  const sent = world.run.published.length;
  world.run.engine.poke();
  await world.rest();
  expect(world.run.published).toHaveLength(sent + 1);
});

test("an alarm that the platform lost is set again at the first touch", async () => {
  const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
  await world.rest();
  world.evict();
  world.run.endTurn();
  world.run.engine.repair(null);
  expect(world.run.alarmAt).not.toBe(null);
  const began = world.clock.now();
  await world.finish();
  expect(world.clock.now()).toBe(began + 3_600_000);
});

test("the index's confirmation, when it is the first to reach a run whose process died, leaves the alarm that revives it", async () => {
  const definition = flow(({ step }) => step.do("long", ({ attempt }) => (attempt === 1 ? new Promise(() => {}) : "well")));
  const world = World.begin(definition);
  await world.pass(2000);
  expect(world.run.published.at(-1)?.status).toBe("running");
  world.evict();
  world.run.engine.indexed(world.run.published.at(-1)?.seq ?? 0);
  expect(world.run.alarmAt).not.toBe(null);
  await world.finish();
  expect(world.output).toBe("well");
});

test("the same when another branch sleeps for days: what the code had still to do is not put off until then", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      const nap = step.sleep("nap", "9d");
      await step.do("a", () => "a");
      const at = await step.do("b", async () => world.clock.now());
      await nap;
      return at;
    }),
  );
  const began = world.clock.now();
  // All until the end of `a` is durable; then the process dies.
  await Promise.resolve();
  while (world.run.engine.state.steps.get("a")?.status !== "completed") await null;
  world.evict();
  world.run.engine.indexed(1);
  await world.finish();
  expect((world.output as number) - began).toBeLessThan(60_000);
});

test("what happens to a run that was just loaded, and whose code does not execute, is shown: it is held", async () => {
  const world = World.begin(flow(({ step }) => step.waitForEvent("go")));
  await world.pass(5000);
  world.evict();
  world.operate({ action: "pause" });
  await world.pass(5000);
  expect(world.run.published.at(-1)).toMatchObject({ status: "paused" });
});

test("a summary that was lost with its object is sent again, though the first to touch the run again wants something else", async () => {
  const world = new World({ workflows: [flow(() => 1)] });
  world.confirms = false;
  world.start("p", null, { delayMs: 3_600_000 });
  await world.rest();
  world.evict();
  await world.sendEvent("x");
  world.confirms = true;
  const sent = world.run.published.length;
  await world.pass(60_000);
  expect(world.run.published.length).toBeGreaterThan(sent);
});

test("an ended run that is loaded by the confirmation of an older summary still has its end shown", async () => {
  const world = World.begin(flow(({ step }) => step.sleep("nap", "5s")));
  world.confirms = false;
  await world.pass(6000);
  expect(world.run.engine.summary.status).toBe("completed");
  world.evict();
  world.run.engine.indexed(3);
  expect(world.run.alarmAt).not.toBe(null);
  const sent = world.run.published.length;
  await world.pass(120_000);
  expect(world.run.published.length).toBeGreaterThan(sent);
});

test("an ended run that the index has not heard of, and whose alarm was lost, is shown by the first touch", async () => {
  const world = World.begin(flow(() => 1));
  world.confirms = false;
  await world.rest();
  world.evict();
  world.clock.set(world.clock.now() + 7_200_000);
  const sent = world.run.published.length;
  world.run.engine.repair(null);
  await world.rest();
  expect(world.run.published.slice(sent)).toContainEqual(world.run.engine.summary);
});

test("an ended run that the index has confirmed has no alarm, and whoever looks at it later sets none", async () => {
  const world = World.begin(flow(() => 1));
  await world.rest();
  expect([world.run.engine.summary.status, world.run.alarmAt]).toEqual(["completed", null]);
  world.evict();
  world.run.engine.repair(null);
  await world.rest();
  expect(world.run.alarmAt).toBe(null);
});

test("a late confirmation of an ended run that was evicted brings no new summary", async () => {
  const world = World.begin(flow(() => 1));
  await world.rest();
  const { seq } = world.run.engine.summary;
  world.evict();
  const sent = world.run.published.length;
  world.run.engine.repair(null);
  world.run.engine.indexed(seq);
  await world.rest();
  expect(world.run.published.length).toBe(sent);
});

test("an act that is repeated after the run's time is over, and before the alarm, tells of the end that it brings", async () => {
  const stubborn = flow(
    async ({ step }) => {
      await step.waitForEvent("a").catch(() => step.waitForEvent("b"));
    },
    { timeout: "10m" },
  );
  const world = World.begin(stubborn);
  await world.pass(1000);
  world.operate({ action: "cancel", compensate: false });
  await world.pass(1000);
  const told = world.run.engine.end(3_600_000);
  world.clock.set(world.clock.now() + 600_000);
  world.operate({ action: "cancel", compensate: false });
  await told;
  await world.rest();
  expect(world.run.published.at(-1)).toMatchObject({ status: "failed", reason: { code: "run_timeout" } });
});

test("whatever a run is made of, what it publishes fits into one message of the queue", async () => {
  const odd = (length: number): string => "\u0001".repeat(length);
  const fails = Object.assign(new Error(odd(9000)), { name: odd(9000), code: odd(9000) });
  const assignees = Array.from({ length: 200 }, (_, nth) => odd(60) + nth);
  const attributes = Object.fromEntries(Array.from({ length: 15 }, (_, nth) => [`a${nth}`, odd(500)]));
  const world = World.begin(
    flow(({ step }) =>
      Promise.all([
        ...["x", "y", "z"].map((name) => step.approval(name, { assignees })),
        step.do("s".repeat(256), { retries: { limit: 0 }, onFailure: "pause" }, () => Promise.reject(fails)),
      ]),
    ),
    { attributes },
  );
  await world.rest();
  expect(world.status).toBe("paused");
  await world.pass(60_000);

  expect(world.run.published.length).toBeGreaterThan(0);
  for (const summary of world.run.published) expect(utf8Bytes(JSON.stringify(summary))).toBeLessThan(128_000);
});

test("attributes that would not fit into such a message are refused, those of the workflow and those of the start together", () => {
  const own = (count: number, prefix: string) => Object.fromEntries(Array.from({ length: count }, (_, nth) => [`${prefix}${nth}`, "\u0001".repeat(500)]));
  const start = (derived: number, sent: number) => () =>
    World.begin(
      flow(() => 1, { attributes: () => own(derived, "d") }),
      { attributes: own(sent, "s") },
    );
  expect(start(5, 5)).not.toThrow();
  expect(start(10, 10)).toThrow(expect.objectContaining({ code: "invalid_attributes" }));
  const many = (count: number, prefix: string) => Object.fromEntries(Array.from({ length: count }, (_, nth) => [`${prefix}${nth}`, nth]));
  const definition = flow(() => 1, { attributes: () => many(20, "d") });
  expect(() => World.begin(definition, { attributes: many(20, "s") })).toThrow(expect.objectContaining({ code: "invalid_attributes" }));
});
