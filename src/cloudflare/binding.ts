import { Fault, faultCodeOf } from "#core/fault.ts";
import { encode } from "#core/value.ts";
import { type RunNamespace, runHandle } from "#objects/runs.ts";
import { bindingError } from "./errors.ts";
import { WorkflowInstance } from "./instance.ts";
import { instanceNamespace, isInstanceId, runIdOf } from "./instance-id.ts";

export interface CreateOptions {
  readonly id?: string;
  readonly params?: unknown;
}

interface BatchError {
  readonly index: number;
  readonly id?: string;
  readonly code: number;
  readonly message: string;
}

/** What stands in `env` for a Workflow. */
export class WorkflowBinding {
  readonly #runs: RunNamespace;
  readonly #workflow: string;

  constructor(runs: RunNamespace, workflow: string) {
    this.#runs = runs;
    this.#workflow = workflow;
  }

  async create(options: CreateOptions = {}): Promise<WorkflowInstance> {
    const { id = crypto.randomUUID(), params = {} } = options;
    if (!isInstanceId(id)) throw new Error("Workflow instance has invalid id");
    if (!(await this.#start(id, params))) throw bindingError("instance.already_exists", `Instance ${id} already exists`);
    return this.#instance(id);
  }

  async get(id: string): Promise<WorkflowInstance> {
    const instance = this.#instance(id);
    await instance.status();
    return instance;
  }

  // biome-ignore lint/suspicious/noExplicitAny: two forms, two results
  createBatch(batch: any): Promise<any> {
    return Array.isArray(batch) ? this.#createList(batch) : this.#createEach(batch);
  }

  async #createList(batch: readonly CreateOptions[]): Promise<readonly WorkflowInstance[]> {
    if (batch.length === 0) throw new Error("WorkflowError: batchCreate should have at least 1 instance");
    const wanted = batch.map(({ id = crypto.randomUUID(), params = {} }) => ({ id, params }));
    if (!wanted.every(({ id }) => isInstanceId(id))) throw new Error("Workflow instance has invalid id");
    await Promise.all(wanted.map(({ id, params }) => this.#start(id, params)));
    return wanted.map(({ id }) => this.#instance(id));
  }

  async #createEach(batch: { count?: number; params?: unknown; instances?: readonly CreateOptions[] }) {
    const options: readonly CreateOptions[] = batch.instances ?? Array.from({ length: batch.count ?? 0 }, () => ({ params: batch.params }));
    const created: WorkflowInstance[] = [];
    const errors: BatchError[] = [];
    const seen = new Set<string>();
    for (const [index, { id = crypto.randomUUID(), params = {} }] of options.entries()) {
      if (seen.has(id)) errors.push({ index, id, code: 10415, message: "workflows.api.error.instance.duplicate_in_batch" });
      else if (await this.#start(id, params)) created.push(this.#instance(id));
      else errors.push({ index, id, code: 10405, message: "workflows.api.error.instance.already_exists" });
      seen.add(id);
    }
    return { created, errors };
  }

  async deleteBatch(ids: readonly string[]) {
    if (ids.length === 0) throw new Error("WorkflowError: deleteBatch should have at least 1 instance");
    if (ids.length > 100) throw new Error("WorkflowError: deleteBatch is limited to 100 instances at a time");
    const deleted: { id: string }[] = [];
    const errors: { id: string; code: number; message: string }[] = [];
    for (const id of ids) {
      try {
        await this.#instance(id).delete();
        deleted.push({ id });
      } catch {
        errors.push({ id, code: 10400, message: "workflows.api.error.instance.not_found" });
      }
    }
    return { deleted, errors };
  }

  #instance(id: string): WorkflowInstance {
    return new WorkflowInstance(this.#runs, this.#workflow, id);
  }

  /** False when the instance exists. */
  async #start(id: string, params: unknown): Promise<boolean> {
    const runId = runIdOf(this.#workflow, id, 1);
    const command = {
      namespace: instanceNamespace,
      runId,
      workflow: this.#workflow,
      version: null,
      input: encode(params),
      attributes: {},
      delayMs: 0,
      trigger: "binding",
      publicUrl: "",
    };
    try {
      return (await runHandle(this.#runs, instanceNamespace, runId).start(command, 0)).created;
    } catch (error) {
      if (error instanceof Fault && faultCodeOf(error) === "run_exists") return false;
      throw error;
    }
  }
}
