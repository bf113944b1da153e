/** What the proving commands write as JSON, as far as the page of evidence needs it. */

export interface SimulationBatch {
  readonly commit: string;
  readonly first: number;
  readonly seeds: number;
  readonly runs: number;
  readonly steps: number;
  readonly commits: number;
  readonly replays: number;
  readonly crashes: number;
  readonly effects: number;
  readonly faults: number;
  /** How often each kind of fault struck. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: number; readonly oracle: string; readonly message: string }[];
}

export interface MutantResult {
  readonly name: string;
  readonly file: string;
  /** Seeds that it took, or that were tried in vain. */
  readonly seeds: number;
  readonly seed?: number;
  readonly oracle?: string;
}

export interface KillResult {
  readonly seed: number;
  readonly kills: number;
  readonly runs: number;
  readonly steps: number;
  readonly acknowledged: { readonly starts: number; readonly events: number; readonly acts: number };
  readonly violations: Readonly<Record<"lostStart" | "lostEvent" | "lostAct" | "doubleRecord" | "reExecution" | "indexDifference", number>>;
  readonly restartMs: { readonly p99: number };
  readonly recoveryMs: { readonly p50: number; readonly p99: number };
}

export interface FuzzResult {
  readonly commit: string;
  readonly seed: number;
  readonly inputs: number;
  readonly operations: number | readonly unknown[];
  readonly statuses: Readonly<Record<string, number>>;
  readonly findings: readonly { readonly operation: string; readonly input: number | null; readonly what: string }[];
}

type Sum = Pick<SimulationBatch, "seeds" | "runs" | "steps" | "commits" | "replays" | "crashes" | "effects" | "faults"> & {
  readonly kinds: Readonly<Record<string, number>>;
};

/** Batches added up. */
export function sumBatches(batches: readonly SimulationBatch[]): Sum {
  const of = (field: Exclude<keyof Sum, "kinds">): number => batches.reduce((sum, batch) => sum + batch[field], 0);
  const kinds: Record<string, number> = {};
  for (const batch of batches) for (const [kind, times] of Object.entries(batch.kinds)) kinds[kind] = (kinds[kind] ?? 0) + times;
  return {
    seeds: of("seeds"),
    runs: of("runs"),
    steps: of("steps"),
    commits: of("commits"),
    replays: of("replays"),
    crashes: of("crashes"),
    effects: of("effects"),
    faults: of("faults"),
    kinds,
  };
}
