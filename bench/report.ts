import type { Costs } from "./costs.ts";
import type { Fsyncs } from "./fsyncs.ts";
import type { Scenario, Variant } from "./scenarios.ts";
import { percentile } from "./statistics.ts";

export interface Result {
  readonly scenario: Scenario;
  readonly samples: Readonly<Record<Variant, readonly number[]>>;
  /** Medians, in the scenario's unit. */
  readonly segno: number;
  readonly floor: number;
  readonly gate: number;
}

export interface Report {
  readonly results: readonly Result[];
  readonly costs: Costs;
  readonly fsyncs: Fsyncs | null;
}

/** One object with the keys that other programs read. */
export function jsonReport({ results, costs, fsyncs }: Report): Record<string, unknown> {
  const keyed = results.flatMap(({ scenario, segno, floor, gate }) =>
    scenario.key === null ? [] : [[scenario.key, { segno: rounded(segno), floor: rounded(floor), gate: rounded(gate), ratio: rounded(segno / floor) }]],
  );
  return { ...Object.fromEntries(keyed), ...costs, ...(fsyncs ? { fsyncs } : {}) };
}

const widths = [38, 10, 10, 10, 10, 8, 8];

export function tableReport({ results, costs, fsyncs }: Report): string {
  const header = ["", "segno", "p90", "floor", "gate", "ratio", "unit"];
  const rows = results.map(({ scenario, samples, segno, floor, gate }) => {
    const slowest = percentile(samples.segno, scenario.unit === "ms" ? 0.9 : 0.1);
    return [scenario.name, ...[segno, slowest, floor, gate, segno / floor].map(shown), scenario.unit];
  });
  const lines = [header, ...rows].map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0))).join(""));
  return `${[...lines, "", ...costLines(costs), ...(fsyncs ? [`fsyncs per step: sequential ${shown(fsyncs.sequential)}, fan-out ${shown(fsyncs.fanOut)}; per short run ${shown(fsyncs.shortRun)}`] : [])].join("\n")}\n`;
}

function costLines(costs: Costs): string[] {
  return [
    `row writes: ${shown(costs.rowsPerStep)} per step; ${shown(costs.rowsPerShortRun)} per run of 5 steps, and ${costs.alarmsSetPerShortRun} alarms set, ${costs.alarmsClearedPerShortRun} cleared`,
    `index: ${shown(costs.indexWritesPerShortRun)} summaries per short run, ${shown(costs.indexRowsPerShortRun)} rows in D1`,
    `a step at 10,000 over a step at 10: ${shown(costs.step10000over10)}`,
  ];
}

function shown(value: number): string {
  return value.toFixed(Math.abs(value) < 100 ? 2 : 0);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
