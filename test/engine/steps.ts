import { type AnyAutomation, automation } from "#sdk/automation.ts";
import type { Notice, Step } from "#sdk/step.ts";
import type { AnyWorkflow, WorkflowOptions } from "#sdk/workflow.ts";
import { type Definitions, flow, World } from "./world.ts";

/** Steps and automations whose every doing is an effect on a world. */

export interface Behaviour {
  /** Throws to fail the attempt. */
  readonly answer?: (attempt: number) => unknown;
  /** Throws to fail the attempt to undo it. */
  readonly undo?: (attempt: number) => unknown;
  readonly onFailure?: "fail" | "pause" | "compensate";
  readonly retries?: number;
}

type At = () => World;

/** A step with its undo. */
export function reversible(at: At, step: Step, name: string, behaviour: Behaviour = {}): Promise<unknown> {
  const { answer = () => `${name}-id`, undo = () => {}, onFailure = "fail", retries = 0 } = behaviour;
  return step.do(
    name,
    {
      onFailure,
      retries: { limit: retries, jitter: 0 },
      compensate: {
        retries: { limit: 1, jitter: 0 },
        run: ({ output, inDoubt, idempotencyKey, attempt }) =>
          at().effect(`undo ${name} ${inDoubt ? "in doubt" : output}`, idempotencyKey, () => undo(attempt)),
      },
    },
    ({ idempotencyKey, attempt }) => at().effect(name, idempotencyKey, () => answer(attempt)),
  );
}

/** A step without undo. */
export function plain(at: At, step: Step, name: string, answer: (attempt: number) => unknown = () => name): Promise<unknown> {
  return step.do(name, { retries: { limit: 0 } }, ({ idempotencyKey, attempt }) => at().effect(name, idempotencyKey, () => answer(attempt)));
}

/** Throws. */
export function broken(message = "broken"): never {
  throw new Error(message);
}

/** An automation that tells people, as an effect `type step`. */
export function teller(at: At, name: string, answer: () => void = () => {}): AnyAutomation {
  return automation<Notice>({
    name,
    retries: { limit: 5, jitter: 0 },
    run: ({ input, idempotencyKey }) => at().effect(`${name}: ${input.type} ${input.step ?? "run"}`, idempotencyKey, answer),
  });
}

type Run = WorkflowOptions<unknown, unknown>["run"];

/** A world whose workflow and automations act on it. */
export function worldFor(define: (at: At) => Definitions): World {
  let world: World;
  world = new World(define(() => world));
  return world;
}

/** A world in which a run of this code has begun. */
export function begin(
  run: (at: At) => Run,
  options: Partial<WorkflowOptions<unknown, unknown>> = {},
  more: (at: At) => Partial<Definitions> = () => ({}),
): World {
  const world = worldFor((at) => ({ workflows: [definition(at)], ...more(at) }));
  function definition(at: At): AnyWorkflow {
    return flow(run(at), options);
  }
  world.start("p");
  return world;
}

/** Runs until nothing more happens by itself, however long that takes: the run has ended, or waits for a person. */
export async function settle(world: World): Promise<void> {
  await world.finish().catch((error: Error) => {
    if (!error.message.includes("nothing will ever wake it")) throw error;
  });
}

/**
 * Plays a story once undisturbed and then once for every turn of it, with the process dying after that turn, or in it.
 * @returns the number of plays.
 */
export async function withEveryCrash(play: (dies: (world: World) => void, title: string) => Promise<World>): Promise<number> {
  const calm = await play(() => {}, "without a crash");
  for (let turn = 0; turn <= calm.turns; turn++) {
    for (const durable of [true, false]) {
      await play(
        (world) => {
          if (world.turns !== turn) return;
          if (durable) world.evict();
          else world.diesInTurn = true;
        },
        `${durable ? "crash after" : "crash in the one after"} turn ${turn}`,
      );
    }
  }
  return calm.turns;
}
