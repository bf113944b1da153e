import { z } from "zod";
import { type AnyAutomation, automation } from "#sdk/automation.ts";
import type { CompensationContext } from "#sdk/compensation.ts";
import type { ApprovalResult, DoOptions, Step, WaitResult } from "#sdk/step.ts";
import type { Act, ApprovalWait, Branch, CallbackWait, EventWait, Leaf, Outside, Program, Script, Sleep, Value } from "./program.ts";

/** What an act is given in and out of a run; `run` and `key` say whose step it is, independently of the idempotency key. */
export interface ActInput {
  readonly run: string;
  readonly key: string;
  readonly v: string;
}

/** One call of an action, as the world sees it. */
export interface Attempt {
  readonly run: string;
  readonly key: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly input: unknown;
  readonly script: Script;
  readonly signal: AbortSignal;
  /** For a compensation: what it was told of the step that it undoes. */
  readonly undoes: { readonly output: unknown; readonly inDoubt: boolean; readonly idempotencyKey: string } | null;
  /** For a callback's request. */
  readonly callback: { readonly url: string; readonly wait: CallbackWait } | null;
}

/** The world as the program touches it. */
export interface Stage {
  readonly run: string;
  readonly createdAt: number;
  /** The program called a step. */
  called(key: string, kind: string, leaf: Leaf): void;
  /** The program got a result. */
  saw(key: string, digest: string): void;
  act(attempt: Attempt): unknown;
  /** Brings what is no step. */
  outside(wait: Outside): Promise<void>;
  automationOf(act: Act): AnyAutomation;
  readonly notify: AnyAutomation;
}

const Payload = z.object({ n: z.number() });
/** Cheap to show as a form: none. */
const Form = z.object({ n: z.number() });

const ignore = (): void => {};

/** Runs a program's tree over a `step`, and tells the world of every call and every result in the order in which the code sees them. */
export class Interpreter {
  readonly #stage: Stage;
  readonly #step: Step;
  readonly #counts = new Map<string, number>();

  constructor(stage: Stage, step: Step) {
    this.#stage = stage;
    this.#step = step;
  }

  /** What comes out tells which way the program went. */
  run(program: Program): Promise<string> {
    return this.#go(program);
  }

  /** Code that is not the one that began the run. */
  async runOther(program: Program): Promise<string> {
    await this.#step.do("other", ignore);
    return this.#go(program);
  }

  #go(program: Program): Promise<string> {
    switch (program.type) {
      case "act":
        return this.#act(program);
      case "sleep":
        return this.#sleep(program);
      case "event":
        return this.#event(program);
      case "callback":
        return this.#callback(program);
      case "approval":
        return this.#approval(program);
      case "value":
        return this.#value(program);
      case "hops":
        return hops(program.count);
      case "outside":
        return this.#stage.outside(program).then(() => "");
      case "failure":
        return Promise.reject(new Error(`the code at ${program.id}`));
      default:
        return this.#branch(program);
    }
  }

  #branch({ type, parts, times }: Branch): Promise<string> {
    const [first, second] = parts as [Program, Program];
    switch (type) {
      case "sequence":
        return this.#sequence(parts);
      case "all":
        return Promise.all(this.#goAll(parts)).then((all) => `[${all.join()}]`);
      case "race":
        return Promise.race(this.#goAll(parts).map((part, index) => part.then((result) => `${index}>${result}`)));
      case "settled":
        return Promise.allSettled(this.#goAll(parts)).then((all) => all.map((it) => (it.status === "fulfilled" ? it.value : digest(it.reason))).join());
      case "loop":
        return this.#loop(first, times);
      case "either":
        return this.#value({ type: "value", id: -1, which: "random" }).then((at) => this.#go(at < "0.5" ? first : second));
      case "guard":
        return this.#guard(first, second);
      case "loose":
        this.#go(first).catch(ignore);
        return Promise.resolve("");
    }
  }

  #goAll(parts: readonly Program[]): Promise<string>[] {
    return parts.map((part) => this.#go(part));
  }

  async #loop(part: Program, times: number): Promise<string> {
    let all = "";
    for (let i = 0; i < times; i++) all += await this.#go(part);
    return all;
  }

  async #guard(first: Program, second: Program): Promise<string> {
    try {
      return await this.#go(first);
    } catch (error) {
      return digest(error) + (await this.#go(second));
    }
  }

  async #sequence(parts: readonly Program[]): Promise<string> {
    let all = "";
    for (const part of parts) all += await this.#go(part);
    return all;
  }

  /** The key of the next step of this name, by the rule that the documentation states. */
  #key(name: string, kind: string, leaf: Leaf): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    const key = count === 1 ? name : `${name}#${count}`;
    this.#stage.called(key, kind, leaf);
    return key;
  }

  async #saw(key: string, result: Promise<unknown>): Promise<string> {
    let text: string;
    try {
      text = digest(await result);
    } catch (error) {
      this.#stage.saw(key, digest(error));
      throw error;
    }
    this.#stage.saw(key, text);
    return text;
  }

  #act(act: Act): Promise<string> {
    const key = this.#key(act.name, act.via === "do" ? "do" : "run", act);
    const stage = this.#stage;
    const input: ActInput = { run: stage.run, key, v: "in" };
    if (act.via !== "do") {
      return this.#saw(key, this.#step.run(stage.automationOf(act), input, { name: act.name }));
    }
    const { script, undo } = act;
    const options: DoOptions<unknown, unknown> = {
      ...attemptOptions(act),
      ...(act.fallback ? { fallback: "fallback" } : {}),
      ...(act.hasInput ? { input } : {}),
      ...(undo
        ? {
            compensate: {
              run: (context: CompensationContext<unknown, unknown>) => stage.act(undoOf(stage.run, `~${key}`, context, undo.script)),
              ...undoPolicy(undo.limit),
            },
          }
        : {}),
    };
    const action = (context: { attempt: number; idempotencyKey: string; input: unknown; signal: AbortSignal }): unknown => {
      const { attempt, idempotencyKey, input: given, signal } = context;
      return stage.act({ run: stage.run, key, attempt, idempotencyKey, input: given, script, signal, undoes: null, callback: null });
    };
    return this.#saw(key, this.#step.do(act.name, options, action));
  }

  #sleep(sleep: Sleep): Promise<string> {
    const { ms, until } = sleep;
    const key = this.#key("nap", "sleep", sleep);
    return this.#saw(key, until ? this.#step.sleepUntil("nap", this.#stage.createdAt + ms) : this.#step.sleep("nap", ms));
  }

  #event(wait: EventWait): Promise<string> {
    const { name, key: eventKey, timeoutMs, schema } = wait;
    const key = this.#key(name, "event", wait);
    const options = {
      ...(eventKey === null ? {} : { key: eventKey }),
      ...(timeoutMs === null ? {} : { timeout: timeoutMs }),
      ...(schema ? { schema: Payload } : {}),
    };
    return this.#saw(key, this.#step.waitForEvent(name, options).then(digestWait));
  }

  #callback(wait: CallbackWait): Promise<string> {
    const key = this.#key("call", "callback", wait);
    const { request: script, timeoutMs, schema, retries } = wait;
    const stage = this.#stage;
    const options = {
      retries: retriesOf(retries),
      attemptTimeout: 10_000,
      ...(timeoutMs === null ? {} : { timeout: timeoutMs }),
      ...(schema ? { schema: Payload } : {}),
      ...(script?.how === "refused_by_retry_if" ? { retryIf: () => false } : {}),
    };
    const request = script
      ? ({ attempt, idempotencyKey, url, signal }: { attempt: number; idempotencyKey: string; url: string; signal: AbortSignal }) =>
          stage.act({ run: stage.run, key, attempt, idempotencyKey, input: undefined, script, signal, undoes: null, callback: { url, wait } })
      : undefined;
    return this.#saw(key, this.#step.callback("call", options, request).then(digestWait));
  }

  #approval(wait: ApprovalWait): Promise<string> {
    const { quorum, timeoutMs, notify, reminders, escalateAfterMs, schema } = wait;
    const key = this.#key("ok", "approval", wait);
    const options = {
      assignees: ["ann", "bob"],
      quorum,
      reminders,
      ...(timeoutMs === null ? {} : { timeout: timeoutMs }),
      ...(notify ? { notify: this.#stage.notify } : {}),
      ...(escalateAfterMs === null ? {} : { escalation: { after: escalateAfterMs, assignees: ["boss"] } }),
      ...(schema ? { form: Form } : {}),
    };
    return this.#saw(key, this.#step.approval("ok", options).then(digestApproval));
  }

  #value(value: Value): Promise<string> {
    const { which } = value;
    const key = this.#key(which, "value", value);
    return this.#saw(key, this.#step[which]());
  }
}

async function hops(count: number): Promise<string> {
  for (let left = count; left > 0; left--) await null;
  return "";
}

function retriesOf(retries: Act["retries"]) {
  const { totalTimeout, ...rest } = retries;
  return totalTimeout === null ? rest : { ...rest, totalTimeout };
}

function attemptOptions(act: Act) {
  return {
    retries: retriesOf(act.retries),
    timeout: act.timeoutMs,
    onFailure: act.onFailure,
    repeat: act.unsafe ? ("unsafe" as const) : ("safe" as const),
    ...(act.script.how === "refused_by_retry_if" ? { retryIf: () => false } : {}),
  };
}

/** In numbers, so that nothing is parsed over and over. */
function undoPolicy(limit: number) {
  return { retries: { limit, delay: 1000, maxDelay: 300_000 }, timeout: 600_000 };
}

/** The automation of an act: shared by all runs, so it learns from its input whose step it is. */
export function automationFor(act: Act, perform: (attempt: Attempt) => unknown): AnyAutomation {
  const { undo, script } = act;
  const { onFailure, ...options } = attemptOptions(act);
  return automation<unknown, unknown>({
    name: `r${act.id}`,
    dispatch: act.via === "queue" ? "queue" : "inline",
    ...options,
    onFailure: onFailure === "continue" ? "fail" : onFailure,
    ...(undo
      ? {
          compensate: {
            run: (context: CompensationContext<unknown, unknown>) => {
              // A run that undoes what another did was given that one's inputs.
              const run = context.idempotencyKey.split("/")[1] as string;
              const { key } = context.input as ActInput;
              return perform(undoOf(run, `~${key}`, context, undo.script));
            },
            ...undoPolicy(undo.limit),
          },
        }
      : {}),
    run: ({ attempt, idempotencyKey, input, signal }) => {
      const { run, key } = input as ActInput;
      return perform({ run, key, attempt, idempotencyKey, input, script, signal, undoes: null, callback: null });
    },
  });
}

function undoOf(run: string, key: string, context: CompensationContext<unknown, unknown>, script: Script): Attempt {
  const { attempt, idempotencyKey, input, output, inDoubt, stepIdempotencyKey, signal } = context;
  return { run, key, attempt, idempotencyKey, input, script, signal, undoes: { output, inDoubt, idempotencyKey: stepIdempotencyKey }, callback: null };
}

/** A result or an error, as a short text. */
export function digest(value: unknown): string {
  if (typeof value === "string") return value.length > 60 ? `${value.slice(0, 40)}…${value.length}` : value;
  if (value instanceof Date) return `@${value.getTime()}`;
  if (value instanceof Error) return `!${"code" in value ? value.code : value.name}:${value.message.slice(0, 60)}`;
  return String(value);
}

function digestWait(result: WaitResult<unknown>): string {
  if (!result.ok) return result.reason;
  const { n } = (result.payload ?? {}) as { n?: unknown };
  return `${n}@${result.receivedAt.getTime()}`;
}

function digestApproval(result: ApprovalResult<unknown>): string {
  const decisions = result.decisions.map((it) => `${it.actor}@${it.at.getTime()}`).join("+");
  return `${result.ok ? "approved" : result.reason}${result.escalated ? "^" : ""}(${decisions})`;
}
