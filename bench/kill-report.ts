import type { Effect } from "./effect-sink.ts";
import { type Finding, type Violation, violations } from "./kill-checks.ts";
import { percentile } from "./statistics.ts";

/** What the kill test saw. */
export interface Seen {
  readonly seed: number;
  readonly killsAsked: number;
  readonly runsAsked: number;
  readonly leaseMs: number;
  readonly durationMs: number;
  readonly kills: number;
  readonly restartMs: readonly number[];
  readonly recoveries: readonly Recovery[];
  readonly fewestUnderWay: number;
  readonly repeatedRequests: number;
  readonly runs: number;
  readonly runsByRole: Readonly<Record<string, number>>;
  readonly steps: number;
  readonly startsAcked: number;
  readonly eventsAcked: number;
  readonly actsAcked: number;
  readonly effects: readonly Effect[];
  readonly findings: readonly Finding[];
}

/** A step that a kill cut off acted again. */
export interface Recovery {
  readonly ms: number;
  /** It had not been cut off before. Each loss in a row makes the pause before the next attempt longer. */
  readonly isFirstLoss: boolean;
}

export interface Times {
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly longest: number | null;
}

/** The result as other programs read it. */
export interface KillReport {
  readonly seed: number;
  readonly durationSeconds: number;
  readonly kills: number;
  readonly runs: number;
  readonly runsByRole: Readonly<Record<string, number>>;
  readonly steps: number;
  readonly fewestRunsUnderWayAtAKill: number;
  readonly acknowledged: { readonly starts: number; readonly events: number; readonly acts: number };
  readonly effects: number;
  readonly repeatedEffects: number;
  readonly repeatedRequests: number;
  readonly violations: Readonly<Record<Violation, number>>;
  readonly leaseMs: number;
  readonly restartMs: Times;
  /** Of steps that were cut off once. */
  readonly recoveryMs: Times;
  /** Of all, those included that several kills in a row cut off. */
  readonly recoveryMsAll: Times;
  readonly isPassed: boolean;
}

/** Recovery may take as long as the lease, the restart and finding out. */
const recoveryAllowanceMs = 2_000;

export function killReport(seen: Seen): KillReport {
  const recovery = times(seen.recoveries.filter(({ isFirstLoss }) => isFirstLoss).map(({ ms }) => ms));
  const isInTime = recovery.p99 !== null && recovery.p99 < seen.leaseMs + recoveryAllowanceMs;
  const count = (kind: string): number => seen.findings.filter(({ violation }) => violation === kind).length;
  return {
    seed: seen.seed,
    durationSeconds: Math.round(seen.durationMs / 1000),
    kills: seen.kills,
    runs: seen.runs,
    runsByRole: seen.runsByRole,
    steps: seen.steps,
    fewestRunsUnderWayAtAKill: seen.fewestUnderWay,
    acknowledged: { starts: seen.startsAcked, events: seen.eventsAcked, acts: seen.actsAcked },
    effects: seen.effects.length,
    repeatedEffects: seen.effects.length - new Set(seen.effects.map(({ idempotencyKey }) => idempotencyKey)).size,
    repeatedRequests: seen.repeatedRequests,
    violations: Object.fromEntries(Object.keys(violations).map((kind) => [kind, count(kind)])) as Record<Violation, number>,
    leaseMs: seen.leaseMs,
    restartMs: times(seen.restartMs),
    recoveryMs: recovery,
    recoveryMsAll: times(seen.recoveries.map(({ ms }) => ms)),
    isPassed: seen.findings.length === 0 && seen.kills >= seen.killsAsked && seen.runs >= seen.runsAsked && isInTime,
  };
}

function times(values: readonly number[]): Times {
  const at = (share: number): number | null => (values.length === 0 ? null : Math.round(percentile(values, share)));
  return { count: values.length, p50: at(0.5), p99: at(0.99), longest: at(1) };
}

/** The counts, for people; the last line is the verdict. */
export function killText(report: KillReport, findings: readonly Finding[]): string {
  const { violations: found, acknowledged, restartMs, recoveryMs, recoveryMsAll } = report;
  const failed = new Set(findings.map(({ runId }) => runId)).size;
  const roles = Object.entries(report.runsByRole).map(([role, count]) => `${count} ${role}`);
  return [
    ...findings.slice(0, 20).map(({ violation, runId, detail }) => `${violations[violation]}: run ${runId}: ${detail}`),
    `seed ${report.seed}, ${report.durationSeconds} s`,
    `kills ${report.kills}, with at least ${report.fewestRunsUnderWayAtAKill} runs under way`,
    `runs ${report.runs}: ${roles.join(", ")}`,
    `steps ${report.steps}; effects ${report.effects}, of them ${report.repeatedEffects} repeats with the same key`,
    `acknowledged starts lost ${found.lostStart} of ${acknowledged.starts}`,
    `acknowledged events lost ${found.lostEvent} of ${acknowledged.events}`,
    `acknowledged operator acts lost ${found.lostAct} of ${acknowledged.acts}`,
    `steps recorded twice ${found.doubleRecord}`,
    `effects re-executed after completion ${found.reExecution}, with another key ${found.keyChange}, missing ${found.lostEffect}`,
    `rollbacks with something left ${found.lostUndo}; effects after their undo ${found.lateEffect}`,
    `runs that did not end as they should ${found.unfinished}`,
    `index differences ${found.indexDifference}`,
    `restart ${shown(restartMs)}; requests repeated until acknowledged ${report.repeatedRequests}`,
    `recovery ${shown(recoveryMs)}, with a lease of ${report.leaseMs} ms; of steps cut off several times in a row too: ${shown(recoveryMsAll)}`,
    `${report.runs - failed} passed, ${failed} failed${report.isPassed || failed > 0 ? "" : "; too slow, or too few kills or runs"}`,
  ].join("\n");
}

function shown({ count, p50, p99, longest }: Times): string {
  return `p50 ${p50} ms, p99 ${p99} ms, longest ${longest} ms, of ${count}`;
}
