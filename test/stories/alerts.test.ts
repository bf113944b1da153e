import { automation, type Notice, workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { saas } from "#examples/saas.ts";
import { alertBy, deploy } from "../world.ts";
import { advance, api, callsTo, days, effectsOf, eventually, evict, hours, minutes, mock, outside, setUpWorld, start, steps, until } from "./story.ts";

/** Mails whoever is on call. What it returns is up to it. */
const page = automation<Notice, { readonly sentTo: string }>({
  name: "page",
  retries: { limit: 5, delay: "1s", jitter: 0 },
  run: async ({ input, idempotencyKey, signal }) => {
    await saas("/emails", { body: { to: "oncall@acme.example", template: input.type, data: input }, idempotencyKey, signal });
    return { sentTo: "oncall@acme.example" };
  },
});

const charge = workflow({
  name: "charge",
  async run({ step }) {
    await step.do("charge", { onFailure: "pause", retries: { limit: 0 } }, ({ idempotencyKey, signal }) =>
      saas("/billing/customers", { body: { email: "ann@acme.example" }, idempotencyKey, signal }),
    );
    await step.sleep("linger", "30d");
  },
});

const slow = workflow({ name: "slow", expectedDuration: "1h", run: ({ step }) => step.sleep("sleep", "30d") });

const contract = workflow({
  name: "contract",
  async run({ step }) {
    const answer = await step.approval("legal", { assignees: ["ann"], timeout: "2d" });
    await step.sleep("linger", "30d");
    return answer.ok;
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(charge, slow, contract);
  alertBy(page);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** What on-call was told of a run; a repeated call with the same key counts once, as it does at the mail service. */
async function alertsOf(id: string): Promise<Notice[]> {
  const bodies = (await effectsOf("emails")).map((effect) => effect.idempotencyKey);
  const sent = (await callsTo("emails")).filter((call) => call.status < 300 && bodies.includes(call.idempotencyKey));
  const first = new Map(sent.map((call) => [call.idempotencyKey, JSON.parse(call.body).data as Notice]));
  return [...first.values()].filter((notice) => notice.runId === id);
}

function told(id: string, count: number): Promise<Notice[]> {
  return eventually(async () => {
    await advance(10);
    const alerts = await alertsOf(id);
    return alerts.length >= count && alerts;
  }, `${count} alerts`);
}

/** Time and evictions bring no further alert. */
async function expectNoMore(id: string, count: number): Promise<void> {
  for (let times = 0; times < 3; times++) {
    await evict();
    await advance(hours(6));
  }
  expect(await alertsOf(id)).toHaveLength(count);
}

test("R45: a dead letter alerts once, with a link that leads to the run; each further failure alerts again", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "fail", status: 503 });
  const id = await start("charge", {});
  await until(id, "paused");
  const [alert] = await told(id, 1);
  expect(alert).toMatchObject({ type: "dead_letter", runId: id, workflow: "charge", version: "1", step: "charge", url: `http://segno.test/v1/runs/${id}` });
  expect(alert?.message).toContain("503");
  const linked = await outside(alert?.url ?? "", { headers: { authorization: "Bearer segno-dev-key" } });
  expect(linked.body).toMatchObject({ id, status: "paused", reason: { code: "step_failed", step: "charge" } });
  await expectNoMore(id, 1);

  await api("POST", `/v1/dead-letters/${id}/redrive`);
  await until(id, "paused");
  expect((await told(id, 2)).map((it) => it.type)).toEqual(["dead_letter", "dead_letter"]);
  await expectNoMore(id, 2);
});

test("R45: an alert that fails is sent again until it gets through, with the same key, and the history of the run has its attempts", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "fail", status: 503 });
  await mock("PUT", "/admin/faults/emails", { mode: "fail", status: 503, times: 2 });
  const id = await start("charge", {});
  await until(id, "paused");
  await eventually(async () => {
    await advance(1000);
    return (await alertsOf(id)).length === 1;
  }, "the alert to get through");
  const calls = await callsTo("emails");
  expect(calls.map((call) => call.status)).toEqual([503, 503, 201]);
  expect(new Set(calls.map((call) => call.idempotencyKey)).size).toBe(1);
  const notice = await eventually(
    async () => (await steps(id)).find((step) => step.kind === "notice" && step.status === "completed"),
    "the notice in the run's history",
  );
  expect(notice.attempts.map((it: { outcome: string }) => it.outcome)).toEqual(["failed", "failed", "completed"]);
  expect(await callsTo("billing")).toHaveLength(1);
});

test("R45: a pause by an operator alerts once; a second pause later alerts again", async () => {
  const id = await start("charge", {});
  await until(id, "waiting");
  await api("POST", `/v1/runs/${id}/pause`);
  await api("POST", `/v1/runs/${id}/pause`);
  expect(await told(id, 1)).toMatchObject([{ type: "paused", step: null, url: `http://segno.test/v1/runs/${id}` }]);
  await expectNoMore(id, 1);
  await api("POST", `/v1/runs/${id}/resume`);
  await api("POST", `/v1/runs/${id}/pause`);
  expect(await told(id, 2)).toHaveLength(2);
  await api("POST", `/v1/runs/${id}/terminate`);
});

test("R45: an approval that is overdue alerts once, when its time is over and not before", async () => {
  const id = await start("contract", {});
  await until(id, "waiting");
  await advance(days(1));
  expect(await alertsOf(id)).toEqual([]);
  await advance(days(1));
  expect(await told(id, 1)).toMatchObject([{ type: "approval_expired", step: "legal", url: `http://segno.test/v1/runs/${id}` }]);
  await expectNoMore(id, 1);
});

test("R45: a run that takes longer than expected alerts once and goes on", async () => {
  const id = await start("slow", {});
  await until(id, "waiting");
  await advance(minutes(59));
  expect(await alertsOf(id)).toEqual([]);
  await evict();
  await advance(minutes(1));
  expect(await told(id, 1)).toMatchObject([{ type: "late", step: null, workflow: "slow" }]);
  await expectNoMore(id, 1);
  expect((await api("GET", `/v1/runs/${id}`)).body.status).toBe("waiting");
  await advance(days(30));
  await until(id, "completed");
});
