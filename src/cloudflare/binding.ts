import { faultCodeOf } from "#core/fault.ts";
import { encode } from "#core/value.ts";
import { runHandle } from "#objects/runs.ts";
import { workflowMs } from "./duration.ts";
import { bindingError } from "./errors.ts";
import { Instance, startCommand } from "./instance.ts";
import { instanceNamespace, isInstanceId, runIdOf } from "./instance-id.ts";
import type { LayerEnv } from "./workflows.ts";

const batchSize = 100;

interface Wanted {
  readonly id: string;
  readonly params: unknown;
}

/** What stands in `env` for a Workflow. */
export class WorkflowBinding implements Workflow {
  readonly #env: LayerEnv;
  readonly #workflow: string;

  constructor(env: LayerEnv, workflow: string) {
    this.#env = env;
    this.#workflow = workflow;
  }

  /** Creates an instance. @throws Error `instance.already_exists`; for an id or a retention that is none. */
  async create(options: WorkflowInstanceCreateOptions = {}): Promise<WorkflowInstance> {
    const wanted = wantedOf(options);
    if (!(await this.#start(wanted))) throw bindingError("instance.already_exists", `Instance ${wanted.id} already exists`);
    return this.#instance(wanted.id);
  }

  /** A handle of an instance. @throws Error `instance.not_found`. */
  async get(id: string): Promise<WorkflowInstance> {
    if (!isInstanceId(id)) throw new Error("instance.not_found");
    const instance = this.#instance(id);
    await instance.status();
    return instance;
  }

  createBatch(options: WorkflowBatchCreateOptions): Promise<WorkflowBatchCreateResult>;
  createBatch(batch: WorkflowInstanceCreateOptions[]): Promise<WorkflowInstance[]>;
  createBatch(batch: WorkflowBatchCreateOptions | WorkflowInstanceCreateOptions[]): Promise<WorkflowBatchCreateResult | WorkflowInstance[]> {
    return Array.isArray(batch) ? this.#createList(batch) : this.#createEach(batch);
  }

  /** Deletes instances with all that is kept of them; one entry for each position. @throws Error for none or more than 100. */
  async deleteBatch(instanceIds: string[]): Promise<WorkflowBatchDeleteResult> {
    checkBatch("deleteBatch", instanceIds.length);
    const done = new Map<string, Promise<boolean>>();
    for (const id of instanceIds) if (!done.has(id)) done.set(id, this.#delete(id));
    const deleted: { id: string }[] = [];
    const errors: { id: string; code: number; message: string }[] = [];
    for (const id of instanceIds) {
      if (await done.get(id)) deleted.push({ id });
      else errors.push({ id, code: 10400, message: "workflows.api.error.instance.not_found" });
    }
    return { deleted, errors };
  }

  /** The deprecated form leaves out what exists. */
  async #createList(batch: readonly WorkflowInstanceCreateOptions[]): Promise<WorkflowInstance[]> {
    checkBatch("batchCreate", batch.length);
    const wanted = batch.map(wantedOf);
    const created = await Promise.all(wanted.map((each) => this.#start(each)));
    return wanted.filter((_each, index) => created[index]).map(({ id }) => this.#instance(id));
  }

  async #createEach(batch: WorkflowBatchCreateOptions): Promise<WorkflowBatchCreateResult> {
    const instances: readonly WorkflowInstanceCreateOptions[] =
      batch.instances ?? Array.from({ length: batch.count }, () => ({ params: batch.params, ...(batch.retention && { retention: batch.retention }) }));
    checkBatch("batchCreate", instances.length);
    const wanted = instances.map(wantedOf);
    const first = new Map<string, number>();
    for (const [index, { id }] of wanted.entries()) if (!first.has(id)) first.set(id, index);
    const created: WorkflowInstance[] = [];
    const errors: WorkflowBatchCreateResult["errors"] = [];
    const started = await Promise.all(wanted.map((each, index) => (first.get(each.id) === index ? this.#start(each) : null)));
    for (const [index, { id }] of wanted.entries()) {
      if (started[index]) created.push(this.#instance(id));
      else if (started[index] === null) errors.push({ index, id, code: 10415, message: "workflows.api.error.instance.duplicate_in_batch" });
      else errors.push({ index, id, code: 10405, message: "workflows.api.error.instance.already_exists" });
    }
    return { created, errors };
  }

  #instance(id: string): Instance {
    return new Instance(this.#env, this.#workflow, id);
  }

  /** False when there is none. */
  async #delete(id: string): Promise<boolean> {
    try {
      await this.#instance(id).delete();
      return true;
    } catch (error) {
      if (error instanceof Error && error.message === "instance.not_found") return false;
      throw error;
    }
  }

  /** False when the instance exists. An answer that was lost on the way and asked for again is told by the mark of this very call. */
  async #start({ id, params }: Wanted): Promise<boolean> {
    const trigger = `binding:${crypto.randomUUID()}`;
    const command = startCommand({ workflow: this.#workflow, runId: runIdOf(this.#workflow, id, 1), trigger, input: encode(params) });
    try {
      const started = await runHandle(this.#env.RUNS, instanceNamespace, command.runId).start(command, 0);
      return started.created || started.run.trigger === trigger;
    } catch (error) {
      if (faultCodeOf(error) === "run_exists") return false;
      throw error;
    }
  }
}

/** @throws Error for an id or a retention that is none. */
function wantedOf(options: WorkflowInstanceCreateOptions): Wanted {
  const { id = crypto.randomUUID(), params = {}, retention } = options;
  if (!isInstanceId(id)) throw new Error("Workflow instance has invalid id");
  for (const period of [retention?.successRetention, retention?.errorRetention]) {
    if (period !== undefined && !(workflowMs(period) >= 0)) throw new Error(`Retention period ${JSON.stringify(period)} can't be read`);
  }
  return { id, params };
}

function checkBatch(what: string, size: number): void {
  if (!(size >= 1)) throw new Error(`WorkflowError: ${what} should have at least 1 instance`);
  if (size > batchSize) throw new Error(`WorkflowError: ${what} is limited to ${batchSize} instances at a time`);
}
