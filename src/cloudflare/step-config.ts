import { type WorkflowDuration, workflowMs } from "./duration.ts";

/** How a step is configured: what the author may give, and what the callback is told. */

export type WorkflowBackoff = "constant" | "linear" | "exponential";

export interface DelayInput {
  readonly ctx: WorkflowStepContext;
  readonly error: Error;
}

export type WorkflowDelayFunction = (input: DelayInput) => WorkflowDuration | Promise<WorkflowDuration>;

export interface WorkflowStepConfig {
  readonly retries?: { readonly limit: number; readonly delay: WorkflowDuration | WorkflowDelayFunction; readonly backoff?: WorkflowBackoff };
  /** Per attempt. Default `"10 minutes"`. */
  readonly timeout?: WorkflowDuration;
  /** Hides the step's output wherever the run is shown. */
  readonly sensitive?: "output";
}

export interface WorkflowStepContext {
  readonly step: { readonly name: string; readonly count: number };
  readonly attempt: number;
  /** With every default filled in; a delay that is a function is left out. */
  readonly config: {
    readonly retries: { readonly limit: number; readonly backoff: WorkflowBackoff; readonly delay?: WorkflowDuration };
    readonly timeout: WorkflowDuration;
    readonly sensitive?: "output";
  };
}

export interface ResolvedConfig {
  readonly shown: WorkflowStepContext["config"];
  readonly limit: number;
  readonly backoff: WorkflowBackoff;
  readonly delay: WorkflowDuration | WorkflowDelayFunction;
  readonly timeoutMs: number;
  readonly sensitive: "output" | undefined;
}

/** As published. */
const mostRetries = 10_000;

const help = "See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/";

/** @throws Error for a config that is none. */
export function resolveConfig(what: string, given: unknown): ResolvedConfig {
  const config = given ?? {};
  if (!isConfig(config)) throw new Error(`${what} is in a invalid format. ${help}`);
  const { limit = 5, delay = 10_000, backoff = "exponential" } = config.retries ?? {};
  const timeout = config.timeout ?? "10 minutes";
  const { sensitive } = config;
  const shown = {
    retries: { limit, backoff, ...(typeof delay !== "function" && { delay }) },
    timeout,
    ...(sensitive !== undefined && { sensitive }),
  };
  return { shown, limit: Math.min(Math.floor(limit), mostRetries), backoff, delay, timeoutMs: workflowMs(timeout), sensitive };
}

function isConfig(value: unknown): value is WorkflowStepConfig {
  if (!isRecord(value) || !hasOnly(value, ["retries", "timeout", "sensitive"])) return false;
  const { retries, timeout, sensitive } = value;
  return (
    (retries === undefined || isRetries(retries)) &&
    (timeout === undefined || (isDuration(timeout) && timeout !== 0)) &&
    (sensitive === undefined || sensitive === "output")
  );
}

function isRetries(value: unknown): boolean {
  if (!isRecord(value) || !hasOnly(value, ["limit", "delay", "backoff"])) return false;
  const { limit, delay, backoff } = value;
  const hasLimit = typeof limit === "number" && Number.isFinite(limit) && limit >= 0;
  const hasDelay = typeof delay === "function" || isDuration(delay);
  return hasLimit && hasDelay && (backoff === undefined || backoff === "constant" || backoff === "linear" || backoff === "exponential");
}

function isDuration(value: unknown): boolean {
  const ms = workflowMs(value);
  return Number.isFinite(ms) && ms >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasOnly(value: object, keys: readonly string[]): boolean {
  return Object.keys(value).every((key) => keys.includes(key));
}

/** How long until the next attempt, after the failed one of this number. */
export function backoffMs(base: number, backoff: WorkflowBackoff, attempt: number): number {
  return backoff === "constant" ? base : backoff === "linear" ? base * attempt : base * 2 ** (attempt - 1);
}
