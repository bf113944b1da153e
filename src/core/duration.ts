import parseDuration from "parse-duration";
import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";

type Unit = "ms" | "s" | "m" | "h" | "d" | "w" | "second" | "minute" | "hour" | "day" | "week" | "month" | "year";

/** A span of time: milliseconds, or a text such as `"30s"`, `"15m"`, `"3d"`, `"2 weeks"`, `"1 month"`. */
export type Duration = number | `${number}${Unit}` | `${number} ${Unit}` | `${number} ${Unit}s`;

const form = /^\d+(\.\d+)?\s*(ms|s|m|h|d|w|(second|minute|hour|day|week|month|year)s?)$/;

/**
 * Milliseconds of a duration, rounded up.
 * @throws Fault `invalid_duration` for what can't be read, is negative, not finite, or longer than a year.
 */
export function durationMs(duration: Duration): number {
  const ms = typeof duration === "number" ? duration : form.test(duration) ? (parseDuration(duration) ?? 0) : Number.NaN;
  if (!Number.isFinite(ms) || ms < 0 || ms > limits.waitMs) {
    throw new Fault("invalid_duration", `${JSON.stringify(duration)} is not a duration from 0 to 366 days. Write ms, or for example "30s", "15m", "3d".`);
  }
  return Math.ceil(ms);
}
