/** Durations as Cloudflare writes them: a number of ms, `"30 seconds"`, or a bare number as text. */
export type WorkflowDuration = number | string;

const units: Readonly<Record<string, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 2_592_000_000,
  year: 31_557_600_000,
};

/** Milliseconds; NaN for what can't be read. A month has 30 days, a year 365.25. */
export function workflowMs(duration: unknown): number {
  if (typeof duration === "number") return duration;
  if (typeof duration !== "string") return Number.NaN;
  const bare = Number(duration);
  if (!Number.isNaN(bare)) return bare;
  const [, count, unit] = /^(\S+) +(second|minute|hour|day|week|month|year)s?$/.exec(duration) ?? [];
  return Number(count) * (units[unit ?? ""] ?? Number.NaN);
}
