import { workflow } from "segno";
import { z } from "zod";
import { saas } from "../saas.ts";

/**
 * A customer is checked by a provider that answers by webhook, hours or days later, and then has two weeks to sign. Between the answers the run costs
 * nothing: it is a few rows and an alarm.
 */
export const verification = workflow({
  name: "customer-verification",
  version: "1",
  input: z.object({ customer: z.string(), contractId: z.string() }),
  attributes: ({ customer }) => ({ customer }),
  async run({ input, step }) {
    const kyc = await step.callback(
      "kyc",
      {
        timeout: "3d",
        schema: z.object({ checkId: z.string(), result: z.enum(["approved", "rejected"]) }),
        verify: { scheme: "standard-webhooks", secret: "KYC_SECRET" },
      },
      ({ url, idempotencyKey, signal }) => saas("/kyc/checks", { body: { customer: input.customer, callbackUrl: url }, idempotencyKey, signal }),
    );
    if (!kyc.ok) return { outcome: "unanswered" };
    if (kyc.payload.result === "rejected") return { outcome: "rejected", checkId: kyc.payload.checkId };

    const signed = await step.waitForEvent("contract.signed", { key: input.contractId, schema: z.object({ by: z.string() }), timeout: "14d" });
    if (!signed.ok) return { outcome: "unsigned", checkId: kyc.payload.checkId };
    return { outcome: "verified", checkId: kyc.payload.checkId, signedBy: signed.payload.by, signedAt: signed.receivedAt };
  },
});
