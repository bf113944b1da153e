import type { WorkflowStep } from "cloudflare:workers";
import type { Io } from "../program.ts";

/** What the programs share. */

/** The value, or how it failed as `threw <name>: <message>`. */
export async function caught(action: () => unknown): Promise<unknown> {
  try {
    return await action();
  } catch (error) {
    return error instanceof Error ? `threw ${error.name}: ${error.message}` : `threw a ${typeof error}`;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: calls that the types refuse are part of what is compared.
export type Loose = any;

/** The step without its types, for calls that they refuse. */
export const loose = (step: WorkflowStep): Loose => step;

/** Fails at once when it fails. */
export const once = { retries: { limit: 0, delay: 1 } };
/** Fails after one retry. */
export const twice = { retries: { limit: 1, delay: 1 } };

/** A rollback handler that records `undo-<name>` with the output that it got. */
export const undo = (io: Io, name: string) => ({
  rollback: async ({ output }: { output: unknown }) => {
    await io.effect(`undo-${name}`, output ?? "nothing");
  },
});

export class CustomError extends Error {
  readonly code = "E_CUSTOM";
  constructor(message: string) {
    super(message);
    this.name = "CustomError";
  }
}
