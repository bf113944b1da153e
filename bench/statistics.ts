/** What a number of measurements comes to. */
export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

export function summaryOf(values: readonly number[]): Summary {
  return { count: values.length, p50: median(values), p99: percentile(values, 0.99) };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}
