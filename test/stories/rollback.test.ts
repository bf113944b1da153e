import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { deployment } from "#examples/deployment/workflow.ts";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { saga, type WhenItFails } from "./saga.ts";
import { advance, api, callsTo, effectsOf, eventually, evict, mock, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

/** Cleans up by hand, in the order and as far as its author sees fit. */
const byHand = workflow({
  name: "by-hand",
  input: z.object({ projectId: z.string() }),
  async run({ input, step }) {
    const completed: { accountId?: string; tenantId?: string } = {};
    const retries = { limit: 0 };
    try {
      const account = await step.do("account", { retries }, ({ idempotencyKey, signal }) =>
        saas<{ accountId: string }>("/accounts", { body: { projectId: input.projectId, customer: "Acme" }, idempotencyKey, signal }),
      );
      completed.accountId = account.accountId;
      const tenant = await step.do("tenant", { retries }, ({ idempotencyKey, signal }) =>
        saas<{ tenantId: string }>("/tenants", { body: { accountId: account.accountId }, idempotencyKey, signal }),
      );
      completed.tenantId = tenant.tenantId;
      await step.do("billing", { retries }, ({ idempotencyKey, signal }) =>
        saas("/billing/customers", { body: { email: "ann@acme.example" }, idempotencyKey, signal }),
      );
      return { undone: [], because: null };
    } catch (error) {
      const undone: string[] = [];
      if (completed.tenantId) undone.push(await step.do("remove-tenant", (context) => removed(`/tenants/${completed.tenantId}`, context)));
      if (completed.accountId) undone.push(await step.do("remove-account", (context) => removed(`/accounts/${completed.accountId}`, context)));
      return { undone, because: (error as Error).message };
    }
  },
});

async function removed(path: string, { idempotencyKey, signal }: { idempotencyKey: string; signal: AbortSignal }): Promise<string> {
  await saas(path, { method: "DELETE", idempotencyKey, signal });
  return path;
}

beforeAll(async () => {
  await setUpWorld();
  deploy(deployment, saga, byHand);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** Lets time pass, a second at a time, until the run has come to a status. */
async function drive(id: string, ...statuses: string[]) {
  return eventually(
    async () => {
      await advance(seconds(1));
      const found = await run(id);
      return statuses.includes(found.status) ? found : null;
    },
    `run ${id} to be ${statuses.join(" or ")}`,
  );
}

async function startSaga(whenItFails: WhenItFails = "compensate"): Promise<string> {
  const { projectId } = (await mock("POST", "/projects", { customer: "Acme" })).body;
  return start("saga", { projectId, whenItFails });
}

/** What was asked of services that answered, as `METHOD service`, in the order of asking. */
async function done(...services: string[]): Promise<string[]> {
  const calls = (await Promise.all(services.map(callsTo))).flat().sort((one, other) => one.id - other.id);
  return calls.filter((call) => call.status < 300).map((call) => `${call.method} ${call.service}`);
}

async function statuses(id: string): Promise<string[]> {
  return (await steps(id)).map((step) => `${step.key} ${step.status}`);
}

const release = { environment: "prod", release: "v7" };
const infraCalls = async () => (await callsTo("infra")).map((call) => `${call.method} ${call.body || call.path.split("/").at(-1)}`);

test("R20: a deployment that fails at the migration takes its infrastructure down again, the last first, and nothing after it happened", async () => {
  await mock("PUT", "/admin/faults/migrations", { mode: "fail", status: 500 });
  const id = await start("deployment", release);
  const ended = await drive(id, "failed", "paused");
  expect(ended).toMatchObject({ status: "failed", reason: { code: "compensated", step: "migrate" }, error: { name: "SaasError" } });
  expect(await statuses(id)).toEqual([
    "provision-database completed",
    "provision-servers completed",
    "migrate failed",
    "~provision-servers completed",
    "~provision-database completed",
  ]);
  const [database, servers] = (await effectsOf("infra")).map((effect) => effect.resourceId);
  expect(await infraCalls()).toEqual([
    'POST {"environment":"prod-database"}',
    'POST {"environment":"prod-servers"}',
    `DELETE ${servers}`,
    `DELETE ${database}`,
  ]);
  expect((await callsTo("migrations")).map((call) => call.status)).toEqual([500, 500, 500]);
  for (const later of ["deploys", "cache", "notifications"]) expect(await callsTo(later)).toEqual([]);
});

test("R20: a deployment that waits at the migration repeats only `migrate` after the repair, and then deploys", async () => {
  await mock("PUT", "/admin/faults/migrations", { mode: "fail", status: 500 });
  const id = await start("deployment", { ...release, whenMigrationFails: "wait" });
  expect(await drive(id, "failed", "paused")).toMatchObject({ status: "paused", reason: { code: "step_failed", step: "migrate" } });
  await mock("DELETE", "/admin/faults");
  expect((await api("POST", `/v1/runs/${id}/steps/migrate/retry`, { reason: "The lock is gone." })).status).toBe(200);
  const ended = await until(id, "completed", "failed", "paused");
  expect(ended).toMatchObject({ status: "completed", output: { deployId: expect.any(String), migrationId: expect.any(String) } });
  expect(await statuses(id)).toEqual(
    ["provision-database", "provision-servers", "migrate", "deploy", "invalidate-cache", "notify"].map((key) => `${key} completed`),
  );
  expect(await done("infra", "migrations", "deploys", "cache", "notifications")).toEqual([
    "POST infra",
    "POST infra",
    "POST migrations",
    "POST deploys",
    "POST cache",
    "POST notifications",
  ]);
  expect((await callsTo("infra")).length).toBe(2);
  expect(new Set((await callsTo("migrations")).map((call) => call.idempotencyKey))).toEqual(new Set([`default/${id}/migrate`]));
});

test("R15: when billing fails, the tenant is deleted and then the account, and neither mail nor message is ever sent", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "fail", status: 503 });
  const id = await startSaga();
  expect(await drive(id, "failed", "paused")).toMatchObject({ status: "failed", reason: { code: "compensated", step: "billing" } });
  expect(await statuses(id)).toEqual(["account completed", "tenant completed", "billing failed", "~tenant completed", "~account completed"]);
  expect(await done("accounts", "tenants", "billing", "emails", "notifications")).toEqual([
    "POST accounts",
    "POST tenants",
    "DELETE tenants",
    "DELETE accounts",
  ]);
  for (const never of ["emails", "notifications"]) expect(await callsTo(never)).toEqual([]);
});

test("R15: a step that may have happened is undone too, and once, though its answer was lost", async () => {
  await mock("PUT", "/admin/faults/tenants", { mode: "accept-then-fail", times: 2 });
  const id = await startSaga();
  expect(await drive(id, "failed", "paused")).toMatchObject({ status: "failed", reason: { code: "compensated", step: "tenant" } });
  expect((await effectsOf("tenants")).map((effect) => effect.action)).toEqual(["create", "delete"]);
  expect((await effectsOf("accounts")).map((effect) => effect.action)).toEqual(["create", "delete"]);
  expect(await callsTo("billing")).toEqual([]);
});

test.each(["account", "tenant"])("R15: when undoing the %s keeps failing, the run waits for a person and goes on from just there", async (which) => {
  await mock("PUT", "/admin/faults/billing", { mode: "fail" });
  await mock("PUT", `/admin/faults/${which}s`, { mode: "fail", method: "DELETE" });
  const id = await startSaga();
  const parked = await drive(id, "failed", "paused");
  expect(parked).toMatchObject({ status: "paused", reason: { code: "compensation_failed", step: `~${which}` } });
  const undoing = (await steps(id)).find((step) => step.key === `~${which}`);
  expect(undoing).toMatchObject({ status: "parked", attempts: [{ outcome: "failed" }, { outcome: "failed" }] });
  const before = which === "account" ? ["DELETE tenants"] : [];
  expect(await done("tenants", "accounts")).toEqual(["POST accounts", "POST tenants", ...before]);
  expect((await api("GET", `/v1/dead-letters/${id}`)).status).toBe(200);

  await advance(seconds(3600));
  expect((await run(id)).status, "it is not skipped in silence").toBe("paused");
  await evict();
  await mock("DELETE", "/admin/faults");
  expect((await api("POST", `/v1/runs/${id}/steps/~${which}/retry`, {})).status).toBe(200);
  expect(await until(id, "failed", "paused")).toMatchObject({ status: "failed", reason: { code: "compensated", step: "billing" } });
  expect(await done("tenants", "accounts")).toEqual(["POST accounts", "POST tenants", "DELETE tenants", "DELETE accounts"]);
});

test("R16: a finished run is undone by a new run, linked to it, after a dry run has said what that means", async () => {
  const id = await startSaga();
  const finished = await until(id, "completed", "failed");
  expect(finished.status).toBe("completed");

  expect(await api("POST", `/v1/runs/${id}/rollback`, { dryRun: true })).toMatchObject({ status: 200, body: { undo: ["tenant", "account"] } });
  expect(await done("tenants", "accounts")).toEqual(["POST accounts", "POST tenants"]);

  const made = await api("POST", `/v1/runs/${id}/rollback`, { reason: "Acme has left." });
  expect(made).toMatchObject({ status: 201, body: { id: `${id}.rollback`, origin: { runId: id, relation: "rollback", step: null } } });
  expect((await until(made.body.id, "completed", "failed", "paused")).status).toBe("completed");
  expect(await done("tenants", "accounts")).toEqual(["POST accounts", "POST tenants", "DELETE tenants", "DELETE accounts"]);
  expect((await steps(made.body.id)).filter((step) => step.kind === "compensation").map((step) => step.key)).toEqual(["~tenant", "~account"]);

  expect(await run(id)).toEqual(finished);
  expect((await api("POST", `/v1/runs/${id}/rollback`, {})).status, "a repeat makes no other run").toBe(200);
  expect((await effectsOf("accounts")).map((effect) => effect.action)).toEqual(["create", "delete"]);
  expect(await callsTo("emails")).toHaveLength(1);
});

test("R16: a paused run is undone from a step on, and what came before that step stays", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "fail" });
  const id = await startSaga("pause");
  expect((await drive(id, "failed", "paused")).status).toBe("paused");
  expect((await api("POST", `/v1/runs/${id}/rollback`, { from: "account", dryRun: true })).body).toEqual({ undo: ["tenant", "account"] });
  expect((await api("POST", `/v1/runs/${id}/rollback`, { from: "tenant", dryRun: true })).body).toEqual({ undo: ["tenant"] });
  expect(await run(id)).toMatchObject({ status: "paused" });

  expect((await api("POST", `/v1/runs/${id}/rollback`, { from: "tenant" })).status).toBe(200);
  expect(await until(id, "cancelled", "failed", "paused")).toMatchObject({ status: "cancelled", reason: { code: "rolled_back" } });
  expect(await done("tenants", "accounts")).toEqual(["POST accounts", "POST tenants", "DELETE tenants"]);
  expect(await statuses(id)).toContain("~tenant completed");
  expect(await statuses(id)).not.toContain("~account completed");
});

test.each([
  { breaks: "accounts", at: "account", undone: [] },
  { breaks: "tenants", at: "tenant", undone: ["accounts"] },
  { breaks: "billing", at: "billing", undone: ["tenants", "accounts"] },
])("R7: a catch handler that finds $at failed undoes just what completed before: $undone", async ({ breaks, at, undone }) => {
  await mock("PUT", `/admin/faults/${breaks}`, { mode: "fail", status: 502, method: "POST" });
  const { projectId } = (await mock("POST", "/projects", { customer: "Acme" })).body;
  const id = await start("by-hand", { projectId });
  const ended = await drive(id, "completed", "failed");
  expect(ended.status).toBe("completed");
  expect(ended.output.because).toContain("502");
  expect(ended.output.undone.map((path: string) => path.split("/")[1])).toEqual(undone);
  expect((await done("accounts", "tenants", "billing")).filter((call) => call.startsWith("DELETE"))).toEqual(undone.map((service) => `DELETE ${service}`));
  expect((await steps(id)).find((step) => step.key === at)).toMatchObject({ status: "failed" });
});
