import type { FaultCode } from "#core/fault.ts";

/**
 * A code of the API's closed table, or one of the client's own: `run_failed`, `run_cancelled`, `run_terminated` (thrown by `result()`; `cause` is the
 * run's error), `unreachable` (no answer came, however often it was asked), `unexpected_answer` (what answers is not a Segno).
 */
export type SegnoErrorCode = FaultCode | "run_failed" | "run_cancelled" | "run_terminated" | "unreachable" | "unexpected_answer";

/** What the client throws. Branch on `code`; `details` are the members of the problem that the API answered. */
export class SegnoError extends Error {
  readonly code: SegnoErrorCode;
  /** The HTTP status; null when the failure is not an answer's. */
  readonly status: number | null;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: SegnoErrorCode,
    message: string,
    about: { readonly status?: number; readonly details?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super(message, "cause" in about ? { cause: about.cause } : undefined);
    this.name = "SegnoError";
    this.code = code;
    this.status = about.status ?? null;
    this.details = about.details ?? {};
  }
}
