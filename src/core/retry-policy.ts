import { type Duration, durationMs } from "./duration.ts";
import { Fault } from "./fault.ts";

/** How often and how soon a failed attempt is tried again. Every field has a default. */
export interface RetryOptions {
  /** Retries after the first attempt: 2 means three attempts. Default 3. */
  readonly limit?: number;
  /** The pause before the first retry. Default `"1s"`. */
  readonly delay?: Duration;
  /** How the pause grows: not at all, by `delay` each time, or doubling. Default `"exponential"`. */
  readonly backoff?: "constant" | "linear" | "exponential";
  /** The longest pause, before jitter. Default `"5m"`. */
  readonly maxDelay?: Duration;
  /** Random spread of each pause as a fraction of it: 0.2 means 80 to 120 %. Default 0.2; 0 turns it off. */
  readonly jitter?: number;
  /** The budget for the step as a whole, pauses included. Past it there is no further attempt. Default: none. */
  readonly totalTimeout?: Duration;
}

/** A step's policy as it is journaled: parsed, complete, plain. */
export interface RetryPolicy {
  readonly limit: number;
  readonly delayMs: number;
  readonly backoff: "constant" | "linear" | "exponential";
  readonly maxDelayMs: number;
  readonly jitter: number;
  /** Null: no budget. */
  readonly totalTimeoutMs: number | null;
  /** Per attempt. Null: no time-out. */
  readonly timeoutMs: number | null;
}

/** @throws Fault `invalid_step` for a limit or jitter out of range; `invalid_duration` for a duration that can't be read. */
export function retryPolicy(retries: RetryOptions | undefined, timeout: Duration | undefined): RetryPolicy {
  // Most steps declare neither, and a loop of them should not parse the same durations over and over.
  if (retries === undefined && timeout === undefined) return defaultPolicy;
  return parsedPolicy(retries, timeout);
}

function parsedPolicy(retries: RetryOptions | undefined, timeout: Duration | undefined): RetryPolicy {
  const { limit = 3, delay = "1s", backoff = "exponential", maxDelay = "5m", jitter = 0.2, totalTimeout } = retries ?? {};
  if (!Number.isInteger(limit) || limit < 0 || limit > 10_000)
    throw new Fault("invalid_step", `retries.limit must be a whole number from 0 to 10000; got ${limit}.`);
  if (!(jitter >= 0 && jitter <= 1)) throw new Fault("invalid_step", `retries.jitter must be from 0 to 1; got ${jitter}.`);
  return {
    limit,
    delayMs: durationMs(delay),
    backoff,
    maxDelayMs: durationMs(maxDelay),
    jitter,
    totalTimeoutMs: totalTimeout === undefined ? null : durationMs(totalTimeout),
    timeoutMs: durationMs(timeout ?? "10m"),
  };
}

const defaultPolicy = parsedPolicy(undefined, undefined);

/** What a failed attempt says about itself, beside its error. */
export interface FailureVerdict {
  /** False when the error or the step's `retryIf` forbids another attempt. */
  readonly retryable: boolean;
  /** The pause that the remote asked for (`Retry-After`), in ms; null when it asked for none. It replaces the computed pause. */
  readonly retryAfterMs: number | null;
}

/** What is known when an attempt has failed. */
export interface Failure {
  /** The failed attempts since the budget began, this one included. */
  readonly failures: number;
  /** When the budget of retries began, epoch ms. */
  readonly budgetStartedAt: number;
  readonly now: number;
  /** From 0 up to 1. */
  readonly random: number;
}

/** When the next attempt is due, in epoch ms; null when there is none. */
export function nextAttemptAt(policy: RetryPolicy, verdict: FailureVerdict, failure: Failure): number | null {
  const { failures, budgetStartedAt, now, random } = failure;
  if (!verdict.retryable || failures > policy.limit) return null;
  const at = now + (verdict.retryAfterMs ?? retryDelayMs(policy, failures, random));
  if (policy.totalTimeoutMs !== null && at >= budgetStartedAt + policy.totalTimeoutMs) return null;
  return at;
}

function retryDelayMs(policy: RetryPolicy, failures: number, random: number): number {
  const factor = policy.backoff === "constant" ? 1 : policy.backoff === "linear" ? failures : 2 ** Math.min(failures - 1, 40);
  const capped = Math.min(policy.delayMs * factor, policy.maxDelayMs);
  return Math.round(capped * (1 + policy.jitter * (2 * random - 1)));
}

/** When an attempt that starts now must end, in epoch ms: its own time-out or the rest of the step's budget, whichever is first. Null: no limit. */
export function attemptDeadline(policy: RetryPolicy, firstStartedAt: number, now: number): number | null {
  const byAttempt = policy.timeoutMs === null ? Number.POSITIVE_INFINITY : now + policy.timeoutMs;
  const byBudget = policy.totalTimeoutMs === null ? Number.POSITIVE_INFINITY : firstStartedAt + policy.totalTimeoutMs;
  const deadline = Math.min(byAttempt, byBudget);
  return Number.isFinite(deadline) ? deadline : null;
}
