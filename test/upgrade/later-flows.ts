import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import { cloudflareWorkflows, WorkflowEntrypoint } from "#cloudflare/index.ts";
import { tell, twice } from "./flows.ts";

/** Flows of what came with 0.2.0. As in flows.ts, they are never changed. */

/** Over the layer for Cloudflare Workflows. Its steps are told no idempotency key, so their own name stands for it. */
class Instance extends WorkflowEntrypoint {
  override async run(event: Readonly<WorkflowEvent<unknown>>, step: WorkflowStep): Promise<unknown> {
    const runId = `${event.workflowName}.${event.instanceId}.1`;
    const act = (key: string) => step.do(key, ({ attempt }) => tell({ runId, key }, { attempt, idempotencyKey: `default/${runId}/${key}` }));
    const flaky = (key: string) =>
      step.do(key, { retries: { limit: 100, delay: "1 second", backoff: "constant" } }, ({ attempt }) =>
        tell({ runId, key }, { attempt, idempotencyKey: `default/${runId}/${key}` }),
      );
    const made = [await act("held-1"), await flaky("flaky-1")];
    await step.sleep("nap", "2 seconds");
    made.push(await flaky("flaky-2"));
    const go = await step.waitForEvent<number>("go", { type: "go-2", timeout: "1 hour" });
    return [...made, go.payload];
  }
}

const layer = cloudflareWorkflows({ instance: Instance });

export const laterWorkflows = [
  twice("computed", async ({ step, told, name }) => {
    const secret = await step.do<string, undefined>(
      name("secret"),
      { sensitive: "output" },
      async (context) => (await tell(told(name("secret")), context), "hidden"),
    );
    await step.sleepUntil(name("nap"), (now) => now + 2_000);
    const retries = { limit: 100, delay: "1h" } as const;
    await step.do(name("flaky"), { retries, retryIf: () => "1s" }, (context) => tell(told(name("flaky")), context));
    return secret.length;
  }),
  ...layer.workflows,
];
