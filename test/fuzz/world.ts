import { Buffer } from "node:buffer";
import { Connection } from "./connection.ts";
import type { Random } from "./random.ts";

/** The runs that inputs are aimed at, in two namespaces, and those that nobody may touch. */

/** A state that a run stands in, by the workflow that brings it there. */
export type Kind = "waits" | "called-back" | "approved" | "parks" | "sleeps" | "many";

export const kinds: readonly Kind[] = ["waits", "called-back", "approved", "parks", "sleeps", "many"];

/** The keys of its steps. */
export const stepsOf: Readonly<Record<Kind, readonly string[]>> = {
  waits: ["first", "go"],
  "called-back": ["plain", "checked", "signed", "standard", "unset"],
  approved: ["simple", "form <b>&\"'", "number"],
  parks: ["prepare", "remote"],
  sleeps: ["long"],
  many: ["one", "one#2", "one#30"],
};

export interface Secrets {
  readonly keyA: string;
  readonly keyB: string;
  readonly secret: string;
  readonly hmac: string;
  readonly standard: string;
  readonly slack: string;
  /** Stands in the values of the runs of the other namespace, and nowhere else. */
  readonly markerB: string;
  /** Stands in properties that are redacted. */
  readonly redacted: string;
}

export function secretsOf(random: Random): Secrets {
  const text = (length: number): string => Array.from({ length }, () => random.pick([..."abcdefghijkmnpqrstuvwxyz23456789"])).join("");
  return {
    keyA: `key-a-${text(30)}`,
    keyB: `key-b-${text(30)}`,
    secret: `secret-${text(40)}`,
    hmac: `hmac-${text(30)}`,
    standard: `whsec_${Buffer.from(text(24)).toString("base64")}`,
    slack: `slack-${text(30)}`,
    markerB: `marker-${text(20)}`,
    redacted: `redacted-${text(20)}`,
  };
}

export interface Target {
  readonly id: string;
  readonly kind: Kind;
  /** The journal's length, as far as it is known; null: something has changed it. */
  seq: number | null;
  successes: number;
  /** Callback tokens and, for an approval, one for each assignee; by step key. */
  readonly tokens: ReadonlyMap<string, string>;
  isSpent: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: whatever an answer holds
type Body = any;

export interface Told {
  readonly status: number;
  readonly body: Body;
}

/** Asks as a caller should. */
export class Caller {
  readonly #connection: Connection;
  readonly #key: string;

  constructor(url: URL, key: string) {
    this.#connection = new Connection(url);
    this.#key = key;
  }

  async ask(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const own = { host: "segno.test", authorization: `Bearer ${this.#key}`, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers };
    const lines = Object.entries({ ...own, "content-length": String(Buffer.byteLength(text)) }).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = await this.#connection.send(Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${text}`), {
      timeoutMs: 30_000,
      hangUpAfterMs: null,
    });
    if (!answer) throw new Error(`${method} ${path}: the connection was closed.`);
    const said = answer.body.toString("utf8");
    try {
      return { status: answer.status, body: JSON.parse(said) };
    } catch {
      return { status: answer.status, body: said };
    }
  }

  close(): void {
    this.#connection.close();
  }
}

const settledStatuses = ["waiting", "paused", "completed", "failed", "cancelled", "terminated", "blocked"];

/** Starts a run of a kind and waits until it stands where it should. `marker` stands in whatever it records. */
export async function startTarget(caller: Caller, id: string, kind: Kind, secrets: { readonly marker: string; readonly redacted: string }): Promise<Target> {
  const input = { marker: secrets.marker, password: secrets.redacted, deep: [{ password: secrets.redacted }], kind };
  const started = await caller.ask("POST", `/v1/workflows/${kind}/runs`, { id, input });
  if (started.status !== 201) throw new Error(`${kind} could not be started: ${JSON.stringify(started)}`);
  await settled(caller, id);
  const target: Target = { id, kind, seq: null, successes: 0, tokens: kind === "called-back" ? await callbackTokens(caller, id) : new Map(), isSpent: false };
  return target;
}

async function callbackTokens(caller: Caller, id: string): Promise<Map<string, string>> {
  const { body } = await caller.ask("GET", `/v1/runs/${id}/steps`);
  return new Map(body.steps.map((step: { key: string; callbackUrl: string }) => [step.key, step.callbackUrl.slice(step.callbackUrl.lastIndexOf("/") + 1)]));
}

/** The run, once it stands still. */
export async function settled(caller: Caller, id: string): Promise<Body> {
  for (let tries = 0; tries < 400; tries++) {
    const { status, body } = await caller.ask("GET", `/v1/runs/${id}`);
    if (status === 200 && settledStatuses.includes(body.status)) return body;
    if (status === 404) return null;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`The run ${id} does not come to rest.`);
}

/** Runs that are asked for under a key that is not theirs. */
export interface Victim {
  readonly namespace: "a" | "b";
  readonly kind: Kind;
  readonly id: string;
  readonly seq: number;
  readonly status: string;
  readonly tokens: ReadonlyMap<string, string>;
}

export async function startVictim(caller: Caller, namespace: "a" | "b", kind: Kind, secrets: Secrets): Promise<Victim> {
  const id = `victim-${namespace}-${kind}`;
  const { tokens } = await startTarget(caller, id, kind, { marker: namespace === "b" ? secrets.markerB : "of-a", redacted: secrets.redacted });
  const { seq, status } = await settled(caller, id);
  return { namespace, kind, id, seq, status, tokens };
}

/** What is wrong with a victim that nobody should have touched; then brings it to its end. Null: nothing is. */
export async function complete(
  caller: Caller,
  victim: Victim,
  signed: (key: string) => { body: unknown; headers: Record<string, string> },
): Promise<string | null> {
  const { id } = victim;
  const run = await settled(caller, id);
  if (run?.seq !== victim.seq || run.status !== victim.status) {
    const { body } = await caller.ask("GET", `/v1/runs/${id}/journal?after=${victim.seq}`);
    return `${id} was ${victim.status} at ${victim.seq} and is ${run?.status} at ${run?.seq}: ${JSON.stringify(body.entries)}`;
  }
  for (const [path, body, headers] of endingOf(victim, signed)) {
    const told = await caller.ask("POST", path, body, headers);
    if (told.status >= 300) return `${path} of ${id}, its own, is refused: ${JSON.stringify(told.body)}`;
  }
  const { body } = await caller.ask("GET", `/v1/runs/${id}?wait=5s`);
  if (body.status === "completed") return null;
  const journal = await caller.ask("GET", `/v1/runs/${id}/journal?after=${victim.seq}`);
  return `${id} does not complete, and is ${body.status}: ${JSON.stringify(body.reason)} ${JSON.stringify(journal.body.entries)}`;
}

type Act = readonly [path: string, body: unknown, headers?: Record<string, string>];

/** What brings a run of each kind to its end. */
function endingOf({ id, kind, tokens }: Victim, signed: (key: string) => { body: unknown; headers: Record<string, string> }): Act[] {
  const decision = (key: string | undefined, actor: string, form?: unknown): Act => [
    `/v1/approvals/${id}/${encodeURIComponent(key ?? "")}/decide`,
    { actor, decision: "approved", ...(form !== undefined && { form }) },
  ];
  const callback = (key: string): Act => {
    const { body, headers } = signed(key);
    return [`/callbacks/${tokens.get(key)}`, body, headers];
  };
  const acts: Readonly<Record<Kind, () => Act[]>> = {
    waits: () => [[`/v1/runs/${id}/events/go`, { payload: { n: 1 } }]],
    sleeps: () => [[`/v1/runs/${id}/steps/long/skip`, {}]],
    parks: () => [[`/v1/dead-letters/${id}/redrive`, { input: { ok: true } }]],
    approved: () => [
      decision("simple", "ada"),
      decision("simple", "bob"),
      decision("number", "ada", 1),
      decision(stepsOf.approved[1], "ada", { plan: "small", seats: 1, note: null, ok: true }),
    ],
    "called-back": () => [...["plain", "checked", "signed", "standard"].map(callback), [`/v1/runs/${id}/steps/unset/skip`, {}]],
    many: () => [],
  };
  return acts[kind]();
}
