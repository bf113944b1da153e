import { type WorkflowStep, waitUntil, env as workerEnv } from "cloudflare:workers";
import { Fault } from "#core/fault.ts";
import type { RunNamespace } from "#objects/runs.ts";
import { type AnyWorkflow, type WorkflowContext, workflow } from "#sdk/workflow.ts";
import { WorkflowBinding } from "./binding.ts";
import type { WorkflowEntrypoint } from "./entrypoint.ts";
import { asError } from "./errors.ts";
import { createdAtOf, generationOf } from "./instance-id.ts";
import { LayerStep } from "./workflow-step.ts";

// biome-ignore lint/suspicious/noExplicitAny: any workflow class, whatever its environment and payload
type WorkflowClass = new (ctx: ExecutionContext, env: any) => WorkflowEntrypoint<any, any>;

/** A class with what is to be said of it. */
export interface RegisteredWorkflow<Class extends WorkflowClass = WorkflowClass> {
  readonly workflow: Class;
  /** New instances begin on it, and those in flight stay on theirs. Default `"1"`. */
  readonly version?: string;
  /** Earlier versions that still have instances in flight, by version. */
  readonly earlier?: Readonly<Record<string, WorkflowClass>>;
  /** `steps`: how many times an instance may call `step.do`. Default 10,000. */
  readonly limits?: { readonly steps?: number };
}

type PayloadOf<Registered> =
  Registered extends RegisteredWorkflow<infer Class>
    ? PayloadOf<Class>
    : Registered extends new (
          ctx: ExecutionContext,
          // biome-ignore lint/suspicious/noExplicitAny: as above
          env: any,
          // biome-ignore lint/suspicious/noExplicitAny: as above
        ) => WorkflowEntrypoint<any, infer Payload>
      ? Payload
      : never;

/** What the layer needs of the Worker's environment. */
export interface LayerEnv {
  readonly RUNS: RunNamespace;
  readonly INDEX: D1Database;
}

/** The classes as Segno's workflows, and as the bindings that the code knows. */
export interface CloudflareWorkflows<Classes> {
  /** For `segno({ workflows })`. */
  readonly workflows: readonly AnyWorkflow[];
  /** A binding for each class, by its name here, to use where the code uses that of Cloudflare. */
  bindings(env: LayerEnv): { readonly [Name in keyof Classes]: Workflow<PayloadOf<Classes[Name]>> };
}

/** As on Cloudflare. */
const defaultStepLimit = 10_000;
const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;

/**
 * Makes Segno's workflows of classes that were written for Cloudflare Workflows. The name of each is the workflow's name, and that of its binding: a class finds
 * the bindings in its own `env` too.
 * @throws Fault `invalid_name` for a name that is not 1 to 64 letters, digits, "_" or "-".
 * @example
 * const { workflows, bindings } = cloudflareWorkflows({ ONBOARDING: Onboarding });
 * const app = segno({ workflows });
 * const instance = await bindings(env).ONBOARDING.create({ params: { customer: "acme" } });
 */
export function cloudflareWorkflows<Classes extends Readonly<Record<string, WorkflowClass | RegisteredWorkflow>>>(
  classes: Classes,
): CloudflareWorkflows<Classes> {
  const names = Object.keys(classes);
  const bindings = (env: LayerEnv): Record<string, Workflow> => Object.fromEntries(names.map((name) => [name, new WorkflowBinding(env, name)]));
  const withBindings = (): unknown => ({ ...workerEnv, ...bindings(workerEnv as unknown as LayerEnv) });
  return {
    workflows: Object.entries(classes).flatMap(([name, registered]) => definitions(name, registered, withBindings)),
    bindings: (env) => bindings(env) as ReturnType<CloudflareWorkflows<Classes>["bindings"]>,
  };
}

function definitions(name: string, registered: WorkflowClass | RegisteredWorkflow, env: () => unknown): readonly AnyWorkflow[] {
  if (!nameForm.test(name)) throw new Fault("invalid_name", `The workflow name ${JSON.stringify(name)} is not allowed: 1 to 64 letters, digits, "_" or "-".`);
  const { workflow: Class, version = "1", earlier = {}, limits } = typeof registered === "function" ? { workflow: registered } : registered;
  return Object.entries({ ...earlier, [version]: Class }).map(([each, ClassOfVersion]) =>
    workflow({ name, version: each, run: (context) => execute(new ClassOfVersion(executionContext(), env()), context, limits?.steps ?? defaultStepLimit) }),
  );
}

async function execute(instance: WorkflowEntrypoint, { input, step, run }: WorkflowContext<unknown>, stepLimit: number): Promise<unknown> {
  const event = { payload: input as Readonly<unknown>, timestamp: createdAtOf(run), instanceId: generationOf(run.id).instanceId, workflowName: run.workflow };
  try {
    return await instance.run(event, new LayerStep(step, stepLimit) as unknown as WorkflowStep);
  } catch (thrown) {
    throw asError(thrown);
  }
}

function executionContext(): ExecutionContext {
  return { waitUntil, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext;
}
