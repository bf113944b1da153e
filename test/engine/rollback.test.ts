import { describe, expect, test } from "vitest";
import { encode } from "#core/value.ts";
import { NonRetryableError } from "#sdk/errors.ts";
import type { Step } from "#sdk/step.ts";
import { type AnyWorkflow, workflow } from "#sdk/workflow.ts";
import { World } from "./world.ts";

/** A step with its undo, both of which are effects on the outside. */
function reversible(world: () => World, step: Step, name: string, behaviour: { readonly fails?: boolean; readonly undo?: (attempt: number) => void } = {}) {
  return step.do(
    name,
    {
      retries: { limit: 1, jitter: 0 },
      compensate: {
        retries: { limit: 1, jitter: 0 },
        run: ({ output, inDoubt, idempotencyKey, attempt }) =>
          world().effect(`undo ${name} ${inDoubt ? "in doubt" : output}`, idempotencyKey, () => behaviour.undo?.(attempt)),
      },
    },
    ({ idempotencyKey }) =>
      world().effect(name, idempotencyKey, () => {
        if (behaviour.fails) throw new NonRetryableError(`${name} is broken`);
        return `${name}-id`;
      }),
  );
}

function worldOf(define: (world: () => World) => AnyWorkflow): World {
  let world: World;
  world = new World({ workflows: [define(() => world)] });
  return world;
}

const saga = (world: () => World) =>
  workflow({
    name: "p",
    run: async ({ step }) => {
      await reversible(world, step, "account");
      await Promise.all([reversible(world, step, "tenant"), reversible(world, step, "domain")]);
      await reversible(world, step, "billing", { fails: true });
      await reversible(world, step, "email");
    },
  });

const operator = { actor: "ann", reason: null, expectedSeq: null };

describe("when a run fails", () => {
  test("its steps are undone in reverse order of start, the failed one too, and none that never began", async () => {
    const world = worldOf(saga);
    world.start("p");
    await world.finish();
    expect(world.status).toBe("failed");
    expect(world.effects.map((effect) => effect.key)).toEqual([
      "account",
      "tenant",
      "domain",
      "billing",
      "undo billing in doubt",
      "undo domain domain-id",
      "undo tenant tenant-id",
      "undo account account-id",
    ]);
    expect(world.run.engine.summary.error?.message).toBe("billing is broken");
  });

  test("it is undone just the same whichever turn the process dies after, and nothing is undone twice once that is recorded", async () => {
    const calm = worldOf(saga);
    calm.start("p");
    await calm.finish();
    for (let turn = 0; turn <= calm.turns; turn++) {
      const world = worldOf(saga);
      world.start("p");
      world.run.endTurn();
      await world.finish({
        onTurn: () => {
          if (world.turns === turn) world.run.crash();
        },
      });
      expect(world.status, `crash after turn ${turn}`).toBe("failed");
      const undone = [...new Set(world.effects.map((effect) => effect.key).filter((key) => key.startsWith("undo")))];
      expect(
        undone.map((key) => key.split(" ")[1]),
        `crash after turn ${turn}`,
      ).toEqual(["billing", "domain", "tenant", "account"]);
      const ends = world.run.journal
        .page(0, 1000)
        .filter((entry) => entry.kind === "step.completed")
        .map((entry) => ("key" in entry ? entry.key : ""));
      expect(new Set(ends).size).toBe(ends.length);
    }
  });
});

test("an undo that keeps failing parks the run, and goes on from that very undo when it is tried again", async () => {
  let broken = true;
  const world = worldOf((it) =>
    workflow({
      name: "p",
      run: async ({ step }) => {
        await reversible(it, step, "a");
        await reversible(it, step, "b", {
          undo: () => {
            if (broken) throw new Error("still there");
          },
        });
        throw new Error("over");
      },
    }),
  );
  world.start("p");
  await world.finish().catch(() => {});
  expect(world.run.engine.summary).toMatchObject({ status: "paused", reason: { code: "compensation_failed", step: "~b" } });
  broken = false;
  world.run.engine.operate({ ...operator, action: "retry", key: "~b", value: null });
  await world.finish();
  expect(world.status).toBe("failed");
  const keys = world.effects.map((effect) => effect.key);
  expect(keys.filter((key) => key.startsWith("undo b"))).toHaveLength(3);
  expect(keys.at(-1)).toBe("undo a a-id");
});

test("each failure policy does what it says, in one run", async () => {
  let repaired = false;
  const world = worldOf((it) =>
    workflow({
      name: "p",
      run: async ({ step }) => {
        const fail = () => Promise.reject(new NonRetryableError("no"));
        const caught = await step.do("fails", fail).catch((error: Error) => error.message);
        const went = await step.do("continues", { onFailure: "continue", fallback: "plan b" }, fail as () => Promise<string>);
        const paused = await step.do("pauses", { onFailure: "pause" }, () => (repaired ? "repaired" : fail()));
        await reversible(it, step, "kept");
        await step.do("compensates", { onFailure: "compensate" }, fail).catch(() => "never caught");
        return [caught, went, paused];
      },
    }),
  );
  world.start("p");
  await world.finish().catch(() => {});
  expect(world.run.engine.summary).toMatchObject({ status: "paused", reason: { step: "pauses" } });
  repaired = true;
  world.run.engine.operate({ ...operator, action: "resume" });
  await world.finish();
  expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "compensated" } });
  expect(world.effects.map((effect) => effect.key)).toEqual(["kept", "undo kept kept-id"]);
});

test("a held run records what is under way, begins nothing, and its timers stand still", async () => {
  const world = worldOf((it) =>
    workflow({
      name: "p",
      run: async ({ step }) => {
        await step.do("a", ({ idempotencyKey }) => it().effect("a", idempotencyKey, () => "a"));
        await step.sleep("nap", "1h");
        return "done";
      },
    }),
  );
  world.start("p");
  await world.turn();
  world.run.engine.operate({ ...operator, action: "pause" });
  for (let i = 0; i < 6; i++) await world.turn();
  expect(world.run.engine.summary).toMatchObject({ status: "paused", reason: { code: "operator" } });
  expect(world.run.engine.state.steps.get("a")?.status).toBe("completed");
  expect(world.run.engine.state.steps.has("nap")).toBe(false);
  world.run.engine.operate({ ...operator, action: "resume" });
  for (let i = 0; i < 6; i++) await world.turn();
  const started = world.clock.now();
  world.clock.set(started + 30 * 60_000);
  world.run.engine.operate({ ...operator, action: "pause" });
  for (let i = 0; i < 3; i++) await world.turn();
  world.clock.set(started + 300 * 60_000);
  for (let i = 0; i < 3; i++) await world.turn();
  expect(world.status).toBe("paused");
  world.run.engine.operate({ ...operator, action: "resume" });
  for (let i = 0; i < 3; i++) await world.turn();
  expect(world.run.engine.summary.nextWakeAt).toBe(started + 330 * 60_000);
  await world.finish();
  expect(world.output).toBe("done");
});

test("a parked step can be tried again with a corrected input, completed by hand, skipped, or failed; what came before is not called again", async () => {
  const outcomes: Record<string, unknown> = {};
  for (const action of ["retry", "complete", "skip", "fail"] as const) {
    const world = worldOf((it) =>
      workflow({
        name: "p",
        run: async ({ step }) => {
          await step.do("before", ({ idempotencyKey }) => it().effect("before", idempotencyKey, () => 1));
          return step
            .do("broken", { input: { amount: -1 }, retries: { limit: 0 }, onFailure: "pause" }, ({ input }) => {
              if (input.amount < 0) throw new Error("negative");
              return `took ${input.amount}`;
            })
            .catch((error: Error) => `failed: ${error.message}`);
        },
      }),
    );
    world.start("p");
    await world.finish().catch(() => {});
    expect(world.status).toBe("paused");
    world.run.endTurn();
    world.run.crash();
    const value = { retry: encode({ amount: 5 }), complete: encode("by hand"), skip: null, fail: encode(new Error("given up")) }[action];
    world.run.engine.operate({ ...operator, action, key: "broken", value });
    await world.finish();
    outcomes[action] = world.output;
    expect(world.effects).toHaveLength(1);
  }
  expect(outcomes).toEqual({ retry: "took 5", complete: "by hand", skip: undefined, fail: "failed: given up" });
});
