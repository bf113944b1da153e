import { workflowMs } from "./duration.ts";
import { asError, isNonRetryable, timedOut } from "./errors.ts";
import { backoffMs, type ResolvedConfig, type WorkflowStepContext } from "./step-config.ts";

/** One attempt of a step or of a rollback handler: its time-out, and what its failure says about the next one. */

/** What a failed attempt said: false, or the ms until the next one. Kept beside the error, which the engine records as it is. */
const verdicts = new WeakMap<Error, false | number>();

/** For the engine: whether, or when, the failed attempt is tried again. */
export function retryVerdict(error: unknown): boolean | number {
  return (error instanceof Error ? verdicts.get(error) : undefined) ?? true;
}

export async function runAttempt<T>(config: ResolvedConfig, ctx: WorkflowStepContext, displayName: string, callback: () => T | Promise<T>): Promise<T> {
  try {
    return await withTimeout(config.timeoutMs, callback);
  } catch (thrown) {
    const failed = asError(thrown);
    throw await judged(config, ctx, displayName, failed);
  }
}

async function judged(config: ResolvedConfig, ctx: WorkflowStepContext, displayName: string, error: Error): Promise<Error> {
  if (isNonRetryable(error)) return remember(error, false);
  if (ctx.attempt > config.limit) return remember(error, true);
  try {
    const base = typeof config.delay === "function" ? await askDelay(config.delay, { ctx, error }) : workflowMs(config.delay);
    return remember(error, backoffMs(base, config.backoff, ctx.attempt));
  } catch (failure) {
    return remember(new Error(`The delay function for step "${displayName}" ${asError(failure).message}`), false);
  }
}

function remember(error: Error, verdict: boolean | number): Error {
  if (verdict !== true) verdicts.set(error, verdict);
  return error;
}

const delayFunctionMs = 5_000;

async function askDelay<Input>(delay: (input: Input) => unknown, input: Input): Promise<number> {
  const late = Symbol("late");
  const given = await Promise.race([
    Promise.resolve()
      .then(() => delay(input))
      .catch((error: unknown) => {
        const { name, message } = asError(error);
        throw new Error(`threw an error: ${name === "NonRetryableError" ? `${name}: ` : ""}${message}`);
      }),
    scheduler.wait(delayFunctionMs).then(() => late),
  ]);
  if (given === late) throw new Error(`did not return within ${delayFunctionMs / 1_000} seconds`);
  const ms = workflowMs(given);
  if (Number.isFinite(ms) && ms >= 0) return ms;
  throw new Error(`returned an invalid delay value (expected a number of ms or a duration string like "30 seconds")`);
}

async function withTimeout<T>(ms: number, callback: () => T | Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = scheduler.wait(ms, { signal: controller.signal }).then(
    () => {
      throw timedOut(ms);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([callback(), timer]);
  } finally {
    controller.abort();
  }
}
