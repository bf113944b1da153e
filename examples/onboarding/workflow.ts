import { workflow } from "segno";
import { z } from "zod";
import { saas } from "../saas.ts";
import { createProject, provisionAccount, sendEmail } from "./automations.ts";

const Deal = z.object({
  dealId: z.string(),
  customer: z.string(),
  email: z.email(),
  tier: z.enum(["smb", "enterprise"]),
  region: z.enum(["EU", "US"]),
  amount: z.number().default(0),
});

/**
 * A deal was won: a project, an account in it, a welcome mail with the account's credentials, a customer success manager by tier and region, and a
 * kickoff when that manager has time. Every step uses what an earlier one brought.
 */
export const onboarding = workflow({
  name: "customer-onboarding",
  version: "1",
  input: Deal,
  attributes: ({ customer, tier, region, amount }) => ({ customer, tier, region, amount }),
  timeout: "30d",
  async run({ input, step, log }) {
    const { customer, tier, region } = input;
    const project = await step.run(createProject, { customer });
    const account = await step.run(provisionAccount, { projectId: project.projectId, customer });
    await step.run(
      sendEmail,
      { to: input.email, template: "welcome", data: { loginUrl: account.loginUrl, password: account.password } },
      { name: "welcome-email" },
    );

    // Enterprise customers in the EU have a pool of their own; the case that was taken is the step's recorded input.
    const pool = tier === "enterprise" && region === "EU" ? { tier, region } : { tier };
    const csm = await step.do("assign-csm", { input: pool }, ({ input: query, signal }) =>
      saas<{ csmId: string; name: string }>(`/csms?${new URLSearchParams(query)}`, { method: "GET", signal }),
    );
    log.info("A manager is assigned.", { csm: csm.name });

    const kickoff = await step.do(
      "schedule-kickoff",
      { input: { csmId: csm.csmId, projectId: project.projectId } },
      async ({ input: { csmId, projectId }, idempotencyKey, signal }) => {
        const { slots } = await saas<{ slots: string[] }>(`/csms/${csmId}/availability`, { method: "GET", signal });
        return saas<{ meetingId: string; at: string }>(`/csms/${csmId}/kickoffs`, { body: { projectId, slot: slots[0] }, idempotencyKey, signal });
      },
    );
    return { projectId: project.projectId, accountId: account.accountId, csm: csm.name, kickoff: new Date(kickoff.at) };
  },
});
