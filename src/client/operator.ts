import { encode } from "#core/value.ts";
import { type Run, readRun } from "./run-view.ts";
import type { Call, Transport } from "./transport.ts";

/** What an operator may say with every act. */
export interface OperatorOptions {
  /** Why; recorded with the name of the API key. */
  readonly reason?: string;
  /** The run's `seq` as it was shown. When the run has changed since, SegnoError `stale` is thrown and nothing is done. */
  readonly expectedSeq?: number;
}

/** How a step is tried again. */
export interface RetryOptions extends OperatorOptions {
  /** The corrected input. Default: the one that is recorded. */
  readonly input?: unknown;
}

/** What of a run is undone. */
export interface RollbackOptions extends OperatorOptions {
  /** The first step that is undone, with all that began after it. Default: everything. */
  readonly from?: string;
  /** The id of the run that undoes a run that has ended. Default: the run's id with `.rollback`. */
  readonly id?: string;
}

/** From where a run is begun anew, and with what. */
export interface ForkOptions extends OperatorOptions {
  /** The first step that happens again. */
  readonly from: string;
  /** The id of the new run. Default: a new one for every call. */
  readonly id?: string;
  /** The run's corrected input. Default: that of the run. */
  readonly input?: unknown;
  /** Default: that of the run. */
  readonly version?: string;
  /** Steps that are marked unsafe to repeat may happen again. */
  readonly acknowledgeUnsafe?: boolean;
}

/** What a fork would keep and repeat: keys of steps, in order of start. */
export interface ForkPlan {
  readonly kept: readonly string[];
  readonly repeated: readonly string[];
  /** Of those repeated, the ones marked unsafe to repeat that had begun. */
  readonly unsafe: readonly string[];
}

/** Acts on a run or a step, and tells the run as it stands then. `body` holds what is not a recorded value. */
export async function operate(transport: Transport, path: string, body: unknown): Promise<Run> {
  return readRun((await transport({ method: "POST", path, body })).body);
}

/** As `operate`, with a recorded value in one of the body's fields. A field that is left out stays so; one that is undefined is recorded as that. */
export async function operateWith(transport: Transport, path: string, field: string, options: object): Promise<Run> {
  return readRun((await transport(valueCall(path, field, options))).body);
}

/** A request whose body has a recorded value in one of its fields. */
export function valueCall(path: string, field: string, options: object): Call {
  const body = field in options ? { ...options, [field]: encode(Reflect.get(options, field)) } : options;
  return { method: "POST", path, headers: { "content-values": "devalue" }, body };
}
