import { faultCodeOf } from "#core/fault.ts";
import type { RunEngine } from "#engine/run-engine.ts";
import type { SimulatedObject } from "./simulated-object.ts";

/** How a call came back. `unknown`: it may have been carried out or not. */
export type Answer<T> = { readonly type: "ok"; readonly value: T } | { readonly type: "refused"; readonly code: string } | { readonly type: "unknown" };

export interface Call<T> {
  readonly name: string;
  readonly command: (engine: RunEngine) => T | Promise<T>;
  /** The object keeps itself alive afterwards while it is busy. */
  readonly isHosted: boolean;
  readonly answered?: (answer: Answer<T>) => void;
}

/** Calls an object once, over a network that may lose the request or its answer. */
export function call<T>(object: SimulatedObject, it: Call<T>): void {
  const { world } = object;
  const incident = world.take("rpc");
  const answered = it.answered ?? (() => {});
  if (incident) {
    world.count(incident.what);
    world.after(1 + incident.a, `${it.name}: no answer`, () => answered({ type: "unknown" }));
    if (incident.what === "request_lost") return;
  }
  object.receive(it, (answer) => {
    if (!incident) answered(answer);
  });
}

/** Calls again and again, with the same command, until it is known how it came out. */
export function callUntilAnswered<T>(object: SimulatedObject, it: Call<T>, tries = 0): void {
  call(object, {
    ...it,
    answered: (answer) => {
      if (answer.type !== "unknown") return it.answered?.(answer);
      if (tries > 60) return object.world.fail(new Error(`${it.name} was called ${tries} times and never answered`));
      object.world.after(Math.min(500 * 2 ** tries, 60_000), `${it.name} again`, () => callUntilAnswered(object, it, tries + 1));
    },
  });
}

/** The code of a refusal; null for an error that is none. */
export function refusalOf(error: unknown): string | null {
  const code = faultCodeOf(error);
  return code === null || code === "invariant" ? null : code;
}
