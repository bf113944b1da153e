/** Runs code that was written for Cloudflare Workflows on Segno: change two imports, and register the classes. */
import { type WorkflowEvent, type WorkflowStep, env as workerEnv } from "cloudflare:workers";
import type { RunNamespace } from "#objects/runs.ts";
import { type AnyWorkflow, workflow } from "#sdk/workflow.ts";
import { WorkflowBinding } from "./binding.ts";
import { asError } from "./errors.ts";
import { generationOf } from "./instance-id.ts";
import { LayerStep } from "./workflow-step.ts";

export type { CreateOptions } from "./binding.ts";
// biome-ignore lint/performance/noBarrelFile: this is the package's door
export { NonRetryableError } from "./errors.ts";
export type { RestartFrom, WorkflowInstance } from "./instance.ts";
export type { InstanceEvent, SubscribeOptions } from "./subscription.ts";
export type { WorkflowBinding };

/** The base of a workflow class, as in `cloudflare:workers`. */
export abstract class WorkflowEntrypoint<Env = unknown, Payload = unknown> {
  protected readonly ctx: ExecutionContext;
  protected readonly env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }

  abstract run(event: Readonly<WorkflowEvent<Payload>>, step: WorkflowStep): Promise<unknown>;
}

// biome-ignore lint/suspicious/noExplicitAny: any workflow class
type WorkflowClass = new (ctx: ExecutionContext, env: any) => WorkflowEntrypoint<any, any>;

/** As on Cloudflare. */
const defaultStepLimit = 10_000;

type Registered = WorkflowClass | { readonly workflow: WorkflowClass; readonly limits?: { readonly steps?: number } };

export interface CloudflareWorkflows<Name extends string> {
  readonly workflows: readonly AnyWorkflow[];
  bindings(env: { readonly RUNS: RunNamespace }): Readonly<Record<Name, WorkflowBinding>>;
}

/** @example const { workflows, bindings } = cloudflareWorkflows({ "my-workflow": MyWorkflow }); */
export function cloudflareWorkflows<Name extends string>(classes: Readonly<Record<Name, Registered>>): CloudflareWorkflows<Name> {
  const names = Object.keys(classes) as Name[];
  return {
    workflows: names.map((name) => definition(name, classes[name])),
    bindings: (env) => Object.fromEntries(names.map((name) => [name, new WorkflowBinding(env.RUNS, name)])) as Record<Name, WorkflowBinding>,
  };
}

function definition(name: string, registered: Registered): AnyWorkflow {
  const { workflow: Class, limits } = typeof registered === "function" ? { workflow: registered, limits: undefined } : registered;
  return workflow({
    name,
    run: async ({ input, step, run }) => {
      const ctx = { waitUntil() {}, passThroughOnException() {}, props: {} } as unknown as ExecutionContext;
      const instance = new Class(ctx, workerEnv);
      const event = { payload: input as Readonly<unknown>, timestamp: run.createdAt, instanceId: generationOf(run.id).instanceId, workflowName: name };
      try {
        return await instance.run(event, new LayerStep(step, limits?.steps ?? defaultStepLimit) as unknown as WorkflowStep);
      } catch (thrown) {
        throw asError(thrown);
      }
    },
  });
}
