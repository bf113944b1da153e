import { describe, expect, test } from "vitest";
import type { Duration } from "#core/duration.ts";
import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import type { Step } from "#sdk/step.ts";
import type { WorkflowOptions } from "#sdk/workflow.ts";
import { begin, broken, settle, worldFor } from "./steps.ts";
import { flow, type World } from "./world.ts";

/** Undoing begins when nobody works any more on what is to be undone: no effect comes after its undo. */

const leaseMs = 15_000;

/** What an action is told and what it does: it ends when the test says so. */
interface Work {
  signal: AbortSignal | null;
  end: (lateEffect?: string) => void;
}

function work(): Work {
  return { signal: null, end: () => {} };
}

type At = () => World;

/** A step whose action works until the test ends it, and then has one more effect. */
function long(at: At, step: Step, doing: Work, options: { readonly timeout?: Duration } = {}): Promise<unknown> {
  const undo = ({ idempotencyKey }: { idempotencyKey: string }) => at().effect("undo long", idempotencyKey, () => {});
  return step.do("long", { ...options, retries: { limit: 0 }, compensate: { run: undo, retries: { limit: 1, jitter: 0, delay: "1h" } } }, async (context) => {
    doing.signal = context.signal;
    const { promise, resolve } = Promise.withResolvers<string>();
    doing.end = (effect = "long") => resolve(effect);
    return at().effect(await promise, context.idempotencyKey, () => "done");
  });
}

const fails = (step: Step): Promise<unknown> => step.do("fails", { onFailure: "compensate", retries: { limit: 0 } }, () => broken());

/** A run whose one branch is at work while another fails it. */
async function failedMeanwhile(doing: Work, options: { readonly timeout?: Duration } = {}): Promise<World> {
  const world = begin(
    (at) =>
      ({ step }) =>
        Promise.all([long(at, step, doing, options), step.sleep("soon", "1s").then(() => fails(step))]),
  );
  await world.pass(1000);
  return world;
}

describe("an action in the run's object that is under way when its run is rolled back", () => {
  test("is told to stop, and its step is undone when it has", async () => {
    const doing = work();
    const world = await failedMeanwhile(doing);
    expect([world.status, world.reason, world.run.engine.summary.reason?.step]).toEqual(["compensating", "stopping", "long"]);
    expect(doing.signal?.aborted).toBe(true);
    // Whoever hosts the object is told that it is still needed.
    expect(world.run.engine.busy).toBe(true);
    await world.pass(leaseMs - 2);
    expect(world.effectKeys).toEqual([]);
    doing.end();
    await world.finish();
    expect([world.effectKeys, world.status]).toEqual([["long", "undo long"], "failed"]);
  });

  test("is undone at once when it stops at once", async () => {
    const doing = work();
    const world = begin(
      (at) =>
        ({ step }) =>
          Promise.all([long(at, step, doing), step.sleep("soon", "1s").then(() => fails(step))]),
    );
    await world.rest();
    doing.signal?.addEventListener("abort", () => doing.end());
    await world.pass(1000);
    expect([world.effectKeys, world.status]).toEqual([["long", "undo long"], "failed"]);
  });

  test("is waited for as long as a lease, and no longer", async () => {
    const doing = work();
    const world = await failedMeanwhile(doing);
    await world.pass(leaseMs - 1);
    expect(world.effectKeys).toEqual([]);
    await world.pass(1);
    expect([world.effectKeys, world.status]).toEqual([["undo long"], "failed"]);
    // What it still does changes nothing in the record.
    doing.end();
    await world.rest();
    expect([world.status, world.run.engine.busy]).toEqual(["failed", false]);
  });

  test("is waited for, too, when its own time-out is what failed it", async () => {
    const doing = work();
    const world = begin(
      (at) =>
        ({ step }) =>
          long(at, step, doing, { timeout: "3s" }),
    );
    await world.pass(3000 + leaseMs - 1);
    expect([world.statusOf("long"), world.effectKeys]).toEqual(["failed", []]);
    doing.end();
    await world.finish();
    expect(world.effectKeys).toEqual(["long", "undo long"]);
  });

  test("dies with the object: the next one undoes at once", async () => {
    const doing = work();
    const world = await failedMeanwhile(doing);
    const { alarmAt } = world.run;
    expect(alarmAt).toBeLessThanOrEqual(world.clock.now() + leaseMs);
    world.evict();
    world.run.engine.wake();
    await world.rest();
    expect([world.effectKeys, world.status]).toEqual([["undo long"], "failed"]);
  });

  test("is waited for after a cancellation with compensation, whatever the clean-up did meanwhile", async () => {
    const doing = work();
    const world = begin((at) => async ({ step }) => {
      await long(at, step, doing).catch(() => {});
      await step.sleep("clean up", "2s");
      throw new Error("cleaned up");
    });
    await world.rest();
    world.operate({ action: "cancel", compensate: true });
    await world.pass(2000);
    expect([world.status, world.effectKeys]).toEqual(["compensating", []]);
    doing.end();
    await world.finish();
    expect([world.effectKeys, world.status]).toEqual([["long", "undo long"], "cancelled"]);
  });

  test("may stop while the run is held: nothing is undone before it is let go", async () => {
    const doing = work();
    const world = await failedMeanwhile(doing);
    world.operate({ action: "pause" });
    doing.end();
    await world.pass(60_000);
    expect([world.effectKeys, world.status, world.run.engine.busy]).toEqual([["long"], "paused", false]);
    world.operate({ action: "resume" });
    await world.finish();
    expect(world.effectKeys).toEqual(["long", "undo long"]);
  });

  test("keeps nobody from terminating the run", async () => {
    const doing = work();
    const world = await failedMeanwhile(doing);
    world.operate({ action: "terminate" });
    expect([world.status, world.run.engine.busy]).toEqual(["terminated", false]);
    doing.end();
    await settle(world);
    expect(world.effectKeys).toEqual(["long"]);
    expect(world.kinds.at(-1)).toBe("run.ended");
  });
});

const first = { key: "send", attempt: 1 };
const done = { ok: true as const, value: encode("sent") };

type Branches = (step: Step, send: () => Promise<unknown>, at: At) => Promise<unknown>;

/** A run whose queued step an executor may have taken while another branch fails it. */
async function dispatched(run: Branches): Promise<World> {
  const world = idle(run);
  world.start("p");
  await world.rest();
  return world;
}

/** A world of that workflow in which nothing has begun. */
function idle(run: Branches): World {
  const world = worldFor((at) => {
    const send = automation({
      name: "send",
      dispatch: "queue",
      timeout: "1m",
      compensate: { run: ({ idempotencyKey }) => at().effect("undo send", idempotencyKey, () => {}), retries: { limit: 1, jitter: 0, delay: "1h" } },
      run: () => "sent",
    });
    const code: WorkflowOptions<unknown, unknown>["run"] = ({ step }) => run(step, () => step.run(send, undefined), at);
    return { workflows: [flow(code)], automations: [send] };
  });
  world.consumes = false;
  return world;
}

/** As `dispatched`, and the run has failed meanwhile. */
async function failedWhile(taken: boolean): Promise<World> {
  const world = await dispatched((step, send) => Promise.all([send(), step.sleep("soon", "1s").then(() => fails(step))]));
  if (taken) world.run.engine.claim(first);
  await world.pass(1000);
  return world;
}

describe("an executor that is at work when its run is rolled back", () => {
  test("is told to stop, and its step is undone when it has settled", async () => {
    const world = await failedWhile(true);
    expect([world.status, world.reason, world.run.engine.summary.reason?.step]).toEqual(["compensating", "stopping", "send"]);
    // The object is free meanwhile.
    expect(world.run.engine.busy).toBe(false);
    expect(world.run.engine.renew(first)).toBe(false);
    await world.pass(5000);
    expect(world.effectKeys).toEqual([]);
    expect(world.run.engine.settle(first, done)).toBe("ignored");
    await world.rest();
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
  });

  test("is given up when its lease is over", async () => {
    const world = await failedWhile(true);
    await world.pass(leaseMs - 1000 - 1);
    expect(world.effectKeys).toEqual([]);
    await world.pass(1);
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
  });

  test("is waited for as long as it renews, until a lease after its attempt's time", async () => {
    const world = await failedWhile(true);
    for (let seconds = 1; seconds < 71; seconds += 5) {
      await world.pass(5000);
      expect([seconds, world.run.engine.renew(first), world.effectKeys]).toEqual([seconds, false, []]);
      if (seconds === 26) world.evict();
    }
    // It was claimed a second before the run failed, with a minute's time; it has a lease more to say that it is over.
    await world.pass(3999);
    expect(world.effectKeys).toEqual([]);
    world.run.engine.renew(first);
    await world.pass(1);
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
  });

  test("is waited for by the next object, too, and longer only when it is heard of", async () => {
    const world = await failedWhile(true);
    await world.pass(5000);
    world.evict();
    world.run.engine.wake();
    await world.pass(leaseMs - 1);
    expect([world.effectKeys, world.reason]).toEqual([[], "stopping"]);
    await world.pass(1);
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
  });

  test("may settle with an object that knows nothing of it yet", async () => {
    const world = await failedWhile(true);
    world.evict();
    expect(world.run.engine.settle(first, done)).toBe("ignored");
    await world.rest();
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
  });

  test("is not waited for when there is none: what nobody has taken is undone at once, and never given out", async () => {
    const world = await failedWhile(false);
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
    expect(world.run.engine.claim(first)).toEqual({ granted: false, why: "not_open" });
  });

  test("is waited for once: a rollback that is tried again later does not wait anew", async () => {
    const world = worldFor((at) => {
      const send = automation({
        name: "send",
        dispatch: "queue",
        compensate: {
          run: ({ idempotencyKey, attempt }) => at().effect(`undo send ${attempt}`, idempotencyKey, () => (attempt === 1 ? broken() : undefined)),
          retries: { limit: 1, jitter: 0, delay: "1h" },
        },
        run: () => "sent",
      });
      return {
        workflows: [flow(({ step }) => Promise.all([step.run(send, undefined), step.sleep("soon", "1s").then(() => fails(step))]))],
        automations: [send],
      };
    });
    world.consumes = false;
    world.start("p");
    await world.rest();
    world.run.engine.claim(first);
    await world.pass(1000 + leaseMs);
    expect(world.effectKeys).toEqual(["undo send 1"]);
    world.evict();
    await world.pass(3_600_000);
    expect([world.effectKeys, world.status]).toEqual([["undo send 1", "undo send 2"], "failed"]);
  });

  test("is waited for after a cancellation with compensation", async () => {
    const world = await dispatched(async (step, send) => {
      await send().catch(() => {});
      await step.sleep("clean up", "2s");
    });
    world.run.engine.claim(first);
    world.operate({ action: "cancel", compensate: true });
    await world.pass(2000);
    expect([world.status, world.effectKeys]).toEqual(["compensating", []]);
    world.run.engine.settle(first, done);
    await world.rest();
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "cancelled"]);
  });

  test("and an action that was told later are waited for both, with no alarm in vain", async () => {
    const doing = work();
    const world = await dispatched((step, send, at) => Promise.all([send(), long(at, step, doing, { timeout: "5s" })]));
    // The action is told at the end of its time, which fails the run; the executor has been silent for most of its lease by then.
    world.run.engine.claim(first);
    await world.pass(leaseMs);
    expect([world.status, world.effectKeys]).toEqual(["compensating", []]);
    await world.pass(4999);
    expect(world.effectKeys).toEqual([]);
    await world.pass(1);
    expect(world.effectKeys).toEqual(["undo long", "undo send"]);
  });

  test("is waited for after an operator's rollback", async () => {
    const world = await dispatched((_step, send) => send());
    world.run.engine.claim(first);
    world.operate({ action: "rollback", from: null });
    await world.pass(10_000);
    expect(world.effectKeys).toEqual([]);
    world.run.engine.settle(first, done);
    await world.rest();
    expect([world.effectKeys, world.status]).toEqual([["undo send"], "cancelled"]);
  });

  test("may settle, or be given up, while the run is held: nothing is undone before it is let go, and no alarm fires for it", async () => {
    for (const settles of [true, false]) {
      const world = await failedWhile(true);
      world.operate({ action: "pause" });
      if (settles) world.run.engine.settle(first, done);
      await world.pass(60_000);
      expect([world.effectKeys, world.status]).toEqual([[], "paused"]);
      world.operate({ action: "resume" });
      await world.rest();
      expect([world.effectKeys, world.status]).toEqual([["undo send"], "failed"]);
    }
  });

  test("keeps nobody from terminating the run", async () => {
    const world = await failedWhile(true);
    world.operate({ action: "terminate" });
    expect(world.status).toBe("terminated");
    expect(world.run.engine.settle(first, done)).toBe("ignored");
    await settle(world);
    expect([world.effectKeys, world.kinds.at(-1)]).toEqual([[], "run.ended"]);
  });

  test.each(["queue", "object"])(
    "may belong to a run that has ended: the run that undoes that one waits as long as it may be at work (on the %s)",
    async (where) => {
      const code = async (step: Step, send: () => Promise<unknown>, at: At): Promise<unknown> => (where === "queue" ? send() : long(at, step, work()));
      const ended = await dispatched(code);
      if (where === "queue") ended.run.engine.claim(first);
      ended.operate({ action: "terminate" });
      const world = idle(code);
      world.startFrom(ended, { runId: "r1", relation: "rollback", step: null });
      await world.pass(leaseMs - 1);
      expect([world.effectKeys, world.status]).toEqual([[], "compensating"]);
      await world.pass(1);
      expect([world.effectKeys, world.status]).toEqual([[where === "queue" ? "undo send" : "undo long"], "completed"]);
    },
  );
});
