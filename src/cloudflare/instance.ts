import type { RunDetail, StartCommand, StepRecord } from "#core/command.ts";
import { faultCodeOf } from "#core/fault.ts";
import { decode, type Encoded, encode, summarizeError, toJson } from "#core/value.ts";
import { type RunHandle, runHandle } from "#objects/runs.ts";
import { forgetRun } from "#visibility/forget.ts";
import { bindingError } from "./errors.ts";
import { instanceNamespace, restartTrigger, runIdOf } from "./instance-id.ts";
import { Subscription } from "./subscription.ts";
import { segnoName } from "./workflow-step.ts";
import type { LayerEnv } from "./workflows.ts";

const operator = { actor: "binding", reason: null, expectedSeq: null } as const;

/** One run of an instance: the first, or that of a restart. */
interface Generation {
  readonly number: number;
  readonly handle: RunHandle;
  readonly detail: RunDetail;
}

/**
 * An instance's handle. An instance is a chain of runs: each restart is a new one, and the last is the instance as it stands. Only a run that has ended can have a
 * next one, so one that has not ended is asked alone.
 */
export class Instance implements WorkflowInstance {
  id: string;
  readonly #env: LayerEnv;
  readonly #workflow: string;
  /** The newest run that this handle knows of. */
  #known = 1;

  constructor(env: LayerEnv, workflow: string, id: string) {
    this.#env = env;
    this.#workflow = workflow;
    this.id = id;
  }

  async status(): Promise<InstanceStatus> {
    return statusOf((await this.#current()).detail);
  }

  /** Lets what is under way finish, and begins nothing more; sleeps stand still. Without effect where there is nothing to pause. */
  async pause(): Promise<void> {
    await quietly(["run_ended"], async () => (await this.#current()).handle.operate({ ...operator, action: "pause" }));
  }

  /** Goes on, also with a rollback that stands at a handler that failed. Without effect where nothing is paused. */
  async resume(): Promise<void> {
    await quietly(["run_ended", "not_paused"], async () => (await this.#current()).handle.operate({ ...operator, action: "resume" }));
  }

  /** Ends the instance; with `rollback`, after undoing what its steps did. @throws Error `instance.cannot_terminate`. */
  async terminate(options: WorkflowInstanceTerminateOptions = {}): Promise<void> {
    const { handle, detail } = await this.#current();
    if (isEnded(detail)) throw cannotTerminate();
    try {
      if (options.rollback === true && (await rolledBack(handle))) return;
      await handle.operate({ ...operator, action: "terminate" });
    } catch (error) {
      if (faultCodeOf(error) === "run_ended") throw cannotTerminate();
      throw error;
    }
  }

  /** Begins anew with the same payload, or from a step with everything before it kept. The run that was stays in the history. @throws Error `instance.cannot_restart`. */
  async restart(options: WorkflowInstanceRestartOptions = {}): Promise<void> {
    const { handle, detail, number } = await this.#current();
    const from = options.from === undefined ? null : await keyOf(handle, options.from);
    if (!isEnded(detail)) await quietly(["run_ended"], () => handle.operate({ ...operator, action: "terminate" }));
    const runId = runIdOf(this.#workflow, this.id, number + 1);
    const next = runHandle(this.#env.RUNS, instanceNamespace, runId);
    const origin = { runId: detail.run.id, relation: "fork", step: from } as const;
    const taken = from === null ? null : await handle.takeOver(origin);
    const command = startCommand({ workflow: this.#workflow, runId, trigger: restartTrigger(detail.run), input: detail.input });
    if (taken === null) await next.start(command, 0);
    else await next.startFrom(command, taken);
    this.#known = number + 1;
  }

  /** @throws Error `instance.cannot_send_event` for one that has ended. */
  async sendEvent({ type, payload }: { type: string; payload: unknown }): Promise<void> {
    const { handle } = await this.#current();
    try {
      await handle.sendEvent({ eventId: crypto.randomUUID(), name: type, eventKey: null, payload: encode(payload) });
    } catch (error) {
      if (faultCodeOf(error) === "run_ended") throw bindingError("instance.cannot_send_event", "Cannot send an event to an instance on a finite state");
      throw error;
    }
  }

  /** Deletes the instance with all that is kept of it; one that has not ended is terminated. Its id is free again. @throws Error `instance.not_found`. */
  async delete(): Promise<void> {
    const { number } = await this.#current();
    // The newest first: whatever is left after a crash is an instance still, and can be deleted again.
    for (let each = number; each >= 1; each--) {
      const runId = runIdOf(this.#workflow, this.id, each);
      await quietly(["run_not_found"], () => this.#run(each).remove(operator.actor));
      await forgetRun(this.#env.INDEX, instanceNamespace, runId);
    }
    this.#known = 1;
  }

  /** Every event of the instance from its beginning, or from after `cursor`, and then those that come, until its end. */
  async subscribe(options: WorkflowInstanceSubscribeOptions = {}): Promise<WorkflowInstanceSubscription> {
    const { cursor = 0, filter } = options;
    if (typeof cursor !== "number" || !Number.isFinite(cursor)) throw new TypeError("A cursor is a number.");
    const { handle } = await this.#current();
    return new Subscription({ instanceId: this.id, handle, cursor, filter });
  }

  /** The newest run of the instance. @throws Error `instance.not_found`. */
  async #current(): Promise<Generation> {
    let found = (await this.#generation(this.#known)) ?? (this.#known > 1 ? await this.#generation(1) : null);
    if (found === null) throw new Error("instance.not_found");
    while (isEnded(found.detail)) {
      const next: Generation | null = await this.#generation(found.number + 1);
      if (next === null) break;
      found = next;
    }
    this.#known = found.number;
    return found;
  }

  /** Null when there is no such run. */
  async #generation(number: number): Promise<Generation | null> {
    const handle = this.#run(number);
    try {
      return { number, handle, detail: await handle.detail(0) };
    } catch (error) {
      if (faultCodeOf(error) === "run_not_found") return null;
      throw error;
    }
  }

  #run(generation: number): RunHandle {
    return runHandle(this.#env.RUNS, instanceNamespace, runIdOf(this.#workflow, this.id, generation));
  }
}

/** The start of a run that an instance is made of. */
export function startCommand(start: Pick<StartCommand, "workflow" | "runId" | "trigger"> & { readonly input: Encoded }): StartCommand {
  return { ...start, namespace: instanceNamespace, version: null, attributes: {}, delayMs: 0, publicUrl: "" };
}

function cannotTerminate(): Error {
  return bindingError("instance.cannot_terminate", "Cannot terminate instance since its on a finite state");
}

/** Undoes what the run did, and resolves when that is done or stands. False when there is nothing to undo. */
async function rolledBack(handle: RunHandle): Promise<boolean> {
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

const kinds = { do: "do", sleep: "sleep", waitForEvent: "event" } as const;

/** The key of the step that a restart names. */
async function keyOf(handle: RunHandle, { name, count = 1, type = "do" }: NonNullable<WorkflowInstanceRestartOptions["from"]>): Promise<string> {
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

function statusOf({ run, output, error }: RunDetail): InstanceStatus {
  const failure = error === null ? blockedError(run) : summarizeError(error);
  return {
    status: statusWord(run),
    output: output === null ? null : asJson(decode(output)),
    ...(failure !== null && { error: { name: failure.name, message: failure.message } }),
  };
}

/** A run that stands still since its code does not fit says why. */
function blockedError({ status, reason }: RunDetail["run"]): { name: string; message: string } | null {
  return status === "blocked" && reason ? { name: reason.code, message: reason.message } : null;
}

/** The binding tells outputs as JSON does: dates are texts. Undefined has no JSON, and what JSON can't hold is told as people read it. */
function asJson(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null");
  } catch {
    return toJson(value);
  }
}

const statusWords = {
  queued: "queued",
  paused: "paused",
  blocked: "unknown",
  compensating: "rollingBack",
  completed: "complete",
  failed: "errored",
  cancelled: "terminated",
  terminated: "terminated",
} as const;

function statusWord({ status, reason }: RunDetail["run"]): InstanceStatus["status"] {
  if (status === "running") return reason?.code === "operator" ? "waitingForPause" : "running";
  if (status === "waiting") return reason?.code === "retry" ? "running" : "waiting";
  return statusWords[status];
}
