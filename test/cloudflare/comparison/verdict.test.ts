import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { differences } from "./differences.ts";
import type { Case } from "./observe.ts";
import type { Observation, Program } from "./program.ts";
import { judge } from "./verdict.ts";

/** The comparison itself can fail: each way in which two sides may disagree is found. */

const program: Program = { name: "p", promise: "", run: async () => null, expect: { status: "complete", output: 1 } };
const listed: Program = { ...program, differs: { id: "error-fidelity", segno: { output: 2 } } };
const local: Program = { ...program, differs: { id: "local-status-waiting", local: { output: 3 } } };

const seen = (part: Partial<Observation>, times: Case["times"] = []): Case => ({
  observation: { status: "complete", output: 1, error: null, effects: [], notes: {}, ...part },
  times,
});
const kind = (which: Program, real: Case, segno: Case) => judge(which, real, segno).kind;

test("Equal sides that are as expected are equal", () => {
  expect(kind(program, seen({}), seen({}))).toBe("equal");
  expect(kind(program, seen({ notes: { a: 1, b: 2 } }), seen({ notes: { b: 2, a: 1 } }))).toBe("equal");
});

test("A difference that is not listed is found, in every part of an observation", () => {
  for (const part of [{ status: "errored" }, { output: 2 }, { error: { name: "Error", message: "x" } }, { effects: ["a"] }, { notes: { a: 1 } }]) {
    expect(kind(program, seen({}), seen(part))).toBe("wrong");
  }
});

test("Two sides that are equally wrong are found", () => {
  expect(kind(program, seen({ output: 5 }), seen({ output: 5 }))).toBe("wrong");
});

test("A listed difference must show, and show what the list says", () => {
  expect(kind(listed, seen({}), seen({ output: 2 }))).toBe("differs");
  expect(kind(listed, seen({}), seen({}))).toBe("wrong");
  expect(kind(listed, seen({}), seen({ output: 9 }))).toBe("wrong");
  expect(kind(listed, seen({ output: 9 }), seen({ output: 2 }))).toBe("wrong");
});

test("A difference of the local engine must show there, and Segno must do what is published", () => {
  expect(kind(local, seen({ output: 3 }), seen({}))).toBe("differs");
  expect(kind(local, seen({}), seen({}))).toBe("wrong");
  expect(kind(local, seen({ output: 3 }), seen({ output: 3 }))).toBe("wrong");
});

test("Attempts that come too soon are found", () => {
  const spaced: Program = { ...program, spacing: { effect: "try", atLeast: [100] } };
  const at = (ms: number) => [
    { name: "try", at: 0 },
    { name: "try", at: ms },
  ];
  expect(kind(spaced, seen({}, at(120)), seen({}, at(120)))).toBe("equal");
  expect(kind(spaced, seen({}, at(120)), seen({}, at(60)))).toBe("wrong");
  expect(kind(spaced, seen({}, at(120)), seen({}, at(0).slice(1)))).toBe("wrong");
});

test("The list of differences is told in full to users", () => {
  const page = readFileSync(fileURLToPath(new URL("../../../docs/cloudflare-workflows.md", import.meta.url)), "utf8");
  for (const { title, cloudflare, segno, why } of differences) for (const text of [title, cloudflare, segno, why]) expect(page).toContain(text);
});
