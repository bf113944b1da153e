import { act, help, start } from "./callers.ts";
import { withLightSignals } from "./light-abort.ts";
import { checkEnd } from "./oracles.ts";
import type { Incident, Plan } from "./plan.ts";
import { checkReplay } from "./replay.ts";
import { call } from "./rpc.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { broken, Violation } from "./violation.ts";
import { type Counts, World } from "./world.ts";

export interface Outcome {
  readonly violation: Violation | null;
  readonly counts: Counts;
  readonly runs: number;
  /** The same for the same plan, bit for bit. */
  readonly hash: number;
  readonly lines: readonly string[];
}

/** So many events with faults, and so many more in peace: no run needs as many. */
const longest = { troubled: 600, calm: 3000 };
/** Every so many seeds, the final journal is replayed from its top. */
const replayEvery = 4;
/** Silent turns of the event loop that somebody listens to, without an end. */
const longestSilence = 3000;

/** What Node adds. */
const Errors: ErrorConstructor & { stackTraceLimit?: number } = Error;

/**
 * Runs every microtask there is: the end of a turn of the event loop. Node does the same after each of its callbacks; to wait for that would cost a
 * simulation a tenth of its time. Within a microtask it does nothing.
 */
const { _tickCallback: endTurnOfLoop } = process as unknown as { readonly _tickCallback: () => void };

/** Runs a plan to its end, and tells whether every promise was kept. */
export function simulate(plan: Plan, options: { readonly traced: boolean } = { traced: false }): Promise<Outcome> {
  return new Promise((resolve) => process.nextTick(() => resolve(withLightSignals(() => outcomeOf(plan, options)))));
}

function outcomeOf(plan: Plan, options: { readonly traced: boolean }): Outcome {
  const world = new World(plan, options.traced);
  const limit = Errors.stackTraceLimit ?? 10;
  // Errors are made by the thousand, and nobody reads where.
  Errors.stackTraceLimit = options.traced ? limit : 0;
  let violation: Violation | null = null;
  try {
    new Simulation(world).run();
    violation = world.violation;
  } catch (error) {
    violation =
      world.violation ??
      (error instanceof Violation ? error : new Violation("engine", error instanceof Error ? (error.stack ?? error.message) : String(error)));
  } finally {
    Errors.stackTraceLimit = limit;
  }
  if (violation) world.trace(`VIOLATION ${violation.message}`);
  return { violation, counts: world.counts, runs: world.objects.length, hash: world.hash >>> 0, lines: world.lines ?? [] };
}

class Simulation {
  readonly #world: World;
  #silence = 0;
  #limit = longest.troubled;

  constructor(world: World) {
    this.#world = world;
  }

  run(): void {
    const world = this.#world;
    start(world);
    this.#settle();
    this.#untilStill();
    this.#calmDown();
    this.#settle();
    for (let round = 0; ; round++) {
      this.#untilStill();
      if (!this.#helpAll(round)) break;
      this.#settle();
    }
    for (const object of world.objects) if (object.durable.size > 0) call(object, { name: "look", command: (engine) => engine.exists, isHosted: false });
    this.#settle();
    this.#untilStill();
    checkEnd(world);
    // The dearest look of all, so not at every run.
    if (world.plan.seed % replayEvery === 0) for (const object of world.objects) checkReplay(object, endTurnOfLoop);
  }

  /** Goes from event to event until nothing is to come, or for as long as faults may last. */
  #untilStill(): void {
    const world = this.#world;
    while (!world.violation) {
      if (world.counts.events > this.#limit) {
        if (!world.calm) return;
        throw new Violation(
          "O13",
          `after ${world.counts.events} events the run has come to no rest: ${world.objects.map((it) => it.engine?.summary.status).join()}`,
        );
      }
      const mayListen = world.idlers.length > 0 && !(world.idlers.length < 3 && this.#silence === 1 && world.chance.yes(6));
      if (mayListen || !this.#next()) {
        if (world.idlers.length === 0) return;
        this.#listen();
      }
      this.#settle();
    }
  }

  /** One more turn of the event loop for those who wait for one. */
  #listen(): void {
    const world = this.#world;
    if (++this.#silence > longestSilence) throw new Violation("O13", "somebody listens for a silence that never comes");
    const { idlers } = world;
    world.idlers = [];
    for (const idler of idlers) idler();
  }

  /** The next thing that happens. False: nothing will. */
  #next(): boolean {
    const world = this.#world;
    const { timeline } = world;
    let due: SimulatedObject | null = null;
    let at = timeline.nextAt;
    for (const object of world.objects) {
      if (object.alarmDue < at || (object.alarmDue === at && at !== Number.POSITIVE_INFINITY && world.chance.yes(50))) {
        at = object.alarmDue;
        due = object;
      }
    }
    if (at === Number.POSITIVE_INFINITY) return false;
    this.#silence = 0;
    world.counts.events++;
    world.time = Math.max(world.time, at);
    world.mix(world.time);
    world.mix(world.chance.state);
    if (due) due.fireAlarm();
    else {
      const next = timeline.take();
      if (world.lines && next && next.label !== "timer") world.trace(`- ${next.label}`);
      next?.happen();
    }
    world.take("event");
    return true;
  }

  /** Until every microtask has run and everything written is durable, or gone. */
  #settle(): void {
    const world = this.#world;
    for (let again = true; again; ) {
      endTurnOfLoop();
      again = false;
      // What one sends to another begins a turn of that one, which is not over yet.
      for (const object of world.objects.filter((it) => it.isDirty)) if (object.endTurn()) again = true;
      const incident = again ? undefined : world.acting.shift();
      if (incident) {
        this.#happen(incident);
        again = true;
      }
    }
  }

  #happen(incident: Incident): void {
    const world = this.#world;
    const { what, a, b } = incident;
    const object = (a % 5 === 0 ? world.objects[1] : undefined) ?? world.objects[0];
    if (!object) return;
    switch (what) {
      case "crash":
        world.count(what);
        return object.crash();
      case "evict":
        if (object.isBusy || object.isInAlarm || object.isDirty || !object.engine) return;
        world.count(what);
        return object.crash();
      case "deploy_missing":
      case "deploy_wrong":
        return this.#deploy(what, b);
      case "clock_jump":
        world.count(what);
        return world.setClock([-3_600_000, -5000, -40, 40, 5000, 20_000, 3_600_000, 86_400_000][b % 8] ?? 0);
      case "spurious_alarm":
        if (object.isInAlarm) return;
        world.count(what);
        return object.handleAlarm();
      default:
        if (world.lines) world.trace(`act: ${what}`);
        return act(world, incident);
    }
  }

  #deploy(what: "deploy_missing" | "deploy_wrong", b: number): void {
    const world = this.#world;
    if (world.code !== "right") return;
    // Other code counts as wrong only where the journal knows what the right code does.
    const isKnown = world.objects.every(({ model }) => model.ended !== null || [...model.steps.values()].some(({ start }) => start.step !== "notice"));
    if (what === "deploy_wrong" && !isKnown) return;
    world.count(what);
    world.deploy(what === "deploy_wrong" ? "wrong" : "missing");
    world.after([10, 1000, 40_000, what === "deploy_wrong" ? 100_000 : 10_800_000][b % 4] ?? 0, "the right code is back", () => {
      if (world.code !== "right") world.deploy("right");
    });
  }

  /** From here on nothing goes wrong any more. */
  #calmDown(): void {
    const world = this.#world;
    world.trace("-- no more faults --");
    world.calm = true;
    world.fullUntil = 0;
    this.#limit = world.counts.events + longest.calm;
    if (world.code !== "right") world.deploy("right");
  }

  /** Brings every run on that stands still. False: all have ended. @throws Violation for one that nobody can bring on. */
  #helpAll(round: number): boolean {
    const world = this.#world;
    const open = world.objects.filter((it) => it.model.size > 0 && !it.model.ended);
    for (const object of open) {
      const { model } = object;
      if (!(round < 80)) broken("O13", `after ${round} acts of help ${object.run} has not ended`);
      if (!(model.blocked === null || model.pausedAt !== null)) broken("O13", `${object.run} is blocked (${model.blocked}), and the right code is there`);
      if (object.isBusy) broken("O13", `${object.run} is busy, and nothing will ever happen to it`);
      if (!help(object, round))
        broken("O13", `${object.run} stands still, and nobody can say for what: ${object.engine?.summary.status}, open ${[...model.open.keys()].join()}`);
    }
    return open.length > 0;
  }
}
