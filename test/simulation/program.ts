/** A workflow as a tree: what the simulation runs in place of an author's code. `id` tells the leaves apart. */
export type Program = Leaf | Branch;

export type Leaf = Act | Sleep | EventWait | CallbackWait | ApprovalWait | Value | Hops | Outside | Failure;

/** What an action does in the world, attempt by attempt. */
export interface Script {
  /** So many attempts go wrong before one goes well; `always` of them: until the world is repaired. */
  readonly failures: number;
  readonly how: "error" | "non_retryable" | "retry_after" | "hang" | "unrecordable" | "refused_by_retry_if";
  /** Answers without leaving the object: start and end are of one turn. */
  readonly instant: boolean;
  /** How long the world takes to answer, in ms. */
  readonly latencyMs: number;
  /** For so long, in ms, it goes on after its signal has told it to stop; null: it does not look at its signal. */
  readonly lingersMs: number | null;
  readonly large: boolean;
}

export const always = 1000;

export interface Retries {
  readonly limit: number;
  readonly delay: number;
  readonly backoff: "constant" | "linear" | "exponential";
  readonly jitter: number;
  readonly maxDelay: number;
  readonly totalTimeout: number | null;
}

/** `step.do`, or `step.run` of an automation, inline or on the queue. */
export interface Act {
  readonly type: "act";
  readonly id: number;
  readonly via: "do" | "inline" | "queue";
  readonly name: string;
  readonly hasInput: boolean;
  readonly retries: Retries;
  readonly timeoutMs: number;
  readonly onFailure: "fail" | "pause" | "continue" | "compensate";
  readonly fallback: boolean;
  readonly undo: { readonly script: Script; readonly limit: number } | null;
  readonly unsafe: boolean;
  readonly script: Script;
}

export interface Sleep {
  readonly type: "sleep";
  readonly id: number;
  readonly ms: number;
  /** Until a point in time, `ms` after the run was created. */
  readonly until: boolean;
}

export interface EventWait {
  readonly type: "event";
  readonly id: number;
  readonly name: string;
  readonly key: string | null;
  readonly timeoutMs: number | null;
  readonly schema: boolean;
}

export interface CallbackWait {
  readonly type: "callback";
  readonly id: number;
  readonly request: Script | null;
  readonly retries: Retries;
  readonly timeoutMs: number | null;
  readonly schema: boolean;
  /** The remote calls back so long after it was asked; null: never by itself. */
  readonly answersAfterMs: number | null;
  readonly answersTwice: boolean;
}

export interface ApprovalWait {
  readonly type: "approval";
  readonly id: number;
  readonly quorum: number;
  readonly timeoutMs: number | null;
  readonly notify: boolean;
  readonly reminders: readonly number[];
  readonly escalateAfterMs: number | null;
  readonly schema: boolean;
}

export interface Value {
  readonly type: "value";
  readonly id: number;
  readonly which: "now" | "random" | "uuid";
}

/** Some microtasks that are no step. */
export interface Hops {
  readonly type: "hops";
  readonly id: number;
  readonly count: number;
}

/** The code awaits what is no step: it comes so long after it was first asked for. */
export interface Outside {
  readonly type: "outside";
  readonly id: number;
  readonly ms: number;
}

/** The code itself throws. */
export interface Failure {
  readonly type: "failure";
  readonly id: number;
}

export interface Branch {
  readonly type: "sequence" | "all" | "race" | "settled" | "loop" | "either" | "guard" | "loose";
  readonly id: number;
  readonly parts: readonly Program[];
  /** Rounds of a `loop`. */
  readonly times: number;
}

/** Every act of a program, for its automations. */
export function actsOf(program: Program): Act[] {
  if (program.type === "act") return [program];
  return "parts" in program ? program.parts.flatMap(actsOf) : [];
}

/** One line for a person. */
export function describe(program: Program): string {
  if ("parts" in program) {
    const times = program.type === "loop" ? ` ×${program.times}` : "";
    return `${program.type}${times}(${program.parts.map(describe).join(", ")})`;
  }
  return describeLeaf(program);
}

function describeLeaf(leaf: Leaf): string {
  const rest = Object.entries(leaf).filter(([name, value]) => name !== "type" && value !== null && value !== false);
  return `${leaf.type}{${rest.map(([name, value]) => `${name}:${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ")}}`;
}
