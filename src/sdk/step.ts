import type { z } from "zod";
import type { Duration } from "#core/duration.ts";
import type { CallbackVerification, FailurePolicy } from "#core/entry.ts";
import type { RetryOptions } from "#core/retry-policy.ts";
import type { AttemptContext, Automation } from "./automation.ts";
import type { Compensation } from "./compensation.ts";
import type { RetryIf } from "./errors.ts";

export interface AttemptOptions {
  readonly retries?: RetryOptions;
  /** False stops the retries. Not asked for errors that forbid another attempt by themselves. */
  readonly retryIf?: RetryIf;
  /** Per attempt. Default `"10m"`. Past it the attempt fails with the code `timeout`, its `signal` aborts, and the policy decides. */
  readonly timeout?: Duration;
}

export interface DoOptions<Input, Output = unknown> extends AttemptOptions {
  /**
   * When its retries are exhausted. `"fail"` (default): the error is thrown into the workflow. `"pause"`: the run is parked for a person. `"continue"`: the failure is
   * recorded, and the step returns `fallback`. `"compensate"`: the run rolls back at once.
   */
  readonly onFailure?: FailurePolicy;
  /** What the step returns after a failure with `onFailure: "continue"`. Default undefined. */
  readonly fallback?: NoInfer<Output>;
  /** How to undo what it did. To have its `output` typed, say what the step returns: `step.do<Account>(…)`. */
  readonly compensate?: Compensation<NoInfer<Input>, NoInfer<Output>>;
  /** `"unsafe"`: the effect must not happen twice without somebody saying so; a fork that would repeat it asks. Default `"safe"`. */
  readonly repeat?: "safe" | "unsafe";
  /** Names of properties that are hidden, at any depth, wherever the run is shown. */
  readonly redact?: readonly string[];
  /** `"output"`: what it returns is hidden as a whole wherever the run is shown. The workflow gets it as ever. */
  readonly sensitive?: "output";
  /** Recorded with the step and handed to the function, the same at every attempt. */
  readonly input?: Input;
}

export interface RunOptions extends AttemptOptions {
  /** The step's name; default the automation's. */
  readonly name?: string;
  /** Overrides the automation's. */
  readonly onFailure?: Exclude<FailurePolicy, "continue">;
  /** Overrides where the automation runs. */
  readonly dispatch?: "inline" | "queue";
}

export interface EventOptions<Payload> {
  /** The event's name; default the step's. */
  readonly event?: string;
  /** Takes only events that carry this key. Default: any event of the name. */
  readonly key?: string;
  /** A payload that does not fit is refused at the door; one buffered before the wait ends it as `invalid`. */
  readonly schema?: z.ZodType<Payload>;
  /** Default: waits for ever. */
  readonly timeout?: Duration;
}

/** How a wait ended. Nobody forgets the time-out: the payload is there only after asking for `ok`. */
export type WaitResult<Payload> =
  | { readonly ok: true; readonly payload: Payload; readonly receivedAt: Date }
  | { readonly ok: false; readonly reason: "timeout" }
  /** An operator ended the wait. */
  | { readonly ok: false; readonly reason: "skipped" }
  | { readonly ok: false; readonly reason: "invalid"; readonly issues: readonly string[] };

export interface CallbackOptions<Payload> {
  /** How the caller proves who it is, beside holding the URL. Default: the URL's signature is enough. */
  readonly verify?: VerifyOptions;
  /** A payload that does not fit is answered with 422 and leaves the callback unused. */
  readonly schema?: z.ZodType<Payload>;
  /** How long the callback may take, from the step's start; the URL expires then. Default: it never does. */
  readonly timeout?: Duration;
  /** For the attempts of `request`, as in `do`. */
  readonly retries?: RetryOptions;
  readonly retryIf?: RetryIf;
  /** Per attempt of `request`. Default `"10m"`. */
  readonly attemptTimeout?: Duration;
}

/** `secret` names the binding (a Worker secret) that holds the shared secret. */
export type VerifyOptions =
  | { readonly scheme: "standard-webhooks"; readonly secret: string }
  | {
      readonly scheme: "hmac";
      readonly secret: string;
      /** Default `"x-signature"`. */
      readonly header?: string;
      /** Default `"SHA-256"`. */
      readonly algorithm?: "SHA-256" | "SHA-512";
      /** Default `"hex"`. */
      readonly encoding?: "hex" | "base64";
      /** What stands before the signature in the header. Default empty. */
      readonly prefix?: string;
    };

/** The options of `verify` with every default filled in, as they are journaled. */
export function callbackVerification(options: VerifyOptions | undefined): CallbackVerification | null {
  if (options === undefined) return null;
  if (options.scheme === "standard-webhooks") return { scheme: options.scheme, secret: options.secret };
  const { scheme, secret, header = "x-signature", algorithm = "SHA-256", encoding = "hex", prefix = "" } = options;
  return { scheme, secret, header: header.toLowerCase(), algorithm, encoding, prefix };
}

export interface ApprovalOptions<Form> {
  /** Who is asked: people, groups, addresses; whatever your automation and your people understand. */
  readonly assignees: readonly string[];
  /** What whoever approves fills in; the data are the result's. Also makes a manual task: work that a person does and reports. */
  readonly form?: z.ZodType<Form>;
  /** How many must approve; one rejection rejects. Default 1. */
  readonly quorum?: number;
  /** Default: waits for ever. */
  readonly timeout?: Duration;
  /** Tells the assignees, at the start and with each reminder. Its input is a `Notice`. It must be registered, for it runs on the queue. */
  readonly notify?: Teller;
  /** When the assignees are told again, from the start of the step. */
  readonly reminders?: readonly Duration[];
  /** When nobody has decided after this time, these are asked too. */
  readonly escalation?: { readonly after: Duration; readonly assignees: readonly string[] };
}

/** One person's decision. */
export interface Decision<Form> {
  readonly actor: string;
  readonly at: Date;
  readonly comment: string | null;
  /** Undefined where the person filled in no form. */
  readonly form: Form | undefined;
}

/** How an approval ended. `escalated`: more people had been asked by then. */
export type ApprovalResult<Form> =
  | { readonly ok: true; readonly escalated: boolean; readonly decisions: readonly Decision<Form>[]; readonly form: Form }
  | {
      readonly ok: false;
      readonly reason: "rejected";
      readonly escalated: boolean;
      readonly decisions: readonly Decision<Form>[];
      readonly by: string;
      readonly comment: string | null;
    }
  | { readonly ok: false; readonly reason: "timeout" | "skipped"; readonly escalated: boolean; readonly decisions: readonly Decision<Form>[] };

/** What an automation gets that tells somebody of a run. Plain data; `url` and `links` lead a person there. */
export interface Notice {
  readonly type: "approval" | "approval_escalated" | "approval_expired" | "dead_letter" | "paused" | "late";
  readonly namespace: string;
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  /** The step it is about; null: the run as a whole. */
  readonly step: string | null;
  readonly message: string;
  /** The run in this Segno's API. */
  readonly url: string;
  /** For an approval: a signed link for each assignee, which shows a page and decides nothing by being opened. */
  readonly links: readonly { readonly assignee: string; readonly url: string }[];
}

/** An automation that tells somebody. */
// biome-ignore lint/suspicious/noExplicitAny: nobody looks at what it returns
export type Teller = Automation<Notice, any>;

/** What the function of a callback step gets: the address that the remote must call. */
export type CallbackRequest = (context: AttemptContext & { readonly url: string }) => unknown;

/**
 * What a workflow can do durably. Each call is a step: done once, remembered, identified by its name and by how many times that name came
 * before. After a crash or a wait the function runs again from the top, and every step that has a result returns it at once. Code between
 * steps runs again, so it must come to the same decisions: take time, randomness and the world's answers from steps.
 */
export interface Step {
  /**
   * Runs `action` until it succeeds or its policy is exhausted, and records what it returns. Effects happen at least once and carry the same
   * `idempotencyKey`; the record is made exactly once.
   * @throws what the last attempt threw: built-in error classes as themselves, others as Error with their name and own properties.
   * @throws Fault `unrecordable_value` when the result can't be recorded.
   * @example const account = await step.do("provision", { timeout: "30s" }, ({ idempotencyKey }) => provision(id, idempotencyKey));
   */
  do<Output>(name: string, action: (context: AttemptContext & { readonly input: undefined }) => Output | Promise<Output>): Promise<Output>;
  do<Output, Input = undefined>(
    name: string,
    options: DoOptions<Input, Output>,
    action: (context: AttemptContext & { readonly input: Input }) => Output | Promise<Output>,
  ): Promise<Output>;

  /** Runs an automation as a step, under its name or `options.name`. Otherwise as `do`. @throws Fault `invalid_input` when the input does not fit its schema. */
  run<Input, Output>(automation: Automation<Input, Output>, input: Input, options?: RunOptions): Promise<Output>;

  /** Waits. A waiting run costs nothing and survives everything. */
  sleep(name: string, duration: Duration): Promise<void>;

  /**
   * Waits until a time (Date or epoch ms). A time that has passed ends the wait at once, now and at every replay. A function is asked once, at the first
   * execution, with the time of then in epoch ms; what it throws is the step's failure.
   * @example await step.sleepUntil("next hour", (now) => Math.ceil((now + 1) / 3_600_000) * 3_600_000);
   */
  sleepUntil(name: string, time: Date | number | ((now: number) => Date | number)): Promise<void>;

  /**
   * Waits for an event sent to this run. An event that came before the wait is kept for it; several of one name are taken in order of arrival,
   * each by one wait.
   * @example const paid = await step.waitForEvent("invoice.paid", { key: invoice.id, schema: Paid, timeout: "14d" });
   */
  waitForEvent<Payload = unknown>(name: string, options?: EventOptions<Payload>): Promise<WaitResult<Payload>>;

  /**
   * Mints a URL, hands it to `request` (retried as a step's action is), and waits until somebody calls it. The URL is signed, counts once and
   * expires. A call that arrives before `request` has returned ends the step all the same. Without `request`, find the URL in the run's steps.
   * @example const kyc = await step.callback("kyc", { timeout: "3d" }, ({ url, idempotencyKey }) => startCheck(customer, url, idempotencyKey));
   */
  callback<Payload = unknown>(name: string, options: CallbackOptions<Payload>, request?: CallbackRequest): Promise<WaitResult<Payload>>;

  /**
   * Asks people, and waits until they have decided: by the API, by a signed link, or by a Slack message. A decision counts once, with who, when, what and why.
   * @example const legal = await step.approval("legal", { assignees: ["legal@acme.example"], timeout: "7d" });
   */
  approval<Form = undefined>(name: string, options: ApprovalOptions<Form>): Promise<ApprovalResult<Form>>;

  /** The time at the first execution, the same at every replay. */
  now(): Promise<Date>;
  /** A random number from 0 up to 1, the same at every replay. */
  random(): Promise<number>;
  /** A random UUID, the same at every replay. */
  uuid(): Promise<string>;
}
