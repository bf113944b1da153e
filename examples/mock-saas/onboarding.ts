import { z } from "zod";
import { Customer, create, newId, type Operation, refuseUnknown, withBody } from "./operation.ts";

/** The services that set up a customer: projects, accounts, tenants, emails, billing. */

export const createProject: Operation = withBody(z.object({ customer: Customer }), () => create("projectId", newId("prj")));

export const createAccount: Operation = withBody(z.object({ projectId: z.string(), customer: Customer }), async (call, { projectId }) => {
  const refusal = await refuseUnknown(call, "projects", projectId);
  if (refusal !== null) return refusal;
  const accountId = newId("acc");
  return create("accountId", accountId, { loginUrl: `https://app.mock-saas.example/login/${accountId}`, password: newId("pw") });
});

export const createTenant: Operation = withBody(z.object({ accountId: z.string() }), async (call, { accountId }) => {
  return (await refuseUnknown(call, "accounts", accountId)) ?? create("tenantId", newId("ten"));
});

const Email = z.object({ to: z.string().min(1), template: z.string().min(1), data: z.unknown().optional() });

export const sendEmail: Operation = withBody(Email, () => create("messageId", newId("msg")));

export const createBillingCustomer: Operation = withBody(z.object({ email: z.string().min(1) }), () => create("customerId", newId("cus")));
