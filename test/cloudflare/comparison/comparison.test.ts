import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { differences } from "./differences.ts";
import { type Both, startBoth } from "./local.ts";
import type { Program } from "./program.ts";
import { subjects, table } from "./programs/index.ts";
import { judge, type Verdict } from "./verdict.ts";

/**
 * Each program runs on Cloudflare Workflows and on Segno in this one test run. What is seen of it must be equal, or differ as the list of
 * differences says; and each listed difference must show.
 */

/** Programs under way at one time; most of their time they wait. */
const width = 8;

const verdicts = new Map<string, Verdict>();
let both: Both;
let again: readonly Program[] = [];

beforeAll(async () => {
  both = await startBoth();
  await judgeAll(table, width);
  // Both sides keep their times only as well as the machine does. What was wrong is run once more, with the machine to itself, and named below.
  again = table.filter(({ name }) => verdicts.get(name)?.kind === "wrong");
  await judgeAll(again, 1);
}, 600_000);

async function judgeAll(programs: readonly Program[], atOnce: number): Promise<void> {
  const waiting = [...programs];
  const lane = async () => {
    for (let program = waiting.shift(); program !== undefined; program = waiting.shift()) verdicts.set(program.name, await verdictOf(program));
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

afterAll(async () => {
  await both.stop();
  console.log(summary());
});

async function verdictOf(program: Program): Promise<Verdict> {
  const { differs } = program;
  const comparable = differs === undefined || !("local" in differs) || differs.local !== "not comparable";
  const segno = both.observe("segno", program.name);
  try {
    const [real, ours] = await Promise.all([comparable ? both.observe("real", program.name) : segno, segno]);
    return judge(program, real, ours);
  } catch (error) {
    return { kind: "wrong", findings: [String(error)] };
  }
}

function summary(): string {
  const count = (programs: readonly Program[], kind: Verdict["kind"]) => programs.filter(({ name }) => verdicts.get(name)?.kind === kind).length;
  const row = (subject: string, programs: readonly Program[]) =>
    `${subject.padEnd(34)}${[programs.length, count(programs, "equal"), count(programs, "differs"), count(programs, "wrong")].map((n) => `${n}`.padStart(9)).join("")}`;
  const head = `${"".padEnd(34)}${["programs", "equal", "listed", "wrong"].map((word) => word.padStart(9)).join("")}`;
  return [
    head,
    ...Object.entries(subjects).map(([subject, programs]) => row(subject, programs)),
    row("all", table),
    `run again: ${again.map(({ name }) => name).join(", ") || "none"}`,
  ].join("\n");
}

describe.each(Object.entries(subjects))("%s", (_subject, programs) => {
  test.each(programs.map((program) => [program.promise, program] as const))("%s", (_promise, program) => {
    const verdict = verdicts.get(program.name);
    expect(verdict?.kind === "wrong" ? `${program.name}\n${verdict.findings.join("\n")}` : verdict?.kind).toBe(program.differs ? "differs" : "equal");
  });
});

test("Every listed difference shows in a program", () => {
  // The end of the process has a test of its own: process-death.test.ts.
  const shown = new Set<string | undefined>(["process-death", ...table.map(({ differs }) => differs?.id)]);
  expect(differences.filter(({ id }) => !shown.has(id)).map(({ id }) => id)).toEqual([]);
});

test("Programs have names of their own", () => {
  expect(new Set(table.map(({ name }) => name)).size).toBe(table.length);
});
