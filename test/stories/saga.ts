import type { Compensation } from "segno";
import { type Step, workflow } from "segno";
import { z } from "zod";
import { saas } from "#examples/saas.ts";

/** The saga that several stories break: an account, a tenant in it, billing, a mail and a Slack message. The first two can be undone. */

const Order = z.object({
  projectId: z.string(),
  /** What every step does when its retries are exhausted. */
  whenItFails: z.enum(["pause", "compensate"]),
});

export type WhenItFails = z.infer<typeof Order>["whenItFails"];

const retries = { limit: 1, delay: "1s", jitter: 0 } as const;

/** Deletes what a step made at `path`. In doubt, the same request with the same key says what that was. */
function remove<Made extends Readonly<Record<string, string>>>(path: string, idField: keyof Made & string): Compensation<unknown, Made> {
  return {
    retries,
    run: async ({ input, output, stepIdempotencyKey, idempotencyKey, signal }) => {
      const made = output ?? (await saas<Made>(path, { body: input, idempotencyKey: stepIdempotencyKey, signal }));
      await saas(`${path}/${made[idField]}`, { method: "DELETE", idempotencyKey, signal });
    },
  };
}

interface Sent {
  readonly path: string;
  readonly body: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: any of the saga's compensations
  readonly compensate?: Compensation<any, any>;
}

export const saga = workflow({
  name: "saga",
  input: Order,
  async run({ input: { projectId, whenItFails }, step }) {
    const send = sender(step, whenItFails);
    const account = await send("account", { path: "/accounts", body: { projectId, customer: "Acme" }, compensate: remove("/accounts", "accountId") });
    const tenant = await send("tenant", { path: "/tenants", body: { accountId: account["accountId"] }, compensate: remove("/tenants", "tenantId") });
    await send("billing", { path: "/billing/customers", body: { email: "ann@acme.example" } });
    await send("email", { path: "/emails", body: { to: "ann@acme.example", template: "welcome", data: {} } });
    await send("slack", { path: "/notifications", body: { text: "Acme is here." } });
    return { accountId: account["accountId"], tenantId: tenant["tenantId"] };
  },
});

function sender(step: Step, onFailure: WhenItFails) {
  return (name: string, { path, body, compensate }: Sent): Promise<Record<string, string>> =>
    step.do(name, { input: body, retries, onFailure, ...(compensate && { compensate }) }, ({ input, idempotencyKey, signal }) =>
      saas<Record<string, string>>(path, { body: input, idempotencyKey, signal }),
    );
}
