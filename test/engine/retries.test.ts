import { describe, expect, test } from "vitest";
import { Fault } from "#core/fault.ts";
import { automation } from "#sdk/automation.ts";
import { NonRetryableError, RetryAfterError } from "#sdk/errors.ts";
import type { DoOptions } from "#sdk/step.ts";
import { flow, World } from "./world.ts";

/** Starts a run of one step that does `action`, and keeps when each attempt was made, in ms after the start. */
function oneStep(options: DoOptions<unknown>, action: (attempt: number, signal: AbortSignal) => unknown) {
  const attemptsAt: number[] = [];
  let world: World;
  const definition = flow(({ step }) =>
    step.do("s", options, ({ attempt, signal }) => {
      attemptsAt.push(world.clock.now() - began);
      return action(attempt, signal);
    }),
  );
  world = new World({ workflows: [definition] });
  const began = world.clock.now();
  // In a microtask, so that `action` may use the world.
  queueMicrotask(() => world.start("p"));
  return { world, attemptsAt };
}

const fail = () => Promise.reject(new Error("no"));
const plain = { jitter: 0 } as const;

test("a failing step is tried at 0, 1, 3 and 7 seconds, then the run fails with its last error", async () => {
  const { world, attemptsAt } = oneStep({ retries: plain }, (attempt) => Promise.reject(new Error(`attempt ${attempt}`)));
  await world.finish();
  expect(attemptsAt).toEqual([0, 1000, 3000, 7000]);
  expect(world.run.engine.summary).toMatchObject({ status: "failed", step: "s", error: { message: "attempt 4" } });
});

test("the same when the object is evicted in every pause", async () => {
  const { world, attemptsAt } = oneStep({ retries: plain }, fail);
  await world.finish({ onTurn: () => void (world.run.engine.busy || world.evict()) });
  expect(attemptsAt).toEqual([0, 1000, 3000, 7000]);
});

test("a step that recovers goes on with its result", async () => {
  const { world, attemptsAt } = oneStep({ retries: { limit: 5, delay: "10s", backoff: "linear", jitter: 0 } }, (attempt) => (attempt < 4 ? fail() : "well"));
  await world.finish();
  expect([world.output, attemptsAt]).toEqual(["well", [0, 10_000, 30_000, 60_000]]);
});

test("while it waits for its next attempt the run says so, and when", async () => {
  const { world } = oneStep({ retries: { delay: "1h", maxDelay: "1h", jitter: 0 } }, fail);
  await world.rest();
  expect(world.run.engine.summary).toMatchObject({
    status: "waiting",
    reason: { code: "retry", step: "s", until: world.clock.now() + 3_600_000 },
    nextWakeAt: world.clock.now() + 3_600_000,
  });
});

describe("no further attempt is made", () => {
  test.each<[string, DoOptions<unknown>, () => unknown]>([
    ["after NonRetryableError", {}, () => Promise.reject(new NonRetryableError("closed"))],
    ["after an error of that name from elsewhere", {}, () => Promise.reject(Object.assign(new Error("x"), { name: "NonRetryableError" }))],
    [
      "when retryIf says no",
      { retryIf: (error) => (error as { status?: number }).status !== 400 },
      () => Promise.reject(Object.assign(new Error("x"), { status: 400 })),
    ],
    ["with a limit of 0", { retries: { limit: 0 } }, fail],
    ["when the pause would go past the total time-out", { retries: { delay: "10s", totalTimeout: "5s" } }, fail],
  ])("%s", async (_title, options, action) => {
    const { world, attemptsAt } = oneStep(options, action);
    await world.finish();
    expect([world.status, attemptsAt]).toEqual(["failed", [0]]);
  });
});

test("retryIf is asked with the error itself and the attempt; when it throws, the step is tried again", async () => {
  const asked: unknown[] = [];
  const { world, attemptsAt } = oneStep(
    {
      retries: { limit: 2, ...plain },
      retryIf: (error, { attempt }) => {
        asked.push([error instanceof TypeError, attempt]);
        throw new Error("retryIf is broken");
      },
    },
    () => Promise.reject(new TypeError("t")),
  );
  await world.finish();
  expect([asked, attemptsAt]).toEqual([
    [
      [true, 1],
      [true, 2],
      [true, 3],
    ],
    [0, 1000, 3000],
  ]);
});

describe("Retry-After", () => {
  test.each<[string, () => unknown, number]>([
    ["a duration", () => new RetryAfterError("busy", "42s"), 42_000],
    ["the header in seconds", () => RetryAfterError.from(new Response(null, { status: 429, headers: { "retry-after": "7" } })), 7000],
    ["no header", () => RetryAfterError.from(new Response(null, { status: 503 })), 1000],
    ["a header that can't be read", () => RetryAfterError.from(new Response(null, { status: 503, headers: { "retry-after": "soon" } })), 1000],
    ["a fault that lost its class", () => Object.assign(new Error("busy"), { code: "retry_after", details: { retryAfter: 9000 } }), 9000],
  ])("by %s replaces the pause", async (_title, error, pauseMs) => {
    const { world, attemptsAt } = oneStep({ retries: { delay: "1h" } }, (attempt) => (attempt === 1 ? Promise.reject(error()) : "well"));
    await world.finish();
    expect([world.output, attemptsAt]).toEqual(["well", [0, pauseMs]]);
  });

  test("by a date replaces the pause", async () => {
    const { world, attemptsAt } = oneStep({}, (attempt) =>
      attempt === 1 ? Promise.reject(new RetryAfterError("busy", new Date(world.clock.now() + 5000))) : "well",
    );
    await world.finish();
    expect(attemptsAt).toEqual([0, 5000]);
  });

  test.each([
    ["an invalid date", new Date(Number.NaN)],
    ["not a number", Number.NaN],
    ["endless", Number.POSITIVE_INFINITY],
    ["negative", -5000],
  ])("that is %s does not strand the run", async (_title, retryAfter) => {
    const { world } = oneStep({ retries: plain }, (attempt) =>
      attempt === 1 ? Promise.reject(Object.assign(new Error("busy"), { code: "retry_after", details: { retryAfter } })) : "well",
    );
    await world.finish({ maxTurns: 200 });
    expect(world.output).toBe("well");
  });

  test("counts against the limit", async () => {
    const { world, attemptsAt } = oneStep({ retries: { limit: 1 } }, () => Promise.reject(new RetryAfterError("busy", "3s")));
    await world.finish();
    expect([world.status, attemptsAt]).toEqual(["failed", [0, 3000]]);
  });
});

test("an attempt past its time-out fails with the code timeout, its signal aborts, and the policy decides", async () => {
  const aborted: unknown[] = [];
  const { world, attemptsAt } = oneStep(
    { timeout: "30s", retries: { limit: 1, delay: "10s", jitter: 0 } },
    (_attempt, signal) => new Promise(() => signal.addEventListener("abort", () => aborted.push(signal.reason.code))),
  );
  await world.finish();
  expect(attemptsAt).toEqual([0, 40_000]);
  expect(aborted).toEqual(["timeout", "timeout"]);
  expect(world.error).toMatchObject({ code: "timeout" });
  expect(world.clock.now()).toBe(world.run.engine.summary.createdAt + 70_000);
});

test("a result that comes after its attempt timed out is dropped", async () => {
  const late = Promise.withResolvers<string>();
  const { world } = oneStep({ timeout: "30s", retries: { limit: 1, delay: "10s", jitter: 0 } }, (attempt) => (attempt === 1 ? late.promise : "second"));
  await world.pass(35_000);
  late.resolve("first, late");
  await world.finish();
  expect(world.output).toBe("second");
});

test("the total time-out cuts the last attempt off", async () => {
  const { world, attemptsAt } = oneStep({ retries: { totalTimeout: "10s", delay: "4s", backoff: "constant", jitter: 0, limit: 9 } }, (attempt) =>
    attempt < 3 ? fail() : new Promise(() => {}),
  );
  await world.finish();
  expect(attemptsAt).toEqual([0, 4000, 8000]);
  expect(world.run.engine.summary).toMatchObject({ status: "failed", error: { code: "timeout" }, endedAt: world.run.engine.summary.createdAt + 10_000 });
});

test("a function that throws before its first await is retried like any other", async () => {
  const { world, attemptsAt } = oneStep({ retries: { limit: 1, ...plain } }, () => {
    throw new Error("sync");
  });
  await world.finish();
  expect([world.error.message, attemptsAt]).toEqual(["sync", [0, 1000]]);
});

describe("lost attempts", () => {
  /** A step whose process dies during its first `deaths` attempts. */
  function deadly(deaths: number) {
    const attempts: number[] = [];
    let world: World;
    const definition = flow(({ step }) =>
      step.do("s", { retries: { limit: 0 } }, ({ attempt, idempotencyKey }) => {
        attempts.push(attempt);
        return world.effect("s", idempotencyKey, () => "well");
      }),
    );
    world = new World({ workflows: [definition] });
    world.start("p");
    let died = 0;
    const onTurn = () => {
      if (world.run.engine.state.open.get("s")?.status !== "running" || attempts.length <= died || died >= deaths) return;
      died = attempts.length;
      world.evict();
    };
    return { world, attempts, onTurn };
  }

  test("do not count against the policy", async () => {
    const { world, attempts, onTurn } = deadly(5);
    await world.finish({ onTurn });
    expect([world.status, world.output, attempts]).toEqual(["completed", "well", [1, 2, 3, 4, 5, 6]]);
  });

  test("ten in a row block the run as a crash loop; it goes on by itself later", async () => {
    const { world, attempts, onTurn } = deadly(10);
    const reasons = new Set<unknown>();
    await world.finish({
      onTurn: () => {
        onTurn();
        reasons.add(world.reason);
      },
    });
    expect(reasons).toContain("crash_loop");
    expect(world.kinds.filter((kind) => kind === "run.blocked" || kind === "run.unblocked")).toEqual(["run.blocked", "run.unblocked"]);
    expect([world.status, attempts.length]).toEqual(["completed", 11]);
  });

  test("nine in a row, a failure, and nine more block nothing", async () => {
    let world: World;
    let begun = 0;
    const definition = flow(({ step }) =>
      step.do("s", { retries: { limit: 1, jitter: 0 } }, ({ idempotencyKey }) => {
        begun++;
        return world.effect("s", idempotencyKey, () => (begun === 10 ? fail() : "well"));
      }),
    );
    world = new World({ workflows: [definition] });
    world.start("p");
    let seen = 0;
    await world.finish({
      onTurn: () => {
        if (begun === seen) return;
        seen = begun;
        if (begun !== 10 && begun < 20) world.evict();
      },
    });
    expect([world.status, begun]).toEqual(["completed", 20]);
    expect(world.kinds).not.toContain("run.blocked");
  });
});

test("an automation brings its own policy, which a call may override", async () => {
  const times: number[] = [];
  let world: World;
  const shaky = automation({ name: "shaky", retries: { limit: 1, delay: "1s", jitter: 0 }, run: () => (times.push(world.clock.now() - began), fail()) });
  world = new World({
    workflows: [
      flow(async ({ step }) => [
        await step.run(shaky, undefined).catch(() => 1),
        await step.run(shaky, undefined, { name: "other", retries: { limit: 0 } }).catch(() => 2),
      ]),
    ],
  });
  const began = world.clock.now();
  world.start("p");
  await world.finish();
  expect([world.output, times]).toEqual([
    [1, 2],
    [0, 1000, 1000],
  ]);
  expect([...world.run.engine.state.steps.keys()]).toEqual(["shaky", "other"]);
});

test("a run past its own time-out fails as run_timeout, whatever it waits for, evicted or not", async () => {
  for (const evicted of [false, true]) {
    const world = World.begin(flow(({ step }) => step.waitForEvent("never"), { timeout: "2h" }));
    await world.rest();
    if (evicted) world.evict();
    await world.finish();
    expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "run_timeout" }, error: { code: "timeout" } });
    expect(world.clock.now() - world.run.engine.summary.createdAt).toBe(7_200_000);
  }
});

test("a run that times out aborts the attempt under way", async () => {
  const aborted: string[] = [];
  const world = World.begin(
    flow(
      ({ step }) =>
        step.do(
          "long",
          { timeout: "1d" },
          ({ signal }) => new Promise(() => signal.addEventListener("abort", () => aborted.push(new Fault(signal.reason.code).code))),
        ),
      { timeout: "2h" },
    ),
  );
  await world.finish();
  expect([world.status, aborted]).toEqual(["failed", ["cancelled"]]);
});

test("a copy of what an action is given has its signal and its key, too", async () => {
  const copies: unknown[] = [];
  const world = new World({
    workflows: [
      flow(({ step }) =>
        step.do("s", (context) => {
          copies.push({ ...context });
        }),
      ),
    ],
  });
  world.start("p");
  await world.finish();
  expect(copies).toEqual([expect.objectContaining({ attempt: 1, idempotencyKey: "default/r1/s", signal: expect.any(AbortSignal) })]);
});
