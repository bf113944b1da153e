import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { type Answer, api, callsTo, effectsOf, eventually, mock, run, setUpWorld, start, steps, until } from "./story.ts";

/** Creates an account in a project, then tells somebody. A failed account waits for a person. */
const signup = workflow({
  name: "signup",
  input: z.object({ customer: z.string(), batch: z.string(), project: z.string().optional() }),
  attributes: ({ batch }) => ({ batch }),
  async run({ input, step }) {
    const { customer } = input;
    const { projectId } = await step.do("project", ({ idempotencyKey, signal }) =>
      saas<{ projectId: string }>("/projects", { body: { customer }, idempotencyKey, signal }),
    );
    const account = await step.do(
      "account",
      { input: { projectId: input.project ?? projectId, customer }, onFailure: "pause", retries: { limit: 0 } },
      ({ input: body, idempotencyKey, signal }) => saas<{ accountId: string }>("/accounts", { body, idempotencyKey, signal }),
    );
    await step.do("tell", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: customer }, idempotencyKey, signal }));
    return { accountId: account.accountId };
  },
});

let batches = 0;
let batch = "";

beforeAll(async () => {
  await setUpWorld();
  deploy(signup);
});
beforeEach(async () => {
  batch = `batch-${++batches}`;
  await mock("DELETE", "/admin/state");
});

const breakAccounts = () => mock("PUT", "/admin/faults/accounts", { mode: "fail", status: 503 });
const repair = () => mock("DELETE", "/admin/faults");

function startMany(count: number, input: Record<string, unknown> = {}): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, nth) => start("signup", { customer: `c-${nth}`, batch, ...input })));
}

/** Runs that are dead letters in the index too. */
async function park(count: number, input: Record<string, unknown> = {}): Promise<string[]> {
  const ids = await startMany(count, input);
  await eventually(async () => (await bulk({ dryRun: true })).body.count === count, `${count} dead letters in the index`);
  return ids;
}

function bulk(more: Record<string, unknown>): Promise<Answer> {
  return api("POST", "/v1/dead-letters/bulk", { filter: { step: "account", "attr.batch": batch }, action: "redrive", ...more });
}

/** The calls that came from a run. */
async function callsOf(service: string, id: string): Promise<string[]> {
  return (await callsTo(service)).map((call) => call.idempotencyKey).filter((key) => key.startsWith(`default/${id}/`));
}

async function journalLength(id: string): Promise<number> {
  return (await run(id)).seq;
}

test("R14, R43: from a filter to the redrive of 100 parked runs in three calls; each goes on once from its failed step, and earlier steps are not called again", async () => {
  await breakAccounts();
  const ids = await park(100);
  await repair();

  const list = await api("GET", `/v1/dead-letters?step=account&attr.batch=${batch}&limit=200`);
  expect(list.body.deadLetters.map((it: { id: string }) => it.id).sort()).toEqual([...ids].sort());
  const plan = await bulk({ dryRun: true });
  expect(plan.body).toMatchObject({ count: 100 });
  expect(plan.body.runIds).toHaveLength(10);
  expect(await callsTo("notifications")).toEqual([]);
  const done = await bulk({ reason: "accounts are back" });
  expect(done).toMatchObject({ status: 200, body: { done: 100, skipped: [], remaining: 0, nextCursor: null } });

  await eventually(async () => (await effectsOf("notifications")).length === 100, "all to go on");
  for (const id of ids) await until(id, "completed");
  expect((await Promise.all(ids.map(run))).map((it) => it.status)).toEqual(ids.map(() => "completed"));
  for (const service of ["projects", "accounts", "notifications"]) expect(await effectsOf(service)).toHaveLength(100);
  expect(await callsTo("projects")).toHaveLength(100);
  expect(await callsTo("accounts")).toHaveLength(200);
  expect(await callsTo("notifications")).toHaveLength(100);
  const keys = (await callsTo("accounts")).map((call) => call.idempotencyKey);
  expect(new Set(keys).size).toBe(100);
  await eventually(async () => (await bulk({ dryRun: true })).body.count === 0, "the index to let go of them");
}, 60_000);

test("R14: two bulk redrives and one by hand at the same time resume each run once", async () => {
  await breakAccounts();
  const ids = await park(10);
  await repair();
  const [one, two, single] = await Promise.all([bulk({}), bulk({}), api("POST", `/v1/dead-letters/${ids[0]}/redrive`)]);
  const answers = [one, two].flatMap(({ body }) => body.skipped as { code: string }[]);
  expect(one.body.done + two.body.done + (single.status === 200 ? 1 : 0)).toBe(10);
  expect(new Set(answers.map((it) => it.code))).toEqual(new Set(answers.length > 0 ? ["not_paused"] : []));
  await Promise.all(ids.map((id) => until(id, "completed")));
  for (const id of ids) expect((await steps(id)).map((step) => step.attempts.length)).toEqual([1, 2, 1]);
  expect(await callsTo("accounts")).toHaveLength(20);
});

test("R14, R43: a dead letter shows run, step, input, last error, attempts, version and fingerprint; redriving it twice is a 409", async () => {
  await breakAccounts();
  const [id] = await park(1);
  const { body } = await api("GET", `/v1/dead-letters/${id}`);
  const [project] = await effectsOf("projects");
  expect(body).toMatchObject({
    run: { id, workflow: "signup", status: "paused", reason: { code: "step_failed", step: "account" } },
    step: "account",
    input: { projectId: project.resourceId, customer: "c-0" },
    error: { name: "SaasError", status: 503 },
    attempts: [{ attempt: 1, outcome: "failed" }],
    version: "1",
  });
  expect(body.fingerprint).toMatch(/^[0-9a-f]{16}$/);
  await repair();
  const stale = await api("POST", `/v1/dead-letters/${id}/redrive`, { expectedSeq: body.seq - 1 });
  expect(stale).toMatchObject({ status: 409, body: { code: "stale", seq: body.seq } });
  expect(await journalLength(id ?? "")).toBe(body.seq);

  const first = await api("POST", `/v1/dead-letters/${id}/redrive`, { expectedSeq: body.seq });
  const second = await api("POST", `/v1/dead-letters/${id}/redrive`);
  expect([first.status, second.status, second.body.code]).toEqual([200, 409, "not_paused"]);
  await until(id ?? "", "completed");
  expect(await callsOf("accounts", id ?? "")).toHaveLength(2);
  expect(await callsOf("projects", id ?? "")).toHaveLength(1);
  expect((await api("POST", `/v1/dead-letters/${id}/redrive`)).body.code).toBe("not_paused");
  expect((await api("GET", `/v1/dead-letters/${id}`)).status).toBe(404);
});

test("R14: a redrive with a corrected input sends that input, and the run keeps both", async () => {
  const [id = ""] = await park(1, { project: "prj_wrong" });
  const [project] = await effectsOf("projects");
  const input = { projectId: project.resourceId, customer: "Acme Ltd" };
  expect((await api("POST", `/v1/dead-letters/${id}/redrive`, { input, reason: "wrong project" })).status).toBe(200);
  const { output } = await until(id, "completed");

  const bodies = (await callsTo("accounts")).map((call) => JSON.parse(call.body));
  expect(bodies).toEqual([{ projectId: "prj_wrong", customer: "c-0" }, input]);
  expect(output.accountId).toBe((await effectsOf("accounts"))[0].resourceId);
  expect((await steps(id))[1]).toMatchObject({ status: "completed", input, attempts: [{ outcome: "failed" }, { outcome: "completed" }] });
  expect((await api("GET", `/v1/runs/${id}/audit`)).body.audit).toMatchObject([
    { actor: "api:default", action: "retry", reason: "wrong project", keys: ["account"], before: "paused", value: input },
  ]);
  expect(await callsOf("projects", id)).toHaveLength(1);
});

test("R14: a discarded dead letter ends with its reason, calls nothing, and is found no more; a discard without a reason is refused", async () => {
  await breakAccounts();
  const [id = "", other = ""] = await park(2);
  const before = await journalLength(id);
  expect(await api("POST", `/v1/dead-letters/${id}/discard`, {})).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  expect((await bulk({ action: "discard" })).status).toBe(400);
  expect(await journalLength(id)).toBe(before);

  await repair();
  const discard = () => api("POST", `/v1/dead-letters/${id}/discard`, { reason: "test data" });
  for (const answer of [await discard(), await discard()])
    expect(answer).toMatchObject({ status: 200, body: { status: "terminated", reason: { code: "discarded" } } });
  expect((await api("GET", `/v1/runs/${id}/audit`)).body.audit).toMatchObject([
    { action: "discard", reason: "test data", before: "paused", after: "terminated" },
  ]);
  expect((await api("POST", `/v1/dead-letters/${id}/redrive`)).body.code).toBe("not_paused");
  await eventually(async () => (await bulk({ dryRun: true })).body.count === 1, "the index to let go of it");
  expect((await bulk({ action: "discard", reason: "more of it" })).body).toMatchObject({ done: 1 });
  await until(other, "terminated");
  expect(await callsTo("accounts")).toHaveLength(2);
  expect(await callsTo("notifications")).toEqual([]);
});

test("R14, R43: dead letters are grouped by what failed, and one group is redriven alone", async () => {
  const wrong = await startMany(3, { project: "prj_wrong" });
  for (const id of wrong) await until(id, "paused");
  await breakAccounts();
  await startMany(2);
  const groups = await eventually(async () => {
    const found = (await api("GET", `/v1/dead-letters/groups?attr.batch=${batch}`)).body.groups;
    return found.reduce((sum: number, group: { count: number }) => sum + group.count, 0) === 5 && found;
  }, "all five in the index");
  expect(groups).toMatchObject([
    { workflow: "signup", step: "account", count: 3, error: { code: "non_retryable" } },
    { workflow: "signup", step: "account", count: 2, error: { name: "SaasError" } },
  ]);
  expect([...groups[0].runIds].sort()).toEqual([...wrong].sort());
  await repair();
  const { body } = await api("POST", "/v1/dead-letters/bulk", { filter: { fingerprint: groups[1].fingerprint, "attr.batch": batch }, action: "redrive" });
  expect(body).toMatchObject({ done: 2, skipped: [] });
  await eventually(async () => (await callsTo("notifications")).length === 2, "the two to go on");
  for (const id of wrong) expect((await steps(id))[1].attempts).toHaveLength(1);
});
