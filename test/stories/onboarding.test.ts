import { beforeAll, beforeEach, expect, test } from "vitest";
import { createProject, provisionAccount, sendEmail } from "#examples/onboarding/automations.ts";
import { onboarding } from "#examples/onboarding/workflow.ts";
import { deploy } from "../world.ts";
import { advance, callsTo, mock, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

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
