import type { Client, Response } from "./http.ts";

/** Those who start runs, send them events and act on them while workerd dies again and again. Each asks until an answer arrives whole. */

/** What is done to a run beside its event. `fork` and `undo` are runs that are made from others. */
export type Role = "plain" | "held" | "cancelled" | "rolled back" | "forked" | "undone" | "fork" | "undo";

export interface TestRun {
  readonly id: string;
  readonly role: Role;
  readonly eventId: string;
  isStartAcked: boolean;
  isEventAcked: boolean;
  /** What operators were told that they have done to it. */
  readonly ackedActs: string[];
  expected: "completed" | "cancelled";
  /** Its last effect has arrived. */
  isNearEnd: boolean;
}

export interface Callers {
  readonly runs: ReadonlyMap<string, TestRun>;
  /** Requests that had to be repeated. */
  readonly repeats: number;
  /** Runs that were acknowledged and are not near their end. */
  underWay(): number;
  /** Starts runs and lives with them until `stop`; resolves when every caller has all its answers. */
  start(): Promise<void>;
  /** No more starts. */
  stop(): void;
  /** Nothing is asked for any more, acknowledged or not. */
  leave(): void;
}

export interface CallersOptions {
  readonly client: Client;
  readonly sinkUrl: string;
  readonly random: () => number;
  readonly underWayAtATime: number;
}

/** Of a hundred runs, so many have this role; the others are plain. */
const shares: readonly (readonly [Role, number])[] = [
  ["held", 10],
  ["cancelled", 6],
  ["rolled back", 6],
  ["forked", 5],
  ["undone", 5],
];

export function createCallers(options: CallersOptions): Callers {
  return new KillCallers(options);
}

class KillCallers implements Callers {
  readonly runs = new Map<string, TestRun>();
  repeats = 0;
  readonly #options: CallersOptions;
  readonly #underWay = new Set<TestRun>();
  #isStarting = true;
  #isOver = false;

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  underWay(): number {
    for (const run of this.#underWay) if (run.isNearEnd) this.#underWay.delete(run);
    return this.#underWay.size;
  }

  stop(): void {
    this.#isStarting = false;
  }

  leave(): void {
    this.#isOver = true;
  }

  async start(): Promise<void> {
    const lives: Promise<unknown>[] = [];
    let starting = 0;
    while (this.#isStarting) {
      if (this.underWay() + starting >= this.#options.underWayAtATime) {
        await pause(5);
        continue;
      }
      const run = this.#add(crypto.randomUUID(), this.#role());
      starting++;
      lives.push(
        this.#live(run, () => {
          starting--;
        }),
      );
    }
    await Promise.all(lives);
  }

  #role(): Role {
    let left = this.#options.random() * 100;
    for (const [role, share] of shares) {
      left -= share;
      if (left < 0) return role;
    }
    return "plain";
  }

  #add(id: string, role: Role): TestRun {
    const run: TestRun = {
      id,
      role,
      eventId: crypto.randomUUID(),
      isStartAcked: false,
      isEventAcked: false,
      ackedActs: [],
      expected: "completed",
      isNearEnd: false,
    };
    this.runs.set(id, run);
    return run;
  }

  /** What a caller does for a run: starts it, and sends its event at some moment, early or late. */
  async #live(run: TestRun, started: () => void): Promise<void> {
    const { client, sinkUrl, random } = this.#options;
    await this.#answered(() => client.post("/v1/workflows/mixed/runs", { id: run.id, input: { sink: sinkUrl } }));
    if (this.#isOver) return;
    run.isStartAcked = true;
    this.#underWay.add(run);
    started();
    await Promise.all([this.#act(run), pause(random() * 1_500).then(() => this.#sendEvent(run))]);
  }

  async #sendEvent(run: TestRun): Promise<void> {
    const answer = await this.#answered(() => this.#options.client.post(`/v1/runs/${run.id}/events/go`, { id: run.eventId, payload: 1 }), ["run_ended"]);
    run.isEventAcked = isDone(answer);
  }

  async #act(run: TestRun): Promise<void> {
    const { random } = this.#options;
    if (run.role === "held") {
      await pause(random() * 2_500);
      if (!(await this.#operate(run, "pause"))) return;
      await pause(random() * 500);
      await this.#operate(run, "resume");
    } else if (run.role === "cancelled") {
      await pause(random() * 3_000);
      if (await this.#operate(run, "cancel", { compensate: true })) this.#isCancelled(run);
    } else if (run.role === "rolled back") {
      await pause(random() * 3_000);
      await this.#rollBack(run);
    } else if (run.role === "forked") {
      await this.#until(async () => run.isNearEnd);
      await this.#make(run, this.#add(`${run.id}.fork`, "fork"), "fork", { from: "i", id: `${run.id}.fork` });
    } else if (run.role === "undone") {
      await this.#until(async () => run.isNearEnd && (await this.#statusOf(run)) === "completed");
      await this.#make(run, this.#add(`${run.id}.undo`, "undo"), "rollback", { id: `${run.id}.undo` });
    }
  }

  /** False: the run had ended before. A refusal that only a repeat of what was done can get counts as done. */
  async #operate(run: TestRun, action: string, body: object = {}): Promise<boolean> {
    const done = ["not_paused", "rollback_under_way"];
    const answer = await this.#answered(() => this.#options.client.post(`/v1/runs/${run.id}/${action}`, body), ["run_ended", ...done]);
    const isAcked = isDone(answer) || done.includes(codeOf(answer) ?? "");
    if (isAcked) run.ackedActs.push(action);
    return isAcked;
  }

  /** Of a run that has just ended, a rollback makes another run. */
  async #rollBack(run: TestRun): Promise<void> {
    const done = ["rollback_under_way", "nothing_to_undo"];
    let answer: Response | null = null;
    // Nothing has happened yet, or everything was undone before: then the run says so.
    do {
      answer = await this.#answered(() => this.#options.client.post(`/v1/runs/${run.id}/rollback`, { id: `${run.id}.undo` }), done);
      if (codeOf(answer) === "nothing_to_undo") await pause(50);
    } while (codeOf(answer) === "nothing_to_undo" && (await this.#statusOf(run)) !== "cancelled");
    const made = (answer?.body as { id?: string } | null)?.id;
    if (answer && isDone(answer) && made !== run.id) this.#isMade(this.#add(`${run.id}.undo`, "undo"));
    else if (answer) {
      run.ackedActs.push("rollback");
      this.#isCancelled(run);
    }
  }

  async #make(source: TestRun, run: TestRun, action: string, body: object): Promise<void> {
    const answer = await this.#answered(() => this.#options.client.post(`/v1/runs/${source.id}/${action}`, body));
    if (isDone(answer)) this.#isMade(run);
  }

  #isMade(run: TestRun): void {
    run.isStartAcked = true;
    // Its steps are few, and its last effect is not a run's last: it does not count as one that keeps workerd busy.
    run.isNearEnd = true;
  }

  #isCancelled(run: TestRun): void {
    run.expected = "cancelled";
    run.isNearEnd = true;
  }

  async #statusOf(run: TestRun): Promise<string | undefined> {
    const answer = await this.#answered(() => this.#options.client.get(`/v1/runs/${run.id}`));
    return (answer?.body as { status?: string } | undefined)?.status;
  }

  async #until(isSo: () => Promise<boolean>): Promise<void> {
    while (!this.#isOver && !(await isSo())) await pause(100);
  }

  /** Asks until an answer arrives whole that is a success, or a refusal with one of these codes. Null: the test is over. */
  async #answered(ask: () => Promise<Response>, refusals: readonly string[] = []): Promise<Response | null> {
    const { random } = this.#options;
    while (!this.#isOver) {
      const answer = await ask().catch(() => null);
      if (answer && (answer.status < 300 || refusals.includes(codeOf(answer) ?? ""))) return answer;
      // Refused for what was asked: no repeat would change that.
      if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 429) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      this.repeats++;
      await pause(100 + random() * 200);
    }
    return null;
  }
}

function isDone(answer: Response | null): boolean {
  return answer !== null && answer.status < 300;
}

function codeOf(answer: Response | null): string | undefined {
  return (answer?.body as { code?: string } | null | undefined)?.code;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
