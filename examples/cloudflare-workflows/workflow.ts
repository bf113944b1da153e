import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";

export interface Env {
  /** Where the first step puts something that a rollback takes away again. */
  readonly SHELF: KVNamespace;
  /** Answers with a list of address ranges. */
  readonly ADDRESSES: Fetcher;
}

export interface Params {
  readonly customer: string;
}

export class MyWorkflow extends WorkflowEntrypoint<Env, Params> {
  override async run(event: Readonly<WorkflowEvent<Params>>, step: WorkflowStep) {
    const { customer } = event.payload;

    const { files } = await step.do(
      "my first step",
      async () => {
        const made = ["contract.pdf", "invoice.pdf", "welcome.md"].map((name) => `${customer}/${name}`);
        await this.env.SHELF.put(event.instanceId, JSON.stringify(made));
        return { files: made };
      },
      { rollback: () => this.env.SHELF.delete(event.instanceId) },
    );

    const answer = await step.waitForEvent<{ approved: boolean }>("request approval", { type: "approval", timeout: "1 hour" });
    if (!answer.payload.approved) throw new Error(`The files of ${customer} were not approved`);

    const { ranges } = await step.do("some other step", async () => {
      const response = await this.env.ADDRESSES.fetch("http://addresses/ranges");
      return response.json<{ ranges: string[] }>();
    });

    await step.sleep("wait on something", "2 seconds");

    const written = await step.do(
      "a write that fails now and then",
      { retries: { limit: 5, delay: "5 second", backoff: "exponential" }, timeout: "15 minutes" },
      async ({ attempt }) => {
        if (attempt === 1) throw new Error("The first attempt always fails");
        return { lines: files.length * ranges.length, attempt };
      },
    );

    return { files, ranges, written };
  }
}
