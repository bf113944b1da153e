import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAttributes } from "#core/attributes.ts";
import { type Duration, durationMs } from "#core/duration.ts";
import { attemptDeadline, nextAttemptAt, type RetryOptions, retryPolicy } from "#core/retry-policy.ts";
import { checkRunId, isFinal, runStatuses } from "#core/run.ts";
import { checkStepName, idempotencyKey, stepKey } from "#core/step-key.ts";

const retryable = { retryable: true, retryAfterMs: null };

/** When each attempt is made, in ms after the first, if all fail at once. */
function schedule(options: RetryOptions, random = 0.5): number[] {
  const policy = retryPolicy(options, undefined);
  const times = [0];
  for (let at: number | null = 0; at !== null && times.length < 100; ) {
    at = nextAttemptAt(policy, retryable, { failures: times.length, budgetStartedAt: 0, now: at, random });
    if (at !== null) times.push(at);
  }
  return times;
}

describe("retries", () => {
  test.each<[string, RetryOptions, number[]]>([
    ["by default", { jitter: 0 }, [0, 1000, 3000, 7000]],
    ["at constant pauses", { backoff: "constant", delay: "5s", jitter: 0 }, [0, 5000, 10_000, 15_000]],
    ["at linear pauses", { backoff: "linear", delay: "5s", jitter: 0 }, [0, 5000, 15_000, 30_000]],
    ["never, with a limit of 0", { limit: 0 }, [0]],
    ["at pauses of at most maxDelay", { limit: 5, delay: "1m", maxDelay: "3m", jitter: 0 }, [0, 60_000, 180_000, 360_000, 540_000, 720_000]],
    ["at once, with no delay", { delay: 0, limit: 2 }, [0, 0, 0]],
    ["within the total time-out, which ends them", { limit: 9, backoff: "constant", delay: "4s", jitter: 0, totalTimeout: "12s" }, [0, 4000, 8000]],
  ])("are made %s", (_title, options, times) => {
    expect(schedule(options)).toEqual(times);
  });

  test("of the longest policy never come to a pause that is no number", () => {
    const policy = retryPolicy({ limit: 10_000, delay: "366d", maxDelay: "366d" }, undefined);
    expect(nextAttemptAt(policy, retryable, { failures: 9999, budgetStartedAt: 0, now: 0, random: 0.999 })).toSatisfy(Number.isSafeInteger);
  });

  test("spread by jitter within its bounds, and no further", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 0.9999999, noNaN: true }),
        fc.integer({ min: 1, max: 60 }),
        (jitter, random, failures) => {
          const policy = retryPolicy({ jitter, limit: 60, delay: "2s", maxDelay: "1h" }, undefined);
          const plain = Math.min(2000 * 2 ** (failures - 1), 3_600_000);
          const pause = nextAttemptAt(policy, retryable, { failures, budgetStartedAt: 0, now: 0, random }) ?? Number.NaN;
          expect(pause).toBeGreaterThanOrEqual(Math.floor(plain * (1 - jitter)));
          expect(pause).toBeLessThanOrEqual(Math.ceil(plain * (1 + jitter)));
        },
      ),
    );
  });

  test("wait as long as the remote asked instead of the computed pause", () => {
    const policy = retryPolicy({ limit: 1, jitter: 0 }, undefined);
    const at = (failures: number, retryAfterMs: number) =>
      nextAttemptAt(policy, { retryable: true, retryAfterMs }, { failures, budgetStartedAt: 0, now: 10, random: 0 });
    expect([at(1, 42_000), at(1, 0), at(2, 42_000)]).toEqual([42_010, 10, null]);
  });

  test("are not made when the error forbids them, or the pause would outlast the budget", () => {
    const policy = retryPolicy({ totalTimeout: "10s", jitter: 0 }, undefined);
    const failure = { failures: 1, budgetStartedAt: 0, now: 0, random: 0 };
    expect(nextAttemptAt(policy, { retryable: false, retryAfterMs: 5 }, failure)).toBe(null);
    expect(nextAttemptAt(policy, { retryable: true, retryAfterMs: 9999 }, failure)).toBe(9999);
    expect(nextAttemptAt(policy, { retryable: true, retryAfterMs: 10_000 }, failure)).toBe(null);
  });

  test.each<[string, RetryOptions, string]>([
    ["limit: -1", { limit: -1 }, "invalid_step"],
    ["limit: 1.5", { limit: 1.5 }, "invalid_step"],
    ["limit: 10001", { limit: 10_001 }, "invalid_step"],
    ["jitter: 1.1", { jitter: 1.1 }, "invalid_step"],
    ["jitter: NaN", { jitter: Number.NaN }, "invalid_step"],
    ["delay: soon", { delay: "soon" as Duration }, "invalid_duration"],
    ["maxDelay: -1", { maxDelay: -1 }, "invalid_duration"],
    ["totalTimeout: 2y", { totalTimeout: "2y" as Duration }, "invalid_duration"],
  ])("with %s are refused", (_title, options, code) => {
    expect(() => retryPolicy(options, undefined)).toThrow(expect.objectContaining({ code }));
  });

  test("have every default filled in", () => {
    expect(retryPolicy(undefined, undefined)).toEqual({
      limit: 3,
      delayMs: 1000,
      backoff: "exponential",
      maxDelayMs: 300_000,
      jitter: 0.2,
      totalTimeoutMs: null,
      timeoutMs: 600_000,
    });
  });
});

test("an attempt ends by its own time-out or by what is left of the budget, whichever is first", () => {
  const policy = retryPolicy({ totalTimeout: "1m" }, "50s");
  expect(attemptDeadline(policy, 0, 0)).toBe(50_000);
  expect(attemptDeadline(policy, 0, 20_000)).toBe(60_000);
  expect(attemptDeadline({ ...policy, totalTimeoutMs: null }, 0, 20_000)).toBe(70_000);
  expect(attemptDeadline({ ...policy, timeoutMs: null }, 5, 20_000)).toBe(60_005);
  expect(attemptDeadline({ ...policy, timeoutMs: null, totalTimeoutMs: null }, 0, 0)).toBe(null);
});

describe("a duration", () => {
  test.each<[Duration, number]>([
    [0, 0],
    [1.2, 2],
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5h", 5_400_000],
    ["15m", 900_000],
    ["3d", 259_200_000],
    ["2w", 1_209_600_000],
    ["2 weeks", 1_209_600_000],
    ["1 minute", 60_000],
    ["366d", 31_622_400_000],
  ])("%s is %d ms", (duration, ms) => {
    expect(durationMs(duration)).toBe(ms);
  });

  test.each(["1 month", "1 year"] as Duration[])("%s can be read", (duration) => {
    expect(durationMs(duration)).toBeGreaterThan(27 * 86_400_000);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 31_622_400_001, "", "s", "5", "5x", "-5s", "1h30m", "1e3s", "367d", "30s ", "5 S", null, undefined])(
    "%s is refused",
    (duration) => {
      expect(() => durationMs(duration as Duration)).toThrow(expect.objectContaining({ code: "invalid_duration" }));
    },
  );
});

describe("a step's key", () => {
  test.each([
    ["a", 1, "a"],
    ["a", 2, "a#2"],
    ["a#2", 1, "a#2#1"],
    ["a#2", 2, "a#2#2"],
    ["a#", 1, "a#"],
    ["#1", 1, "#1#1"],
  ])("of %s, called the %d. time, is %s", (name, count, key) => {
    expect(stepKey(name, count)).toBe(key);
  });

  test("is never that of another step", () => {
    const name = fc.stringMatching(/^[a#12]{1,8}$/);
    const count = fc.integer({ min: 1, max: 30 });
    fc.assert(
      fc.property(name, count, name, count, (a, i, b, j) => void expect(stepKey(a, i) === stepKey(b, j)).toBe(a === b && i === j)),
      { numRuns: 20_000 },
    );
  });

  test.each(["", "a\nb", "\u0000", "x".repeat(257), 7, undefined])("is not made of the name %j", (name) => {
    expect(() => checkStepName(name as string)).toThrow(expect.objectContaining({ code: "invalid_step" }));
  });

  test("may hold any other text of up to 256 characters", () => {
    for (const name of ["Bestätigen", "発送", "😀", "a/b?c#d", "x".repeat(256)]) expect(() => checkStepName(name)).not.toThrow();
  });
});

describe("an idempotency key", () => {
  test("is ASCII, fits in a header and never changes, for every step that may be called", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 256 }), fc.stringMatching(/^[a-z0-9._-]{1,100}$/), (name, runId) => {
        try {
          checkStepName(name);
        } catch {
          return;
        }
        const key = idempotencyKey("default", runId, stepKey(name, 1));
        expect(key).toMatch(/^[\x21-\x7e]{1,200}$/);
        expect(idempotencyKey("default", runId, stepKey(name, 1))).toBe(key);
      }),
    );
  });

  test("of a step name with half a character can be made all the same, or the name is refused", () => {
    const use = () => {
      checkStepName("a\ud800");
      return idempotencyKey("n", "r", "a\ud800");
    };
    try {
      expect(use()).toMatch(/^[\x21-\x7e]+$/);
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid_step" });
    }
  });

  test("differs between runs, namespaces and steps, also where it must be cut", () => {
    const long = "x".repeat(250);
    const keys = [
      ["n", "r", "a"],
      ["n", "r", "b"],
      ["n", "r2", "a"],
      ["m", "r", "a"],
      ["n", "r", `${long}1`],
      ["n", "r", `${long}2`],
      ["n", "r", `${long}1#2`],
    ].map(([n, r, k]) => idempotencyKey(n ?? "", r ?? "", k ?? ""));
    expect(new Set(keys).size).toBe(keys.length);
    expect(Math.max(...keys.map((key) => key.length))).toBeLessThanOrEqual(200);
  });

  test("is what it was in the first release", () => {
    expect(idempotencyKey("default", "r1", "pay#2")).toBe("default/r1/pay%232");
  });
});

describe("attributes", () => {
  test("keep texts, numbers and booleans, turn dates into numbers, and leave undefined out", () => {
    expect(parseAttributes({ a: "x", b: 1.5, c: false, d: new Date(7), e: undefined, "a.b-c_d": "" })).toEqual({
      a: "x",
      b: 1.5,
      c: false,
      d: 7,
      "a.b-c_d": "",
    });
  });

  test.each<[string, Record<string, unknown>]>([
    ["a name with a space", { "a b": 1 }],
    ["a name that begins with a digit", { "1a": 1 }],
    ["a name of 65 characters", { ["a".repeat(65)]: 1 }],
    ["a text of 513 characters", { a: "x".repeat(513) }],
    ["NaN", { a: Number.NaN }],
    ["an endless number", { a: Number.POSITIVE_INFINITY }],
    ["an invalid date", { a: new Date(Number.NaN) }],
    ["null", { a: null }],
    ["an object", { a: {} }],
    ["more than 32", Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, i]))],
  ])("refuse %s", (_title, input) => {
    expect(() => parseAttributes(input as never)).toThrow(expect.objectContaining({ code: "invalid_attributes" }));
  });

  test("may be 32, of 512 characters each", () => {
    expect(Object.keys(parseAttributes(Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`a${i}`, "x".repeat(512)]))))).toHaveLength(32);
  });
});

test("a run id is letters, digits, dots, dashes and underscores, at most 200", () => {
  for (const id of ["a", "7", "order-7.x_Y", "a".repeat(200)]) expect(() => checkRunId(id)).not.toThrow();
  for (const id of ["", "-a", ".a", "a b", "a/b", "ü", "a\n", "a".repeat(201)])
    expect(() => checkRunId(id)).toThrow(expect.objectContaining({ code: "invalid_id" }));
});

test("four statuses are final", () => {
  expect(runStatuses.filter(isFinal)).toEqual(["completed", "failed", "cancelled", "terminated"]);
});
