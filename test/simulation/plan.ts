import type { Program } from "./program.ts";

/** What happens in one simulation, apart from what the program itself brings about: all of it drawn from the seed before anything runs. */
export interface Plan {
  readonly seed: number;
  readonly program: Program;
  readonly options: RunOptions;
  readonly incidents: readonly Incident[];
}

export interface RunOptions {
  readonly timeoutMs: number | null;
  readonly expectedMs: number | null;
  readonly delayMs: number;
  /** Whoever starts the run waits so long for its end; 0: not at all. */
  readonly waitMs: number;
  /** Somebody on call is told. */
  readonly alerts: boolean;
}

/** What is counted, so that an incident can say at which it happens. */
export const counters = ["turn", "event", "message", "execution", "alarm", "summary", "send", "rpc", "append"] as const;
export type Counter = (typeof counters)[number];

/** A fault, or something that a caller or an operator does: at the `n`th of what is counted. `a` and `b` choose among its forms. */
export interface Incident {
  readonly on: Counter;
  readonly n: number;
  readonly what: What;
  readonly a: number;
  readonly b: number;
}

/** The kinds of fault, by what they are counted on. */
export const faults = {
  /** The process dies before the turn is durable; after it, with what it sent lost or on its way. */
  turn: ["crash_before", "crash_after", "crash_after_sent"],
  event: ["crash", "crash", "evict", "evict", "deploy_missing", "deploy_wrong", "clock_jump", "clock_jump", "spurious_alarm", "spurious_alarm"],
  message: ["message_lost", "message_twice", "message_late"],
  execution: ["executor_dies", "executor_silent"],
  alarm: ["alarm_late", "alarm_twice", "alarm_lost"],
  summary: ["index_fails", "index_loses", "index_repeats", "index_late", "confirmation_lost"],
  send: ["queue_refuses"],
  rpc: ["request_lost", "answer_lost"],
  append: ["storage_full"],
} as const satisfies Record<Counter, readonly string[]>;

/** What callers and operators do, at an event of the world. */
export const acts = [
  "event",
  "start_again",
  "poke",
  "touch",
  "wait",
  "pause",
  "resume",
  "cancel",
  "terminate",
  "rollback",
  "retry",
  "complete",
  "skip",
  "fail",
  "decide",
  "call_back",
  "fork",
  "undo",
] as const;

export type Fault = (typeof faults)[Counter][number];
export type What = Fault | (typeof acts)[number];

const allFaults: ReadonlySet<string> = new Set(Object.values(faults).flat());

export function isFault(what: What): what is Fault {
  return allFaults.has(what);
}
