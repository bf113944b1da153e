import { describe, expect, test } from "vitest";
import type { Step } from "#sdk/step.ts";
import { flow, replay, World } from "./world.ts";

/** Plain JavaScript that an author may write. Each is run undisturbed, once evicted after every turn, and once more from its finished journal. */
const programs: Record<string, { readonly run: (step: Step) => Promise<unknown>; readonly output: unknown }> = {
  "Promise.all gives results in the order of its calls": {
    run: async (step) => Promise.all([step.sleep("long", "2m").then(() => "long"), step.do("now", () => "now"), step.sleep("short", "1m").then(() => "short")]),
    output: ["long", "now", "short"],
  },
  "Promise.race is won by what ends first, and the loser changes nothing": {
    run: async (step) => {
      const slow = step.sleep("slow", "2m").then(() => "slow");
      const won = await Promise.race([slow, step.sleep("quick", "1m").then(() => "quick")]);
      await step.do(`after ${won}`, () => null);
      return [won, await slow];
    },
    output: ["quick", "slow"],
  },
  "Promise.any passes over failures": {
    run: (step) =>
      Promise.any([step.do("broken", { retries: { limit: 0 } }, () => Promise.reject(new Error("no"))), step.sleep("nap", "1m").then(() => "nap")]),
    output: "nap",
  },
  "Promise.any that nobody wins rejects with every error": {
    run: (step) =>
      Promise.any(["x", "y"].map((name) => step.do(name, { retries: { limit: 0 } }, () => Promise.reject(new Error(name))))).catch((error: AggregateError) => [
        error.constructor.name,
        error.errors.map((it: Error) => it.message),
      ]),
    output: ["AggregateError", ["x", "y"]],
  },
  "Promise.allSettled tells success from failure": {
    run: async (step) => {
      const results = await Promise.allSettled([
        step.do("good", () => 1),
        step.do("bad", { retries: { limit: 0 } }, () => Promise.reject(new TypeError("no"))),
      ]);
      return results.map((it) => (it.status === "fulfilled" ? it.value : it.reason.name));
    },
    output: [1, "TypeError"],
  },
  "a loop may use one name again and again": {
    run: async (step) => {
      const seen: number[] = [];
      for (let i = 0; i < 5; i++) {
        seen.push(await step.do("tick", () => i * i));
        await step.sleep("pause", "1m");
      }
      return seen;
    },
    output: [0, 1, 4, 9, 16],
  },
  "branches that race for one name keep each its own result": {
    run: async (step) => {
      const branch = async (id: string, minutes: number) => {
        await step.sleep(`wait ${id}`, minutes * 60_000);
        return step.do("same", () => id);
      };
      return Promise.all([branch("x", 3), branch("y", 1), branch("z", 2)]);
    },
    output: ["x", "y", "z"],
  },
  "catch sees the step's error, and finally runs once, after it": {
    run: async (step) => {
      const order: string[] = [];
      try {
        await step.sleep("nap", "1m");
        await step.do("broken", { retries: { limit: 0 } }, () => Promise.reject(new RangeError("far")));
      } catch (error) {
        order.push(String(error));
        order.push(await step.do("repair", () => "repaired"));
      } finally {
        order.push(await step.do("clean", () => "cleaned"));
      }
      return order;
    },
    output: ["RangeError: far", "repaired", "cleaned"],
  },
  "a step that nobody awaits is done all the same, and its failure harms nobody": {
    run: async (step) => {
      void step.do("background", { retries: { limit: 0 } }, () => Promise.reject(new Error("unseen")));
      await step.sleep("nap", "1m");
      return "fine";
    },
    output: "fine",
  },
  "helpers may be async, nested, and call steps in turn": {
    run: async (step) => {
      const leaf = async (n: number): Promise<number> => (await step.do(`leaf ${n}`, () => n)) + 1;
      const tree = async (depth: number, n: number): Promise<number> => {
        if (depth === 0) return leaf(n);
        const [left, right] = await Promise.all([tree(depth - 1, 2 * n), tree(depth - 1, 2 * n + 1)]);
        return left + right;
      };
      return tree(3, 1);
    },
    output: 100,
  },
  "a promise made early may be awaited late": {
    run: async (step) => {
      const early = step.do("early", () => "early");
      await step.sleep("nap", "1h");
      return [await early, await step.do("late", () => "late")];
    },
    output: ["early", "late"],
  },
  "a value that a branch waits for may come from another branch": {
    run: async (step) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const giver = step
        .sleep("nap", "1m")
        .then(() => step.do("give", () => "given"))
        .then(resolve);
      return (await Promise.all([promise.then((it) => step.do("take", () => `${it}, taken`)), giver]))[0];
    },
    output: "given, taken",
  },
};

describe.each(Object.entries(programs))("%s", (_title, { run, output }) => {
  const definition = flow(({ step }) => run(step));

  test("in a life without events", async () => {
    const world = World.begin(definition);
    await world.finish();
    expect([world.status, world.output]).toEqual(["completed", output]);
  });

  test("evicted after every turn", async () => {
    const world = World.begin(definition);
    await world.finish({ onTurn: () => void (world.run.engine.busy || world.evict()) });
    expect([world.status, world.output]).toEqual(["completed", output]);
  });

  test("replayed from its finished journal, which gains no step", async () => {
    const world = World.begin(definition);
    await world.finish();
    const again = await replay(world, { workflows: [definition] });
    expect([again.status, again.output]).toEqual(["completed", output]);
    expect(again.kinds.filter((kind) => kind === "step.completed")).toEqual(world.kinds.filter((kind) => kind === "step.completed"));
  });
});

test("a parked run does not run its finally blocks", async () => {
  const seen: string[] = [];
  const world = World.begin(
    flow(async ({ step }) => {
      try {
        await step.sleep("nap", "1h");
      } catch {
        seen.push("catch");
      } finally {
        seen.push("finally");
      }
    }),
  );
  await world.rest();
  world.evict();
  await world.pass(60_000);
  world.evict();
  await world.rest();
  expect(seen).toEqual([]);
  await world.finish();
  expect(seen).toEqual(["finally"]);
});

// A replay delivers the next result after a fixed number of microtasks; how long a chain of promises may be is therefore a promise to keep.
test.each([1, 10, 20, 30])("a race is won by the same branch on replay though its result comes through %i nested async functions", async (depth) => {
  const definition = flow(async ({ step }) => {
    const deep = async (levels: number): Promise<string> => (levels === 0 ? step.do("deep", () => "deep") : deep(levels - 1));
    const nap = step.sleep("nap", "1m").then(() => "nap");
    const won = await Promise.race([deep(depth), nap]);
    await nap;
    await step.sleep("more", "1h");
    return won;
  });
  const world = World.begin(definition);
  await world.pass(120_000);
  world.evict();
  await world.finish();
  expect(world.output).toBe("deep");
});

test("a hundred branches of three steps each come out right, evicted in the middle", async () => {
  const world = World.begin(
    flow(async ({ step }) => {
      const branch = async (id: number) => {
        const first = await step.do("first", () => id);
        await step.sleep("nap", 1000 * (1 + (id % 7)));
        return (await step.do("second", () => first)) === id;
      };
      return (await Promise.all(Array.from({ length: 100 }, (_, id) => branch(id)))).every(Boolean);
    }),
  );
  await world.finish({ onTurn: () => void (world.run.engine.busy || world.evict()) });
  expect(world.output).toBe(true);
});

test("steps still open when the function returns are closed with the run", async () => {
  const world = World.begin(flow(async ({ step }) => Promise.race([step.sleep("long", "9d"), step.do("quick", () => "quick")])));
  await world.finish();
  expect(world.run.engine.state.steps.get("long")?.status).toBe("cancelled");
  expect(world.run.engine.state.open.size).toBe(0);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8, 10, 15])(
  "a result that is there at once meets other branches where it met them at the first execution, %i microtasks from their next call",
  async (count) => {
    const seen: string[][] = [];
    const definition = flow(async ({ step }) => {
      const order: string[] = [];
      seen.push(order);
      const quick = async (): Promise<unknown> => {
        order.push(await step.do("quick", () => "quick"));
        return step.do("same name", () => "after quick");
      };
      const slow = async (): Promise<unknown> => {
        for (let hops = 0; hops < count; hops++) await null;
        order.push("slow");
        return step.do("same name", () => "after slow");
      };
      const results = await Promise.all([quick(), slow()]);
      await step.sleep("nap", "1h");
      return results;
    });
    const world = World.begin(definition);
    await world.rest();
    world.evict();
    await world.finish();
    expect(seen).toHaveLength(2);
    expect(seen[1]).toEqual(seen[0]);
    expect(world.output).toEqual(["after quick", "after slow"]);
  },
);
