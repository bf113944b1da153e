import { expect, test } from "vitest";
import { z } from "zod";
import { limits } from "#core/limits.ts";
import { encode } from "#core/value.ts";
import { runStep, runSteps } from "#engine/run-history.ts";
import { automation } from "#sdk/automation.ts";
import { NonRetryableError } from "#sdk/errors.ts";
import type { Step } from "#sdk/step.ts";
import { broken } from "./steps.ts";
import { flow, World } from "./world.ts";

const once = { retries: { limit: 0 } };

test("what a step returns comes back as it was: Date, Map, Set, BigInt, bytes, undefined", async () => {
  const given = () => ({
    date: new Date(7),
    map: new Map([["a", new Set([1n])]]),
    bytes: new Uint8Array([1, 2]),
    nothing: undefined,
    nan: Number.NaN,
    zero: -0,
  });
  const seen: unknown[] = [];
  const world = World.begin(
    flow(async ({ step }) => {
      seen.push(await step.do("give", given));
      await step.sleep("nap", "1h");
      return given();
    }),
  );
  await world.rest();
  world.evict();
  await world.finish();
  expect(seen).toEqual([given(), given()]);
  expect(world.output).toEqual(given());
});

test("the caller gets a copy: what the step's function keeps and changes later is not seen", async () => {
  const kept: string[] = ["first"];
  const world = World.begin(
    flow(async ({ step }) => {
      const got = await step.do("give", () => kept);
      kept.push("later");
      return got;
    }),
  );
  await world.finish();
  expect(world.output).toEqual(["first"]);
});

test("a retry gets the input as it was recorded, whatever the attempt before made of it", async () => {
  const seen: unknown[] = [];
  const world = World.begin(
    flow(({ step }) =>
      step.do("use", { input: { list: [1] } }, ({ input, attempt }) => {
        seen.push(structuredClone(input));
        input.list.push(2);
        if (attempt < 3) throw new Error("again");
        return input.list;
      }),
    ),
  );
  await world.finish();
  expect(seen).toEqual([{ list: [1] }, { list: [1] }, { list: [1] }]);
  expect(world.output).toEqual([1, 2]);
});

class PaymentError extends Error {
  readonly status = 402;
  readonly code = "card_declined";
  constructor(message: string) {
    super(message, { cause: new TypeError("inner") });
    this.name = "PaymentError";
  }
}

test.each([
  ["a built-in class", () => new RangeError("far"), { class: "RangeError", name: "RangeError", message: "far" }],
  [
    "an own class",
    () => new PaymentError("no money"),
    { class: "Error", name: "PaymentError", message: "no money", code: "card_declined", status: 402, cause: "TypeError: inner" },
  ],
  [
    "an aggregate",
    () => new AggregateError([new URIError("u")], "all"),
    { class: "AggregateError", name: "AggregateError", message: "all", errors: ["URIError: u"] },
  ],
  ["a thrown text", () => "just text", { class: "Error", name: "Error", message: "just text" }],
  ["a thrown object", () => ({ reason: 7 }), { class: "Error", name: "Error", message: 'Thrown: {"reason":7}' }],
  [
    "an error with a property that can't be recorded",
    () => Object.assign(new TypeError("t"), { code: "E1", socket: () => 1 }),
    { class: "TypeError", name: "TypeError", message: "t", code: "E1" },
  ],
])("%s thrown by a step is caught alike, live and after replay", async (_title, make, expected) => {
  const seen: unknown[] = [];
  const world = World.begin(
    flow(async ({ step }) => {
      await step
        .do("broken", once, () => {
          throw make();
        })
        .catch((error) => seen.push(describeError(error)));
      await step.sleep("nap", "1h");
    }),
  );
  await world.rest();
  world.evict();
  await world.finish();
  expect(seen).toEqual([expected, expected]);
});

function describeError(error: Error & { code?: unknown; status?: unknown; errors?: unknown[] }) {
  const { name, message, code, status, cause, errors } = error;
  const fields = { class: error.constructor.name, name, message, code, status, cause: cause && String(cause), errors: errors?.map(String) };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

test("an error that refers to itself, as those of HTTP clients do, is caught with its own message", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      const error = Object.assign(new Error("502 from the service"), { code: "ERR_BAD_RESPONSE", response: { status: 502, error: null as unknown } });
      error.response.error = error;
      return step.do("call", once, () => Promise.reject(error)).catch((caught: Error & { code?: string }) => [caught.message, caught.code]);
    }),
  );
  await world.finish();
  expect(world.output).toEqual(["502 from the service", "ERR_BAD_RESPONSE"]);
});

test("a run that fails with an error that refers to itself ends, and says so", async () => {
  const error = new Error("circular");
  error.cause = error;
  const world = World.begin(flow(() => Promise.reject(error)));
  await world.finish();
  expect(world.run.engine.summary).toMatchObject({ status: "failed", error: { message: "circular" } });
});

test("the error of a failed run is in its summary, before and after an eviction, however long its text", async () => {
  const world = World.begin(flow(() => Promise.reject(new TypeError("x".repeat(6000)))));
  await world.finish();
  const { error } = world.run.engine.summary;
  expect(error).toMatchObject({ name: "TypeError", message: "x".repeat(6000) });
  world.evict();
  expect(world.run.engine.summary.error).toEqual(error);
});

test("a result that can't be recorded fails the step at once and names the path", async () => {
  const attempts: number[] = [];
  const world = World.begin(flow(({ step }) => step.do("give", ({ attempt }) => (attempts.push(attempt), { client: { send: () => 1 } }))));
  await world.finish();
  expect(world.status).toBe("failed");
  expect(world.error).toMatchObject({ code: "unrecordable_value", message: expect.stringContaining(".client.send") });
  expect(attempts).toEqual([1]);
});

test("an output that can't be recorded fails the run and names the path", async () => {
  const world = World.begin(flow(async () => ({ a: [Symbol("s")] })));
  await world.finish();
  expect(world.status).toBe("failed");
  expect(world.error).toMatchObject({ code: "unrecordable_value", message: expect.stringContaining(".a[0]") });
});

test("an input that can't be recorded, or does not fit, fails the step before its function is called", async () => {
  let called = false;
  const strict = automation({ name: "strict", input: z.object({ id: z.string() }), run: () => (called = true) });
  const world = World.begin(
    flow(async ({ step }) => [
      await step.do("f", { input: () => 1 }, () => (called = true)).catch((error) => error.code),
      await step.run(strict, { id: 7 } as never).catch((error) => error.code),
      await step.do("bad name\n", () => (called = true)).catch((error) => error.code),
      await step.do("no function", {} as never).catch((error) => error.code),
      await step.do("bad policy", { retries: { limit: -1 } }, () => (called = true)).catch((error) => error.code),
      await step.sleep("bad duration", "5 parsecs" as never).catch((error) => error.code),
    ]),
  );
  await world.finish();
  expect(world.output).toEqual(["unrecordable_value", "invalid_input", "invalid_step", "invalid_step", "invalid_step", "invalid_duration"]);
  expect(called).toBe(false);
});

test("an uncaught error fails the run; its code is the reason", async () => {
  const world = World.begin(flow(({ step }) => step.do("broken", () => Promise.reject(new NonRetryableError("closed")))));
  await world.finish();
  expect(world.run.engine.summary).toMatchObject({
    status: "failed",
    reason: { code: "non_retryable", step: "broken" },
    step: "broken",
    error: { name: "NonRetryableError", message: "closed", code: "non_retryable" },
  });
});

test("an attempt gets an idempotency key that is the same for all its attempts, over crashes and loops' own", async () => {
  const keys: Record<string, Set<string>> = {};
  let world: World;
  const definition = flow(async ({ step }) => {
    for (let i = 0; i < 2; i++) {
      await step.do("pay", { retries: { jitter: 0 } }, ({ idempotencyKey, attempt }) =>
        world.effect("pay", idempotencyKey, () => {
          keys[`pay ${i}`] = (keys[`pay ${i}`] ?? new Set()).add(idempotencyKey);
          if (attempt < 3) throw new Error("again");
        }),
      );
    }
  });
  world = new World({ workflows: [definition] });
  world.start("p");
  await world.finish({ onTurn: () => void (world.turns % 3 === 0 && world.evict()) });
  expect(world.status).toBe("completed");
  expect(Object.values(keys).map((it) => [...it])).toEqual([["default/r1/pay"], ["default/r1/pay%232"]]);
});

test("values of time, chance and identity stay what they were", async () => {
  const seen: unknown[] = [];
  const world = World.begin(
    flow(async ({ step }) => {
      seen.push([await step.now(), await step.random(), await step.uuid(), await step.now()]);
      await step.sleep("nap", "1h");
    }),
  );
  const began = world.clock.now();
  await world.rest();
  world.evict();
  await world.finish();
  expect(seen).toHaveLength(2);
  expect(seen[1]).toEqual(seen[0]);
  expect(seen[0]).toEqual([new Date(began), expect.any(Number), expect.stringMatching(/^[0-9a-f]{8}-/), new Date(began)]);
  expect(world.kinds.slice(1, 5)).toEqual(["step.completed", "step.completed", "step.completed", "step.completed"]);
});

test("a corrected input of which the schema makes what can't be recorded is refused, and the step stays parked", async () => {
  const wild = z.unknown().transform((input) => (input === "fit" ? input : () => 1));
  const picky = automation<unknown, unknown>({ name: "picky", input: wild, retries: { limit: 0 }, onFailure: "pause", run: () => broken() });
  const world = World.begin(
    flow(({ step }) => step.run(picky, "fit")),
    { automations: [picky] },
  );
  await world.rest();
  expect(world.status).toBe("paused");
  const entries = world.entries.length;

  const retry = () => world.operate({ action: "retry", key: "picky", value: encode("wild") });

  expect(retry).toThrow(expect.objectContaining({ code: "invalid_input" }));
  expect(world.entries.length).toBe(entries);
});

test("a step that was tried for weeks is shown with its newest attempts, and a page of such steps stays within one message", async () => {
  const long = "x".repeat(8000);
  const retries = { limit: 400, delay: 1, backoff: "constant", jitter: 0 } as const;
  const stubborn =
    (name: string) =>
    ({ step }: { step: Step }) =>
      step.do(name, { retries, onFailure: "continue" }, () => broken(long));
  const world = World.begin(flow(async (context) => [await stubborn("a")(context), await stubborn("b")(context), await stubborn("c")(context)]));
  await world.finish();

  const { attempts } = runStep(world.historySource, "a");
  const page = runSteps(world.historySource, 0, 200);

  expect(attempts.length).toBe(limits.shownAttempts);
  expect([attempts[0]?.attempt, attempts.at(-1)?.attempt]).toEqual([402 - limits.shownAttempts, 401]);
  expect(JSON.stringify(page.items).length).toBeLessThan(limits.pageLength + 5 * 1024 * 1024);
  const rest = runSteps(world.historySource, page.next ?? 0, 200);
  expect([...page.items, ...rest.items].map((step) => step.key)).toEqual(["a", "b", "c"]);
});
