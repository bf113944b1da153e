import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import type { DifferenceId } from "./differences.ts";

/** One small program of the comparison, written once and run on Cloudflare Workflows and on Segno. */

/** What a program may reach beside its steps. It is kept outside the run, so a replay or a restart does not forget it. */
export interface Io {
  /** Records an effect, in order. Resolves to how often an effect of this name has happened in this case, this one included. */
  effect(name: string, detail?: unknown): Promise<number>;
  /** Waits until the script opens what is named here, so that what happens meanwhile does not hang on time. */
  held(name: string): Promise<void>;
  /** The class of the side that runs the program. */
  readonly NonRetryableError: new (
    message: string,
    name?: string,
  ) => Error;
}

/** The instance's status as its binding tells it. */
export interface Status {
  readonly status: string;
  readonly output?: unknown;
  readonly error?: { readonly name: string; readonly message: string } | null;
  readonly rollback?: unknown;
}

export interface Instance {
  readonly id: string;
  status(): Promise<Status>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  terminate(options?: { rollback?: boolean }): Promise<void>;
  restart(options?: { from?: { name: string; count?: number; type?: "do" | "sleep" | "waitForEvent" } }): Promise<void>;
  sendEvent(event: { type: string; payload?: unknown }): Promise<void>;
  delete(): Promise<void>;
  subscribe?(options?: { cursor?: number; filter?: readonly string[] }): Promise<Subscription>;
}

export interface Subscription {
  next(): Promise<{ readonly done?: boolean; readonly value?: InstanceEvent }>;
}

export interface InstanceEvent {
  readonly type: string;
  readonly eventId: number;
  readonly [field: string]: unknown;
}

export interface Creation {
  readonly id?: string;
  readonly params?: unknown;
}

/** A Workflow binding. Loose on purpose: the programs also give it what its types refuse. */
export interface Binding {
  create(options?: Creation): Promise<Instance>;
  get(id: string): Promise<Instance>;
  // biome-ignore lint/suspicious/noExplicitAny: both published forms, and what neither allows.
  createBatch(batch: any): Promise<any>;
  deleteBatch(ids: readonly string[]): Promise<{ deleted: { id: string }[]; errors: { id: string; code: number; message: string }[] }>;
}

/** What a script has in hand while the instance runs. */
export interface Tools {
  readonly binding: Binding;
  /** The case's instance; with `starts: false` it does not exist until the script creates it. */
  readonly instance: Instance;
  readonly id: string;
  /** An id that no other case has, for a further instance. */
  newId(label: string): string;
  /** Puts something into the observation, in order. */
  note(label: string, value: unknown): void;
  /** Notes what the action gives or how it fails. */
  attempt(label: string, action: () => Promise<unknown>): Promise<void>;
  /** Waits until the instance has one of these statuses. */
  until(...statuses: string[]): Promise<Status>;
  /** Waits until an effect has happened so often. */
  seen(effect: string, times?: number): Promise<void>;
  /** Lets everything go on that is held under this name. */
  open(name: string): Promise<void>;
  pause(ms: number): Promise<void>;
  /** Waits for an instance other than the case's own. */
  finished(instance: Instance): Promise<Status>;
}

export interface Effect {
  readonly name: string;
  readonly detail: unknown;
  readonly at: number;
}

/** What is seen of a case from outside. All values are described (see `describe`), so two of them compare as JSON. */
export interface Observation {
  readonly status: string;
  readonly output: unknown;
  readonly error: { readonly name: string; readonly message: string } | null;
  /** `name` or `name(detail)`, in order. */
  readonly effects: readonly string[];
  readonly notes: Readonly<Record<string, unknown>>;
}

export interface Program {
  readonly name: string;
  /** The promise that it checks, as a sentence. */
  readonly promise: string;
  readonly params?: unknown;
  /** `few-steps` has a limit of five steps. */
  readonly workflow?: "plain" | "few-steps";
  run(event: Readonly<WorkflowEvent<never>>, step: WorkflowStep, io: Io): Promise<unknown>;
  /** What is done to the instance from outside. */
  drive?(tools: Tools): Promise<void>;
  /** `false`: the script creates the instance itself. */
  readonly starts?: false;
  /** The statuses of which one ends the case. Default: complete, errored, terminated. */
  readonly ends?: readonly string[];
  /** How long effects are still awaited after the end. */
  readonly settleMs?: number;
  /** Effects of parallel branches have no order between them. */
  readonly anyOrder?: true;
  /** What both sides must show. It guards against a program that is equal on both sides because it is broken on both. */
  readonly expect: Partial<Observation>;
  /** The least time between one effect of this name and the next, in ms. */
  readonly spacing?: { readonly effect: string; readonly atLeast: readonly number[] };
  /** A listed difference, and what the side that departs from `expect` shows instead. */
  readonly differs?: Differs;
}

export type Differs =
  /** Segno does otherwise, on purpose. `cloudflare` and `segno` are what each shows. */
  | { readonly id: DifferenceId; readonly segno: Partial<Observation> }
  /** The local engine does otherwise than the published behaviour, which Segno follows. */
  | { readonly id: DifferenceId; readonly local: Partial<Observation> | "not comparable" };

/** Keeps the types of a table of programs without a word at each. */
export function programs(...table: readonly Program[]): readonly Program[] {
  return table;
}
