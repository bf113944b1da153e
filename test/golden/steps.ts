import { automation } from "#sdk/automation.ts";
import type { Act } from "./feature.ts";

/** Parts of the features' code. Like the features, they are never changed. */

/** A pause before each retry that is the same every time. */
export const steady = { jitter: 0, delay: "1s" } as const;

/** An automation that greets, with the effect that its input names. */
export function greeter(act: Act, dispatch: "inline" | "queue") {
  return automation<{ readonly key: string; readonly who: string }, string>({
    name: "greet",
    dispatch,
    run: ({ input, idempotencyKey }) => act({ key: input.key, idempotencyKey }, () => `hello ${input.who}`),
  });
}

type Action = (context: { readonly idempotencyKey: string }) => Promise<never>;

/** A step whose every attempt fails. `call` makes it of a name and an action. */
export function failing<T>(act: Act, name: string, call: (name: string, action: Action) => Promise<T>): Promise<T> {
  return call(name, ({ idempotencyKey }) =>
    act({ key: name, idempotencyKey }, (): never => {
      throw new Error(`${name} fails`);
    }),
  );
}
