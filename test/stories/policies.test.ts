import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { createProject, provisionAccount, sendEmail } from "#examples/onboarding/automations.ts";
import { onboarding } from "#examples/onboarding/workflow.ts";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { saga } from "./saga.ts";
import { type Answer, advance, api, callsTo, effectsOf, eventually, mock, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

const once = { limit: 0 };

/** One definition in which every step has another idea of what its failure means. */
const motley = workflow({
  name: "motley",
  async run({ step }) {
    const { projectId } = await step.do<{ projectId: string }>(
      "project",
      { compensate: ({ output, idempotencyKey, signal }) => saas(`/projects/${output?.projectId}`, { method: "DELETE", idempotencyKey, signal }) },
      ({ idempotencyKey, signal }) => saas<{ projectId: string }>("/projects", { body: { customer: "Acme" }, idempotencyKey, signal }),
    );
    const csm = await step.do("goes-on", { retries: once, onFailure: "continue", fallback: { name: "nobody" } }, ({ signal }) =>
      saas<{ name: string }>("/csms?tier=enterprise", { method: "GET", signal }),
    );
    await step.do("retries", { retries: { limit: 3, delay: "2s", backoff: "exponential", jitter: 0 } }, ({ idempotencyKey, signal }) =>
      saas("/emails", { body: { to: "ann@acme.example", template: "csm", data: { csm: csm.name } }, idempotencyKey, signal }),
    );
    await step.do("pauses", { retries: once, onFailure: "pause" }, ({ idempotencyKey, signal }) =>
      saas("/accounts", { body: { projectId, customer: "Acme" }, idempotencyKey, signal }),
    );
    const thrown = await step
      .do("aborts", { retries: once, onFailure: "fail" }, ({ idempotencyKey, signal }) =>
        saas("/infra", { body: { environment: "x" }, idempotencyKey, signal }),
      )
      .catch((error: Error) => error.message);
    await step.do("tells", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: thrown }, idempotencyKey, signal }));
    try {
      await step.do("undoes", { retries: once, onFailure: "compensate" }, ({ idempotencyKey, signal }) =>
        saas("/billing/customers", { body: { email: "ann@acme.example" }, idempotencyKey, signal }),
      );
    } finally {
      // A rollback is not the code's to catch: this must never be reached.
      await step.do("never", ({ idempotencyKey, signal }) => saas("/deploys", { body: { infraId: "x" }, idempotencyKey, signal }));
    }
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(motley, onboarding, createProject, provisionAccount, sendEmail, saga);
});
beforeEach(() => mock("DELETE", "/admin/state"));

const final = ["completed", "failed", "cancelled", "terminated"];

/** Lets time pass, a second at a time, until the run has ended or waits for a person. */
function drive(id: string) {
  return eventually(async () => {
    await advance(seconds(1));
    const found = await run(id);
    return ["paused", ...final].includes(found.status) ? found : null;
  }, `run ${id} to rest`);
}

test("R10: in one run a step goes on with its fallback, one retries, one waits for a person, one throws and one has the run undone, each as declared", async () => {
  await mock("PUT", "/admin/faults/csms", { mode: "fail" });
  await mock("PUT", "/admin/faults/emails", { mode: "fail", times: 2 });
  for (const service of ["accounts", "infra", "billing"]) await mock("PUT", `/admin/faults/${service}`, { mode: "fail", status: 503 });
  const id = await start("motley", null);

  expect(await drive(id)).toMatchObject({ status: "paused", reason: { code: "step_failed", step: "pauses" } });
  const parked = await steps(id);
  expect(parked.map((step) => [step.key, step.status, step.onFailure, step.attempts.length])).toEqual([
    ["project", "completed", "fail", 1],
    ["goes-on", "failed", "continue", 1],
    ["retries", "completed", "fail", 3],
    ["pauses", "parked", "pause", 1],
  ]);
  const mails = await callsTo("emails");
  expect(mails.map((call) => call.status)).toEqual([500, 500, 201]);
  expect(JSON.parse(mails[0].body).data.csm).toBe("nobody");
  const pauses = (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body.entries
    .filter((entry: { kind: string; key: string }) => entry.kind === "attempt.failed" && entry.key === "retries")
    .map((entry: { at: string; retryAt: string }) => Date.parse(entry.retryAt) - Date.parse(entry.at));
  expect(pauses).toEqual([seconds(2), seconds(4)]);
  for (const later of ["infra", "notifications", "billing"]) expect(await callsTo(later)).toEqual([]);

  await mock("PUT", "/admin/faults/accounts", { mode: "ok" });
  expect((await api("POST", `/v1/runs/${id}/resume`, {})).status).toBe(200);
  expect(await until(id, ...final)).toMatchObject({ status: "failed", reason: { code: "compensated", step: "undoes" } });
  expect((await steps(id)).map((step) => `${step.key} ${step.status}`)).toEqual([
    "project completed",
    "goes-on failed",
    "retries completed",
    "pauses completed",
    "aborts failed",
    "tells completed",
    "undoes failed",
    "~project completed",
  ]);
  expect((await callsTo("accounts")).map((call) => call.status)).toEqual([503, 201]);
  expect(JSON.parse((await callsTo("notifications"))[0].body).text).toContain("503");
  expect((await effectsOf("projects")).map((effect) => effect.action)).toEqual(["create", "delete"]);
  expect(await callsTo("deploys")).toEqual([]);
});

/** What a person may do with a run that stands still at a step, or ended there. */
const ways = {
  resume: (id) => api("POST", `/v1/runs/${id}/resume`, {}),
  redrive: (id) => api("POST", `/v1/dead-letters/${id}/redrive`, {}),
  skip: (id, step) => api("POST", `/v1/runs/${id}/steps/${step}/skip`, {}),
  rollback: (id) => api("POST", `/v1/runs/${id}/rollback`, {}),
  /** Drives it again from the step that failed in a run of its own, which a run that has ended allows too. */
  fork: (id, step) => api("POST", `/v1/runs/${id}/fork`, { from: step }),
} satisfies Record<string, (id: string, step: string) => Promise<Answer>>;

interface FailurePoint {
  readonly story: "onboarding" | "saga that waits" | "saga that undoes";
  readonly fault: Readonly<Record<string, Record<string, unknown>>>;
  /** Where the run rests: the key of the step. */
  readonly at: string;
  readonly rests: "paused" | "failed";
  /** The ways that are open, and how each run ends. All others are refused and change nothing. */
  readonly open: Partial<Record<keyof typeof ways, string>>;
  /** What was completed and is not undone: by no way is it made again. */
  readonly kept: readonly string[];
}

const broken = (service: string, method?: string) => ({ [service]: { mode: "fail", status: 503, ...(method && { method }) } });
const deal = { dealId: "d-7", customer: "Acme", email: "ann@acme.example", tier: "enterprise", region: "EU" };
const forked = { fork: "completed" } as const;
const unhelped = { resume: "completed", redrive: "completed", fork: "completed" } as const;
const parkedWays = { ...unhelped, skip: "completed", rollback: "cancelled" } as const;
const undoingWays = { resume: "failed", redrive: "failed", skip: "failed" } as const;

const failurePoints: FailurePoint[] = [
  { story: "onboarding", fault: broken("projects"), at: "create-project", rests: "failed", open: forked, kept: [] },
  {
    story: "onboarding",
    fault: broken("accounts"),
    at: "provision-account",
    rests: "paused",
    open: { ...unhelped, skip: "failed" },
    kept: ["projects"],
  },
  { story: "onboarding", fault: broken("emails"), at: "welcome-email", rests: "failed", open: forked, kept: ["projects", "accounts"] },
  { story: "onboarding", fault: broken("csms"), at: "assign-csm", rests: "failed", open: forked, kept: ["projects", "accounts", "emails"] },
  { story: "onboarding", fault: broken("kickoffs"), at: "schedule-kickoff", rests: "failed", open: forked, kept: ["projects", "accounts", "emails"] },

  { story: "saga that waits", fault: broken("accounts", "POST"), at: "account", rests: "paused", open: { ...parkedWays, skip: "failed" }, kept: [] },
  { story: "saga that waits", fault: broken("tenants", "POST"), at: "tenant", rests: "paused", open: { ...parkedWays, skip: "failed" }, kept: ["accounts"] },
  { story: "saga that waits", fault: broken("billing"), at: "billing", rests: "paused", open: parkedWays, kept: ["accounts", "tenants"] },
  { story: "saga that waits", fault: broken("emails"), at: "email", rests: "paused", open: parkedWays, kept: ["accounts", "tenants", "billing"] },
  {
    story: "saga that waits",
    fault: broken("notifications"),
    at: "slack",
    rests: "paused",
    open: parkedWays,
    kept: ["accounts", "tenants", "billing", "emails"],
  },

  { story: "saga that undoes", fault: broken("accounts"), at: "~account", rests: "paused", open: undoingWays, kept: [] },
  {
    story: "saga that undoes",
    fault: { ...broken("billing"), ...broken("tenants", "DELETE") },
    at: "~tenant",
    rests: "paused",
    open: undoingWays,
    kept: ["accounts", "tenants"],
  },
  {
    story: "saga that undoes",
    fault: { ...broken("billing"), ...broken("accounts", "DELETE") },
    at: "~account",
    rests: "paused",
    open: undoingWays,
    kept: ["accounts", "tenants"],
  },
];

/** A run of the story that has come to rest at the failure point. */
async function broke({ story, fault, at, rests }: FailurePoint): Promise<string> {
  await mock("DELETE", "/admin/state");
  const { projectId } = story === "onboarding" ? { projectId: "" } : (await mock("POST", "/projects", { customer: "Acme" })).body;
  for (const [service, what] of Object.entries(fault)) await mock("PUT", `/admin/faults/${service}`, what);
  const id =
    story === "onboarding"
      ? await start("customer-onboarding", deal)
      : await start("saga", { projectId, whenItFails: story === "saga that waits" ? "pause" : "compensate" });
  expect(await drive(id)).toMatchObject({ status: rests, step: at });
  return id;
}

async function created(service: string): Promise<number> {
  return (await effectsOf(service)).filter((effect) => effect.action === "create").length;
}

test.each(failurePoints)("R19: the $story that rests at $at ($rests) has a way on, and every way that is offered leads to an end", async (point) => {
  expect(Object.keys(point.open)).not.toEqual([]);
  for (const way of Object.keys(ways) as (keyof typeof ways)[]) {
    const id = await broke(point);
    const before = await run(id);
    const made = await Promise.all(point.kept.map(created));
    await mock("DELETE", "/admin/faults");
    const answer = await ways[way](id, point.at);
    const expected = point.open[way];
    if (expected === undefined) {
      expect([way, answer.status >= 400, answer.status < 500], JSON.stringify(answer.body)).toEqual([way, true, true]);
      expect(await run(id)).toEqual(before);
    } else {
      expect([way, answer.status < 300], JSON.stringify(answer.body)).toEqual([way, true]);
      expect([way, (await drive(answer.body.id)).status]).toEqual([way, expected]);
      expect([way, ...(await Promise.all(point.kept.map(created)))]).toEqual([way, ...made]);
      expect(made).toEqual(point.kept.map(() => 1));
    }
  }
});
