import { type Counter, counters, faults, type Incident, type Plan, type RunOptions, type What } from "./plan.ts";
import { type Act, type ApprovalWait, always, type Branch, type CallbackWait, type EventWait, type Program, type Retries, type Script } from "./program.ts";
import { Chance } from "./random.ts";

/** The plan of a seed. */
export function planOf(seed: number): Plan {
  const chance = new Chance(seed);
  const program = new ProgramMaker(chance).whole();
  const options = optionsOf(chance);
  return { seed, program, options, incidents: [...faultsOf(chance), ...actsOf(chance), ...holdsOf(chance, program, options)] };
}

function optionsOf(chance: Chance): RunOptions {
  return {
    timeoutMs: chance.yes(8) ? chance.pick([1000, 30_000, 600_000]) : null,
    expectedMs: chance.yes(10) ? chance.pick([1000, 60_000]) : null,
    delayMs: chance.yes(10) ? chance.pick([1, 5000, 3_600_000]) : 0,
    waitMs: chance.yes(25) ? chance.pick([100, 10_000, 10_000, 600_000]) : 0,
    alerts: chance.yes(30),
  };
}

/** About how many of each thing a run counts: an incident beyond that never happens. */
const usual: Record<Counter, number> = { turn: 20, event: 30, message: 4, execution: 3, alarm: 6, summary: 6, send: 4, rpc: 16, append: 20 };

/** How often each thing is where something goes wrong, of 100. */
const weights: readonly (readonly [Counter, number])[] = [
  ["turn", 26],
  ["event", 24],
  ["message", 8],
  ["execution", 6],
  ["alarm", 10],
  ["summary", 9],
  ["send", 3],
  ["rpc", 11],
  ["append", 3],
];

function faultsOf(chance: Chance): Incident[] {
  const found: Incident[] = [];
  // Some runs meet few faults, so that what takes a long undisturbed way is met too.
  const count = chance.yes(20) ? chance.int(4) : 5 + chance.int(10);
  for (let left = count; left > 0; left--) {
    const on = counterOf(chance);
    found.push({ on, n: 1 + chance.int(usual[on]), what: chance.pick(faults[on] as readonly What[]), a: chance.int(1000), b: chance.int(1000) });
  }
  // A process that dies again and again at one place.
  if (chance.yes(2)) {
    const n = 1 + chance.int(10);
    for (let turn = n; turn < n + 24; turn++) found.push({ on: "turn", n: turn, what: "crash_after_sent", a: 0, b: 0 });
  }
  return found;
}

function counterOf(chance: Chance): Counter {
  let left = chance.int(100);
  for (const [counter, weight] of weights) {
    left -= weight;
    if (left < 0) return counter;
  }
  return counters[0];
}

/** Acts and how often each is chosen. */
const actWeights: readonly (readonly [What, number])[] = [
  ["event", 26],
  ["start_again", 6],
  ["poke", 5],
  ["touch", 4],
  ["wait", 4],
  ["pause", 8],
  ["resume", 8],
  ["cancel", 5],
  ["terminate", 2],
  ["rollback", 3],
  ["retry", 8],
  ["complete", 3],
  ["skip", 3],
  ["fail", 3],
  ["decide", 9],
  ["call_back", 7],
  ["fork", 6],
  ["undo", 7],
];
const actTotal = actWeights.reduce((sum, [, weight]) => sum + weight, 0);

function actsOf(chance: Chance): Incident[] {
  const found: Incident[] = [];
  for (let left = chance.int(6); left > 0; left--) {
    const what = actFor(chance);
    const n = 1 + chance.int(usual.event);
    found.push({ on: "event", n, what, a: chance.int(1000), b: chance.int(1000) });
    // The same again, a little later and in another way: what was decided once is not decided anew.
    if (chance.yes(20)) found.push({ on: "event", n: n + chance.int(6), what, a: chance.int(1000), b: chance.int(1000) });
  }
  return found;
}

/** Somebody holds a run that is still to begin, or that has nothing more to do but to end: both are rare by themselves. */
function holdsOf(chance: Chance, program: Program, { delayMs }: RunOptions): Incident[] {
  const endsOutside = "parts" in program && program.parts.at(-1)?.type === "outside";
  const isEarly = delayMs >= 5000;
  if (!(isEarly || endsOutside) || chance.yes(60)) return [];
  return [{ on: "event", n: isEarly ? 1 + chance.int(6) : 4 + chance.int(16), what: "pause", a: chance.int(1000), b: chance.int(1000) }];
}

function actFor(chance: Chance): What {
  let left = chance.int(actTotal);
  for (const [what, weight] of actWeights) {
    left -= weight;
    if (left < 0) return what;
  }
  return "event";
}

/** Longer than it takes to find that a run is stalled. */
const fiveHours = 18_000_000;

/** When it has come to its end, nothing of it is under way: what the code does by itself then, an earlier execution did at the same place. */
function leavesNothing(program: Program): boolean {
  if (program.type === "all" || program.type === "race" || program.type === "loose") return false;
  return !("parts" in program) || program.parts.every(leavesNothing);
}

class ProgramMaker {
  readonly #chance: Chance;
  #id = 0;
  #left: number;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.#left = 5 + chance.int(8);
  }

  whole(): Program {
    const parts: Program[] = [];
    while (this.#left > 0) {
      parts.push(this.#any(2));
      if (parts.every(leavesNothing) && this.#chance.yes(this.#left > 0 ? 4 : 20)) parts.push(this.#outside());
    }
    return this.#branch("sequence", parts);
  }

  #outside(): Program {
    return { type: "outside", id: this.#id++, ms: this.#chance.pick([50, 50, 5000, 20_000, fiveHours]) };
  }

  #any(depth: number): Program {
    if (depth > 0 && this.#chance.yes(30)) return this.#deep(depth - 1);
    this.#left--;
    return this.#leaf();
  }

  #deep(depth: number): Program {
    const chance = this.#chance;
    const type = chance.pick(["sequence", "all", "all", "race", "race", "settled", "loop", "either", "guard", "guard", "loose"] as const);
    const width = type === "loop" || type === "loose" ? 1 : type === "either" || type === "guard" ? 2 : 2 + chance.int(2);
    const parts = Array.from({ length: width }, () => this.#any(depth));
    return this.#branch(type, parts, type === "loop" ? 1 + chance.int(3) : 1);
  }

  #branch(type: Branch["type"], parts: readonly Program[], times = 1): Branch {
    return { type, id: this.#id++, parts, times };
  }

  #leaf(): Program {
    const chance = this.#chance;
    const at = chance.int(100);
    const id = this.#id++;
    if (at < 52) return this.#act(id);
    if (at < 62) return { type: "sleep", id, ms: chance.pick([0, 1, 1000, 1000, 60_000, 86_400_000]), until: chance.yes(25) };
    if (at < 73) return this.#event(id);
    if (at < 80) return this.#callback(id);
    if (at < 86) return this.#approval(id);
    if (at < 95) return { type: "value", id, which: chance.pick(["now", "random", "uuid"] as const) };
    if (at < 98) return { type: "hops", id, count: 1 + chance.int(4) };
    return { type: "failure", id };
  }

  #act(id: number): Act {
    const chance = this.#chance;
    const via = chance.pick(["do", "do", "do", "inline", "queue", "queue"] as const);
    const onFailure = chance.pick(["fail", "fail", "fail", "pause", "continue", "compensate"] as const);
    // Some take hours: that alone is no reason for anything.
    const isLong = via !== "queue" && chance.yes(2);
    const script = this.#script(30);
    return {
      type: "act",
      id,
      via,
      name: chance.pick(["a", "b", "c", "d"]),
      hasInput: chance.yes(40),
      retries: this.#retries(),
      timeoutMs: isLong ? 2 * fiveHours : chance.pick([600_000, 600_000, 10_000, 1000]),
      onFailure: via !== "do" && onFailure === "continue" ? "fail" : onFailure,
      fallback: chance.yes(50),
      undo: chance.yes(35) ? { script: this.#script(20), limit: chance.int(3) } : null,
      unsafe: chance.yes(10),
      script: isLong ? { ...script, latencyMs: fiveHours } : script,
    };
  }

  #script(failing: number): Script {
    const chance = this.#chance;
    const fails = chance.yes(failing);
    return {
      failures: fails ? chance.pick([1, 1, 1, 2, 3, always]) : 0,
      how: chance.pick([
        "error",
        "error",
        "error",
        "error",
        "non_retryable",
        "retry_after",
        "retry_after",
        "hang",
        "unrecordable",
        "refused_by_retry_if",
      ] as const),
      instant: chance.yes(15),
      latencyMs: chance.pick([0, 1, 5, 50, 50, 400, 20_000]),
      lingersMs: chance.pick([null, 0, 300, 10_000]),
      large: chance.yes(3),
    };
  }

  #retries(): Retries {
    const chance = this.#chance;
    return {
      limit: chance.pick([0, 1, 2, 2, 3]),
      delay: chance.pick([0, 1000, 1000, 5000]),
      backoff: chance.pick(["constant", "linear", "exponential"] as const),
      jitter: chance.pick([0, 0.2, 1]),
      maxDelay: chance.pick([300_000, 300_000, 1500]),
      totalTimeout: chance.yes(10) ? chance.pick([1500, 30_000]) : null,
    };
  }

  #event(id: number): EventWait {
    const chance = this.#chance;
    return {
      type: "event",
      id,
      name: chance.pick(["x", "x", "y"]),
      key: chance.yes(30) ? chance.pick(["k1", "k2"]) : null,
      timeoutMs: chance.pick([null, 1, 5000, 120_000, 604_800_000]),
      schema: chance.yes(25),
    };
  }

  #callback(id: number): CallbackWait {
    const chance = this.#chance;
    return {
      type: "callback",
      id,
      request: chance.yes(75) ? this.#script(20) : null,
      retries: this.#retries(),
      timeoutMs: chance.pick([null, 5000, 120_000]),
      schema: chance.yes(25),
      answersAfterMs: chance.pick([null, 0, 10, 3000, 60_000]),
      answersTwice: chance.yes(30),
    };
  }

  #approval(id: number): ApprovalWait {
    const chance = this.#chance;
    const notify = chance.yes(50);
    return {
      type: "approval",
      id,
      quorum: chance.pick([1, 1, 2]),
      timeoutMs: chance.pick([null, 60_000, 7_200_000]),
      notify,
      reminders: notify && chance.yes(50) ? [30_000, 3_600_000] : [],
      escalateAfterMs: chance.yes(35) ? 45_000 : null,
      schema: chance.yes(5),
    };
  }
}
