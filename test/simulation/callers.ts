import type { Operation, StartCommand } from "#core/command.ts";
import type { Entry } from "#core/entry.ts";
import { isFinal, type RunStatus } from "#core/run.ts";
import { encode } from "#core/value.ts";
import type { RunEngine } from "#engine/run-engine.ts";
import { takenOver } from "#engine/run-history.ts";
import type { ActInput } from "./interpret.ts";
import type { Incident } from "./plan.ts";
import type { CallbackWait } from "./program.ts";
import { call, callUntilAnswered } from "./rpc.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { sweep } from "./sweeper.ts";
import type { World } from "./world.ts";

/** Callers and operators: what they ask, and what they were told. */

export const firstRun = "r0";
const secondRun = "r1";

const good = encode({ n: 1 });
const bad = encode({ n: "one" });
const byHand = encode("by hand");
const givenUp = encode(new Error("given up"));
const input = encode("input");

function startCommand(world: World, run: string): StartCommand {
  const { delayMs } = world.plan.options;
  return {
    namespace: "default",
    runId: run,
    workflow: "p",
    version: null,
    input,
    attributes: {},
    delayMs: run === firstRun ? delayMs : 0,
    trigger: "api",
    publicUrl: "https://sim.test",
  };
}

export function start(world: World): void {
  const object = world.object(firstRun);
  const command = startCommand(world, firstRun);
  const { waitMs } = world.plan.options;
  callUntilAnswered(object, {
    name: "start",
    command: (engine) => {
      engine.start(command);
      return waitMs === 0 ? engine.summary.status : statusAtEnd(object, engine, waitMs);
    },
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "ok") checkTold(object, answer.value);
      if (answer.type === "refused" && answer.code === "version_not_found") return void world.after(60_000, "start later", () => start(world));
      if (answer.type === "refused") return world.fail(new Error(`the start was refused: ${answer.code}`));
      object.acked.push({ what: "start", id: firstRun });
    },
  });
}

/** What somebody is told who waits for the end of a run: as soon as it has ended, and otherwise after his time, which is never early. */
function statusAtEnd(object: SimulatedObject, engine: RunEngine, waitMs: number): Promise<RunStatus> {
  const { world, life } = object;
  const since = world.time;
  let isWaiting = true;
  world.after(waitMs + 1, "nobody waits longer", () =>
    world.check(!isWaiting || life !== object.life, "waiting", () => `somebody still waits after ${waitMs} ms`),
  );
  return engine.end(waitMs).then(() => {
    isWaiting = false;
    const { status } = engine.summary;
    if (life !== object.life) return status;
    const isRight = engine.state.ended ? world.time === Math.max(since, object.endedAt ?? world.time) : world.time === since + waitMs;
    world.check(isRight, "waiting", () => `somebody who wanted to wait for ${waitMs} ms is told ${status} after ${world.time - since}`);
    return status;
  });
}

/** Whoever is told of an end is told the truth. */
function checkTold({ world, model: { ended } }: SimulatedObject, status: RunStatus): void {
  world.check(!isFinal(status) || ended?.status === status, "O9", () => `somebody was told ${status}; the run is ${ended?.status ?? "not over"}`);
}

/** The same start again changes nothing; another one under the same id is refused. */
function startAgain(world: World, object: SimulatedObject, isOther: boolean): void {
  if (object.run !== firstRun) return;
  const command = { ...startCommand(world, firstRun), ...(isOther ? { input: encode("another") } : {}) };
  const existed = object.durable.size > 0;
  if (!existed) return;
  call(object, {
    name: isOther ? "another start" : "start again",
    command: (engine) => {
      const size = engine.state.lastSeq;
      const created = engine.start(command);
      world.check(!created && engine.state.lastSeq === size, "O1", () => "the run was created twice");
      return created;
    },
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "unknown") return;
      const isRight = isOther ? answer.type === "refused" && answer.code === "run_exists" : answer.type === "ok";
      world.check(isRight, "O1", () => `${isOther ? "another start" : "the same start again"} was answered ${JSON.stringify(answer)}`);
    },
  });
}

export interface SentEvent {
  readonly id: string;
  readonly name: string;
  readonly key: string | null;
  readonly isBad: boolean;
}

export function sendEvent(object: SimulatedObject, event: SentEvent): void {
  const { world } = object;
  const command = { eventId: event.id, name: event.name, eventKey: event.key, payload: event.isBad ? bad : good };
  callUntilAnswered(object, {
    name: `event ${event.id} ${event.name}/${event.key}${event.isBad ? " bad" : ""}`,
    command: (engine) => engine.sendEvent(command),
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "ok") object.acked.push({ what: "event", id: event.id });
      else if (answer.type === "refused") {
        const isLegal = answer.code === "run_ended" || answer.code === "run_not_found" || (event.isBad && answer.code === "invalid_payload");
        world.check(isLegal, "O2", () => `event ${event.id} was refused: ${answer.code}`);
        world.check(answer.code !== "run_ended" || object.model.ended !== null, "O9", () => `event ${event.id} was refused for an end that is not there`);
      }
    },
  });
}

function callBack(object: SimulatedObject, key: string, isBad: boolean): void {
  const { world } = object;
  const payload = isBad ? bad : good;
  callUntilAnswered(object, {
    name: `callback ${key}${isBad ? " bad" : ""}`,
    command: async (engine) => {
      engine.callbackTerms(key);
      object.callbacks.add(`${key}|${payload}`);
      await engine.callback(key, payload);
    },
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "ok") object.acked.push({ what: "callback", id: key });
      if (answer.type !== "refused") return;
      const legal = ["callback_used", "callback_expired", "run_not_found", "step_not_found"];
      world.check(legal.includes(answer.code) || (isBad && answer.code === "invalid_payload"), "O2", () => `callback ${key} was refused: ${answer.code}`);
      if (answer.code !== "callback_expired") return;
      const step = object.model.steps.get(key);
      const isOver = step !== undefined && step.phase !== "running" && step.phase !== "retrying" && step.phase !== "waiting";
      const isLate = step !== undefined && step.wakeAt !== null && step.wakeAt <= Math.max(world.hostNow, object.model.lastAt);
      world.check(isOver || isLate, "O2", () => `callback ${key} was refused as expired, and it waits`);
    },
  });
}

export function remoteCallsBack(object: SimulatedObject, key: string, wait: CallbackWait): void {
  const { world } = object;
  if (wait.answersAfterMs === null) return;
  world.after(wait.answersAfterMs, "remote calls back", () => callBack(object, key, false));
  if (wait.answersTwice) world.after(wait.answersAfterMs + world.chance.pick([0, 20, 90_000]), "remote calls back again", () => callBack(object, key, false));
}

const people = ["ann", "bob", "boss"];

function decide(object: SimulatedObject, key: string, actor: string, decision: "approved" | "rejected"): void {
  const { world } = object;
  const form = decision === "approved" ? good : null;
  callUntilAnswered(object, {
    name: `${actor}: ${decision} ${key}`,
    command: (engine) => engine.decide({ key, actor, via: "api", decision, comment: null, form }),
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "ok") object.acked.push({ what: "decision", id: `${key}|${actor}|${decision}` });
      if (answer.type !== "refused") return;
      const isLegal = ["already_decided", "run_ended", "run_not_found", "step_not_found"].includes(answer.code);
      world.check(isLegal, "O2", () => `the decision on ${key} was refused: ${answer.code}`);
    },
  });
}

export function someoneDecides(object: SimulatedObject, key: string): void {
  const { world } = object;
  if (!world.chance.yes(60)) return;
  const actor = world.chance.pick(people);
  const decision = world.chance.yes(75) ? "approved" : "rejected";
  world.after(world.chance.pick([10, 3000, 70_000]), "someone decides", () => decide(object, key, actor, decision));
}

type Asked = Operation extends infer One ? (One extends unknown ? Omit<One, "actor" | "reason" | "expectedSeq"> : never) : never;

export function operate(object: SimulatedObject, asked: Asked, expectedSeq: number | null = null): void {
  const { world } = object;
  const operation = { ...asked, actor: "op", reason: null, expectedSeq } as Operation;
  const { action } = operation;
  callUntilAnswered(object, {
    name: `operator: ${action} ${"key" in asked ? asked.key : ""}`,
    command: (engine) => {
      const size = engine.state.lastSeq;
      const { life } = object;
      try {
        const summary = engine.operate(operation);
        const isStale = expectedSeq !== null && expectedSeq !== size && engine.journal.page(size, 1)[0]?.kind === "operator.acted";
        world.check(!isStale, "audit", () => `${action} of one who had seen entry ${expectedSeq} was done at ${size}`);
        return summary.status;
      } catch (error) {
        world.check(object.life !== life || engine.state.lastSeq === size, "audit", () => `${action} was refused, and changed the run`);
        throw error;
      }
    },
    isHosted: true,
    answered: (answer) => answer.type === "ok" && checkDone(object, action, answer.value),
  });
}

/** What an operator was told is what is recorded. */
function checkDone(object: SimulatedObject, action: Operation["action"], status: RunStatus): void {
  const { world, model } = object;
  const { ended } = model;
  if (action === "terminate" || action === "discard")
    world.check(ended?.status === "terminated", "O9", () => `${action} was acknowledged, and the run is ${ended?.status}`);
  if (action === "cancel")
    world.check(ended?.status === "cancelled" || model.cancelCompensates !== null, "O9", () => "a cancellation was acknowledged and is not recorded");
  checkTold(object, status);
  object.acked.push({ what: action, id: "" });
}

/** Does what the plan has somebody do now. */
export function act(world: World, { what, a, b }: Incident): void {
  const object = (a % 5 === 0 ? world.objects[1] : undefined) ?? world.objects[0];
  if (!object) return;
  const { model } = object;
  switch (what) {
    case "event":
      return actEvent(object, a, b);
    case "start_again":
      return startAgain(world, object, b % 3 === 0);
    case "poke":
      return b % 2 === 0 ? sweep(object) : call(object, { name: "poke", command: (engine) => engine.poke(), isHosted: true });
    case "touch":
      return call(object, { name: "touch", command: (engine) => engine.exists, isHosted: false });
    case "wait":
      return wait(object, [50, 5000, 60_000][b % 3] as number);
    case "decide": {
      const key = pick(
        [...model.steps.values()].filter((step) => step.start.step === "approval"),
        a,
      )?.start.key;
      if (key !== undefined) decide(object, key, people[b % 3] as string, b % 4 === 0 ? "rejected" : "approved");
      return;
    }
    case "call_back": {
      const key = pick(
        [...model.steps.values()].filter((step) => step.start.step === "callback"),
        a,
      )?.start.key;
      if (key !== undefined) callBack(object, key, b % 4 === 0);
      return;
    }
    case "fork":
      return fork(world, a, b);
    case "undo":
      return undo(world, b);
    default:
      if (model.size > 0) actOperator(object, what as Asked["action"], a, b);
  }
}

/** Somebody looks at a run, and waits for its end. */
function wait(object: SimulatedObject, waitMs: number): void {
  call(object, {
    name: `wait ${waitMs}`,
    command: (engine) => (engine.exists ? statusAtEnd(object, engine, waitMs) : null),
    isHosted: true,
    answered: (answer) => {
      if (answer.type === "ok" && answer.value !== null) checkTold(object, answer.value);
    },
  });
}

function actEvent(object: SimulatedObject, a: number, b: number): void {
  const event: SentEvent = { id: `e${a % 7}${b % 10}`, name: a % 3 === 0 ? "y" : "x", key: [null, "k1", "k2"][b % 3] ?? null, isBad: b % 7 === 0 };
  if (object.model.size === 0) return;
  sendEvent(object, event);
  if (b % 4 === 0) object.world.after(b, "the event again", () => sendEvent(object, event));
}

function actOperator(object: SimulatedObject, action: Asked["action"], a: number, b: number): void {
  const { model, world } = object;
  // Every few acts are of somebody who looked a while ago, or just now.
  const expectedSeq = b % 9 === 0 ? model.size : b % 9 === 1 ? model.size - 1 : null;
  const open = pick([...model.open.values()], a)?.start;
  switch (action) {
    case "cancel":
      return operate(object, { action, compensate: b % 2 === 0 }, expectedSeq);
    case "rollback":
      return operate(object, { action, from: b % 2 === 0 ? null : (pick([...model.steps.keys()], a) ?? null) }, expectedSeq);
    case "pause":
      operate(object, { action }, expectedSeq);
      if (b % 3 > 0) world.after(b * 20, "operator lets go", () => operate(object, { action: "resume" }));
      return;
    case "retry":
    case "complete":
    case "skip":
    case "fail":
      if (open) operate(object, { action, key: open.key, value: valueFor(object, action, open, b) }, expectedSeq);
      return;
    default:
      return operate(object, { action }, expectedSeq);
  }
}

function valueFor(
  object: SimulatedObject,
  action: string,
  open: { readonly key: string; readonly step: string; readonly value: string | null },
  b: number,
): string | null {
  if (action === "fail") return givenUp;
  if (action === "complete") return open.step === "do" || open.step === "run" || open.step === "compensation" ? byHand : good;
  if (action !== "retry" || b % 4 === 0 || open.value === null || open.step === "notice" || open.step === "compensation") return null;
  const corrected: ActInput = { run: object.run, key: open.key, v: "corrected" };
  return encode(corrected);
}

function pick<T>(items: readonly T[], at: number): T | undefined {
  return items[at % Math.max(1, items.length)];
}

/** A second run takes over what the first recorded before a step. */
function fork(world: World, a: number, b: number): void {
  const source = world.objects[0];
  if (!source || world.objects[1] || world.code !== "right") return;
  const step = pick([...source.model.steps.keys()], a + b);
  if (step !== undefined) link(world, source, { runId: firstRun, relation: "fork", step });
}

/** A second run undoes what the first did. */
function undo(world: World, b: number): void {
  const source = world.objects[0];
  if (!source?.model.ended || world.objects[1] || world.code !== "right") return;
  const from = b % 3 === 0 ? (pick([...source.model.steps.keys()], b) ?? null) : null;
  link(world, source, { runId: firstRun, relation: "rollback", step: from });
}

type Origin = Parameters<typeof takenOver>[1];

function link(world: World, source: SimulatedObject, origin: Origin): void {
  const command = startCommand(world, secondRun);
  const journal = {
    load: () => source.entries.slice(0, source.durable.size),
    value: (seq: number) => (source.entries[seq - 1] as { value?: string }).value as string,
  };
  call(source, {
    name: `take over: ${origin.relation} ${origin.step}`,
    command: (engine) => takenOver({ state: engine.state, journal: journal as never, callbacks: null as never }, origin),
    isHosted: false,
    answered: (taken) => {
      if (taken.type !== "ok" || world.objects[1]) return;
      checkTaken(source, origin, taken.value.entries);
      const object = world.object(secondRun);
      callUntilAnswered(object, {
        name: `start from ${origin.relation}`,
        command: (engine) => engine.startFrom(command, taken.value),
        isHosted: true,
        answered: (answer) => answer.type === "ok" && object.acked.push({ what: "start", id: secondRun }),
      });
    },
  });
}

/** A fork takes over what had its result before the first step that happens again began, with the key that it was done under. */
function checkTaken({ world, entries: known, model }: SimulatedObject, { relation, step }: Origin, taken: readonly Entry[]): void {
  const firstSeq = step === null ? 0 : (model.steps.get(step)?.startSeq ?? 0);
  for (const entry of taken) {
    if (entry.kind === "step.started") world.check(entry.keyRunId !== null, "fork", () => `${entry.key} is taken over without the run that its key names`);
    if (relation !== "fork" || (entry.kind !== "step.completed" && entry.kind !== "step.failed")) continue;
    const end = known.find((it) => it.kind === entry.kind && it.key === entry.key);
    world.check(end !== undefined && end.seq < firstSeq, "fork", () => `${entry.key} is taken over; it ended at ${end?.seq}, and ${step} began at ${firstSeq}`);
  }
}

/** What brings a run on that stands still for somebody's sake. False: nobody can. */
export function help(object: SimulatedObject, round: number): boolean {
  const { model } = object;
  const steps = [...model.open.values()];
  const parked = steps.find((step) => step.phase === "parked");
  if (model.pausedAt !== null) operate(object, { action: "resume" });
  else if (parked && round < 20) operate(object, { action: round % 3 === 2 ? "skip" : "retry", key: parked.start.key, value: null });
  else if (parked) operate(object, { action: "skip", key: parked.start.key, value: null });
  else {
    const waiting = steps.find((step) => step.start.wait !== null && step.phase === "waiting");
    const wait = waiting?.start.wait;
    if (!waiting || !wait) return false;
    const { key } = waiting.start;
    if (wait.for === "event") sendEvent(object, { id: `h${round}`, name: wait.event, key: wait.eventKey, isBad: false });
    else if (wait.for === "callback") callBack(object, key, false);
    else decide(object, key, `helper ${round}`, "approved");
  }
  return true;
}
