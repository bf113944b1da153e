/**
 * The closed table of things that can go wrong by a caller's or the world's doing. Each code has one HTTP status and one
 * sentence; a code never changes its meaning. Errors lose their class when they cross an RPC, so test by `code`, never by `instanceof`.
 */
export const faultCodes = {
  // What a caller sent
  invalid_request: { status: 400, title: "The request does not fit its schema." },
  invalid_json: { status: 400, title: "The body is not well-formed JSON." },
  invalid_input: { status: 422, title: "The input does not fit the workflow's schema." },
  invalid_payload: { status: 422, title: "The payload does not fit the schema of the wait." },
  invalid_id: { status: 400, title: "The id has a form that is not allowed." },
  invalid_name: { status: 400, title: "The name has a form that is not allowed." },
  invalid_cursor: { status: 400, title: "The cursor was not made by this list." },
  invalid_duration: { status: 400, title: "The duration can't be read or is out of range." },
  invalid_attributes: { status: 422, title: "The attributes are too many, too long, or of a type that can't be searched." },
  unsupported_media_type: { status: 415, title: "The body must be application/json." },
  body_too_large: { status: 413, title: "The body is larger than the limit." },
  unauthorized: { status: 401, title: "The API key is missing or wrong." },
  not_configured: { status: 503, title: "Segno has no API key or signing secret yet." },
  not_found: { status: 404, title: "There is nothing at this address." },
  method_not_allowed: { status: 405, title: "This address does not take that method." },
  workflow_not_found: { status: 404, title: "No workflow of that name is registered." },
  version_not_found: { status: 404, title: "The workflow has no such version." },
  run_not_found: { status: 404, title: "There is no such run." },
  step_not_found: { status: 404, title: "The run has no such step." },
  run_exists: { status: 409, title: "A run with this id exists, with another workflow or input." },
  run_ended: { status: 409, title: "The run has ended; nothing was changed." },
  already_decided: { status: 409, title: "This was decided before; nothing was changed." },
  stale: { status: 409, title: "The run has changed since it was looked at; nothing was changed." },
  step_state: { status: 409, title: "The step is not in a state that allows this; nothing was changed." },
  rollback_under_way: { status: 409, title: "The run is being rolled back; nothing was changed." },
  nothing_to_undo: { status: 409, title: "No step of the run has anything to undo; nothing was changed." },
  unsafe_repeat: { status: 409, title: "Steps that are marked unsafe to repeat would happen again; nothing was started." },
  not_paused: { status: 409, title: "The run is not paused; nothing was changed." },
  inbox_full: { status: 429, title: "Too many events wait in this run." },
  callback_invalid: { status: 401, title: "The callback token is not one of ours." },
  callback_expired: { status: 410, title: "The callback's time is over." },
  callback_used: { status: 409, title: "The callback was used before; it counts once." },
  signature_invalid: { status: 401, title: "The request's signature is missing, wrong or too old." },
  overloaded: { status: 503, title: "The run could not be reached; try again with the same key." },
  newer_version: { status: 503, title: "A newer version of Segno has worked on this run; this one leaves it alone." },
  internal: { status: 500, title: "Something broke inside Segno." },
  // What happened inside a run
  non_retryable: { status: 500, title: "The step said that trying again is of no use." },
  retry_after: { status: 500, title: "The step asked to be tried again later." },
  timeout: { status: 500, title: "It took longer than its time-out." },
  attempt_lost: { status: 500, title: "The attempt ended without a result: its process or executor went away." },
  dispatch_failed: { status: 500, title: "The queue gave up delivering the attempt." },
  cancelled: { status: 500, title: "The run was cancelled while this was under way." },
  unrecordable_value: { status: 500, title: "The value holds something that can't be recorded." },
  value_too_large: { status: 413, title: "The value is larger than can be recorded." },
  step_limit: { status: 500, title: "The run has more steps than one run may have." },
  invalid_step: { status: 500, title: "A step was called in a way that can't work." },
  automation_not_found: { status: 500, title: "No automation of that name is registered." },
  callback_not_configured: { status: 500, title: "Callbacks need SEGNO_SECRET and a public address." },
  nondeterminism: { status: 409, title: "The code no longer does what the journal says it did." },
  invariant: { status: 500, title: "The engine met a state that must not exist." },
} as const satisfies Record<string, { status: number; title: string }>;

export type FaultCode = keyof typeof faultCodes;

/** A failure with a code from the closed table. `details` holds what a program may want to branch on; it is plain JSON. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: FaultCode, message?: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message ?? faultCodes[code].title, options);
    this.name = "Fault";
    this.code = code;
    this.details = details;
  }
}

/** The code of a fault, also of one that crossed an RPC and lost its class; null for any other value. */
export function faultCodeOf(error: unknown): FaultCode | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  const { code } = error;
  return typeof code === "string" && Object.hasOwn(faultCodes, code) ? (code as FaultCode) : null;
}

/** A state that no sequence of inputs may lead to. Thrown loudly; never caught to carry on. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Fault("invariant", message);
}

/** The outcome of a command that crosses an RPC: a fault is a value there, since a thrown one would lose its class. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: FaultRecord };

export interface FaultRecord {
  readonly code: FaultCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}
