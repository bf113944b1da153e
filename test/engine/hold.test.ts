import { describe, expect, test } from "vitest";
import { z } from "zod";
import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import { begin, broken, plain, reversible, settle } from "./steps.ts";
import { flow, World } from "./world.ts";

const hour = 3_600_000;

describe("while an operator holds a run", () => {
  test.each([false, true])("the attempt under way in it is finished and recorded, and nothing begins (evicted afterwards: %s)", async (evicted) => {
    const world = begin((at) => async ({ step }) => [await plain(at, step, "a"), await plain(at, step, "b")]);
    await world.turn();
    expect(world.statusOf("a")).toBe("running");
    world.operate({ action: "pause" });
    expect([world.status, world.reason]).toEqual(["running", "operator"]);
    await world.pass(10 * hour);
    expect([world.status, world.statusOf("a"), world.statusOf("b")]).toEqual(["paused", "completed", undefined]);
    if (evicted) world.evict();
    world.operate({ action: "resume" });
    await world.finish();
    expect([world.output, world.effectKeys]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  test.each([5, 25])("the time that a step may take in all stands still, for retries after %s s", async (heldAt) => {
    const tried: number[] = [];
    let held = 0;
    const retries = { limit: 50, delay: "10s", backoff: "constant", jitter: 0, totalTimeout: "35s" } as const;
    const world = begin(
      () =>
        ({ step }) =>
          step.do("a", { retries }, () => {
            tried.push(world.clock.now() - began - held);
            broken();
          }),
    );
    const began = world.clock.now();
    await world.pass(heldAt * 1000);
    world.operate({ action: "pause" });
    await world.pass(10 * hour);
    world.operate({ action: "resume" });
    held = 10 * hour;
    await settle(world);
    expect([tried, world.status]).toEqual([[0, 10_000, 20_000, 30_000], "failed"]);
  });

  test("an attempt that fails while its run is held is tried again, if it would have been without the hold", async () => {
    const fails: (() => void)[] = [];
    const retries = { limit: 50, delay: "10s", backoff: "constant", jitter: 0, totalTimeout: "35s" } as const;
    const world = begin(
      () =>
        ({ step }) =>
          step.do("a", { retries, timeout: "3h" }, () => new Promise((_, reject) => fails.push(() => reject(new Error("no"))))),
    );
    await world.pass(5000);
    world.operate({ action: "pause" });
    await world.pass(20_000);
    fails[0]?.();
    await world.pass(hour);
    world.operate({ action: "resume" });
    await world.pass(10_000);
    fails[1]?.();
    await world.rest();
    // So far it has used 15 s, and a pause of 10 s.
    expect([fails.length, world.statusOf("a")]).toEqual([2, "retrying"]);
  });

  test("an attempt that dies with its object is found lost, and made again as soon as the run goes on, however long it was held", async () => {
    const world = begin(
      (at) =>
        ({ step }) =>
          plain(at, step, "a"),
    );
    await world.turn();
    world.operate({ action: "pause" });
    world.evict();
    await world.pass(10 * hour);
    world.run.engine.poke();
    await world.rest();
    expect([world.status, world.statusOf("a")]).toEqual(["paused", "retrying"]);
    world.operate({ action: "resume" });
    const resumedAt = world.clock.now();
    await world.finish();
    expect(world.clock.now() - resumedAt).toBeLessThan(1000);
  });

  test.each(["held", "parked", "waiting"])("a run that is %s is so too while it replays after a restart, for whoever asks and in the index", async (what) => {
    const world = begin(() => async ({ step }) => {
      await step.do("a", () => 1);
      if (what === "parked") await step.do("b", { onFailure: "pause", retries: { limit: 0 } }, () => broken());
      else await step.waitForEvent("go");
    });
    await world.rest();
    if (what === "held") world.operate({ action: "pause" });
    await world.rest();
    const before = world.run.engine.summary;
    expect(before.status).toBe(what === "waiting" ? "waiting" : "paused");
    const published = world.run.published.length;

    world.evict();
    world.run.engine.poke();

    expect(world.run.engine.busy).toBe(what !== "held");
    expect(world.run.engine.summary).toEqual(before);
    await world.rest();
    expect(world.run.published.slice(published).map((summary) => summary.status)).toEqual([before.status]);
  });

  const queued = automation({ name: "send", dispatch: "queue", retries: { limit: 1, delay: "1m", jitter: 0 }, run: () => "sent" });

  test.each([false, true])("an attempt on the queue that nobody took stays there until the run goes on (evicted meanwhile: %s)", async (evicted) => {
    const world = World.begin(
      flow(({ step }) => step.run(queued, undefined)),
      { automations: [queued] },
    );
    world.consumes = false;
    await world.rest();
    world.operate({ action: "pause" });
    world.consumes = true;
    if (evicted) world.evict();
    await world.pass(10 * hour);
    expect([world.status, world.reason, world.statusOf("send")]).toEqual(["paused", "operator", "dispatched"]);
    world.operate({ action: "resume" });
    const resumedAt = world.clock.now();
    await world.finish();
    expect([world.output, world.clock.now() - resumedAt]).toEqual(["sent", 0]);
  });

  test.each([false, true])("an attempt that an executor took is recorded when it comes back (evicted meanwhile: %s)", async (evicted) => {
    const world = World.begin(
      flow(({ step }) => step.run(queued, undefined)),
      { automations: [queued] },
    );
    world.consumes = false;
    await world.rest();
    expect(world.run.engine.claim({ key: "send", attempt: 1 }).granted).toBe(true);
    world.operate({ action: "pause" });
    expect(world.status).toBe("running");
    await world.pass(hour);
    if (evicted) world.evict();
    expect(world.run.engine.settle({ key: "send", attempt: 1 }, { ok: true, value: encode("by the executor") })).toBe("recorded");
    await world.rest();
    expect([world.status, world.statusOf("send")]).toEqual(["paused", "completed"]);
    world.operate({ action: "resume" });
    await world.finish();
    expect(world.output).toBe("by the executor");
  });

  test("an executor that went silent is given up only after the run goes on", async () => {
    const world = World.begin(
      flow(({ step }) => step.run(queued, undefined)),
      { automations: [queued] },
    );
    world.consumes = false;
    await world.rest();
    world.run.engine.claim({ key: "send", attempt: 1 });
    world.operate({ action: "pause" });
    await world.pass(10 * hour);
    expect(world.statusOf("send")).toBe("claimed");
    world.consumes = true;
    world.operate({ action: "resume" });
    await world.finish();
    expect([world.output, world.run.engine.state.steps.get("send")?.attempt]).toEqual(["sent", 2]);
  });

  test.each([false, true])("sleeps, time-outs of waits, retries and its own time-out stand still (evicted meanwhile: %s)", async (evicted) => {
    const ends: Record<string, number> = {};
    let startedAt = 0;
    const world = begin(
      (at) =>
        async ({ step }) => {
          const ended = (key: string) => () => {
            ends[key] ??= at().clock.now() - startedAt;
          };
          await Promise.all([
            step.sleep("nap", "2h").then(ended("nap")),
            step.waitForEvent("never", { timeout: "3h" }).then(ended("never")),
            step.approval("legal", { assignees: ["ann"], timeout: "4h" }).then(ended("legal")),
            step
              .do("shaky", { retries: { limit: 1, delay: "5h", maxDelay: "5h", jitter: 0, totalTimeout: "6h" } }, ({ attempt }) =>
                attempt === 1 ? broken() : "well",
              )
              .then(ended("shaky")),
          ]);
          await step.waitForEvent("end");
        },
      { timeout: "9h" },
    );
    startedAt = world.clock.now();
    await world.pass(hour);
    world.operate({ action: "pause" });
    await world.rest();
    if (evicted) world.evict();
    await world.pass(100 * hour);
    expect(world.status).toBe("paused");
    if (evicted) world.evict();
    world.operate({ action: "resume" });
    await world.finish();
    expect(ends).toEqual({ nap: 102 * hour, never: 103 * hour, legal: 104 * hour, shaky: 105 * hour });
    expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "run_timeout" } });
    expect(world.clock.now() - startedAt).toBe(109 * hour);
  });

  test("a retry whose attempt failed meanwhile waits its own pause after the run goes on, and no longer", async () => {
    const world = World.begin(
      flow(({ step }) => step.run(queued, undefined)),
      { automations: [queued] },
    );
    world.consumes = false;
    await world.rest();
    world.run.engine.claim({ key: "send", attempt: 1 });
    world.operate({ action: "pause" });
    await world.pass(10 * hour);
    world.run.engine.settle({ key: "send", attempt: 1 }, { ok: false, error: encode(new Error("x")), retryable: true, retryAfterMs: null });
    world.consumes = true;
    world.operate({ action: "resume" });
    const resumedAt = world.clock.now();
    await world.finish();
    expect(world.clock.now() - resumedAt).toBe(60_000);
  });

  test.each([false, true])("events are kept, and seen when it goes on: those waited for and those that come early (evicted meanwhile: %s)", async (evicted) => {
    const world = begin(() => async ({ step }) => {
      const first = await step.waitForEvent<number>("first");
      const second = await step.waitForEvent<number>("second");
      return [first.ok && first.payload, second.ok && second.payload];
    });
    await world.rest();
    world.operate({ action: "pause" });
    if (evicted) world.evict();
    expect(await world.sendEvent("second", 2)).toMatchObject({ step: null });
    expect(await world.sendEvent("first", 1)).toMatchObject({ step: "first" });
    await world.rest();
    expect([world.status, world.statusOf("second")]).toEqual(["paused", undefined]);
    if (evicted) world.evict();
    world.operate({ action: "resume" });
    await world.finish();
    expect(world.output).toEqual([1, 2]);
  });

  test("a parked step is tried again at once when it goes on, however long it was held", async () => {
    const world = begin(
      () =>
        ({ step }) =>
          step.do("s", { onFailure: "pause", retries: { limit: 0 } }, ({ attempt }) => (attempt === 1 ? broken() : "well")),
    );
    await settle(world);
    world.operate({ action: "pause" });
    await world.pass(10 * hour);
    world.operate({ action: "resume" });
    const resumedAt = world.clock.now();
    await world.finish();
    expect([world.output, world.clock.now() - resumedAt]).toEqual(["well", 0]);
  });

  test("it can be cancelled, rolled back and terminated", async () => {
    for (const [action, status, undone] of [
      [{ action: "cancel", compensate: false }, "cancelled", []],
      [{ action: "cancel", compensate: true }, "cancelled", ["undo a a-id"]],
      [{ action: "rollback", from: null }, "cancelled", ["undo a a-id"]],
      [{ action: "terminate" }, "terminated", []],
    ] as const) {
      const world = begin((at) => async ({ step }) => {
        await reversible(at, step, "a");
        await step.waitForEvent("never");
      });
      await settle(world);
      world.operate({ action: "pause" });
      world.evict();
      world.operate(action);
      await world.finish();
      expect([world.status, world.effectKeys.slice(1)], action.action).toEqual([status, undone]);
    }
  });

  test("its code is not looked for, should it be gone too: the alarm rests until the run goes on", async () => {
    const definition = flow(({ step }) => step.sleep("nap", "1h"));
    const world = World.begin(definition);
    await world.rest();
    world.deploy({ workflows: [] });
    world.run.engine.wake();
    expect(world.status).toBe("blocked");
    world.operate({ action: "pause" });
    world.evict();
    await world.pass(24 * hour);
    world.deploy({ workflows: [definition] });
    world.operate({ action: "resume" });
    await world.finish();
    expect(world.status).toBe("completed");
  });
});

test("a hold before the run's time lets it begin when it is over", async () => {
  let world: World;
  world = World.begin(
    flow(({ step }) => plain(() => world, step, "a")),
    { delayMs: hour },
  );
  world.operate({ action: "pause" });
  await world.pass(10 * hour);
  expect([world.status, world.effectKeys]).toEqual(["paused", []]);
  world.operate({ action: "resume" });
  await world.finish();
  expect(world.output).toBe("a");
});

test("a held run does not end, though its code is woken to check what comes in; it ends when it is let go", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      const wait = step.waitForEvent("x", { schema: z.object({ n: z.number() }) });
      return Promise.race([wait.then(() => "event"), step.run(held, undefined)]);
    }),
    { automations: [held] },
  );
  world.consumes = false;
  await world.rest();
  world.run.engine.claim({ key: "held", attempt: 1 });
  world.operate({ action: "pause" });
  world.evict();
  world.run.engine.settle({ key: "held", attempt: 1 }, { ok: true, value: encode("action") });
  await world.sendEvent("x", { n: 1 });
  await world.pass(hour);
  expect(world.status).toBe("paused");
  world.operate({ action: "resume" });
  await world.finish();
  expect(world.output).toBe("action");
});

const held = automation({ name: "held", dispatch: "queue", run: () => "action" });
