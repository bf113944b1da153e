import type { RunDetail, StepRecord } from "#core/command.ts";
import { faultCodeOf } from "#core/fault.ts";
import { decode, encode, summarizeError, toJson } from "#core/value.ts";
import { type RunHandle, type RunNamespace, runHandle } from "#objects/runs.ts";
import { bindingError } from "./errors.ts";
import { instanceNamespace, runIdOf } from "./instance-id.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";
import { segnoName } from "./workflow-step.ts";

const operator = { actor: "binding", reason: null, expectedSeq: null } as const;

export interface RestartFrom {
  readonly name: string;
  readonly count?: number;
  readonly type?: "do" | "sleep" | "waitForEvent";
}

/** An instance's handle. */
export class WorkflowInstance {
  readonly id: string;
  readonly #runs: RunNamespace;
  readonly #workflow: string;

  constructor(runs: RunNamespace, workflow: string, id: string) {
    this.#runs = runs;
    this.#workflow = workflow;
    this.id = id;
  }

  async status() {
    const { detail } = await this.#current();
    return statusOf(detail);
  }

  async pause(): Promise<void> {
    await quietly(["run_ended"], async () => (await this.#current()).handle.operate({ ...operator, action: "pause" }));
  }

  async resume(): Promise<void> {
    await quietly(["run_ended", "not_paused"], async () => (await this.#current()).handle.operate({ ...operator, action: "resume" }));
  }

  async terminate(options: { readonly rollback?: boolean } = {}): Promise<void> {
    const { handle, detail } = await this.#current();
    if (isEnded(detail)) throw bindingError("instance.cannot_terminate", "Cannot terminate instance since its on a finite state");
    if (options.rollback === true && (await this.#rolledBack(handle))) return;
    await handle.operate({ ...operator, action: "terminate" });
  }

  async restart(options: { readonly from?: RestartFrom } = {}): Promise<void> {
    const { handle, detail, generation } = await this.#current();
    const from = options.from === undefined ? null : await keyOf(handle, options.from);
    if (!isEnded(detail)) await handle.operate({ ...operator, action: "terminate" });
    const runId = runIdOf(this.#workflow, this.id, generation + 1);
    const command = {
      namespace: instanceNamespace,
      runId,
      workflow: this.#workflow,
      version: null,
      input: detail.input,
      attributes: {},
      delayMs: 0,
      trigger: "restart",
      publicUrl: "",
    };
    const next = runHandle(this.#runs, instanceNamespace, runId);
    if (from === null) await next.start(command, 0);
    else await next.startFrom(command, await handle.takeOver({ runId: detail.run.id, relation: "fork", step: from }));
  }

  async sendEvent(event: { readonly type: string; readonly payload?: unknown }): Promise<void> {
    const { handle } = await this.#current();
    await handle.sendEvent({ eventId: crypto.randomUUID(), name: event.type, eventKey: null, payload: encode(event.payload) });
  }

  /** Deletes the instance with all that is kept of it. */
  async delete(): Promise<void> {
    const { generation } = await this.#current();
    for (let each = generation; each >= 1; each--) await this.#run(each).remove(operator.actor);
  }

  /** Every event of the instance from its beginning, or from after `cursor`, and then those that come, until its end. */
  async subscribe(options: SubscribeOptions = {}): Promise<Subscription> {
    const { cursor = 0, filter } = options;
    if (typeof cursor !== "number" || !Number.isFinite(cursor)) throw new TypeError("A cursor is a number.");
    const { handle } = await this.#current();
    return new Subscription({ instanceId: this.id, handle, cursor, filter });
  }

  /** The newest run of the instance. */
  async #current(): Promise<{ handle: RunHandle; detail: RunDetail; generation: number }> {
    let found: { handle: RunHandle; detail: RunDetail; generation: number } | null = null;
    for (let generation = 1; ; generation++) {
      const handle = this.#run(generation);
      const detail = await handle.detail(0).catch((error: unknown) => {
        if (faultCodeOf(error) === "run_not_found") return null;
        throw error;
      });
      if (detail === null) break;
      found = { handle, detail, generation };
    }
    if (found === null) throw new Error("instance.not_found");
    return found;
  }

  #run(generation: number): RunHandle {
    return runHandle(this.#runs, instanceNamespace, runIdOf(this.#workflow, this.id, generation));
  }

  /** False when there is nothing to undo. */
  async #rolledBack(handle: RunHandle): Promise<boolean> {
    try {
      await handle.operate({ ...operator, action: "rollback", from: null });
    } catch (error) {
      if (faultCodeOf(error) === "nothing_to_undo") return false;
      throw error;
    }
    for (;;) {
      const detail = await handle.detail(30_000);
      if (isEnded(detail) || detail.run.status === "paused") return true;
    }
  }
}

const kinds = { do: "do", sleep: "sleep", waitForEvent: "event" } as const;

/** The key of the step that a restart names. */
async function keyOf(handle: RunHandle, { name, count = 1, type = "do" }: RestartFrom): Promise<string> {
  const found: StepRecord[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const page: { items: readonly StepRecord[]; next: number | null } = await handle.steps(after, 200);
    found.push(...page.items.filter((step) => step.kind === kinds[type] && step.name === segnoName(name)));
    after = page.next;
  }
  const step = found[count - 1];
  if (step === undefined) throw bindingError("instance.cannot_restart", `Step "${name}" not found in execution history`);
  return step.key;
}

const isEnded = ({ run }: RunDetail): boolean => run.endedAt !== null;

async function quietly(codes: readonly string[], action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!codes.includes(faultCodeOf(error) ?? "")) throw error;
  }
}

function statusOf({ run, output, error }: RunDetail) {
  const failure = error === null ? null : summarizeError(error);
  return {
    status: statusWord(run),
    output: output === null ? null : asJson(decode(output)),
    ...(failure !== null && { error: { name: failure.name, message: failure.message } }),
  };
}

/** The binding tells outputs as JSON does: dates are texts. Undefined has no JSON, and what JSON can't hold is told as people read it. */
function asJson(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null");
  } catch {
    return toJson(value);
  }
}

function statusWord({ status, reason }: RunDetail["run"]): string {
  if (status === "running") return reason?.code === "operator" ? "waitingForPause" : "running";
  if (status === "waiting") return reason?.code === "retry" ? "running" : "waiting";
  const words = {
    queued: "queued",
    paused: "paused",
    blocked: "paused",
    compensating: "running",
    completed: "complete",
    failed: "errored",
    cancelled: "terminated",
    terminated: "terminated",
  };
  return words[status];
}
