import { expect } from "vitest";
import type { Deployments } from "./deployment.ts";
import type { Heard, Sink } from "./sink.ts";

/** What is done to the run of each flow around a change of the code, and what must come of it. */
export interface Case {
  readonly flow: string;
  /** The id of its run. Default: the flow's name. */
  readonly id?: string;
  /** The first version whose build has the flow. Default: all have. */
  readonly since?: string;
  readonly start?: { readonly delay?: string; readonly input?: unknown };
  /** Brings the run into the middle of a leg, where the code is changed under it. */
  readonly approach?: (run: RunAtHand, leg: number) => Promise<unknown>;
  /** The local queue has one consumer, which then works on this run: it comes into the middle after all others. */
  readonly holdsQueue?: true;
  /** What has it go on, with the code that is there then. */
  readonly goOn?: (run: RunAtHand, leg: number) => Promise<unknown>;
  readonly status: "completed" | "failed" | "cancelled";
  /** Null: none. */
  readonly output: ((run: RunAtHand) => unknown) | null;
  /** The keys of its effects, each once, in the order in which they are first heard; `inAnyOrder`: some come together. */
  readonly effects: readonly string[];
  readonly inAnyOrder?: true;
}

/** One run, as those outside have to do with it. */
export class RunAtHand {
  readonly id: string;
  readonly #segno: Deployments;
  readonly #sink: Sink;

  constructor(id: string, segno: Deployments, sink: Sink) {
    this.id = id;
    this.#segno = segno;
    this.#sink = sink;
  }

  get heard(): readonly Heard[] {
    return this.#sink.heard.filter(({ runId }) => runId === this.id);
  }

  /** The last that was heard of a step. */
  last(key: string): Heard {
    const found = this.heard.findLast((it) => it.key === key);
    if (!found) throw new Error(`Nothing was heard of ${key} of ${this.id}.`);
    return found;
  }

  async post(path: string, body: unknown = {}): Promise<void> {
    const answer = await this.#segno.post(`/v1/runs/${this.id}${path}`, body);
    expect(answer.status, `${this.id}${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  }

  async decide(key: string, body: { readonly actor: string; readonly decision: "approved" | "rejected" }): Promise<void> {
    const answer = await this.#segno.post(`/v1/approvals/${this.id}/${key}/decide`, body);
    expect(answer.status, `${this.id} ${key}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  }

  /** Calls an address that this Segno gave away, wherever it is reached now. */
  async call(url: string, body: unknown): Promise<void> {
    const { pathname, search } = new URL(url);
    const answer = await this.#segno.post(`${pathname}${search}`, body);
    expect(answer.status, `${this.id} called back: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  }

  /** Waits until the run has this status. */
  async until(status: string): Promise<void> {
    await eventually(`${this.id} to be ${status}`, async () => (await this.detail()).status, status);
  }

  /** Waits until a step has this status. */
  async untilStep(key: string, status: string): Promise<void> {
    await eventually(`${key} of ${this.id} to be ${status}`, async () => (await this.steps()).find((step) => step.key === key)?.status, status);
  }

  /** Waits until a step is heard of, since the last change of the code. */
  async untilHeard(key: string): Promise<void> {
    const { deployment } = this.#sink;
    await eventually(`${key} of ${this.id} to be heard of`, () => this.heard.some((it) => it.key === key && it.deployment === deployment), true);
  }

  /** Waits until so many occasions of a type are told of. */
  async untilNotices(type: string, count: number): Promise<void> {
    const keys = () => new Set(this.heard.flatMap(({ key }) => (key.startsWith(`~notice:${type}:`) ? [key] : [])));
    await eventually(`${count} notices of ${this.id} that are ${type}`, () => keys().size, count);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the answers of an HTTP API, looked into by tests
  async detail(): Promise<any> {
    return (await this.#segno.get(`/v1/runs/${this.id}`)).body;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async steps(): Promise<any[]> {
    return this.#all("steps");
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async journal(): Promise<any[]> {
    return this.#all("journal", "entries");
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async #all(what: string, name = what): Promise<any[]> {
    const items: unknown[] = [];
    for (let cursor: string | null = "0"; cursor !== null; ) {
      // biome-ignore lint/suspicious/noExplicitAny: as above
      const { body }: { body: any } = await this.#segno.get(`/v1/runs/${this.id}/${what}?limit=200&after=${cursor}`);
      items.push(...body[name]);
      cursor = body.nextCursor;
    }
    return items;
  }
}

/** Waits until `look` gives what is wanted. */
export async function eventually<T>(what: string, look: () => T | Promise<T>, wanted: NoInfer<T>): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found === wanted) return;
    if (Date.now() > giveUpAt) throw new Error(`Waited in vain for ${what}: it is ${String(found)}.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const legs = [1, 2];
const each = (...names: string[]): string[] => legs.flatMap((leg) => names.map((name) => `${name}-${leg}`));
const waits = (name: string) => (run: RunAtHand, leg: number) => run.untilStep(`${name}-${leg}`, "waiting");
const acts = (name: string) => (run: RunAtHand, leg: number) => run.untilHeard(`${name}-${leg}`);
const sends = (name: string) => (run: RunAtHand, leg: number) => run.post(`/events/${name}-${leg}`, { id: `${name}-${leg}`, payload: leg });

export const cases: readonly Case[] = [
  {
    flow: "steps",
    approach: acts("held"),
    status: "completed",
    // What it had seen before a change is what it tells after it.
    output: (run) => legs.map((leg) => run.heard.find(({ key }) => key === `told-${leg}`)?.detail),
    effects: each("told", "held", "last"),
  },
  {
    flow: "naps",
    approach: waits("nap"),
    status: "completed",
    output: (run) => {
      // No timer fires early, whatever code set it.
      for (const leg of legs) expect(run.last(`after-${leg}`).at - run.last(`before-${leg}`).at).toBeGreaterThanOrEqual(6_000);
      return each("after");
    },
    effects: each("before", "after"),
  },
  {
    flow: "events",
    approach: async (run, leg) => {
      await run.untilStep(`go-${leg}`, "waiting");
      await run.post("/events/early", { id: `early-${leg}`, payload: `early ${leg}` });
    },
    goOn: sends("go"),
    status: "completed",
    output: () => legs.map((leg) => [leg, `early ${leg}`]),
    effects: each("took"),
  },
  {
    flow: "callbacks",
    approach: waits("kyc"),
    goOn: (run, leg) => run.call(String(run.last(`kyc-${leg}`).detail), { verified: leg }),
    status: "completed",
    output: () => legs.map((leg) => ({ verified: leg })),
    effects: each("kyc"),
  },
  {
    flow: "approvals",
    approach: async (run, leg) => {
      await run.untilHeard(`~notice:approval:legal-${leg}:0`);
      await decide(run, leg, "ann");
    },
    goOn: (run, leg) => decide(run, leg, "bob"),
    status: "completed",
    output: () => legs.map(() => ["ann", "bob"]),
    effects: [...legs.map((leg) => `~notice:approval:legal-${leg}:0`), ...each("decided")],
    inAnyOrder: true,
  },
  {
    flow: "retries",
    approach: (run, leg) => run.untilStep(`flaky-${leg}`, "retrying"),
    status: "completed",
    output: () => each("flaky"),
    effects: each("flaky"),
  },
  {
    flow: "queued",
    approach: async (run, leg) => {
      await sends("begin")(run, leg);
      await run.untilHeard(`held-${leg}`);
    },
    holdsQueue: true,
    status: "completed",
    output: () => legs.map((leg) => [`quick-${leg}`, `held-${leg}`, `last-${leg}`]),
    effects: each("quick", "held", "last"),
  },
  {
    flow: "parallel",
    approach: async (run, leg) => {
      await run.untilStep(`go-${leg}`, "waiting");
      await run.untilHeard(`held-${leg}`);
    },
    goOn: sends("go"),
    status: "completed",
    output: () => legs.map((leg) => [`done-${leg}`, `held-${leg}`, `queued-${leg}`, "ann", "bob", leg, `quick-${leg}`]),
    effects: legs.flatMap((leg) => ["done", "held", "quick", "queued", "same"].map((name) => `${name}-${leg}`).concat(`same-${leg}#2`)),
    inAnyOrder: true,
  },
  {
    flow: "large",
    start: { input: "p".repeat(6000) },
    approach: acts("held"),
    status: "completed",
    output: () => legs.map(() => [true, true, 6000]),
    effects: each("made", "held", "again"),
  },
  {
    flow: "paused",
    approach: async (run, leg) => {
      await run.untilStep(`before-${leg}`, "completed");
      await run.post("/pause");
      await run.untilNotices("paused", leg);
    },
    goOn: (run) => run.post("/resume"),
    status: "completed",
    output: () => each("after"),
    effects: [...each("before", "after"), "~notice:paused", "~notice:paused"],
    inAnyOrder: true,
  },
  {
    flow: "parked",
    approach: (run, leg) => run.untilNotices("dead_letter", leg),
    goOn: (run, leg) => run.post("/retry", { step: `flaky-${leg}` }),
    status: "completed",
    output: () => each("flaky"),
    effects: legs.flatMap((leg) => [`flaky-${leg}`, `~notice:dead_letter:flaky-${leg}:1`]),
  },
  { flow: "saga", approach: waits("go"), goOn: sends("go"), status: "failed", output: null, effects: ["a", "b", "c", "~c", "~b", "~a"] },
  {
    flow: "undoing",
    approach: async (run, leg) => {
      if (leg === 1) {
        await run.untilStep("long", "waiting");
        await run.post("/cancel", { compensate: true });
      }
      await run.untilHeard(leg === 1 ? "~c" : "~b");
    },
    status: "cancelled",
    output: null,
    effects: ["a", "b", "c", "~c", "~b", "~a"],
  },
  { flow: "delayed", start: { delay: "8s" }, status: "completed", output: () => "only", effects: ["only"] },
  { flow: "ended", approach: (run) => run.until("completed"), status: "completed", output: () => ["a", "b"], effects: ["a", "b"] },
  {
    flow: "computed",
    since: "0.2.0",
    approach: (run, leg) => run.untilStep(`flaky-${leg}`, "retrying"),
    status: "completed",
    output: () => ["hidden".length, "hidden".length],
    effects: each("secret", "flaky"),
  },
  {
    flow: "instance",
    id: "instance.one.1",
    since: "0.2.0",
    approach: (run, leg) => (leg === 1 ? run.untilHeard("held-1") : run.untilStep("flaky-2", "retrying")),
    goOn: async (run, leg) => {
      if (leg === 2) await sends("go")(run, leg);
    },
    status: "completed",
    output: () => ["held-1", "flaky-1", "flaky-2", 2],
    effects: ["held-1", "flaky-1", "flaky-2"],
  },
];

function decide(run: RunAtHand, leg: number, actor: string): Promise<void> {
  return run.decide(`legal-${leg}`, { actor, decision: "approved" });
}
