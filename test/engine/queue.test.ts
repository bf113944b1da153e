import { describe, expect, test } from "vitest";
import { encode, encodeError } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import { flow, World } from "./world.ts";

/** A run of one queued step, and nobody who consumes the queue: a test takes the messages itself. */
function queued(options: { limit?: number } = {}) {
  const calls: number[] = [];
  const send = automation({
    name: "send",
    dispatch: "queue",
    retries: { limit: options.limit ?? 3, jitter: 0 },
    timeout: "1h",
    run: ({ attempt }) => (calls.push(attempt), "sent"),
  });
  const world = World.begin(
    flow(({ step }) => step.run(send, undefined)),
    { automations: [send] },
  );
  world.consumes = false;
  return { world, calls };
}

const first = { key: "send", attempt: 1 };
const second = { key: "send", attempt: 2 };
const lost = { ok: false as const, error: encodeError(new Error("down")), retryable: true, retryAfterMs: null };
const well = (value = "well") => ({ ok: true as const, value: encode(value) });

test("a queued automation runs once and its result comes back", async () => {
  const { world, calls } = queued();
  world.consumes = true;
  await world.finish();
  expect([world.output, calls]).toEqual(["sent", [1]]);
  expect(world.kinds).toEqual(["run.created", "step.started", "attempt.claimed", "step.completed", "run.ended"]);
});

test("its message leaves only when its start is durable, and carries ids alone", async () => {
  const { world } = queued();
  expect(world.queue).toEqual([]);
  await world.rest();
  expect(world.queue).toEqual([{ namespace: "default", runId: "r1", key: "send", attempt: 1 }]);
});

test("while it is out, the run counts as running and its object is free", async () => {
  const { world } = queued();
  await world.rest();
  expect([world.status, world.run.engine.busy]).toEqual(["running", false]);
});

test("a message that nobody takes is sent again ever more seldom, so that a queue that lags is not buried under repeats", async () => {
  const { world } = queued();
  await world.pass(3_600_000);
  expect(world.queue.length).toBeGreaterThan(5);
  expect(world.queue.length).toBeLessThan(12);
  world.consumes = true;
  await world.finish();
  expect(world.output).toBe("sent");
});

test("a message delivered twice, at once or later, runs the automation once", async () => {
  const { world, calls } = queued();
  await world.rest();
  const [message] = world.queue;
  if (message) world.queue.push(message, message);
  world.consumes = true;
  await world.finish();
  if (message) world.queue.push(message);
  await world.rest();
  expect(calls).toEqual([1]);
});

test("a message that is lost is sent again, also by another life of the object", async () => {
  for (const evicted of [false, true]) {
    const { world, calls } = queued();
    await world.rest();
    world.queue.length = 0;
    if (evicted) world.evict();
    await world.pass(30_000);
    expect(world.queue).toHaveLength(1);
    world.consumes = true;
    await world.finish();
    expect([world.output, calls]).toEqual(["sent", [1]]);
  }
});

test("an attempt is granted to one executor only", async () => {
  const { world } = queued();
  await world.rest();
  const { engine } = world.run;
  expect(engine.claim(first)).toMatchObject({
    granted: true,
    automation: "send",
    idempotencyKey: "default/r1/send",
    timeoutMs: 14 * 60_000,
  });
  expect(engine.claim(first)).toEqual({ granted: false, why: "taken" });
  expect(engine.claim(second)).toEqual({ granted: false, why: "other_attempt" });
  expect(engine.claim({ key: "none", attempt: 1 })).toEqual({ granted: false, why: "not_open" });
});

test("an attempt may take no longer because the clock was ahead for a while", async () => {
  const { world } = queued();
  await world.rest();
  world.clock.set(world.clock.now() + 3_600_000);
  await world.sendEvent("anything");
  world.clock.set(world.clock.now() - 3_600_000);
  expect(world.run.engine.claim(first)).toMatchObject({ granted: true, timeoutMs: 14 * 60_000 });
});

test("what the queue could not deliver fails an attempt that nobody took", async () => {
  const { world } = queued({ limit: 0 });
  await world.rest();
  expect(world.run.engine.settle(first, { ...lost, undelivered: true })).toBe("recorded");
  await world.rest();
  expect(world.status).toBe("failed");
});

test("what the queue could not deliver does not fail an attempt that somebody took by another message", async () => {
  const { world } = queued({ limit: 0 });
  await world.rest();
  const { engine } = world.run;
  engine.claim(first);
  expect(engine.settle(first, { ...lost, undelivered: true })).toBe("ignored");
  expect(engine.settle(first, well())).toBe("recorded");
  await world.rest();
  expect([world.status, world.output]).toEqual(["completed", "well"]);
});

test("a result counts once: late, repeated and foreign ones are ignored", async () => {
  const { world } = queued();
  await world.rest();
  const { engine } = world.run;
  engine.claim(first);
  expect(engine.settle(second, well())).toBe("ignored");
  expect(engine.settle(first, well("first"))).toBe("recorded");
  expect(engine.settle(first, well("again"))).toBe("ignored");
  await world.finish();
  expect(engine.settle(first, lost)).toBe("ignored");
  expect(world.output).toBe("first");
});

test("an executor that goes silent loses its attempt after the lease; another is sent, and the late result is ignored", async () => {
  const { world } = queued();
  await world.rest();
  const { engine } = world.run;
  engine.claim(first);
  await world.pass(14_999);
  expect(engine.state.open.get("send")?.attempt).toBe(1);
  await world.pass(1);
  expect(world.queue.map((message) => message.attempt)).toEqual([1, 2]);
  expect(engine.settle(first, well("late"))).toBe("ignored");
  expect(engine.renew(first)).toBe(false);
  engine.claim(second);
  engine.settle(second, well());
  await world.finish();
  expect(world.output).toBe("well");
});

test("an executor that renews keeps its attempt, even when the object was evicted meanwhile", async () => {
  const { world } = queued();
  await world.rest();
  world.run.engine.claim(first);
  for (let i = 0; i < 20; i++) {
    await world.pass(10_000);
    if (i === 7) world.evict();
    expect(world.run.engine.renew(first)).toBe(true);
  }
  expect(world.run.engine.settle(first, well())).toBe("recorded");
  await world.finish();
  expect(world.output).toBe("well");
});

test("an executor that renews does not keep a run whose process died from reviving its other branches", async () => {
  const send = automation({ name: "send", dispatch: "queue", run: () => "sent" });
  const attempts: number[] = [];
  const inline = ({ attempt }: { attempt: number }) => (attempts.push(attempt), attempt === 1 ? new Promise(() => {}) : "well");
  const world = World.begin(
    flow(({ step }) => Promise.all([step.run(send, undefined), step.do("inline", inline)])),
    { automations: [send] },
  );
  world.consumes = false;
  for (let i = 0; i < 5; i++) await world.turn();
  world.run.engine.claim(first);
  world.evict();
  for (let i = 0; i < 20; i++) {
    world.run.engine.renew(first);
    await world.pass(5000);
  }
  expect(attempts).toEqual([1, 2]);
});

test("an executor whose run was evicted right after the claim has a whole lease to be heard", async () => {
  const { world } = queued();
  await world.rest();
  world.run.engine.claim(first);
  world.evict();
  await world.pass(10_000);
  expect(world.run.engine.renew(first)).toBe(true);
});

test("a message that nobody could deliver counts as a failure of its attempt", async () => {
  const { world } = queued({ limit: 1 });
  await world.rest();
  const { engine } = world.run;
  expect(engine.settle(first, lost)).toBe("recorded");
  await world.pass(1000);
  expect(world.queue.map((message) => message.attempt)).toEqual([1, 2]);
  expect(engine.settle(second, lost)).toBe("recorded");
  await world.finish();
  expect([world.status, world.error.message]).toEqual(["failed", "down"]);
});

test("a failed attempt is sent again after its pause, when the object is evicted all the while", async () => {
  const { world } = queued();
  await world.rest();
  world.run.engine.settle(first, lost);
  world.evict();
  await world.pass(999);
  expect(world.queue).toHaveLength(1);
  await world.pass(1);
  expect(world.queue.map((message) => message.attempt)).toEqual([1, 2]);
});

test("lost executors do not count against the policy, and ten in a row block the run as a crash loop until it goes on by itself", async () => {
  const { world } = queued({ limit: 0 });
  const reasons = new Set<unknown>();
  await world.rest();
  for (let attempt = 1; attempt <= 10; attempt++) {
    while (!world.run.engine.claim({ key: "send", attempt }).granted) await world.pass(1000);
    while (world.run.engine.state.open.get("send")?.status === "claimed") await world.pass(1000);
  }
  reasons.add(world.reason);
  expect([...reasons]).toEqual(["crash_loop"]);
  await world.pass(60_000);
  world.consumes = true;
  await world.finish();
  expect(world.output).toBe("sent");
});

test("many steps sent in one turn go out together and all come back", async () => {
  const send = automation({ name: "send", dispatch: "queue", run: ({ idempotencyKey }) => idempotencyKey });
  const world = World.begin(
    flow(async ({ step }) => (await Promise.all(Array.from({ length: 50 }, () => step.run(send, undefined)))).length),
    { automations: [send] },
  );
  await world.finish();
  expect(world.output).toBe(50);
  expect(new Set(world.run.messages.map((message) => message.key)).size).toBe(50);
});

describe("a queued step that lost a race", () => {
  test("is closed with the run, and its executor hears that nobody waits", async () => {
    const send = automation({ name: "send", dispatch: "queue", run: () => "sent" });
    const world = World.begin(
      flow(({ step }) => Promise.race([step.run(send, undefined), step.sleep("nap", "1s")])),
      { automations: [send] },
    );
    world.consumes = false;
    await world.rest();
    world.run.engine.claim(first);
    await world.finish();
    expect(world.run.engine.renew(first)).toBe(false);
    expect(world.run.engine.settle(first, well())).toBe("ignored");
    await world.pass(100_000);
    expect(world.run.alarmAt).toBe(null);
  });
});
