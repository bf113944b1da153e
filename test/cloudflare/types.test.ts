import type {
  WorkflowEvent as RealEvent,
  WorkflowStep as RealStep,
  WorkflowStepConfig as RealStepConfig,
  WorkflowStepContext as RealStepContext,
} from "cloudflare:workers";
import { expectTypeOf, test } from "vitest";
import type {
  cloudflareWorkflows,
  LayerEnv,
  WorkflowEntrypoint,
  WorkflowEvent,
  WorkflowStep,
  WorkflowStepConfig,
  WorkflowStepContext,
} from "#cloudflare/index.ts";

/** Nothing here runs: it compiles, or it does not. There is no cast in it. */

interface Params {
  readonly customer: string;
}

interface Env {
  readonly ONBOARDING: Workflow<Params>;
}

declare const Base: typeof WorkflowEntrypoint;
declare const register: typeof cloudflareWorkflows;
declare const env: LayerEnv;

/** Code that was typed against Cloudflare's own types, in a file that nobody has touched. */
async function provision(event: RealEvent<Params>, step: RealStep): Promise<string> {
  const config: RealStepConfig = { retries: { limit: 2, delay: "5 seconds", backoff: "linear" }, timeout: "1 minute", sensitive: "output" };
  const account = await step.do("account", config, async (ctx: RealStepContext) => `${event.payload.customer}-${ctx.attempt}-${ctx.step.count}`);
  await step.do("dynamic", { retries: { limit: 1, delay: ({ error }) => error.message.length } }, async (ctx) => ctx.config.retries?.limit ?? 0);
  await step.do("undone", async () => account, {
    rollback: async ({ output, error, ctx }) => void [output?.length, error.message, ctx.attempt],
    rollbackConfig: { retries: { limit: 1, delay: 5 } },
  });
  await step.sleep("rest", "3 days");
  await step.sleepUntil("later", new Date());
  const paid = await step.waitForEvent<{ amount: number }>("paid", { type: "paid", timeout: "1 day" });
  return `${account} ${paid.payload.amount} ${paid.timestamp.getTime()}`;
}

/** What code does with a binding of Cloudflare's type. */
async function useBinding(binding: Workflow<Params>): Promise<InstanceStatus> {
  const instance: WorkflowInstance = await binding.create({ id: "a", params: { customer: "acme" }, retention: { successRetention: "1 day" } });
  const batch: WorkflowBatchCreateResult = await binding.createBatch({ count: 2, params: { customer: "acme" } });
  const list: WorkflowInstance[] = await binding.createBatch([{ id: "b" }]);
  await instance.sendEvent({ type: "paid", payload: { amount: 1 } });
  await instance.pause();
  await instance.resume();
  await instance.restart({ from: { name: "account", count: 1, type: "do" } });
  await instance.terminate({ rollback: true });
  const subscription: WorkflowInstanceSubscription = await instance.subscribe({ cursor: 3, filter: ["step_completed"] });
  const next = await subscription.next();
  if (!next.done && next.value.type === "step_completed") next.value.stepName.toUpperCase();
  subscription[Symbol.dispose]();
  await binding.deleteBatch([...batch.created, ...list].map(({ id }) => id));
  await instance.delete();
  return (await binding.get("a")).status();
}

async function layered(): Promise<InstanceStatus> {
  class Onboarding extends Base<Env, Params> {
    override async run(event: WorkflowEvent<Params>, step: WorkflowStep): Promise<string> {
      await this.env.ONBOARDING.create({ params: { customer: "child" } });
      this.ctx.waitUntil(Promise.resolve());
      return provision(event, step);
    }
  }
  const { bindings } = register({ ONBOARDING: Onboarding, few: { workflow: Onboarding, version: "2", earlier: { "1": Onboarding }, limits: { steps: 5 } } });
  await useBinding(bindings(env).few);
  return useBinding(bindings(env).ONBOARDING);
}

test("Code that was typed against Cloudflare's types compiles against the layer's without a cast", () => {
  expectTypeOf<WorkflowStep>().toEqualTypeOf<RealStep>();
  expectTypeOf<WorkflowEvent<Params>>().toEqualTypeOf<RealEvent<Params>>();
  expectTypeOf<WorkflowStepConfig>().toEqualTypeOf<RealStepConfig>();
  expectTypeOf<WorkflowStepContext>().toEqualTypeOf<RealStepContext>();
  expectTypeOf(layered).returns.resolves.toEqualTypeOf<InstanceStatus>();
});
