import type { AnyAutomation } from "#sdk/automation.ts";
import { automation } from "#sdk/automation.ts";
import type { Notice } from "#sdk/step.ts";
import { perform, performNotice } from "./actions.ts";
import { IndexCopy } from "./index-copy.ts";
import { automationFor } from "./interpret.ts";
import type { Counter, Incident, Plan } from "./plan.ts";
import { isFault } from "./plan.ts";
import { actsOf } from "./program.ts";
import { Chance } from "./random.ts";
import { SimulatedObject } from "./simulated-object.ts";
import { Timeline } from "./timeline.ts";
import { Violation } from "./violation.ts";

/** When the simulated world begins, epoch ms. */
const beginning = Date.UTC(2026, 0, 1);

export interface Counts {
  steps: number;
  commits: number;
  replays: number;
  crashes: number;
  effects: number;
  events: number;
  faults: number;
  readonly byKind: Map<string, number>;
}

/** Everything outside the engine, and the objects that hold it. Time is what it says, and nothing happens but by its timeline. */
export class World {
  readonly plan: Plan;
  readonly chance: Chance;
  /** The randomness that the engine is given. */
  readonly engineChance: Chance;
  readonly timeline = new Timeline();
  readonly objects: SimulatedObject[] = [];
  readonly index = new IndexCopy(this);
  readonly automations = new Map<string, AnyAutomation>();
  readonly counts: Counts = { steps: 0, commits: 0, replays: 0, crashes: 0, effects: 0, events: 0, faults: 0, byKind: new Map() };
  /** Lines of what happened, where somebody wants to read them. */
  readonly lines: string[] | null;
  readonly alerts: AnyAutomation | null;
  readonly notify: AnyAutomation;
  /** Whose step each idempotency key is. */
  readonly keyOwners = new Map<string, string>();
  /** Who waits for the next turn of the event loop. */
  idlers: (() => void)[] = [];
  /** True time, epoch ms. */
  time = beginning;
  /** How far the host's clock is off. */
  skew = 0;
  wasSetBack = false;
  /** The latest time that the host's clock has shown. */
  #latest = 0;
  code: "right" | "wrong" | "missing" = "right";
  /** Until when storage refuses writes. */
  fullUntil = 0;
  /** No faults any more, and what always failed works. */
  calm = false;
  /** Something was promised and not kept; the first such thing. */
  violation: Violation | null = null;
  /** An executor is about to call an automation: whose attempt it is. */
  executing: { readonly key: string; readonly attempt: number; readonly run: string; readonly isDead: () => boolean } | null = null;
  hash = 17;
  readonly #incidents = new Map<Counter, Incident[]>();
  readonly #counted: Record<Counter, number> = { turn: 0, event: 0, message: 0, execution: 0, alarm: 0, summary: 0, send: 0, rpc: 0, append: 0 };
  /** Acts that are to happen now. */
  readonly acting: Incident[] = [];

  constructor(plan: Plan, traced: boolean) {
    this.plan = plan;
    this.lines = traced ? [] : null;
    this.chance = new Chance(plan.seed ^ 0x5eed);
    this.engineChance = new Chance(plan.seed ^ 0xe119);
    for (const incident of [...plan.incidents].sort((a, b) => b.n - a.n)) {
      const list = this.#incidents.get(incident.on);
      if (list) list.push(incident);
      else this.#incidents.set(incident.on, [incident]);
    }
    for (const act of actsOf(plan.program)) {
      if (act.via !== "do")
        this.automations.set(
          `r${act.id}`,
          automationFor(act, (attempt) => perform(this, attempt)),
        );
    }
    this.notify = this.#teller("notify");
    this.alerts = plan.options.alerts ? this.#teller("alerts") : null;
  }

  #teller(name: string): AnyAutomation {
    const policy = { retries: { limit: 10, delay: 1000, maxDelay: 300_000 }, timeout: 60_000 };
    const teller = automation<Notice, unknown>({
      name,
      dispatch: "queue",
      ...policy,
      run: ({ input, idempotencyKey }) => performNotice(this, input, idempotencyKey),
    });
    this.automations.set(name, teller);
    return teller;
  }

  /** The host's clock. */
  get hostNow(): number {
    return this.time + this.skew;
  }

  after(ms: number, label: string, happen: () => void): () => void {
    return this.timeline.add(this.time + ms, label, happen);
  }

  /** Counts one more of a thing; a fault that is due at it, or null. Acts are put by for when the event is over. */
  take(counter: Counter): Incident | null {
    const n = ++this.#counted[counter];
    const list = this.#incidents.get(counter);
    if (!list) return null;
    let found: Incident | null = null;
    while (list.length > 0 && (list.at(-1) as Incident).n <= n) {
      const incident = list.pop() as Incident;
      if (this.calm) continue;
      if (!isFault(incident.what) || counter === "event") this.acting.push(incident);
      else found = incident;
    }
    return found;
  }

  count(fault: string): void {
    this.counts.faults++;
    this.counts.byKind.set(fault, (this.counts.byKind.get(fault) ?? 0) + 1);
    if (this.lines) this.trace(`!! ${fault}`);
  }

  trace(line: string): void {
    this.lines?.push(`${String(this.time - beginning).padStart(9)} ${line}`);
  }

  mix(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 0x01000193) ^ (this.hash >>> 15);
  }

  /** Notes a broken promise that was found inside the engine's own turn, where nothing may be thrown. */
  fail(error: unknown): void {
    this.violation ??= error instanceof Violation ? error : new Violation("engine", error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  /** A broken promise that is found inside the engine's own turn. */
  check(condition: boolean, oracle: string, message: () => string): void {
    if (!condition) this.fail(new Violation(oracle, message()));
  }

  object(run: string): SimulatedObject {
    const known = this.objects.find((it) => it.run === run);
    if (known) return known;
    const made = new SimulatedObject(this, run);
    this.objects.push(made);
    return made;
  }

  get latestHostNow(): number {
    return Math.max(this.#latest, this.hostNow);
  }

  setClock(byMs: number): void {
    this.#latest = this.latestHostNow;
    this.skew += byMs;
    if (byMs < 0) this.wasSetBack = true;
  }

  /** Puts other code in place, which ends every object. */
  deploy(code: World["code"]): void {
    this.code = code;
    this.trace(`deploy: ${code}`);
    for (const object of this.objects) object.crash();
  }
}
