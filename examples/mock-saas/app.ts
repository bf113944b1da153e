import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { adminRoutes } from "./admin.ts";
import type { MockSaasEnv } from "./call.ts";
import { assignCsm, csmAvailability, scheduleKickoff } from "./csm.ts";
import { createInfra, deploy, invalidateCache, notify, runMigration } from "./deployment.ts";
import { startCheck } from "./kyc.ts";
import { limits } from "./limits.ts";
import { createAccount, createBillingCustomer, createProject, createTenant, sendEmail } from "./onboarding.ts";
import { deletion, type Operation } from "./operation.ts";
import { type MockSaasOptions, type World, worldOf } from "./options.ts";
import { serve } from "./serve.ts";
import type { Service } from "./service.ts";

export type { MockSaasEnv } from "./call.ts";
export type { MockSaasOptions } from "./options.ts";

/**
 * The mock SaaS as a Hono app: the services under `/`, what tests command under `/admin`. It keeps nothing in memory; two apps on the same
 * database are one mock. `STATE` must have had the migrations of this folder.
 *
 * @example
 * const mock = createMockSaas({ fetch: async (url, init) => mine.request(url, init, env) });
 * const response = await mock.request("/projects", { method: "POST", body: JSON.stringify({ customer: "Acme" }) }, env);
 */
export function createMockSaas(options: MockSaasOptions = {}): Hono<MockSaasEnv> {
  const world = worldOf(options);
  const app = new Hono<MockSaasEnv>();
  app.use(bodyLimit({ maxSize: limits.bodyBytes }));
  for (const [service, method, path, operation] of routes(world)) app.on(method, path, serve(world, service, operation));
  app.route("/admin", adminRoutes(world));
  app.notFound((c) => c.json({ error: { code: "no_route", message: `The mock SaaS has no ${c.req.method} ${c.req.path}.` } }, 404));
  app.onError((cause, c) => {
    const status = cause instanceof HTTPException ? cause.status : 500;
    return c.json({ error: { code: status === 500 ? "broken" : "bad_request", message: cause.message } }, status);
  });
  return app;
}

function routes(world: World): readonly (readonly [Service, "GET" | "POST" | "DELETE", string, Operation])[] {
  return [
    ["projects", "POST", "/projects", createProject],
    ["projects", "DELETE", "/projects/:id", deletion("projects", "projectId")],
    ["accounts", "POST", "/accounts", createAccount],
    ["accounts", "DELETE", "/accounts/:id", deletion("accounts", "accountId")],
    ["tenants", "POST", "/tenants", createTenant],
    ["tenants", "DELETE", "/tenants/:id", deletion("tenants", "tenantId")],
    ["emails", "POST", "/emails", sendEmail],
    ["csms", "GET", "/csms", assignCsm],
    ["csms", "GET", "/csms/:id/availability", csmAvailability(world.now)],
    ["kickoffs", "POST", "/csms/:id/kickoffs", scheduleKickoff(world.now)],
    ["kyc", "POST", "/kyc/checks", startCheck(world)],
    ["billing", "POST", "/billing/customers", createBillingCustomer],
    ["infra", "POST", "/infra", createInfra],
    ["infra", "DELETE", "/infra/:id", deletion("infra", "infraId")],
    ["migrations", "POST", "/migrations", runMigration],
    ["deploys", "POST", "/deploys", deploy],
    ["cache", "POST", "/cache/invalidate", invalidateCache],
    ["notifications", "POST", "/notifications", notify],
  ];
}
