import { Buffer } from "node:buffer";
import { type Answer, Connection } from "./connection.ts";
import { type Document, type Operation, operationsOf } from "./document.ts";
import { type Input, makeInput, type Surroundings, signedCallback } from "./draft.ts";
import { isHead, slowMs, violationOf } from "./oracle.ts";
import { Random } from "./random.ts";
import { Caller, complete, type Kind, kinds, type Secrets, settled, startTarget, startVictim, type Target, type Victim } from "./world.ts";

/** Something that must not be. */
export interface Finding {
  readonly operation: string;
  /** Null: no single input is to blame. */
  readonly input: number | null;
  readonly what: string;
  readonly request: Buffer | null;
  readonly answer: string | null;
}

export interface FuzzOptions {
  readonly url: URL;
  readonly secrets: Secrets;
  readonly seed: string;
  readonly inputs: number;
  /** Part of an operation's name; empty: all. */
  readonly only: string;
  /** The one input to send; null: all. */
  readonly input: number | null;
  readonly found: (finding: Finding) => void;
}

const lanesAtOnce = 8;
/** A run that took so many commands makes room for a fresh one. Those whose steps are soon over take fewer. */
const successesOf: Readonly<Record<Kind, number>> = { waits: 8, "called-back": 3, approved: 3, parks: 8, sleeps: 8, many: 1000 };
const findingsAtMost = 40;
const largeBytes = 256 * 1024;
/** What acts on many runs at once, and so alone and first, while there are few. */
const bulk = "POST /v1/dead-letters/bulk";

interface Lane {
  readonly number: number;
  readonly connection: Connection;
  readonly caller: Caller;
  readonly targets: Map<Kind, Target>;
}

/** Sends inputs and judges answers. */
export class Fuzzer {
  readonly counts = { inputs: 0, operations: 0, askedAgain: 0, statuses: {} as Record<string, number>, codes: {} as Record<string, Record<string, number>> };
  readonly #options: FuzzOptions;
  readonly #lanes: Lane[];
  readonly #callerB: Caller;
  readonly #findings: Finding[] = [];
  /** Every run that an answer said was started. */
  readonly #started = new Set<string>();
  /** Starts whose answer was not waited for. */
  #unheard = 0;
  #targets = 0;
  #document: Document = { paths: {}, components: { schemas: {} } };
  #around: Omit<Surroundings, "label" | "target"> | null = null;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#callerB = new Caller(options.url, options.secrets.keyB);
    this.#lanes = Array.from({ length: lanesAtOnce }, (_, number) => ({
      number,
      connection: new Connection(options.url),
      caller: new Caller(options.url, options.secrets.keyA),
      targets: new Map<Kind, Target>(),
    }));
  }

  async run(progress: (text: string) => void): Promise<readonly Finding[]> {
    const { only, secrets } = this.#options;
    const [first] = this.#lanes as [Lane, ...Lane[]];
    this.#document = (await first.caller.ask("GET", "/openapi.json")).body as Document;
    const victims = await this.#startVictims(first.caller);
    this.#around = { document: this.#document, secrets, victims, ...(await this.#lists(first.caller)) };
    const operations = operationsOf(this.#document)
      .filter(({ name }, _, all) => name.includes(only) && (name === only || !all.some((other) => other.name === only)))
      .sort((a, b) => Number(b.name === bulk) - Number(a.name === bulk));
    for (const [nth, operation] of operations.entries()) {
      await this.#fuzz(operation);
      this.counts.operations++;
      progress(`${nth + 1} of ${operations.length}: ${operation.name}`);
    }
    await this.#examine(first.caller, victims);
    return this.#findings;
  }

  close(): void {
    this.#callerB.close();
    for (const lane of this.#lanes) {
      lane.connection.close();
      lane.caller.close();
    }
  }

  // Before and after.

  async #startVictims(callerA: Caller): Promise<Victim[]> {
    const { secrets } = this.#options;
    const made: Victim[] = [];
    for (const kind of kinds) {
      made.push(await startVictim(this.#callerB, "b", kind, secrets));
      // Dead letters of the fuzzed namespace are there to be acted on, all at once.
      if (kind !== "parks") made.push(await startVictim(callerA, "a", kind, secrets));
    }
    for (const { id } of made) this.#started.add(id);
    return made;
  }

  /** What lists answer before anything happens: cursors, and how a failure is marked. */
  async #lists(caller: Caller): Promise<Pick<Surroundings, "cursors" | "fingerprint">> {
    for (let i = 0; i < 3; i++) await this.#newTarget(caller, "parks", `cursor-${i}`);
    await this.#newTarget(caller, "approved", "cursor-approved");
    const cursors = new Map<string, string[]>();
    let fingerprint = "";
    for (let tries = 0; tries < 100 && (cursors.size < 3 || fingerprint === ""); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (const path of ["/v1/runs", "/v1/dead-letters", "/v1/approvals"]) {
        const { body } = await caller.ask("GET", `${path}?limit=1`);
        if (body.nextCursor) cursors.set(path, [body.nextCursor, body.nextCursor, body.nextCursor.slice(1), forgedCursor(body.nextCursor), "!", ""]);
        fingerprint = body.deadLetters?.[0]?.fingerprint ?? fingerprint;
      }
    }
    return { cursors, fingerprint };
  }

  async #examine(callerA: Caller, victims: readonly Victim[]): Promise<void> {
    const { secrets } = this.#options;
    const signed = (key: string) => {
      const body = key === "checked" ? { n: 1 } : { key };
      return { body, ...signedCallback(secrets, Buffer.from(JSON.stringify(body))) };
    };
    for (const victim of victims) {
      const wrong = await complete(victim.namespace === "a" ? callerA : this.#callerB, victim, signed);
      if (wrong) this.#find({ operation: "(end)", input: null, what: wrong, request: null, answer: null });
    }
    await this.#examineIndex(callerA);
  }

  /** The index has the runs that were started, and no others; and it can be read. */
  async #examineIndex(caller: Caller): Promise<void> {
    const wrong = (what: string): void => this.#find({ operation: "(end)", input: null, what, request: null, answer: null });
    let ids: string[] = [];
    let missing: string[] = [];
    for (let tries = 0; tries < 50 && (tries === 0 || missing.length > 0); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const { body } = await caller.ask("GET", "/", undefined, { "x-fuzz-look": "index" });
      ids = (body as { id: string }[]).map(({ id }) => id);
      const indexed = new Set(ids);
      missing = [...this.#started].filter((id) => !indexed.has(id));
    }
    if (missing.length > 0) wrong(`The index lacks ${missing.length} runs, such as ${missing[0]}.`);
    const unknown = ids.filter((id) => !this.#started.has(id));
    if (unknown.length > this.#unheard) wrong(`The index has ${unknown.length} runs that no answer told of, such as ${unknown[0]}.`);
    let read = 0;
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { status, body } = await caller.ask("GET", `/v1/runs?limit=200${cursor && `&cursor=${cursor}`}`);
      if (status !== 200) return wrong(`The list of runs answers ${status} ${JSON.stringify(body).slice(0, 500)}`);
      read += body.runs.length;
      cursor = body.nextCursor;
    }
    if (read > ids.length) wrong(`The list has ${read} runs, and the index ${ids.length}.`);
  }

  // An operation.

  async #fuzz(operation: Operation): Promise<void> {
    const { inputs, input } = this.#options;
    const lanes = operation.name === bulk ? 1 : lanesAtOnce;
    // The command that repeats one input names it alone, however many there were.
    const end = input === null ? inputs : input + 1;
    const work = this.#lanes.slice(0, lanes).map(async (lane) => {
      for (let number = lane.number; number < end; number += lanes) {
        if (this.#findings.length >= findingsAtMost) return;
        if (input === null || input === number) await this.#try(lane, operation, number);
      }
    });
    await Promise.all(work);
  }

  async #try(lane: Lane, operation: Operation, number: number): Promise<void> {
    if (!this.#around) throw new Error("There is nothing to aim at yet.");
    const random = new Random(this.#options.seed, operation.name, number);
    const label = new Random(operation.name).below(1e6);
    const around = { ...this.#around, label: `${label}-${number}`, target: (kind: Kind) => this.#target(lane, kind) };
    const input = await makeInput(random, operation, around);
    const { target } = input;
    const find = (what: string, answer: Answer | null): void => {
      const said = answer && `${answer.status} ${JSON.stringify(answer.headers)} ${answer.body.toString("utf8").slice(0, 1500)}`;
      this.#find({ operation: operation.name, input: number, what, request: input.bytes, answer: said });
    };
    this.counts.inputs++;
    let answer: Answer | null;
    try {
      answer = await this.#answerTo(lane, input);
    } catch (error) {
      if (target) target.isSpent = true;
      return find(error instanceof Error ? error.message : String(error), null);
    }
    this.#count(operation, answer);
    if (!answer) return this.#unanswered(lane, operation, input, find);
    const wrong = violationOf({ document: this.#document, operation, secrets: this.#options.secrets, input, answer });
    if (wrong) find(wrong, answer);
    if (answer.status < 400) this.#note(input, answer);
    const worse = await this.#consequences(lane, input, answer);
    if (worse) find(worse, answer);
  }

  /** Asks again when it takes too long: a machine that does other things takes its time for anything, and only now and then. */
  async #answerTo({ connection }: Lane, { bytes, hangUpAfterMs, target }: Input): Promise<Answer | null> {
    const sending = { timeoutMs: slowMs + 1000, hangUpAfterMs };
    const first = await connection.send(bytes, sending).catch(() => "late" as const);
    if (first === null || (first !== "late" && first.ms <= slowMs)) return first;
    this.counts.askedAgain++;
    this.#unheard++;
    if (target) target.isSpent = true;
    return await connection.send(bytes, sending);
  }

  async #unanswered(lane: Lane, operation: Operation, input: Input, find: (what: string, answer: Answer | null) => void): Promise<void> {
    // The server does not read a large body that nobody asked for to its end; the answer may be lost with the connection.
    const isExpected = input.hangUpAfterMs !== null || input.isBrokenHttp || input.bytes.length > largeBytes;
    if (!isExpected) return find("The connection was closed without an answer.", null);
    if (input.isCutOff) {
      const wrong = await this.#unchanged(lane, input);
      if (wrong) find(wrong, null);
      return;
    }
    if (input.target) input.target.seq = null;
    if (operation.method === "POST") this.#unheard++;
  }

  /** What a refusal must leave as it was, and what a foreign run and an unknown one must have in common. */
  async #consequences(lane: Lane, input: Input, answer: Answer): Promise<string | null> {
    const isTaken = answer.status < 400 && !answer.body.includes("There was nothing to decide.");
    if (input.hasForgedToken && isTaken) return "A token that Segno did not make is taken.";
    if (input.foreignId !== null && !input.hasForgedToken) {
      const wrong = await this.#likeUnknown(lane, input, answer);
      if (wrong) return wrong;
    }
    return answer.status < 400 ? await this.#readable(lane, input, answer) : await this.#unchanged(lane, input);
  }

  /** What a run has taken in, it can tell. */
  async #readable(lane: Lane, input: Input, answer: Answer): Promise<string | null> {
    const id = startedId(answer) ?? input.target?.id;
    if (id === undefined || !input.bytes.subarray(0, 5).equals(Buffer.from("POST "))) return null;
    const form = input.bytes.length % 2 === 0 ? {} : { "accept-values": "devalue" };
    for (const path of [`/v1/runs/${id}`, `/v1/runs/${id}/steps`, `/v1/runs/${id}/journal?limit=200`, `/v1/runs/${id}/audit`]) {
      const { status, body } = await lane.caller.ask("GET", path, undefined, form);
      if (status !== 200 && status !== 404) return `It was taken, and ${path} answers ${status} ${JSON.stringify(body).slice(0, 500)}`;
    }
    return answer.status === 201 && id === input.newId ? await this.#sameAgain(lane, input) : null;
  }

  /** What made a run of a name of its own answers with that run when it comes again. */
  async #sameAgain(lane: Lane, { bytes, newId, isBrokenHttp, hangUpAfterMs }: Input): Promise<string | null> {
    if (isBrokenHttp || hangUpAfterMs !== null) return null;
    const again = await lane.connection.send(bytes, { timeoutMs: slowMs, hangUpAfterMs: null });
    const said = again?.body.toString("utf8") ?? "";
    return again?.status === 200 && said.includes(`"id":"${newId}"`) ? null : `The second time it answers ${again?.status} ${said.slice(0, 500)}`;
  }

  async #unchanged(lane: Lane, { target, newId }: Input): Promise<string | null> {
    if (newId !== null && !this.#started.has(newId)) {
      const { status } = await lane.caller.ask("GET", `/v1/runs/${newId}`);
      if (status !== 404) return `It was refused, and has left the run ${newId}.`;
    }
    if (!target || target.seq === null || target.isSpent) return null;
    const { body } = await lane.caller.ask("GET", `/v1/runs/${target.id}/journal?after=${target.seq}&limit=5`);
    if (body.entries?.length === 0) return null;
    target.seq = null;
    return `It was refused, and the journal of ${target.id} has grown: ${JSON.stringify(body).slice(0, 1000)}`;
  }

  /** A foreign run is answered for as one that does not exist. */
  async #likeUnknown(lane: Lane, input: Input, answer: Answer): Promise<string | null> {
    const { foreignId } = input;
    if (foreignId === null || input.hangUpAfterMs !== null || input.isBrokenHttp) return null;
    if (answer.status < 400) return `The answer is ${answer.status} for a foreign run.`;
    const unknownId = foreignId.replace("victim", "nobody");
    const bytes = replaced(input.bytes, foreignId, unknownId);
    if (bytes.equals(input.bytes)) return null;
    const other = await lane.connection.send(bytes, { timeoutMs: slowMs, hangUpAfterMs: null });
    const plain = (it: Answer | null): string => `${it?.status} ${it?.body.toString("utf8").replaceAll(unknownId, foreignId)}`;
    return plain(other) === plain(answer) || isHead(input) ? null : `A foreign run is answered for as ${plain(answer)}, an unknown one as ${plain(other)}`;
  }

  #note(input: Input, answer: Answer): void {
    if (input.target) {
      input.target.seq = null;
      input.target.successes++;
    }
    const id = startedId(answer);
    if (id !== undefined) this.#started.add(id);
  }

  #count(operation: Operation, answer: Answer | null): void {
    // What the server says of broken HTTP has no type, or none of ours.
    const isOfServer = answer && answer.status >= 400 && !/json|html/.test(answer.headers["content-type"] ?? "");
    const status = answer ? `${isOfServer ? "of the server " : ""}${answer.status}` : "unanswered";
    add(this.counts.statuses, status);
    const code = answer && answer.status >= 400 && /"code":"(\w+)"/.exec(answer.body.toString("utf8"))?.[1];
    const ofOperation = this.counts.codes[operation.name] ?? {};
    this.counts.codes[operation.name] = ofOperation;
    add(ofOperation, code || status);
  }

  #find(finding: Finding): void {
    this.#findings.push(finding);
    this.#options.found(finding);
  }

  // Runs to aim at.

  /** The lane's run of that kind, standing still, and the length of its journal known. */
  async #target(lane: Lane, kind: Kind): Promise<Target> {
    const known = lane.targets.get(kind);
    const target = known && !known.isSpent && known.successes < successesOf[kind] ? known : await this.#newTarget(lane.caller, kind, `${lane.number}`);
    lane.targets.set(kind, target);
    if (target.seq !== null) return target;
    const run = await settled(lane.caller, target.id);
    target.seq = run?.seq ?? null;
    if (["waiting", "paused"].includes(run?.status) || kind === "many") return target;
    // One that has ended is of use now and then.
    if (target.successes % 3 !== 0) target.isSpent = true;
    return target;
  }

  async #newTarget(caller: Caller, kind: Kind, name: string): Promise<Target> {
    const id = `t-${kind}-${name}-${this.#targets++}`;
    this.#started.add(id);
    return await startTarget(caller, id, kind, { marker: "of-a", redacted: this.#options.secrets.redacted });
  }
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** The id of the run that a start, a fork or a rollback made. */
function startedId({ status, body }: Answer): string | undefined {
  return status === 201 ? (JSON.parse(body.toString("utf8")) as { id?: string }).id : undefined;
}

/** A cursor of the same list that points elsewhere. */
function forgedCursor(cursor: string): string {
  const [mark] = JSON.parse(atob(cursor.replaceAll("-", "+").replaceAll("_", "/"))) as [string];
  return btoa(JSON.stringify([mark, -1e300, "\u0000' OR 1=1 --"]));
}

function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at);
  return copy;
}
