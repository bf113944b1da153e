import { simulateWatched } from "./batch.ts";
import type { Plan } from "./plan.ts";
import { type Act, always, type Program, type Script } from "./program.ts";

/** How long a shrink may take, in ms. */
const longestMs = 20_000;

/** A smaller plan that still breaks the same promise: with fewer incidents, and with a smaller program. */
export async function shrink(plan: Plan, oracle: string): Promise<Plan> {
  const endsAt = performance.now() + longestMs;
  let smallest = plan;
  for (let isShrinking = true; isShrinking && performance.now() < endsAt; ) {
    isShrinking = false;
    for (const candidate of candidates(smallest)) {
      if (performance.now() > endsAt) break;
      const { violation } = await simulateWatched(candidate.seed, false, candidate);
      if (violation?.oracle !== oracle) continue;
      smallest = candidate;
      isShrinking = true;
      break;
    }
  }
  return smallest;
}

function* candidates(plan: Plan): Generator<Plan> {
  const { incidents, options } = plan;
  for (let size = incidents.length; size >= 1; size = size >> 1) {
    for (let at = 0; at < incidents.length; at += size) yield { ...plan, incidents: [...incidents.slice(0, at), ...incidents.slice(at + size)] };
  }
  const none = { timeoutMs: null, expectedMs: null, delayMs: 0, waitMs: 0, alerts: false };
  for (const name of Object.keys(none) as (keyof typeof none)[]) {
    if (options[name] !== none[name]) yield { ...plan, options: { ...options, [name]: none[name] } };
  }
  for (const program of smaller(plan.program)) yield { ...plan, program };
}

function* smaller(program: Program): Generator<Program> {
  if (program.type === "act") return yield* smallerAct(program);
  if (!("parts" in program)) return;
  yield* program.parts;
  const canLose = program.type === "sequence" || program.type === "all" || program.type === "race" || program.type === "settled";
  for (let at = 0; at < program.parts.length; at++) {
    if (canLose && program.parts.length > 1) yield { ...program, parts: program.parts.filter((_part, index) => index !== at) };
  }
  if (program.times > 1) yield { ...program, times: program.times - 1 };
  for (let at = 0; at < program.parts.length; at++) {
    for (const part of smaller(program.parts[at] as Program)) yield { ...program, parts: program.parts.map((it, index) => (index === at ? part : it)) };
  }
}

function* smallerAct(act: Act): Generator<Act> {
  const plain: Script = { failures: 0, how: "error", instant: false, latencyMs: 1, lingersMs: null, large: false };
  if (JSON.stringify(act.script) !== JSON.stringify(plain)) {
    yield { ...act, script: plain };
    if (act.script.failures === always) yield { ...act, script: { ...act.script, failures: 1 } };
    if (act.script.how !== "error") yield { ...act, script: { ...act.script, how: "error" } };
    if (act.script.large || act.script.instant) yield { ...act, script: { ...act.script, large: false, instant: false } };
  }
  if (act.undo) yield { ...act, undo: null };
  if (act.undo && act.undo.script.failures > 0) yield { ...act, undo: { ...act.undo, script: plain } };
  if (act.onFailure !== "fail") yield { ...act, onFailure: "fail", fallback: false };
  if (act.unsafe || act.hasInput || act.fallback) yield { ...act, unsafe: false, hasInput: act.via !== "do", fallback: false };
  if (act.via !== "do") yield { ...act, via: act.via === "queue" ? "inline" : "do" };
}
