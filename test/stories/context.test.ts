import { NonRetryableError, workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { clock, deploy } from "../world.ts";
import { advance, api, callsTo, days, effectsOf, eventually, evict, mock, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

beforeAll(async () => {
  await setUpWorld();
  deploy(handover, invoices, fallback, twoFailures, ownError);
});
beforeEach(() => mock("DELETE", "/admin/state"));

const retries = { limit: 2, delay: "1s", jitter: 0 } as const;

/** Four steps; the last uses the trigger and the first step's output, two steps later. */
const handover = workflow({
  name: "handover",
  version: "7",
  input: z.object({ deal: z.object({ customer: z.string(), tier: z.string() }) }),
  attributes: ({ deal }) => ({ customer: deal.customer }),
  async run({ input, step }) {
    const { customer, tier } = input.deal;
    const project = await step.do("create-project", { input: { customer } }, ({ input: body, idempotencyKey, signal }) =>
      saas<{ projectId: string }>("/projects", { body, idempotencyKey, signal }),
    );
    const account = await step.do(
      "provision",
      { input: { projectId: project.projectId, customer }, retries, redact: ["password"] },
      ({ input: body, idempotencyKey, signal }) => saas<{ accountId: string }>("/accounts", { body, idempotencyKey, signal }),
    );
    await step.waitForEvent("signed");
    const announced = { projectId: project.projectId, tier };
    await step.do("announce", { input: announced }, ({ input: { projectId, tier: level }, idempotencyKey, signal }) =>
      saas("/notifications", { body: { text: `${projectId} for ${level}` }, idempotencyKey, signal }),
    );
    return { accountId: account.accountId };
  },
});

const acme = { deal: { customer: "Acme", tier: "enterprise" } };

function sign(id: string) {
  return api("POST", `/v1/runs/${id}/events/signed`, { payload: { by: "Ann" } });
}

test("R1: a run keeps its input, attributes and every step's output, also when it was put out of memory and two weeks went by", async () => {
  const id = await start("handover", acme);
  const before = await until(id, "waiting");
  expect(before).toMatchObject({ status: "waiting", step: "signed", input: acme, attributes: { customer: "Acme" }, version: "7" });
  const history = await steps(id);
  const [project] = await effectsOf("projects");
  expect(history.map((step) => [step.key, step.status])).toEqual([
    ["create-project", "completed"],
    ["provision", "completed"],
    ["signed", "waiting"],
  ]);
  expect(history[0].output).toEqual({ projectId: project.resourceId });

  await evict();
  await advance(days(15));
  await evict();
  expect(await run(id)).toEqual(before);
  expect(await steps(id)).toEqual(history);
  await sign(id);
  expect((await until(id, "completed", "failed")).output).toEqual({ accountId: history[1].output.accountId });
  expect(await callsTo("projects")).toHaveLength(1);
});

test("R2: every step of a finished run has its input, output, status and errors, and a failed attempt is still there after the next succeeded", async () => {
  await mock("PUT", "/admin/faults/accounts", { mode: "fail", status: 503, times: 2 });
  const startedAt = clock.now();
  const id = await start("handover", acme);
  await until(id, "waiting");
  await advance(seconds(1));
  await advance(seconds(2));
  await sign(id);
  const done = await until(id, "completed", "failed");
  expect(done).toMatchObject({ status: "completed", version: "7", error: null, endedAt: at(startedAt + seconds(3)) });

  const [project] = await effectsOf("projects");
  const [account] = await effectsOf("accounts");
  const [createProject, provision, signed, announce] = await steps(id);
  expect(createProject).toMatchObject({ status: "completed", input: { customer: "Acme" }, output: { projectId: project.resourceId }, error: null });
  expect(createProject.attempts).toEqual([{ attempt: 1, startedAt: at(startedAt), endedAt: at(startedAt), outcome: "completed", error: null }]);
  expect(provision).toMatchObject({
    status: "completed",
    input: { projectId: project.resourceId, customer: "Acme" },
    output: { accountId: account.resourceId, password: "[redacted]" },
    error: null,
    startedAt: at(startedAt),
    endedAt: at(startedAt + seconds(3)),
  });
  const refused = expect.objectContaining({ name: "SaasError", status: 503, message: expect.stringContaining("answered 503") });
  expect(provision.attempts).toEqual([
    { attempt: 1, startedAt: at(startedAt), endedAt: at(startedAt), outcome: "failed", error: refused },
    { attempt: 2, startedAt: at(startedAt + seconds(1)), endedAt: at(startedAt + seconds(1)), outcome: "failed", error: refused },
    { attempt: 3, startedAt: at(startedAt + seconds(3)), endedAt: at(startedAt + seconds(3)), outcome: "completed", error: null },
  ]);
  expect(signed).toMatchObject({ status: "completed", outcome: "arrived", output: { by: "Ann" }, error: null });
  expect(announce).toMatchObject({ status: "completed", error: null, output: { notificationId: expect.any(String) } });
  expect((await callsTo("accounts")).map((call) => call.status)).toEqual([503, 503, 201]);
});

function at(ms: number): string {
  return new Date(ms).toISOString();
}

test("R2 R8: a failed run names the step, its attempt and what the upstream answered; what came before is kept, what comes after was not begun", async () => {
  await mock("PUT", "/admin/faults/accounts", { mode: "fail", status: 503 });
  const id = await start("handover", acme);
  await until(id, "waiting");
  await advance(seconds(1));
  await advance(seconds(2));
  const failed = await until(id, "completed", "failed");
  expect(failed).toMatchObject({
    status: "failed",
    version: "7",
    step: "provision",
    reason: { code: "step_failed", step: "provision" },
    output: null,
    error: { name: "SaasError", status: 503 },
  });

  const [project] = await effectsOf("projects");
  const history = await steps(id);
  expect(history.map((step) => [step.key, step.status])).toEqual([
    ["create-project", "completed"],
    ["provision", "failed"],
  ]);
  expect(history[0].output).toEqual({ projectId: project.resourceId });
  expect(history[1]).toMatchObject({
    input: { projectId: project.resourceId, customer: "Acme" },
    output: null,
    error: { name: "SaasError", status: 503 },
    startedAt: expect.any(String),
    endedAt: failed.endedAt,
  });
  // biome-ignore lint/suspicious/noExplicitAny: an attempt of the API
  expect(history[1].attempts.map((it: any) => [it.attempt, it.outcome, it.error.status])).toEqual([
    [1, "failed", 503],
    [2, "failed", 503],
    [3, "failed", 503],
  ]);
  expect((await callsTo("accounts")).map((call) => call.status)).toEqual([503, 503, 503]);
  expect(await callsTo("notifications")).toEqual([]);

  // The index hears of a run at most once a second.
  await advance(seconds(1));
  const listed = await eventually(async () => {
    const { runs } = (await api("GET", "/v1/runs?workflow=handover&status=failed")).body;
    return runs.length > 0 && runs;
  }, "the failed run to be listed");
  expect(listed).toMatchObject([{ id, step: "provision", reason: { step: "provision" }, error: { name: "SaasError" } }]);
});

test("R8: a step that the upstream refused for good names the status too, at its first attempt", async () => {
  await mock("PUT", "/admin/faults/accounts", { mode: "fail", status: 422 });
  const id = await start("handover", acme);
  const failed = await until(id, "completed", "failed");
  expect(failed).toMatchObject({ status: "failed", step: "provision", error: { status: 422 } });
  expect((await steps(id))[1].attempts).toMatchObject([{ attempt: 1, outcome: "failed", error: { status: 422 } }]);
  expect(await callsTo("accounts")).toHaveLength(1);
});

test("R3: step four gets what step one brought and what the trigger said, and the run shows what it got", async () => {
  const id = await start("handover", acme);
  await until(id, "waiting");
  await sign(id);
  expect((await until(id, "completed", "failed")).status).toBe("completed");
  const [project] = await effectsOf("projects");
  const history = await steps(id);
  expect(history[3]).toMatchObject({ key: "announce", input: { projectId: project.resourceId, tier: "enterprise" } });
  expect((await callsTo("accounts")).map((call) => JSON.parse(call.body))).toEqual([{ projectId: project.resourceId, customer: "Acme" }]);
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body))).toEqual([{ text: `${project.resourceId} for enterprise` }]);
});

/** Sends an invoice to each customer: one step, again and again. */
const invoices = workflow({
  name: "invoices",
  input: z.object({ customers: z.array(z.string()) }),
  async run({ input, step }) {
    for (const to of input.customers) {
      await step.do("send-invoice", { input: { to }, retries: { limit: 0 } }, async ({ input: { to: address }, idempotencyKey, signal }) => {
        if (!address.includes("@")) throw Object.assign(new NonRetryableError(`${address} is no address.`), { status: 400 });
        return saas("/emails", { body: { to: address, template: "invoice", data: {} }, idempotencyKey, signal });
      });
    }
  },
});

test("R8: of a step that is done in a loop, the failed run names the very time that failed", async () => {
  const id = await start("invoices", { customers: ["a@acme.example", "b@acme.example", "nobody", "d@acme.example"] });
  const failed = await until(id, "completed", "failed");
  expect(failed).toMatchObject({ status: "failed", step: "send-invoice#3", reason: { step: "send-invoice#3" }, error: { status: 400 } });
  expect((await steps(id)).map((step) => [step.key, step.status, step.input])).toEqual([
    ["send-invoice", "completed", { to: "a@acme.example" }],
    ["send-invoice#2", "completed", { to: "b@acme.example" }],
    ["send-invoice#3", "failed", { to: "nobody" }],
  ]);
  expect((await api("GET", `/v1/runs/${id}/steps/${encodeURIComponent("send-invoice#3")}`)).body).toMatchObject({ error: { status: 400 } });
  expect((await callsTo("emails")).map((call) => JSON.parse(call.body).to)).toEqual(["a@acme.example", "b@acme.example"]);
});

const once = { retries: { limit: 0 } };

/** A failure that is handled, then one that is not. */
const fallback = workflow({
  name: "fallback",
  async run({ step }) {
    await step.do("primary", once, ({ signal }) => saas("/infra", { body: { environment: "eu" }, signal })).catch(() => null);
    await step.do("secondary", once, ({ signal }) => saas("/billing/customers", { body: { email: "a@acme.example" }, signal }));
    await step.do("report", once, ({ signal }) => saas("/notifications", { body: { text: "done" }, signal }));
  },
});

test("R8: a failure that the workflow handled is not where the run failed", async () => {
  await mock("PUT", "/admin/faults/infra", { mode: "fail", status: 500 });
  await mock("PUT", "/admin/faults/notifications", { mode: "fail", status: 507 });
  const id = await start("fallback", null);
  const failed = await until(id, "completed", "failed");
  expect(failed).toMatchObject({ status: "failed", step: "report", reason: { step: "report" }, error: { status: 507 } });
  expect((await steps(id)).map((step) => [step.key, step.status])).toEqual([
    ["primary", "failed"],
    ["secondary", "completed"],
    ["report", "failed"],
  ]);
});

/** Two branches fail; the run ends by the first of them, though the other fails later. */
const twoFailures = workflow({
  name: "two-failures",
  async run({ step }) {
    const tenant = step.do("tenant", once, ({ signal }) => saas("/infra", { body: { environment: "eu" }, signal }));
    const mail = step.do("mail", once, ({ signal }) => saas("/emails", { body: { to: "a@acme.example", template: "t", data: {} }, signal }));
    await Promise.allSettled([tenant, mail]);
    await tenant;
  },
});

test("R8: of two branches that fail, the one is named whose error ended the run", async () => {
  await mock("PUT", "/admin/faults/infra", { mode: "fail", status: 502 });
  await mock("PUT", "/admin/faults/emails", { mode: "hang", delayMs: 200 });
  const id = await start("two-failures", null);
  const failed = await until(id, "completed", "failed");
  expect((await steps(id)).map((step) => [step.key, step.status, step.error.status])).toEqual([
    ["tenant", "failed", 502],
    ["mail", "failed", 504],
  ]);
  expect(failed.error).toMatchObject({ status: 502 });
  expect(failed.step).toBe("tenant");
  expect(failed.reason.step).toBe("tenant");
});

/** Handles what failed, and then fails by its own rule. */
const ownError = workflow({
  name: "own-error",
  async run({ step }) {
    await step.do("optional", once, ({ signal }) => saas("/infra", { body: { environment: "eu" }, signal })).catch(() => null);
    await step.do("count", () => 3);
    throw new Error("Three is too many.");
  },
});

test("R8: a run that fails by its own rule is not blamed on a step that failed before and was handled", async () => {
  await mock("PUT", "/admin/faults/infra", { mode: "fail", status: 500 });
  const id = await start("own-error", null);
  const failed = await until(id, "completed", "failed");
  expect(failed.error).toMatchObject({ name: "Error", message: "Three is too many." });
  expect(failed.step).toBeNull();
  expect(failed.reason.step).toBeNull();
});
