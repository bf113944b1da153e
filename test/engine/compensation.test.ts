import { describe, expect, test } from "vitest";
import { automation } from "#sdk/automation.ts";
import type { CompensationContext } from "#sdk/compensation.ts";
import { begin, broken, plain, reversible, settle, worldFor } from "./steps.ts";
import { flow, World } from "./world.ts";

const hour = 3_600_000;

/** account → (tenant ∥ domain), and then whatever `last` does. */
const three = (last: (...args: Parameters<Parameters<typeof begin>[0]>) => ReturnType<Parameters<typeof begin>[0]>, options = {}): World =>
  begin(
    (at) => async (context) => {
      const { step } = context;
      await reversible(at, step, "account");
      await Promise.all([reversible(at, step, "tenant"), reversible(at, step, "domain")]);
      return last(at)(context);
    },
    options,
  );

const undone = (world: World) => world.effectKeys.filter((key) => key.startsWith("undo"));
const all = ["undo domain domain-id", "undo tenant tenant-id", "undo account account-id"];

describe("what a run did is undone, last things first,", () => {
  test("when its code throws", async () => {
    const world = three(() => () => Promise.reject(new TypeError("own error")));
    await world.finish();
    expect(undone(world)).toEqual(all);
    expect(world.run.engine.summary).toMatchObject({ status: "failed", error: { name: "TypeError", message: "own error" } });
    expect(world.error).toBeInstanceOf(TypeError);
  });

  test("when a step fails for good, that one too", async () => {
    const world = three(
      (at) =>
        ({ step }) =>
          reversible(at, step, "bill", { answer: () => broken(), retries: 2 }),
    );
    await world.finish();
    expect(undone(world)).toEqual(["undo bill in doubt", ...all]);
  });

  test("at once, when a step asks for that, even though the code would catch its error", async () => {
    const world = three(
      (at) =>
        ({ step }) =>
          reversible(at, step, "bill", { answer: () => broken(), onFailure: "compensate" }).catch(() => plain(at, step, "never")),
    );
    await world.finish();
    expect(undone(world)).toEqual(["undo bill in doubt", ...all]);
    expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "compensated" } });
    expect(world.effectKeys).not.toContain("never");
  });

  test("when it is cancelled and that is asked for, after its own clean-up; not when it is not asked for", async () => {
    for (const compensate of [true, false]) {
      const world = three((at) => async ({ step }) => {
        try {
          await step.sleep("nap", "9h");
        } finally {
          await plain(at, step, "clean up");
        }
      });
      await world.rest();
      world.operate({ action: "cancel", compensate });
      await world.finish();
      expect(world.effectKeys.slice(3)).toEqual(["clean up", ...(compensate ? all : [])]);
      expect(world.run.engine.summary).toMatchObject({ status: "cancelled", reason: { code: "operator" } });
    }
  });

  test("when it is cancelled while a step waits for its retry: that step is in doubt, and is not tried again", async () => {
    const world = three(
      (at) =>
        ({ step }) =>
          step.do(
            "bill",
            {
              retries: { delay: "1h", maxDelay: "1h" },
              compensate: ({ inDoubt, idempotencyKey }) => at().effect(`undo bill ${inDoubt}`, idempotencyKey, () => {}),
            },
            () => broken(),
          ),
    );
    await world.rest();
    expect(world.statusOf("bill")).toBe("retrying");
    world.operate({ action: "cancel", compensate: true });
    await world.finish();
    expect(undone(world)).toEqual(["undo bill true", ...all]);
    expect(world.run.engine.state.steps.get("bill")?.attempt).toBe(1);
  });

  test("when it takes too long, without its clean-up", async () => {
    const world = three(
      (at) =>
        ({ step }) =>
          step.waitForEvent("never").finally(() => plain(at, step, "clean up")),
      { timeout: "1h" },
    );
    await world.finish();
    expect(world.effectKeys.slice(3)).toEqual(all);
    expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "run_timeout" }, error: { code: "timeout" } });
  });

  test("when an operator rolls it back, from a step on if so asked", async () => {
    for (const [from, expected] of [
      [null, all],
      ["tenant", all.slice(0, 2)],
      ["domain", all.slice(0, 1)],
    ] as const) {
      const world = three(
        () =>
          ({ step }) =>
            step.waitForEvent("never"),
      );
      await world.rest();
      world.evict();
      world.operate({ action: "rollback", from });
      await world.finish();
      expect(undone(world)).toEqual(expected);
      expect(world.run.engine.summary).toMatchObject({ status: "cancelled", reason: { code: "rolled_back" } });
    }
  });

  test("when an operator rolls back a run whose step is parked", async () => {
    const world = three(
      (at) =>
        ({ step }) =>
          reversible(at, step, "bill", { answer: () => broken(), onFailure: "pause" }),
    );
    await settle(world);
    expect(world.status).toBe("paused");
    world.operate({ action: "rollback", from: "bill" });
    await world.finish();
    expect(undone(world)).toEqual(["undo bill in doubt"]);
  });
});

test("a run that completes undoes nothing, nor does one whose code caught the failure", async () => {
  const world = three(
    (at) =>
      ({ step }) =>
        reversible(at, step, "bill", { answer: () => broken() }).catch(() => "caught"),
  );
  await world.finish();
  expect([world.output, undone(world)]).toEqual(["caught", []]);
});

test("a failure that goes on with its fallback undoes nothing", async () => {
  const world = begin(() => async ({ step }) => [
    await step.do("none", { onFailure: "continue", retries: { limit: 0 } }, () => broken()),
    await step.do("some", { onFailure: "continue", fallback: new Map([["a", 1]]), retries: { limit: 0 } }, (): Map<string, number> => broken()),
  ]);
  await world.finish();
  expect(world.output).toEqual([undefined, new Map([["a", 1]])]);
});

describe("what undoes a step", () => {
  /** Runs until it is undone, and tells with what. */
  async function contextOf(answer: () => unknown, timeout?: "5s"): Promise<Partial<CompensationContext<unknown, unknown>>> {
    let seen: Partial<CompensationContext<unknown, unknown>> = {};
    const world = begin(() => async ({ step }) => {
      await step.do(
        "s",
        {
          input: { n: 1 },
          retries: { limit: 0 },
          ...(timeout && { timeout }),
          compensate: (context) => {
            seen = { ...context, idempotencyKey: context.idempotencyKey };
          },
        },
        answer,
      );
      throw new Error("over");
    });
    await world.finish();
    expect(world.status).toBe("failed");
    return seen;
  }

  test("gets the step's input and output, and both idempotency keys", async () => {
    expect(await contextOf(() => ({ id: 7 }))).toMatchObject({
      input: { n: 1 },
      output: { id: 7 },
      inDoubt: false,
      attempt: 1,
      idempotencyKey: "default/r1/~s",
      stepIdempotencyKey: "default/r1/s",
    });
  });

  test("is told when the step is in doubt, and gets no output then: it failed, or timed out", async () => {
    expect(await contextOf(() => broken())).toMatchObject({ input: { n: 1 }, output: undefined, inDoubt: true });
    expect(await contextOf(() => new Promise(() => {}), "5s")).toMatchObject({ input: { n: 1 }, output: undefined, inDoubt: true });
  });

  test("is the automation's own, with the input that its schema gave, wherever it ran", async () => {
    for (const dispatch of ["inline", "queue"] as const) {
      const seen: unknown[] = [];
      const create = automation<{ name: string }, string>({
        name: "create",
        dispatch,
        compensate: ({ input, output, inDoubt }) => void seen.push([input, output, inDoubt]),
        run: ({ input }) => `${input.name}-id`,
      });
      const world = World.begin(
        flow(async ({ step }) => {
          await step.run(create, { name: "x" });
          throw new Error("over");
        }),
        { automations: [create] },
      );
      await world.finish();
      expect(seen, dispatch).toEqual([[{ name: "x" }, "x-id", false]]);
    }
  });

  test("is in doubt for an automation on the queue that a cancel cut off", async () => {
    const seen: unknown[] = [];
    const create = automation({ name: "create", dispatch: "queue", compensate: ({ inDoubt, output }) => void seen.push([inDoubt, output]), run: () => 1 });
    const world = World.begin(
      flow(({ step }) => step.run(create, undefined)),
      { automations: [create] },
    );
    world.consumes = false;
    await world.rest();
    world.operate({ action: "cancel", compensate: true });
    await world.finish();
    expect(seen).toEqual([[true, undefined]]);
  });
});

describe("an undo that fails", () => {
  const stubborn = (fails: () => boolean) =>
    three((at) => async ({ step }) => {
      await reversible(at, step, "bill", { undo: () => fails() && broken("still there") });
      throw new Error("over");
    });

  test("is tried again by its own policy before anybody is asked", async () => {
    let failures = 1;
    const world = stubborn(() => failures-- > 0);
    await world.finish();
    expect(undone(world)).toEqual(["undo bill bill-id", "undo bill bill-id", ...all]);
  });

  test("can be tried again, completed by hand or skipped by a person, and the rest is undone; evicted or not", async () => {
    for (const action of ["retry", "complete", "skip", "resume"] as const) {
      for (const evicted of [false, true]) {
        let isBroken = true;
        const world = stubborn(() => isBroken);
        await settle(world);
        expect(world.run.engine.summary).toMatchObject({ status: "paused", step: "~bill", reason: { code: "compensation_failed" } });
        expect(undone(world)).toHaveLength(2);
        if (evicted) world.evict();
        isBroken = false;
        world.operate(action === "resume" ? { action } : { action, key: "~bill", value: null });
        await world.finish();
        expect([world.status, undone(world).slice(2)], `${action} ${evicted}`).toEqual([
          "failed",
          [...(action === "retry" || action === "resume" ? ["undo bill bill-id"] : []), ...all],
        ]);
        expect(world.run.engine.summary.error?.message).toBe("over");
      }
    }
  });

  test("and is retried after an eviction acts once an attempt: nothing is cut off to be made again", async () => {
    let failures = 1;
    const world = begin((at) => async ({ step }) => {
      await step.do(
        "bill",
        {
          compensate: {
            retries: { limit: 3, delay: "1h", maxDelay: "1h" },
            run: ({ attempt, idempotencyKey }) => at().effect(`undo ${attempt}`, idempotencyKey, () => failures-- > 0 && broken()),
          },
        },
        () => 1,
      );
      throw new Error("over");
    });
    await world.rest();
    expect(world.statusOf("~bill")).toBe("retrying");
    world.evict();
    await world.finish();
    expect(world.effectKeys).toEqual(["undo 1", "undo 2"]);
    expect(world.entries.filter((entry) => entry.kind === "attempt.failed" && entry.lost)).toEqual([]);
  });
});

test("an undo that a person has tried again acts once, whenever in the replay the alarm comes", async () => {
  for (let hops = 0; hops < 200; hops += 3) {
    let isBroken = true;
    const world = begin(
      (at) =>
        ({ step }) =>
          reversible(at, step, "a", { answer: () => broken(), undo: () => isBroken && broken() }),
    );
    await settle(world);
    isBroken = false;
    world.evict();
    world.operate({ action: "retry", key: "~a", value: null });
    for (let hop = 0; hop < hops; hop++) await null;
    world.run.engine.wake();
    await world.finish();
    expect(undone(world), `alarm after ${hops} microtasks`).toHaveLength(3);
    expect(
      world.entries.some((entry) => entry.kind === "attempt.failed" && entry.lost),
      `alarm after ${hops} microtasks`,
    ).toBe(false);
  }
});

test.each(["", "parked", "held"])("a rollback comes to the same end whichever turn the process dies after, or in (%s)", async (interrupted) => {
  const play = async (dies: (world: World) => void) => {
    let isBroken = interrupted === "parked";
    const world = worldFor((at) => ({
      workflows: [
        flow(async ({ step }) => {
          await reversible(at, step, "a");
          await reversible(at, step, "b", { undo: () => isBroken && broken() });
          await reversible(at, step, "c", { answer: () => broken() });
        }),
      ],
    }));
    world.start("p");
    world.run.endTurn();
    let isHeld = false;
    const onTurn = () => {
      if (interrupted === "held" && !isHeld && world.run.engine.state.rollback) {
        isHeld = true;
        world.operate({ action: "pause" });
        world.run.endTurn();
      }
      dies(world);
    };
    for (let acts = 0; acts < 4 && !world.run.engine.state.ended; acts++) {
      await world.finish({ onTurn }).catch((error: Error) => {
        if (!error.message.includes("nothing will ever wake it")) throw error;
      });
      if (world.status !== "paused") continue;
      isBroken = false;
      world.operate({ action: "resume" });
      world.run.endTurn();
    }
    return world;
  };
  const calm = await play(() => {});
  const expected = ["undo c in doubt", "undo b b-id", "undo a a-id"];
  expect([...new Set(undone(calm))]).toEqual(expected);
  for (let turn = 0; turn <= calm.turns; turn++) {
    for (const durable of [true, false]) {
      const world = await play((it) => {
        if (it.turns !== turn) return;
        if (durable) it.evict();
        else it.diesInTurn = true;
      });
      const title = `${durable ? "after" : "in"} turn ${turn}`;
      expect([world.status, [...new Set(undone(world))]], title).toEqual(["failed", expected]);
      // A crash costs one more attempt at most: the one that it cut off.
      expect(undone(world).length, title).toBeLessThanOrEqual(undone(calm).length + 1);
    }
  }
});

test("terminating a run stops its rollback at once; nothing more is undone", async () => {
  const world = three(() => () => Promise.reject(new Error("over")));
  while (undone(world).length === 0) await world.turn();
  world.operate({ action: "terminate" });
  await world.pass(hour);
  expect([world.status, undone(world)]).toEqual(["terminated", all.slice(0, 1)]);
});

test("while it is undone a run takes no cancel and no second rollback, and no event does anything to it", async () => {
  const world = three(() => () => Promise.reject(new Error("over")));
  while (undone(world).length === 0) await world.turn();
  for (const operation of [
    { action: "cancel", compensate: true },
    { action: "cancel", compensate: false },
    { action: "rollback", from: null },
  ] as const) {
    expect(() => world.operate(operation)).toThrow(expect.objectContaining({ code: "rollback_under_way" }));
  }
  await world.sendEvent("x");
  await world.finish();
  expect(undone(world)).toEqual(all);
});

test("a run that was cancelled without undoing stays so, whatever its clean-up does", async () => {
  const world = three((at) => async ({ step }) => {
    try {
      await step.sleep("nap", "9h");
    } finally {
      await reversible(at, step, "clean up", { answer: () => broken(), onFailure: "compensate" });
    }
  });
  await world.rest();
  world.operate({ action: "cancel", compensate: false });
  await world.finish();
  expect([world.status, undone(world)]).toEqual(["cancelled", []]);
});

test("a run that asked for clean-up and then takes too long does not undo what its operator left alone", async () => {
  const world = three(
    (at) =>
      ({ step }) =>
        step.sleep("nap", "9h").finally(() => plain(at, step, "clean up").then(() => step.waitForEvent("never"))),
    { timeout: "1h" },
  );
  await world.rest();
  world.operate({ action: "cancel", compensate: false });
  await world.finish();
  expect(undone(world)).toEqual([]);
});
