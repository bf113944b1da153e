import type { Case } from "./observe.ts";
import type { Observation, Program } from "./program.ts";

/** What the two sides of a case mean together. Pure. */

export type Verdict =
  | { readonly kind: "equal" }
  /** They differ, in the way that the program says and the list explains. */
  | { readonly kind: "differs"; readonly id: string }
  | { readonly kind: "wrong"; readonly findings: readonly string[] };

/** A timer may be off by so much, as it is read on another clock tick than the one it was set on. */
const clockGrainMs = 3;

export function judge(program: Program, real: Case, segno: Case): Verdict {
  const { differs } = program;
  const findings = differs === undefined ? same(program, real, segno) : asListed(program, real, segno);
  if (findings.length > 0) return { kind: "wrong", findings };
  return differs === undefined ? { kind: "equal" } : { kind: "differs", id: differs.id };
}

function same(program: Program, real: Case, segno: Case): readonly string[] {
  const unequal = equal(real.observation, segno.observation) ? [] : unlike("segno", real.observation, segno.observation, "as the real one");
  return [...unlike("real", program.expect, real.observation), ...unequal, ...spacing(program, "real", real), ...spacing(program, "segno", segno)];
}

function asListed(program: Program, real: Case, segno: Case): readonly string[] {
  const { differs, expect } = program;
  if (differs === undefined) return [];
  if ("segno" in differs) {
    const shown = equal(real.observation, segno.observation) ? [`The difference ${differs.id} does not show: both sides are equal.`] : [];
    return [...unlike("real", expect, real.observation), ...unlike("segno", differs.segno, segno.observation), ...shown];
  }
  const local = differs.local === "not comparable" ? [] : [...unlike("real", differs.local, real.observation), ...hidden(program, real)];
  return [...unlike("segno", expect, segno.observation), ...local, ...spacing(program, "segno", segno)];
}

/** The local engine may come to follow what is published; then the difference is to be taken off the list. */
function hidden(program: Program, real: Case): readonly string[] {
  return unlike("real", program.expect, real.observation).length === 0
    ? [`The difference ${program.differs?.id} does not show: the local engine does what is published.`]
    : [];
}

function unlike(side: string, wanted: Partial<Observation>, seen: Observation, why = "as expected"): readonly string[] {
  const parts = Object.keys(wanted) as (keyof Observation)[];
  return parts
    .filter((part) => !equal(wanted[part], seen[part]))
    .map((part) => `${side}: ${part} is not ${why}:\n    wanted ${JSON.stringify(wanted[part])}\n    seen   ${JSON.stringify(seen[part])}`);
}

function spacing(program: Program, side: string, { times }: Case): readonly string[] {
  if (program.spacing === undefined) return [];
  const { effect, atLeast } = program.spacing;
  const at = times.filter(({ name }) => name === effect).map((time) => time.at);
  return atLeast.flatMap((ms, index) => {
    const gap = (at[index + 1] ?? Number.NaN) - (at[index] ?? Number.NaN);
    return gap >= ms - clockGrainMs ? [] : [`${side}: ${gap} ms between ${effect} ${index + 1} and ${index + 2}, at least ${ms} expected.`];
  });
}

/** Both came as JSON, so equal text with sorted keys is equality. */
function equal(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    item !== null && typeof item === "object" && !Array.isArray(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}
