import type { z } from "zod";
import type { Duration } from "#core/duration.ts";
import type { FailurePolicy } from "#core/entry.ts";
import { type RetryOptions, retryPolicy } from "#core/retry-policy.ts";
import type { Compensation } from "./compensation.ts";
import { checkDefinitionName } from "./definition-name.ts";
import type { RetryIf } from "./errors.ts";
import type { Log } from "./log.ts";

/** What an action gets beside its input. */
export interface AttemptContext {
  /** 1 for the first attempt. A lost attempt (crash) counts here, though not against `retries.limit`. */
  readonly attempt: number;
  /** The same for every attempt of this step, for ever. Send it along with every effect, and an idempotent remote acts once. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt's time is over or the run was cancelled, rolled back or ended. Pass it to `fetch`. What goes on without heeding it may have an effect after its undo. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface AutomationOptions<Input, Output> {
  /** 1 to 64 letters, digits, ".", "_" or "-". */
  readonly name: string;
  readonly input?: z.ZodType<Input>;
  readonly retries?: RetryOptions;
  readonly retryIf?: RetryIf;
  /** When its retries are exhausted: `"fail"` (default) throws the error into the workflow; `"pause"` parks the run for a person; `"compensate"` rolls it back. */
  readonly onFailure?: Exclude<FailurePolicy, "continue">;
  /** How to undo what it did. */
  readonly compensate?: Compensation<Input, Output>;
  /** `"unsafe"`: the effect must not happen twice without somebody saying so; a fork that would repeat it asks. Default `"safe"`. */
  readonly repeat?: "safe" | "unsafe";
  /** Per attempt. Default `"10m"`; on the queue at most 14 minutes. */
  readonly timeout?: Duration;
  /**
   * Where it runs when a workflow calls it. `"inline"` (default): in the run object, fastest for short calls. `"queue"`: in a queue
   * consumer, so that a long action does not hold the run object.
   */
  readonly dispatch?: "inline" | "queue";
  /** Names of properties that are hidden, at any depth, wherever a run that calls it is shown. */
  readonly redact?: readonly string[];
  readonly run: (context: AttemptContext & { readonly input: Input }) => Output | Promise<Output>;
}

/** A named, idempotent, observable single action. Called as a step by a workflow: `step.run(createProject, input)`. */
export interface Automation<Input = unknown, Output = unknown> {
  readonly type: "automation";
  readonly name: string;
  readonly options: AutomationOptions<Input, Output>;
}

// biome-ignore lint/suspicious/noExplicitAny: an automation takes its own input; a collection of them is only ever indexed by name
export type AnyAutomation = Automation<any, any>;

/**
 * Declares an automation. It must be idempotent: an attempt may run again after a crash, with the same `idempotencyKey`.
 * @throws Fault `invalid_name`, `invalid_step` or `invalid_duration` for a name or option that can't be used.
 * @example
 * export const createProject = automation({
 *   name: "create-project",
 *   input: z.object({ customer: z.string() }),
 *   run: async ({ input, idempotencyKey, signal }) => api.post("/projects", input, { idempotencyKey, signal }),
 * });
 */
export function automation<Input = void, Output = unknown>(options: AutomationOptions<Input, Output>): Automation<Input, Output> {
  checkDefinitionName("automation", options.name);
  retryPolicy(options.retries, options.timeout);
  return { type: "automation", name: options.name, options };
}
