import type { ApprovalDecided, Entry, OperatorActed, OperatorAction, Recorded } from "./entry.ts";
import type { RunStatus } from "./run.ts";
import { applyEntry, emptyRunState, type RunState } from "./run-state.ts";
import { runStatus } from "./run-view.ts";
import type { Encoded } from "./value.ts";

/** The audit: what people did to a run, read from its journal. It is as immutable as the journal is. */

/** What somebody did, and what became of the run by it. */
export interface AuditRecord {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  /** An operator's act, or a decision on an approval. */
  readonly action: OperatorAction | ApprovalDecided["decision"];
  /** The operator's reason, or the comment on a decision; null: none was given. */
  readonly reason: string | null;
  /** The steps acted on; empty for the run as a whole. */
  readonly keys: readonly string[];
  readonly before: string;
  /** The run's status right after the act, before anything else happened. */
  readonly after: RunStatus;
  /** The corrected input, the output given by hand or the form's data; null: none. */
  readonly value: Encoded | null;
}

/** A record whose value was not read yet. */
export type LightAuditRecord = Omit<AuditRecord, "value"> & { readonly hasValue: boolean };

type Act = Recorded<OperatorActed | ApprovalDecided>;

/** What an act brings about in its own commit. Whatever else follows at the same instant, the run did by itself. */
const consequences = {
  retry: [],
  complete: ["step.completed"],
  skip: ["step.completed"],
  fail: ["step.failed"],
  pause: ["run.paused"],
  resume: ["run.resumed"],
  cancel: ["run.resumed", "run.cancel_requested", "run.ended"],
  terminate: ["run.ended"],
  discard: ["run.ended"],
  rollback: ["run.resumed", "run.rollback_begun"],
  approved: ["step.completed"],
  rejected: ["step.completed"],
} as const satisfies Record<AuditRecord["action"], readonly Entry["kind"][]>;

/** All acts in a journal, in order. `entries` is the journal from its beginning. What a fork or rollback took over, others did to another run. */
export function auditOf(entries: readonly Recorded[]): readonly LightAuditRecord[] {
  const state = emptyRunState();
  const records: LightAuditRecord[] = [];
  const ending = new Map<number, LightAuditRecord[]>();
  for (const [place, entry] of entries.entries()) {
    if (isAct(entry) && !isTakenOver(state, entry)) {
      const record = { ...actOf(entry, state), after: runStatus(state, false) };
      records.push(record);
      const end = lastOf(entries, place, entry);
      ending.set(end, [...(ending.get(end) ?? []), record]);
    }
    applyEntry(state, entry);
    for (const record of ending.get(entry.seq) ?? []) Object.assign(record, { after: runStatus(state, false) });
  }
  return records;
}

function isAct(entry: Recorded): entry is Act {
  return entry.kind === "operator.acted" || entry.kind === "approval.decided";
}

function isTakenOver(state: RunState, act: Act): boolean {
  return state.created !== null && state.created.origin !== null && act.at < state.created.at;
}

function actOf(entry: Act, state: RunState): Omit<LightAuditRecord, "after"> {
  const { seq, at, actor } = entry;
  const hasValue = entry.value !== null || entry.valueOmitted === true;
  if (entry.kind === "operator.acted") return { seq, at, actor, action: entry.action, reason: entry.reason, keys: entry.keys, before: entry.before, hasValue };
  return { seq, at, actor, action: entry.decision, reason: entry.comment, keys: [entry.key], before: runStatus(state, false), hasValue };
}

/** The `seq` of the last entry that an act brought about. */
function lastOf(entries: readonly Recorded[], place: number, act: Act): number {
  const kinds: readonly Entry["kind"][] = consequences[act.kind === "operator.acted" ? act.action : act.decision];
  let end = act.seq;
  for (let next = place + 1; next < entries.length; next++) {
    const entry = entries[next];
    if (!entry || entry.at !== act.at || !kinds.includes(entry.kind) || !isOfAct(entry, act)) break;
    end = entry.seq;
  }
  return end;
}

function isOfAct(entry: Recorded, act: Act): boolean {
  if (!("key" in entry)) return true;
  return act.kind === "operator.acted" ? act.keys.includes(entry.key) : entry.key === act.key;
}
