import { type Duration, durationMs } from "#core/duration.ts";
import { Fault, faultCodeOf } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { FailureVerdict } from "#core/retry-policy.ts";

/**
 * Throw it from a step when trying again is of no use. The step fails at once.
 * @example throw new NonRetryableError("The account is closed.");
 */
export class NonRetryableError extends Fault {
  constructor(message: string, options?: ErrorOptions) {
    super("non_retryable", message, {}, options);
    this.name = "NonRetryableError";
  }
}

/**
 * Throw it from a step when the remote said when to come back. The next attempt waits that long instead of the computed pause;
 * it still counts against `retries.limit` and `totalTimeout`.
 * @example throw new RetryAfterError("Rate limited.", "30s");
 * @example throw RetryAfterError.from(response); // reads the Retry-After header
 */
export class RetryAfterError extends Fault {
  declare readonly details: Readonly<{ retryAfter: number | Date }>;

  constructor(message: string, retryAfter: Duration | Date, options?: ErrorOptions) {
    super("retry_after", message, { retryAfter: retryAfter instanceof Date ? retryAfter : durationMs(retryAfter) }, options);
    this.name = "RetryAfterError";
  }

  /** From a response that carries `Retry-After`, in seconds or as a date; without the header, one second. */
  static from(response: { readonly status: number; readonly headers: { get(name: string): string | null } }): RetryAfterError {
    const header = response.headers.get("retry-after") ?? "1";
    const seconds = Number(header);
    const after = Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, 30 * 86_400_000) : new Date(header);
    const message = `The service answered ${response.status} and asked to be tried again.`;
    return new RetryAfterError(message, after instanceof Date && Number.isNaN(after.getTime()) ? "1s" : after);
  }
}

/** True for what a step or wait throws when its run was cancelled. Use it in `catch` to tell clean-up from recovery. */
export function isCancelled(error: unknown): boolean {
  return faultCodeOf(error) === "cancelled";
}

/** What an error says about trying again. `retryIf` is the step's own opinion; one that throws, or names a duration that can't be read, counts as yes, for the failure is still the step's. */
export function verdictOf(error: unknown, attempt: number, now: number, retryIf: RetryIf | undefined): FailureVerdict {
  const code = faultCodeOf(error);
  const retryAfterMs = code === "retry_after" ? retryAfterOf(error, now) : null;
  if (code === "non_retryable" || code === "unrecordable_value" || code === "value_too_large" || code === "invalid_input" || code === "automation_not_found") {
    return { retryable: false, retryAfterMs };
  }
  if (error instanceof Error && error.name === "NonRetryableError") return { retryable: false, retryAfterMs };
  const opinion = retryIf === undefined ? true : opinionOf(retryIf, error, attempt);
  return { retryable: opinion !== false, retryAfterMs: typeof opinion === "number" ? opinion : retryAfterMs };
}

/**
 * Decides whether a failed attempt is worth another one, and when. Called with what the attempt threw. False: it is not. True: after the policy's pause. A duration:
 * after that instead, as with `RetryAfterError`.
 * @example retryIf: (error) => (error instanceof RateLimited ? error.resetAfterMs : true)
 */
export type RetryIf = (error: unknown, context: { readonly attempt: number }) => boolean | Duration;

/** Whether to try again, or after how many ms. */
function opinionOf(retryIf: RetryIf, error: unknown, attempt: number): boolean | number {
  try {
    const opinion = retryIf(error, { attempt });
    return typeof opinion === "boolean" ? opinion : Math.min(durationMs(opinion), limits.waitMs);
  } catch {
    return true;
  }
}

function retryAfterOf(error: unknown, now: number): number | null {
  if (typeof error !== "object" || error === null || !("details" in error)) return null;
  const { details } = error;
  if (typeof details !== "object" || details === null || !("retryAfter" in details)) return null;
  const { retryAfter } = details;
  const ms = retryAfter instanceof Date ? retryAfter.getTime() - now : retryAfter;
  // What can't be a pause is no reason to strand the step: the policy's own pause stands.
  return typeof ms === "number" && !Number.isNaN(ms) ? Math.min(Math.max(0, ms), limits.waitMs) : null;
}
