import { limits } from "#core/limits.ts";
import type { DoOptions, Step } from "#sdk/step.ts";
import { retryVerdict, runAttempt } from "./attempt.ts";
import { workflowMs } from "./duration.ts";
import { NonRetryableError, timedOut } from "./errors.ts";
import { type ResolvedConfig, resolveConfig, type WorkflowStepContext } from "./step-config.ts";

/** Cloudflare's WorkflowStep over Segno's Step. */

type Callback = (ctx: WorkflowStepContext) => unknown;

export interface RollbackContext {
  readonly ctx: WorkflowStepContext;
  readonly error: Error;
  readonly output: unknown;
  readonly stepName: string;
}

interface Rollback {
  readonly run: (context: RollbackContext) => unknown;
  readonly config: ResolvedConfig;
}

const maxNameLength = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controlCharacter = /[\u0000-\u001f]/;

/** Slack for the engine's own time-out, which stands behind the layer's: the delay function may still be asked. */
export const slackMs = 10_000;

export class LayerStep {
  readonly #step: Step;
  readonly #stepLimit: number;
  readonly #counts = new Map<string, number>();
  #calls = 0;
  /** The step whose callback is being called at this very moment. */
  #inside: string | null = null;
  #undoing = false;

  constructor(step: Step, stepLimit: number) {
    this.#step = step;
    this.#stepLimit = stepLimit;
  }

  async do(name: string, ...rest: readonly unknown[]): Promise<unknown> {
    this.#refuse();
    const { config: given, callback, options } = doArguments(name, rest);
    const rollback = rollbackOf(name, options);
    if (++this.#calls > this.#stepLimit)
      throw new Error(`The limit of ${this.#stepLimit} steps has been reached. This limit can be changed in your worker configuration.`);
    if (String(name).length > maxNameLength || controlCharacter.test(name))
      throw new Error(`Step name "${name}" exceeds max length (${maxNameLength} chars) or invalid characters found`);
    const config = resolveConfig(`Step config for "${name}"`, given);
    const count = this.#count(`do ${name}`);
    const displayName = `${name}-${count}`;
    const contextOf = (attempt: number): WorkflowStepContext => ({ step: { name, count }, attempt, config: config.shown });
    const recorded = await this.#step.do(
      segnoName(name),
      {
        ...engineOptions(config),
        ...(config.sensitive !== undefined && { sensitive: config.sensitive }),
        ...(rollback !== null && { compensate: this.#compensation(rollback, contextOf, displayName) }),
      },
      async ({ attempt }) => {
        const ctx = contextOf(attempt);
        return fromStream(await runAttempt(config, ctx, displayName, () => this.#call(displayName, () => callback(ctx))));
      },
    );
    return toStream(recorded);
  }

  async sleep(name: string, duration: unknown): Promise<void> {
    this.#refuse();
    const ms = workflowMs(duration);
    if (!Number.isFinite(ms)) throw new Error(`Sleep "${name}" has a duration that can't be read: ${String(duration)}`);
    await this.#step.sleep(segnoName(name), Math.max(0, Math.ceil(ms)));
  }

  async sleepUntil(name: string, time: unknown): Promise<void> {
    this.#refuse();
    const ms = time instanceof Date ? time.getTime() : typeof time === "number" ? time : Number.NaN;
    if (!Number.isFinite(ms)) throw new Error(`Sleep "${name}" has a time that can't be read: ${String(time)}`);
    await this.#step.sleepUntil(segnoName(name), (now) => {
      if (ms < now) throw new Error("You can't sleep until a time in the past, time-traveler");
      return ms;
    });
  }

  async waitForEvent(name: string, options: { readonly type: string; readonly timeout?: unknown }): Promise<unknown> {
    this.#refuse();
    const ms = workflowMs(options.timeout || "24 hours");
    if (!Number.isFinite(ms)) throw new Error(`Wait "${name}" has a time-out that can't be read: ${String(options.timeout)}`);
    const result = await this.#step.waitForEvent(segnoName(name), { event: options.type, timeout: Math.max(0, Math.ceil(ms)) });
    if (result.ok) return { payload: result.payload, type: options.type, timestamp: result.receivedAt };
    throw timedOut(ms);
  }

  #compensation(rollback: Rollback, contextOf: (attempt: number) => WorkflowStepContext, displayName: string) {
    const { config, run } = rollback;
    return {
      ...engineOptions(config),
      run: async ({ attempt, stepAttempt, error, output }: { attempt: number; stepAttempt: number; error: unknown; output: unknown }) => {
        this.#undoing = true;
        const ctx = contextOf(stepAttempt);
        const cause = error instanceof Error ? error : new Error("Instance terminated during rollback");
        await runAttempt(config, { ...ctx, attempt }, displayName, () => run({ ctx, error: cause, output: toStream(output), stepName: displayName }));
      },
    };
  }

  /** A step inside a step would be there the first time and missing at the replay, for the outer one is not executed again. */
  #refuse(): void {
    if (this.#undoing) throw new Error("Cannot execute steps during rollback phase");
    if (this.#inside !== null) throw new NonRetryableError(`A step can't be called inside the callback of step "${this.#inside}". Call it after that one.`);
  }

  #call(displayName: string, callback: () => unknown): unknown {
    this.#inside = displayName;
    try {
      return callback();
    } finally {
      this.#inside = null;
    }
  }

  #count(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count;
  }
}

function engineOptions(config: ResolvedConfig): Pick<DoOptions<undefined>, "retries" | "retryIf" | "timeout"> {
  const { limit, delay, backoff, timeoutMs } = config;
  // The pause after a failure is named by `retryVerdict`; what is said here is what the history shows.
  const retries = { limit, backoff, jitter: 0, maxDelay: limits.waitMs, ...(typeof delay !== "function" && { delay: workflowMs(delay) }) };
  return { retries, retryIf: retryVerdict, timeout: timeoutMs + slackMs };
}

/** Segno's names are not empty and do not begin with `~`. */
export function segnoName(name: unknown): string {
  const text = String(name);
  return text === "" || text.startsWith("~") ? `_${text}`.slice(0, maxNameLength) : text;
}

function doArguments(name: string, rest: readonly unknown[]): { config: unknown; callback: Callback; options: unknown } {
  const [first, second, third] = rest;
  if (typeof first === "function") return { config: undefined, callback: first as Callback, options: second };
  if (typeof second !== "function") throw new Error(`Step "${name}" requires a callback function`);
  return { config: first, callback: second as Callback, options: third };
}

function rollbackOf(name: string, options: unknown): Rollback | null {
  if (options === undefined) return null;
  if (typeof options !== "object" || options === null || Array.isArray(options)) throw new Error(`Rollback options for "${name}" must be an object`);
  const { rollback, rollbackConfig } = options as { rollback?: unknown; rollbackConfig?: unknown };
  if (typeof rollback !== "function") throw new Error(`Rollback for "${name}" must be a function`);
  return { run: rollback as Rollback["run"], config: resolveConfig(`Rollback config for "${name}"`, rollbackConfig) };
}

/** How the bytes of a stream are recorded. */
const streamMark = "segno:stream";

async function fromStream(value: unknown): Promise<unknown> {
  return value instanceof ReadableStream ? { [streamMark]: new Uint8Array(await new Response(value).arrayBuffer()) } : value;
}

/** A fresh stream each time. */
function toStream(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, streamMark)) return value;
  return new Response((value as Record<string, Uint8Array>)[streamMark]).body;
}
