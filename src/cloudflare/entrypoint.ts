import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";

/**
 * The base of a workflow class, with the shape of the one in `cloudflare:workers`. A new one is made for each execution of `run`.
 * @example
 * export class Onboarding extends WorkflowEntrypoint<Env, { customer: string }> {
 *   override async run(event: WorkflowEvent<{ customer: string }>, step: WorkflowStep) {
 *     return step.do("create account", () => createAccount(event.payload.customer));
 *   }
 * }
 */
export abstract class WorkflowEntrypoint<Env = unknown, Payload = unknown> implements Rpc.WorkflowEntrypointBranded {
  declare [Rpc.__WORKFLOW_ENTRYPOINT_BRAND]: never;
  protected ctx: ExecutionContext;
  protected env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }

  /** The workflow. It is executed again after every wait and crash, and steps that have a result return it at once. */
  abstract run(event: Readonly<WorkflowEvent<Payload>>, step: WorkflowStep): Promise<unknown>;
}
