import { describe, expect, test } from "vitest";
import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import { NonRetryableError } from "#sdk/errors.ts";
import type { Step } from "#sdk/step.ts";
import { type AnyWorkflow, workflow } from "#sdk/workflow.ts";
import { World } from "./world.ts";

/** Programs that between them use everything; each is run once undisturbed, and once for every turn with a crash after it. */
type Program = (world: () => World) => { workflow: AnyWorkflow; automations?: ReturnType<typeof queued>[]; atTurn?: (world: World) => void };

const act = (world: () => World, step: Step, name: string, answer: (attempt: number) => unknown = () => name) =>
  step.do(name, { retries: { limit: 3, delay: "1s", jitter: 0 } }, ({ idempotencyKey, attempt }) =>
    world().effect(name, idempotencyKey, () => answer(attempt)),
  );

function queued(world: () => World, name: string) {
  return automation({ name, dispatch: "queue", input: undefined as never, run: ({ idempotencyKey }) => world().effect(name, idempotencyKey, () => name) });
}

const programs: Record<string, Program> = {
  "steps in sequence": (world) => ({
    workflow: workflow({ name: "p", run: async ({ step }) => [await act(world, step, "a"), await act(world, step, "b"), await act(world, step, "c")] }),
  }),
  "parallel branches that call steps of one name": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        const branch = async (id: string, before: number) => {
          for (let i = 0; i < before; i++) await act(world, step, `${id}-${i}`);
          return [id, await step.do("same", ({ idempotencyKey }) => world().effect("same", idempotencyKey, () => id)), await act(world, step, `${id}-after`)];
        };
        return Promise.all([branch("x", 3), branch("y", 1), branch("z", 2)]);
      },
    }),
  }),
  "a race between a step and a sleep, then more": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        const first = await Promise.race([act(world, step, "slow").then(() => "step"), step.sleep("nap", "1ms").then(() => "nap")]);
        const second = await Promise.race([step.sleep("long", "1h").then(() => "nap"), act(world, step, "quick").then(() => "step")]);
        // Which of the two is first may differ after a crash; that replay agrees with what was recorded may not.
        return [["step", "nap"].includes(first), second, await act(world, step, first)].slice(0, 2);
      },
    }),
  }),
  "retries, a caught failure and a branch on it": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        await act(world, step, "flaky", (attempt) => {
          if (attempt < 3) throw new Error(`attempt ${attempt}`);
          return "ok";
        });
        const failed = await step.do("broken", () => Promise.reject(new NonRetryableError("no"))).catch((error: Error) => error.message);
        return failed === "no" ? act(world, step, "plan-b") : act(world, step, "plan-a");
      },
    }),
  }),
  "sleeps, deterministic values and a loop": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        const ids: string[] = [await step.uuid()];
        for (let i = 0; i < 4; i++) {
          await step.sleep("pause", "1h");
          ids.push(String(await act(world, step, "tick")));
        }
        return ids.length;
      },
    }),
  }),
  "an event that comes early, one that comes late, and one that never comes": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        await act(world, step, "a");
        const early = await step.waitForEvent<number>("early");
        const late = await step.waitForEvent<number>("late", { timeout: "100d" });
        const never = await step.waitForEvent("never", { timeout: "1d" });
        return [early.ok && early.payload, late.ok && late.payload, never.ok, await act(world, step, "b")];
      },
    }),
    atTurn: (it) => {
      if (!it.run.engine.exists || it.run.engine.state.ended) return;
      it.run.engine.sendEvent({ eventId: "e1", name: "early", eventKey: null, payload: encode(1) }).catch(() => {});
      if (it.turns > 12) it.run.engine.sendEvent({ eventId: "e2", name: "late", eventKey: null, payload: encode(2) }).catch(() => {});
    },
  }),
  "queued automations beside inline steps": (world) => {
    const send = queued(world, "send");
    const bill = queued(world, "bill");
    return {
      workflow: workflow({
        name: "p",
        run: async ({ step }) => [
          await Promise.all([step.run(send, undefined), step.run(bill, undefined), act(world, step, "inline")]),
          await step.run(send, undefined),
        ],
      }),
      automations: [send, bill],
    };
  },
  "a callback whose request is retried": (world) => ({
    workflow: workflow({
      name: "p",
      run: async ({ step }) => {
        const answer = await step.callback<string>("kyc", { timeout: "3d", retries: { jitter: 0 } }, ({ idempotencyKey, attempt, url }) =>
          world().effect("kyc", idempotencyKey, () => {
            if (attempt === 1) throw new Error("try again");
            return url;
          }),
        );
        return [answer.ok && answer.payload, await act(world, step, "after")];
      },
    }),
    atTurn: (it) => {
      const step = it.run.engine.state.open.get("kyc");
      if (step?.status === "waiting") it.run.engine.callback("kyc", encode("approved")).catch(() => {});
    },
  }),
};

async function play(program: Program, crashAfterTurn: number | null, before: boolean) {
  let world: World;
  const { workflow: definition, automations = [], atTurn } = program(() => world);
  world = new World({ workflows: [definition], automations });
  world.start("p");
  if (crashAfterTurn === 0) {
    world.run.endTurn();
    world.run.crash();
  }
  await world.finish({
    onTurn: () => {
      atTurn?.(world);
      if (world.turns === crashAfterTurn) {
        if (!before) world.run.endTurn();
        world.run.crash();
      } else world.run.endTurn();
    },
  });
  return world;
}

describe.each(Object.entries(programs))("%s", (_title, program) => {
  test("comes to the same end whichever turn the process dies after", async () => {
    const calm = await play(program, null, false);
    const output = calm.output;
    const seconds = new Set(calm.effects.map((effect) => effect.key));
    for (let turn = 0; turn <= calm.turns; turn++) {
      const world = await play(program, turn, turn % 2 === 0);
      expect(world.status, `crash after turn ${turn}`).toBe("completed");
      expect(world.output, `crash after turn ${turn}`).toEqual(output);
      const keys = new Map<string, Set<string>>();
      for (const effect of world.effects) keys.set(effect.key, (keys.get(effect.key) ?? new Set()).add(effect.idempotencyKey));
      if (!keys.has("nap") && !keys.has("step")) expect(new Set(keys.keys())).toEqual(seconds);
      const ends = new Map<string, number>();
      for (const entry of world.run.journal.page(0, 1000)) if (entry.kind === "step.completed") ends.set(entry.key, entry.seq);
      for (const effect of world.effects) {
        const key = effect.idempotencyKey.split("/")[2] ?? "";
        expect(effect.atSeq, `effect ${effect.key} after its step was recorded, crash after turn ${turn}`).toBeLessThan(
          ends.get(decodeURIComponent(key)) ?? Number.POSITIVE_INFINITY,
        );
      }
    }
  });
});
