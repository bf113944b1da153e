import type { Variant } from "./callers.ts";
import type { Costs } from "./costs.ts";
import type { Fsyncs } from "./fsyncs.ts";
import type { Parked, Scenario } from "./scenarios.ts";
import { type Summary, summaryOf } from "./statistics.ts";

export interface Result {
  readonly scenario: Scenario;
  readonly samples: ReadonlyMap<Variant, number[]>;
}

export interface ParkedResult extends Parked {
  readonly variant: Variant;
}

export interface Report {
  readonly results: readonly Result[];
  readonly parked: readonly ParkedResult[];
  readonly costs: Costs;
  readonly fsyncs: Fsyncs | null;
}

/** One object with the keys that other programs read: of each scenario the medians, and the ratio of Segno's to the floor's. */
export function reportJson({ results, parked, costs, fsyncs }: Report): Record<string, unknown> {
  const keyed = results.flatMap((result) => (result.scenario.key === null ? [] : [[result.scenario.key, scenarioJson(result)]]));
  return {
    ...Object.fromEntries(keyed),
    ...(parked.length > 0 ? { parked: parkedJson(parked) } : {}),
    ...Object.fromEntries(Object.entries(costs).map(([name, value]) => [name, typeof value === "number" ? rounded(value) : summaryJson(value)])),
    ...(fsyncs ? { fsyncs } : {}),
  };
}

function scenarioJson(result: Result): Record<string, unknown> {
  const medians = [...result.samples].map(([variant, values]): [string, number] => [variant, rounded(summaryOf(values).p50)]);
  const { count, p99 } = summaryOf(result.samples.get("segno") ?? []);
  return {
    unit: result.scenario.unit,
    ...Object.fromEntries(medians.filter(([, median]) => !Number.isNaN(median))),
    ratio: rounded(ratioOf(result)),
    p99: rounded(p99),
    count,
  };
}

/** `segno` and the others: ms until all have gone on and ended. */
function parkedJson(parked: readonly ParkedResult[]): Record<string, unknown> {
  const [floor, segno] = [parked.find(({ variant }) => variant === "floor"), parked.find(({ variant }) => variant === "segno")];
  return {
    unit: "ms",
    ...Object.fromEntries(parked.map(({ variant, resumeMs }) => [variant, rounded(resumeMs)])),
    ratio: rounded((segno?.resumeMs ?? Number.NaN) / (floor?.resumeMs ?? Number.NaN)),
    runs: segno?.count ?? 0,
    memoryKiBPerRun: Object.fromEntries(parked.map(({ variant, memoryKiB }) => [variant, rounded(memoryKiB)])),
  };
}

function summaryJson({ count, p50, p99 }: Summary): Record<string, unknown> {
  return { unit: "ms", segno: rounded(p50), p99: rounded(p99), count };
}

/** Time over the floor's time; of rates, the rate over the floor's. A time of nothing counts as a tenth of a ms. */
function ratioOf({ samples }: Result): number {
  const [segno, floor] = [summaryOf(samples.get("segno") ?? []).p50, summaryOf(samples.get("floor") ?? []).p50];
  return Math.max(segno, 0.1) / Math.max(floor, 0.1);
}

const columns = ["segno", "p99", "floor", "gate", "cloudflare", "ratio", "unit"] as const;

export function reportText({ results, parked, costs, fsyncs }: Report): string {
  const rows = results.map((result) => {
    const at = (variant: Variant): string => shown(summaryOf(result.samples.get(variant) ?? []).p50);
    const { p99 } = summaryOf(result.samples.get("segno") ?? []);
    return [result.scenario.name, at("segno"), shown(p99), at("floor"), at("gate"), at("cloudflare"), shown(ratioOf(result)), result.scenario.unit];
  });
  const lines = [["", ...columns], ...rows].map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(36) : cell.padStart(11))).join(""));
  return `${[...lines, "", ...parkedLines(parked), ...costLines(costs), ...fsyncLines(fsyncs)].join("\n")}\n`;
}

function parkedLines(parked: readonly ParkedResult[]): string[] {
  return parked.map(
    ({ variant, count, memoryKiB, resumeMs }) =>
      `${count} parked runs, ${variant}: ${shown(memoryKiB)} KiB of memory each, ${shown(resumeMs)} ms to go on and end`,
  );
}

function costLines(costs: Costs): string[] {
  return [
    `row writes: ${shown(costs.rowsPerStep)} per step; ${shown(costs.rowsPerShortRun)} per run of 5 steps, and ${costs.alarmsSetPerShortRun} alarms set, ${costs.alarmsClearedPerShortRun} cleared`,
    `index: ${shown(costs.indexWritesPerShortRun)} summaries per short run, ${shown(costs.indexRowsPerShortRun)} rows in D1; there ${shown(costs.indexLag.p50)} ms after the end (p99 ${shown(costs.indexLag.p99)} ms)`,
    `a step at 10,000 over a step at 10: ${shown(costs.step10000over10)}`,
  ];
}

function fsyncLines(fsyncs: Fsyncs | null): string[] {
  if (!fsyncs) return [];
  const { sequential, fanOut, fanOutTurns, shortRun } = fsyncs;
  return [
    `fsyncs per step: sequential, a turn each, ${shown(sequential)}; parallel ${shown(fanOut)}, parallel, a turn each, ${shown(fanOutTurns)}; per short run ${shown(shortRun)}`,
  ];
}

export function shown(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value.toFixed(Math.abs(value) < 100 ? 2 : 0);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
