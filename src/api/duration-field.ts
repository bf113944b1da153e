import { type Duration, durationMs } from "#core/duration.ts";
import { limits } from "#core/limits.ts";

/** Milliseconds of a duration that a caller sent. @throws Fault `invalid_duration` */
export function sentDurationMs(sent: string | number): number {
  // A text of another form is what durationMs is there to refuse.
  return durationMs(sent as Duration);
}

/** How long a request waits, in ms, of the `wait` in its query: none for none, never more than the limit. @throws Fault `invalid_duration` */
export function requestWaitMs(wait: string | undefined): number {
  if (wait === undefined) return 0;
  return Math.min(sentDurationMs(/^\d+$/.test(wait) ? Number(wait) : wait), limits.requestWaitMs);
}
