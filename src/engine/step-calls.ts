import { type Duration, durationMs } from "#core/duration.ts";
import type { FailurePolicy, WaitSpec } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type RetryOptions, retryPolicy } from "#core/retry-policy.ts";
import { encode } from "#core/value.ts";
import type { AnyAutomation, AttemptContext } from "#sdk/automation.ts";
import type { Compensation } from "#sdk/compensation.ts";
import type { Log } from "#sdk/log.ts";
import {
  type ApprovalOptions,
  type CallbackOptions,
  type CallbackRequest,
  callbackVerification,
  type DoOptions,
  type EventOptions,
  type RunOptions,
  type Step,
  type WaitResult,
} from "#sdk/step.ts";
import { ActionContext } from "./action-context.ts";
import { approvalCall } from "./approval-call.ts";
import type { CallRequest, RecordedResult, StartFields } from "./call.ts";
import type { Random } from "./ports.ts";
import { checkBy, issueLines } from "./schema-check.ts";

/** What step calls need of their run. */
export interface StepHost {
  call(request: CallRequest): Promise<unknown>;
  now(): number;
  readonly random: Random;
  readonly log: Log;
  /** The idempotency key of a step, by its key. */
  idempotencyKey(key: string): string;
  callbackUrl(key: string, expiresAt: number | null): string;
}

/** The `step` of a workflow function: each method describes a call, the pass does the rest. */
export function createStep(host: StepHost): Step {
  const step = {
    do: (name: string, ...rest: [unknown, unknown?]) => callDo(host, name, rest),
    run: (automation: AnyAutomation, input: unknown, options: RunOptions = {}) => callRun(host, automation, { input, options }),
    sleep: (name: string, duration: Duration) => callSleep(host, name, (now) => now + durationMs(duration)),
    sleepUntil: (name: string, time: Date | number | ((now: number) => Date | number)) =>
      callSleep(host, name, (now) => timeMs(typeof time === "function" ? time(now) : time)),
    waitForEvent: (name: string, options: EventOptions<unknown> = {}) => callEvent(host, name, options),
    callback: (name: string, options: CallbackOptions<unknown>, request?: CallbackRequest) => callCallback(host, name, { options, request }),
    approval: (name: string, options: ApprovalOptions<unknown>) =>
      host.call({
        ...plainCall(name),
        ...approvalCall(options, (wait, now) => ({ ...waitFields(wait, options.timeout, now), dispatch: null, policy: null })),
      }),
    now: () => callValue(host, "now", (now) => new Date(now)),
    random: () => callValue(host, "random", () => host.random.number()),
    uuid: () => callValue(host, "uuid", () => host.random.uuid()),
  };
  // The methods return what `call` brings, typed by the interface that authors see.
  return step as unknown as Step;
}

type Action = (context: AttemptContext & { readonly input: unknown }) => unknown;

function callDo(host: StepHost, name: string, rest: readonly [unknown, unknown?]): Promise<unknown> {
  const [options, action] = (rest.length === 1 ? [{}, rest[0]] : rest) as [DoOptions<unknown>, Action];
  if (typeof action !== "function") return Promise.reject(new Fault("invalid_step", `step.do(${JSON.stringify(name)}) needs a function as its last argument.`));
  return host.call({
    ...plainCall(name),
    kind: "do",
    begin: { type: "started", fields: () => attemptFields("inline", options, "input" in options ? encode(options.input) : null) },
    attempt: (args) => action(new ActionContext(host, args)),
    retryIf: options.retryIf,
    compensation: compensationCall(host, options.compensate),
  });
}

function callRun(host: StepHost, automation: AnyAutomation, call: { readonly input: unknown; readonly options: RunOptions }): Promise<unknown> {
  const { options } = automation;
  const overrides = call.options;
  const dispatch = overrides.dispatch ?? options.dispatch ?? "inline";
  const attempts = {
    retries: overrides.retries ?? options.retries,
    timeout: overrides.timeout ?? options.timeout,
    redact: options.redact,
    onFailure: overrides.onFailure ?? options.onFailure,
    compensate: options.compensate,
    repeat: options.repeat,
  };
  return host.call({
    ...plainCall(overrides.name ?? automation.name),
    kind: "run",
    automation: automation.name,
    begin: { type: "started", fields: () => attemptFields(dispatch, attempts, encode(parseAutomationInput(automation, call.input))) },
    attempt: (args) => options.run(new ActionContext(host, args)),
    retryIf: overrides.retryIf ?? options.retryIf,
    compensation: compensationCall(host, options.compensate),
  });
}

function callSleep(host: StepHost, name: string, wakeAt: (now: number) => number): Promise<unknown> {
  return host.call({
    ...plainCall(name),
    kind: "sleep",
    begin: {
      type: "started",
      fields: (now) => ({ dispatch: null, policy: null, wakeAt: checkWakeAt(wakeAt(now), now), wait: null, ...plainStep, value: null }),
    },
    result: () => undefined,
  });
}

function callEvent(host: StepHost, name: string, options: EventOptions<unknown>): Promise<unknown> {
  const wait: WaitSpec = { for: "event", event: options.event ?? name, eventKey: options.key ?? null, hasSchema: options.schema !== undefined };
  return host.call({
    ...plainCall(name),
    kind: "event",
    begin: { type: "started", fields: (now) => ({ ...waitFields(wait, options.timeout, now), dispatch: null, policy: null }) },
    ...payloadResult(options.schema),
  });
}

function callCallback(
  host: StepHost,
  name: string,
  call: { readonly options: CallbackOptions<unknown>; readonly request: CallbackRequest | undefined },
): Promise<unknown> {
  const { options, request } = call;
  const wait: WaitSpec = { for: "callback", verify: callbackVerification(options.verify), hasSchema: options.schema !== undefined };
  const policy = request ? retryPolicy(options.retries, options.attemptTimeout) : null;
  return host.call({
    ...plainCall(name),
    kind: "callback",
    begin: { type: "started", fields: (now) => ({ ...waitFields(wait, options.timeout, now), dispatch: request ? "inline" : null, policy }) },
    attempt: request ? (args) => request({ ...new ActionContext(host, args), url: host.callbackUrl(args.key, args.wakeAt) }) : null,
    retryIf: options.retryIf,
    ...payloadResult(options.schema),
  });
}

function callValue(host: StepHost, name: string, value: (now: number) => unknown): Promise<unknown> {
  return host.call({ ...plainCall(name), kind: "value", begin: { type: "instant", value } });
}

/** What most calls have in common. */
function plainCall(name: string): Pick<CallRequest, "name" | "automation" | "attempt" | "retryIf" | "compensation" | "result" | "issues"> {
  return { name, automation: null, attempt: null, retryIf: undefined, compensation: null, result: (recorded) => recorded.value, issues: () => [] };
}

interface AttemptFieldOptions {
  readonly retries?: RetryOptions | undefined;
  readonly timeout?: Duration | undefined;
  readonly redact?: readonly string[] | undefined;
  readonly onFailure?: FailurePolicy | undefined;
  readonly fallback?: unknown;
  readonly compensate?: Compensation<unknown, unknown> | undefined;
  readonly repeat?: "safe" | "unsafe" | undefined;
  readonly sensitive?: "output" | undefined;
}

type RecoveryField = "redact" | "onFailure" | "fallback" | "compensates" | "unsafeToRepeat" | "sensitive";

/** Of a step that declares nothing about failure. */
const plainStep: Pick<StartFields, RecoveryField> = { redact: [], onFailure: "fail", fallback: null, compensates: false, unsafeToRepeat: false };

function recoveryFields(options: AttemptFieldOptions): Pick<StartFields, RecoveryField> {
  return {
    redact: options.redact ?? [],
    onFailure: options.onFailure ?? "fail",
    fallback: options.fallback === undefined ? null : encode(options.fallback),
    compensates: options.compensate !== undefined,
    unsafeToRepeat: options.repeat === "unsafe",
    ...(options.sensitive === "output" && { sensitive: true }),
  };
}

function compensationCall(host: StepHost, compensation: Compensation<unknown, unknown> | undefined): CallRequest["compensation"] {
  if (compensation === undefined) return null;
  const { run, retries, retryIf, timeout } = typeof compensation === "function" ? { run: compensation } : compensation;
  return {
    policy: retryPolicy(retries, timeout),
    retryIf,
    run: (args) => {
      const { output, inDoubt, stepAttempt, error } = args;
      return run({
        ...new ActionContext(host, args),
        idempotencyKey: host.idempotencyKey(args.key),
        output,
        inDoubt,
        stepIdempotencyKey: host.idempotencyKey(args.undoneKey),
        stepAttempt,
        error,
      });
    },
  };
}

function attemptFields(dispatch: "inline" | "queue", options: AttemptFieldOptions, value: string | null): StartFields {
  const policy = retryPolicy(options.retries, options.timeout);
  const longest = limits.dispatchedAttemptMs;
  const bounded = dispatch === "queue" ? { ...policy, timeoutMs: Math.min(policy.timeoutMs ?? longest, longest) } : policy;
  return { dispatch, policy: bounded, wakeAt: null, wait: null, ...recoveryFields(options), value };
}

function waitFields(wait: WaitSpec, timeout: Duration | undefined, now: number): Pick<StartFields, "wakeAt" | "wait" | RecoveryField | "value"> {
  return { wakeAt: timeout === undefined ? null : now + durationMs(timeout), wait, ...plainStep, value: null };
}

/** @throws Fault `invalid_input` with one line per issue. */
export function parseAutomationInput(automation: AnyAutomation, input: unknown): unknown {
  const { input: schema } = automation.options;
  if (!schema) return input;
  const checked = checkBy(schema, input);
  if (checked.fits) return checked.value;
  const issues = issueLines(checked.issues);
  throw new Fault("invalid_input", `The input of ${automation.name} does not fit: ${issues.join("; ")}`, { automation: automation.name, issues });
}

function payloadResult(schema: EventOptions<unknown>["schema"]): Pick<CallRequest, "result" | "issues"> {
  return {
    issues: (payload) => {
      const checked = schema && checkBy(schema, payload);
      return checked?.fits === false ? issueLines(checked.issues) : [];
    },
    result: (recorded) => waitResult(schema, recorded),
  };
}

function waitResult(schema: EventOptions<unknown>["schema"], recorded: RecordedResult): WaitResult<unknown> {
  if (recorded.outcome === "timeout" || recorded.outcome === "skipped") return { ok: false, reason: recorded.outcome };
  const checked = schema && checkBy(schema, recorded.value);
  if (checked?.fits === false) return { ok: false, reason: "invalid", issues: issueLines(checked.issues) };
  return { ok: true, payload: checked ? checked.value : recorded.value, receivedAt: new Date(recorded.at) };
}

function timeMs(time: Date | number): number {
  const ms = typeof time === "number" ? time : time.getTime();
  if (!Number.isFinite(ms)) throw new Fault("invalid_duration", "step.sleepUntil needs a Date or epoch milliseconds.");
  return Math.ceil(ms);
}

function checkWakeAt(wakeAt: number, now: number): number {
  if (wakeAt > now + limits.waitMs) throw new Fault("invalid_duration", "A wait can't be longer than 366 days.");
  return wakeAt;
}
