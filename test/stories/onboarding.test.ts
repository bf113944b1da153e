import { beforeAll, beforeEach, expect, test } from "vitest";
import { createProject, provisionAccount, sendEmail } from "#examples/onboarding/automations.ts";
import { onboarding } from "#examples/onboarding/workflow.ts";
import { deploy } from "../world.ts";
import { advance, api, callsTo, eventually, mock, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

beforeAll(async () => {
  await setUpWorld();
  deploy(onboarding, createProject, provisionAccount, sendEmail);
});
beforeEach(() => mock("DELETE", "/admin/state"));

const deal = { dealId: "d-7", customer: "Acme", email: "ann@acme.example", tier: "enterprise", region: "EU", amount: 1200 };

test("R4: a won deal is onboarded in five steps, each with what an earlier one brought, and credentials stay hidden", async () => {
  const id = await start("customer-onboarding", deal);
  const done = await until(id, "completed", "failed");
  expect(done.status).toBe("completed");

  const [project] = await callsTo("projects");
  const [account] = await callsTo("accounts");
  const [email] = await callsTo("emails");
  const [kickoff] = await callsTo("kickoffs");
  expect(JSON.parse(account.body)).toMatchObject({ projectId: done.output.projectId });
  expect(project.status).toBe(201);
  expect(JSON.parse(email.body).data.password).toMatch(/\S{6,}/);
  expect(JSON.parse(kickoff.body)).toMatchObject({ projectId: done.output.projectId });

  const history = await steps(id);
  expect(history.map((step) => step.key)).toEqual(["create-project", "provision-account", "welcome-email", "assign-csm", "schedule-kickoff"]);
  expect(JSON.stringify(history)).not.toContain(JSON.parse(email.body).data.password);
  expect(history[1].output.password).toBe("[redacted]");
});

test("R11: attempts of a failed step send the same bytes and the same key, and step 1 is not sent again", async () => {
  await mock("PUT", "/admin/faults/emails", { mode: "fail", times: 2 });
  const id = await start("customer-onboarding", deal);
  await until(id, "waiting");
  for (let retries = 0; retries < 3; retries++) await advance(seconds(10));
  expect((await until(id, "completed")).status).toBe("completed");
  const calls = await callsTo("emails");
  expect(calls).toHaveLength(3);
  expect(new Set(calls.map((call) => call.body)).size).toBe(1);
  expect(new Set(calls.map((call) => call.idempotencyKey))).toEqual(new Set([`default/${id}/welcome-email`]));
  expect(await callsTo("projects")).toHaveLength(1);
  expect((await run(id)).output.projectId).toBeTruthy();
});

test("R5: a run that fails at step 2 keeps step 1, leaves 3 to 5 alone, and after the repair goes on from step 2", async () => {
  await mock("PUT", "/admin/faults/accounts", { mode: "fail", status: 503 });
  const id = await start("customer-onboarding", deal);
  await eventually(async () => {
    await advance(seconds(1));
    return (await run(id)).status === "paused";
  }, "its retries to be exhausted");
  const parked = await until(id, "paused");
  expect(parked.reason).toMatchObject({ code: "step_failed", step: "provision-account" });
  expect((await steps(id)).map((step) => [step.key, step.status, step.attempts.length])).toEqual([
    ["create-project", "completed", 1],
    ["provision-account", "parked", 3],
  ]);
  for (const later of ["emails", "csms", "kickoffs"]) expect(await callsTo(later)).toEqual([]);

  await mock("DELETE", "/admin/faults");
  expect((await api("POST", `/v1/runs/${id}/resume`, { reason: "The provisioning service is back." })).status).toBe(200);
  const done = await until(id, "completed", "failed", "paused");
  expect(done.status).toBe("completed");
  expect(await callsTo("projects")).toHaveLength(1);
  expect((await callsTo("accounts")).map((call) => call.status)).toEqual([503, 503, 503, 201]);
  expect((await api("POST", `/v1/runs/${id}/resume`, {})).body).toMatchObject({ code: "run_ended", status: 409 });
});
