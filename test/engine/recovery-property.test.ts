import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "#core/entry.ts";
import { stepsToUndo } from "#core/rollback.ts";
import { encode } from "#core/value.ts";
import { type AnyAutomation, automation } from "#sdk/automation.ts";
import type { Step } from "#sdk/step.ts";
import { type Asked, type Definitions, flow, World } from "./world.ts";

/** What a step does until the world is repaired: fail so many attempts, or hang in them, and so many attempts to undo it. */
interface Leaf {
  readonly type: "do" | "queued";
  readonly name: string;
  readonly failures: number;
  readonly hangs: boolean;
  readonly policy: "fail" | "pause" | "continue" | "compensate";
  /** Null: it can't be undone. */
  readonly undoFailures: number | null;
  readonly limit: number;
}

type Program =
  | Leaf
  | { readonly type: "sleep"; readonly ms: number }
  | { readonly type: "approval"; readonly quorum: number; readonly timeoutMs: number | null }
  | { readonly type: "sequence" | "parallel" | "race"; readonly parts: readonly Program[] }
  | { readonly type: "guarded"; readonly body: Program; readonly rescue: Program };

const leaf = fc.record({
  type: fc.constantFrom("do" as const, "do" as const, "queued" as const),
  name: fc.constantFrom("a", "b", "c"),
  failures: fc.constantFrom(0, 0, 1, 2, 99),
  hangs: fc.constantFrom(false, false, false, true),
  policy: fc.constantFrom("fail" as const, "pause" as const, "pause" as const, "continue" as const, "compensate" as const),
  undoFailures: fc.constantFrom(null, 0, 0, 1, 99),
  limit: fc.constantFrom(0, 1),
});

const { program } = fc.letrec<{ program: Program }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.oneof(
      { weight: 5, arbitrary: leaf },
      { weight: 1, arbitrary: fc.record({ type: fc.constant("sleep" as const), ms: fc.constantFrom(0, 1000, 60_000) }) },
      {
        weight: 1,
        arbitrary: fc.record({ type: fc.constant("approval" as const), quorum: fc.constantFrom(1, 2), timeoutMs: fc.constantFrom(null, 5000) }),
      },
    ),
    fc.record({
      type: fc.constantFrom("sequence" as const, "sequence" as const, "parallel" as const, "race" as const),
      parts: fc.array(tie("program"), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ type: fc.constant("guarded" as const), body: tie("program"), rescue: tie("program") }),
  ) as fc.Arbitrary<Program>,
}));

interface Trouble {
  readonly turn: number;
  readonly what: "crash" | "evict" | "pause" | "undeploy" | "double" | "drop";
}

const troubles = fc.array(
  fc.record({ turn: fc.integer({ min: 1, max: 30 }), what: fc.constantFrom("crash", "crash", "evict", "evict", "pause", "undeploy", "double", "drop") }),
  { maxLength: 6 },
) as fc.Arbitrary<Trouble[]>;

/** A run in its world, which is broken until it is repaired. */
class Case {
  readonly world: World;
  readonly tree: Program;
  readonly #definitions: Definitions;
  repaired = false;
  crashes = 0;

  constructor(tree: Program, from: Case | null = null) {
    this.tree = tree;
    const automations = new Map<string, AnyAutomation>();
    collect(tree, (it) => automations.set(automationName(it), this.#automationOf(it)));
    this.#definitions = {
      workflows: [flow(({ step }) => this.#go(tree, step, automations))],
      automations: [...automations.values()],
      alerts: automation({ name: "page", run: () => {} }),
    };
    this.world = new World(this.#definitions);
    if (from) this.#takeUp(from);
    else this.world.start("p");
  }

  /** As it stands, in another process, and repaired. */
  copy(): Case {
    return new Case(this.tree, this);
  }

  repair(): void {
    this.repaired = true;
    this.deploy();
  }

  deploy(): void {
    if (this.world.status === "blocked") {
      this.world.deploy(this.#definitions);
      this.world.run.engine.poke();
    }
  }

  undeploy(): void {
    this.world.deploy({ ...this.#definitions, workflows: [] });
    this.world.run.engine.wake();
  }

  #takeUp(from: Case): void {
    this.repaired = true;
    this.crashes = 1;
    this.world.clock.set(from.world.clock.now());
    this.world.run.journal.append(from.world.entries.map(({ seq: _seq, ...entry }: Entry & { seq?: number }) => entry as Entry));
    this.world.run.endTurn();
    this.world.run.engine.poke();
  }

  #act(name: string, idempotencyKey: string, fails: boolean, hangs = false): Promise<unknown> {
    return this.world
      .effect(name, idempotencyKey, () => {
        if (fails && !hangs) throw new Error(`${name} fails`);
        return name;
      })
      .then((value) => (fails && hangs ? new Promise(() => {}) : value));
  }

  #undoOf({ undoFailures, name }: Leaf) {
    if (undoFailures === null) return {};
    const run = ({ attempt, idempotencyKey }: { attempt: number; idempotencyKey: string }) =>
      this.#act(`undo ${name} ${attempt}`, idempotencyKey, !this.repaired && attempt <= undoFailures);
    return { compensate: { retries: { limit: 1 }, run } };
  }

  #automationOf(it: Leaf): AnyAutomation {
    const { failures, limit, name, policy } = it;
    return automation({
      name: automationName(it),
      dispatch: "queue",
      retries: { limit },
      onFailure: policy === "continue" ? "fail" : policy,
      ...this.#undoOf(it),
      run: ({ attempt, idempotencyKey }) => this.#act(`${name} ${attempt}`, idempotencyKey, !this.repaired && attempt <= failures),
    });
  }

  async #go(tree: Program, step: Step, automations: ReadonlyMap<string, AnyAutomation>): Promise<unknown> {
    const go = (part: Program) => this.#go(part, step, automations);
    switch (tree.type) {
      case "do":
        return step.do(
          tree.name,
          { timeout: "5s", retries: { limit: tree.limit }, onFailure: tree.policy, fallback: "plan b", ...this.#undoOf(tree) },
          ({ attempt, idempotencyKey }) => this.#act(`${tree.name} ${attempt}`, idempotencyKey, !this.repaired && attempt <= tree.failures, tree.hangs),
        );
      case "queued":
        return step.run(automations.get(automationName(tree)) as AnyAutomation, undefined, { name: tree.name });
      case "sleep":
        return step.sleep("nap", tree.ms);
      case "approval":
        return step.approval("ok", { assignees: ["ann"], quorum: tree.quorum, ...(tree.timeoutMs === null ? {} : { timeout: tree.timeoutMs }) });
      case "sequence": {
        const results: unknown[] = [];
        for (const part of tree.parts) results.push(await go(part));
        return results;
      }
      case "parallel":
        return Promise.all(tree.parts.map(go));
      case "race":
        return Promise.race(tree.parts.map(go));
      case "guarded":
        return go(tree.body).catch(() => go(tree.rescue));
      default:
        return tree satisfies never;
    }
  }
}

/** One automation for each way of behaving; they differ by name. */
function automationName({ name, failures, policy, undoFailures, limit }: Leaf): string {
  return `${name}-${failures}-${policy}-${undoFailures}-${limit}`;
}

function collect(tree: Program, found: (leaf: Leaf) => void): void {
  if (tree.type === "queued") found(tree);
  if ("parts" in tree) for (const part of tree.parts) collect(part, found);
  if ("body" in tree) for (const part of [tree.body, tree.rescue]) collect(part, found);
}

/** What stands open to an operator of a run that stands still. */
function offered(world: World): Asked[] {
  const { state } = world.run.engine;
  const actions: Asked[] = [{ action: "terminate" }, { action: "discard" }];
  for (const { key, kind } of [...state.open.values()].filter((step) => step.status === "parked")) {
    actions.push({ action: "retry", key, value: null }, { action: "complete", key, value: encode("by hand") }, { action: "skip", key, value: null });
    if (kind !== "compensation") actions.push({ action: "fail", key, value: encode(new Error("given up")) });
  }
  if (state.paused || [...state.open.values()].some((step) => step.status === "parked")) actions.push({ action: "resume" });
  if (state.rollback) return actions;
  actions.push({ action: "cancel", compensate: false }, { action: "cancel", compensate: true });
  const undoable = stepsToUndo(state, null);
  if (undoable.length > 0) actions.push({ action: "rollback", from: null }, { action: "rollback", from: undoable[0]?.key ?? null });
  return actions;
}

/** Turns until the run has ended or stands still for a person's sake. */
async function advance(world: World, onTurn: () => void = () => {}): Promise<"ended" | "paused" | "blocked" | "approval"> {
  for (let quiet = 0, left = 1500; left > 0; left--) {
    const busy = await world.turn();
    onTurn();
    const { engine } = world.run;
    if (engine.state.ended) return "ended";
    quiet = busy ? 0 : quiet + 1;
    if (quiet < 3) continue;
    const { status } = engine.summary;
    if (status === "blocked") return status;
    if (status === "paused" || engine.state.paused) return "paused";
    const next = Math.min(world.run.alarmAt ?? Number.POSITIVE_INFINITY, world.clock.nextTimerAt() ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(next)) {
      if (engine.state.approvals.some((step) => step.endSeq === null)) return "approval";
      throw new Error(`The run is ${status} and nothing will ever wake it.`);
    }
    world.clock.set(Math.max(next, world.clock.now()));
    quiet = 0;
  }
  throw new Error(`The run is still ${world.status}, and comes to no rest.`);
}

async function decide(world: World, choice: number): Promise<void> {
  const open = world.run.engine.state.approvals.find((step) => step.endSeq === null);
  if (!open) return;
  const decision = choice % 3 === 0 ? "rejected" : "approved";
  await world.run.engine.decide({ key: open.key, actor: `actor ${open.decisions.length}`, via: "api", decision, comment: null, form: null });
}

/** Whatever an operator does next in a repaired world brings the run to its end, without anybody having to do more than approve. */
async function endsAfter(it: Case, action: Asked): Promise<void> {
  const copy = it.copy();
  const { world } = copy;
  const before = world.run.engine.state.lastSeq;
  world.operate(action);
  for (let rounds = 0; rounds < 30; rounds++) {
    const rest = await advance(world);
    if (rest === "ended") {
      checkHistory(copy);
      return;
    }
    if (rest === "approval") await decide(world, 1);
    else if (rest === "blocked" && !world.run.engine.state.paused) copy.deploy();
    // Other steps that are parked, or the hold of the run, are left to a further act.
    else world.operate({ action: "resume" });
  }
  throw new Error(`After ${JSON.stringify(action)} at entry ${before} the run is ${world.status}: ${JSON.stringify(world.run.engine.summary.reason)}`);
}

/** Nothing is done, or undone, once its result is recorded; each attempt acts once; and what is undone is undone in reverse order, one after the other. */
function checkHistory(it: Case): void {
  const { world } = it;
  const endedAt = new Map<string, number>();
  const started: string[] = [];
  let undoing: readonly string[] = [];
  let undone = 0;
  for (const entry of world.run.journal.page(0, 100_000)) {
    if (entry.kind === "run.rollback_begun") {
      undoing = entry.keys;
      expect(undoing, "undone in reverse order of start").toEqual(started.filter((key) => undoing.includes(key)).reverse());
    }
    if (entry.kind === "attempt.failed" && entry.lost)
      expect(it.crashes, `attempt ${entry.attempt} of ${entry.key} was lost though nothing died`).toBeGreaterThan(0);
    if (!("key" in entry)) continue;
    expect(endedAt.get(entry.key), `entry ${entry.seq} (${entry.kind}) of ${entry.key}, which had ended`).toBeUndefined();
    if (entry.kind === "step.started" && entry.step === "compensation") expect(entry.key, "the next to undo").toBe(`~${undoing[undone]}`);
    else if (entry.kind === "step.started") started.push(entry.key);
    if (entry.kind !== "step.completed" && entry.kind !== "step.failed") continue;
    endedAt.set(entry.key, entry.seq);
    if (entry.key === `~${undoing[undone]}`) undone++;
  }
  const acts = new Set<string>();
  for (const { key, idempotencyKey, atSeq } of world.effects) {
    const step = decodeURIComponent(idempotencyKey.split("/")[2] ?? "");
    expect(atSeq, `effect of ${step} when its step was recorded`).toBeLessThan(endedAt.get(step) ?? Number.POSITIVE_INFINITY);
    expect(acts.has(`${step} ${key}`), `attempt ${key} of ${step} acted twice`).toBe(false);
    acts.add(`${step} ${key}`);
  }
}

function trouble(it: Case, what: Trouble["what"]): void {
  const { world } = it;
  const { engine } = world.run;
  const message = world.queue[0] ?? world.run.messages.at(-1);
  if (what === "crash") {
    it.crashes++;
    world.diesInTurn = true;
  }
  // The platform evicts an object that does nothing, and only then.
  if (what === "evict" && !engine.busy) {
    // In memory an executor's effect does not outlive the object that it reports to.
    if ([...engine.state.open.values()].some((step) => step.status === "claimed")) it.crashes++;
    world.evict();
  }
  if (what === "double" && message) world.queue.push(message, message);
  if (what === "drop") {
    it.crashes++;
    world.queue.shift();
  }
  if (engine.state.ended) return;
  if (what === "pause") world.operate({ action: "pause" });
  if (what === "undeploy") {
    it.crashes++;
    it.undeploy();
  }
}

interface Tally {
  parked: number;
  actions: Set<string>;
}

async function play(tree: Program, list: readonly Trouble[], choices: readonly number[], tally: Tally): Promise<void> {
  const it = new Case(tree);
  const { world } = it;
  let at = 0;
  const choose = (): number => choices[at++ % choices.length] ?? 0;
  for (let acts = 0; acts < 40; acts++) {
    const rest = await advance(world, () => {
      for (const next of list) if (next.turn === world.turns) trouble(it, next.what);
    });
    if (rest === "ended") return checkHistory(it);
    if (rest === "approval") {
      await decide(world, choose());
      continue;
    }
    tally.parked++;
    const actions = offered(world);
    if (acts < 3) await endsAfter(it, actions[choose() % actions.length] as Asked);
    if (choose() % 2 === 0 || acts > 4) it.repair();
    if (world.run.engine.state.ended) continue;
    const possible = acts > 6 ? actions.filter((action) => action.action === "resume") : actions;
    const action = possible[choose() % possible.length];
    if (!action) continue;
    tally.actions.add(action.action);
    world.operate(action);
  }
  throw new Error(`The run is still ${world.status}: ${JSON.stringify(world.run.engine.summary.reason)}`);
}

test("whatever the program, what fails and what dies: a parked run can be brought to its end by every action offered, and nothing that is done is done again", async () => {
  const tally: Tally = { parked: 0, actions: new Set() };
  await fc.assert(
    fc.asyncProperty(program, troubles, fc.array(fc.nat({ max: 1000 }), { minLength: 4, maxLength: 12 }), (tree, list, choices) =>
      play(tree, list, choices, tally),
    ),
    { numRuns: 2500 },
  );
  // The programs are worth their time: many park, and every action is tried.
  expect(tally.parked).toBeGreaterThan(500);
  expect([...tally.actions].sort()).toEqual(["cancel", "complete", "discard", "fail", "resume", "retry", "rollback", "skip", "terminate"]);
}, 60_000);
