import { env } from "cloudflare:workers";
import { automation, type Notice, slackApprovalBlocks, workflow } from "segno";
import { beforeAll, beforeEach, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { clock, deploy } from "../world.ts";
import {
  type Answer,
  advance,
  api,
  callsTo,
  crash,
  days,
  effectsOf,
  eventually,
  evict,
  hours,
  mock,
  outside,
  run,
  seconds,
  setUpWorld,
  start,
  steps,
  until,
} from "./story.ts";

const ada = "ada@acme.example";
const bob = "bob@acme.example";
const boss = "boss@acme.example";

/** Tells people by mail; the mock SaaS keeps what it sent. */
const ask = automation<Notice>({
  name: "ask",
  run: ({ input, idempotencyKey, signal }) => saas("/emails", { body: { to: "people", template: input.type, data: input }, idempotencyKey, signal }),
});

const Settings = z.object({ quorum: z.number().default(1) });

/** Signs a contract when it is approved. Asks again after a day and two, asks the boss after four, and gives up after seven. */
const contract = workflow({
  name: "contract",
  input: Settings,
  async run({ input, step }) {
    const legal = await step.approval("legal", {
      assignees: [ada, bob],
      quorum: input.quorum,
      timeout: "7d",
      reminders: ["1d", "2d"],
      escalation: { after: "4d", assignees: [boss] },
      notify: ask,
    });
    const text = legal.ok ? "signed" : legal.reason;
    // A notice that has not got through when the run ends is dropped, so this one stays a while.
    if (text === "timeout") await step.sleep("linger", "1h");
    await step.do("act", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text }, idempotencyKey, signal }));
    return { text, ...legal };
  },
});

const Inspection = z.object({ floor: z.int().min(0), state: z.enum(["clean", "dirty"]), note: z.string().optional(), sealed: z.boolean() });

let archiveWorks = true;

/** A person looks at a room and reports; then the report is archived. */
const inspection = workflow({
  name: "inspection",
  async run({ step }) {
    const report = await step.approval("inspect", { assignees: [ada], form: Inspection });
    if (!report.ok) return null;
    expectTypeOf(report.form).toEqualTypeOf<z.infer<typeof Inspection>>();
    await step.do("archive", { onFailure: "pause", retries: { limit: 0 } }, () => {
      if (!archiveWorks) throw new Error("The archive is closed.");
    });
    return { floorBelow: report.form.floor - 1, dirty: report.form.state === "dirty", sealed: report.form.sealed };
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(contract, inspection, ask);
});
beforeEach(async () => {
  archiveWorks = true;
  await mock("DELETE", "/admin/state");
});

/** The notices that went out for a run, in order. */
async function notices(id: string): Promise<Notice[]> {
  const all: Notice[] = (await callsTo("emails")).map((call) => JSON.parse(call.body).data);
  return all.filter((notice) => notice.runId === id);
}

async function linkOf(id: string, assignee: string): Promise<string> {
  return eventually(async () => (await notices(id)).flatMap((it) => it.links).findLast((link) => link.assignee === assignee)?.url, `the link of ${assignee}`);
}

const open = (link: string, method = "GET") => outside(link, { method });

function press(link: string, fields: Record<string, string>): Promise<Answer> {
  return outside(link, { method: "POST", body: new URLSearchParams(fields).toString(), headers: { "content-type": "application/x-www-form-urlencoded" } });
}

async function journal(id: string): Promise<{ kind: string; key?: string }[]> {
  return (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body.entries;
}

async function decisionsIn(id: string): Promise<number> {
  return (await journal(id)).filter((entry) => entry.kind === "approval.decided").length;
}

/** The inbox's row of a run; null: it has none. */
// biome-ignore lint/suspicious/noExplicitAny: an answer of the API
async function inboxOf(id: string, query = ""): Promise<any> {
  const { body } = await api("GET", `/v1/approvals?limit=200${query}`);
  return body.approvals.find((it: { runId: string }) => it.runId === id) ?? null;
}

async function begin(input: unknown = {}): Promise<string> {
  const id = await start("contract", input);
  expect((await until(id, "waiting")).reason).toMatchObject({ code: "approval", step: "legal" });
  return id;
}

async function inSlack(notice: Notice, decision: "approve" | "reject", secret = env.SLACK_SIGNING_SECRET): Promise<Answer> {
  const buttons = slackApprovalBlocks(notice).flatMap((block) => (block["elements"] ?? []) as { action_id: string }[]);
  const action = buttons.find((button) => button.action_id === `segno_${decision}`);
  const state = { values: { segno_comment: { segno_comment: { value: "from the beach" } } } };
  const payload = JSON.stringify({ type: "block_actions", user: { id: "U2CERLKJA" }, actions: [action], state });
  const body = new URLSearchParams({ payload }).toString();
  const timestamp = String(Math.floor(Date.now() / 1000));
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(`v0:${timestamp}:${body}`)));
  const signature = `v0=${Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const headers = { "content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": timestamp, "x-slack-signature": signature };
  return outside("http://segno.test/slack/interactions", { method: "POST", body, headers });
}

test("R21: a run waits three days; opening the link decides nothing, pressing Approve decides once", async () => {
  const id = await begin();
  const link = await linkOf(id, ada);
  expect(link).toMatch(/^http:\/\/segno\.test\/approvals\/[\w-]+\.[\w-]+$/);
  const row = await eventually(() => inboxOf(id), "the inbox to have it");
  expect(row).toMatchObject({ key: "legal", name: "legal", workflow: "contract", assignees: [ada, bob], quorum: 1, decided: 0 });
  expect([row.since, row.until, row.dueAt]).toEqual([0, 7, 4].map((nth) => new Date(Date.parse(row.since) + days(nth)).toISOString()));
  expect(await inboxOf(id, `&assignee=${bob}&workflow=contract`)).toEqual(row);
  expect(await inboxOf(id, "&assignee=eve")).toBeNull();

  await advance(days(3));
  await evict();
  const rows = (await journal(id)).length;
  for (const method of ["GET", "HEAD", "GET"]) expect((await open(link, method)).status).toBe(200);
  expect((await open(link)).body).toContain("ada@acme.example, your decision is needed.");
  expect((await run(id)).status).toBe("waiting");
  expect(await journal(id)).toHaveLength(rows);

  const [one, two] = await Promise.all([1, 2].map(() => press(link, { decision: "approved", comment: "go <ahead>" })));
  expect([one?.status, two?.status].every((status) => status === 200 || status === 409)).toBe(true);
  const { output } = await until(id, "completed");
  const decidedAt = new Date(clock.now()).toISOString();
  expect(output).toEqual({
    text: "signed",
    ok: true,
    escalated: false,
    decisions: [{ actor: ada, at: decidedAt, comment: "go <ahead>", form: null }],
    form: null,
  });

  const again = await press(link, { decision: "rejected" });
  expect(again.status).toBe(409);
  expect(again.body).toContain("This is decided");
  expect((await open(await linkOf(id, bob))).body).toContain("it is approved");
  expect(await decisionsIn(id)).toBe(1);
  expect(await effectsOf("notifications")).toHaveLength(1);
  const { body } = await api("GET", `/v1/approvals/${id}/legal`);
  expect(body).toMatchObject({
    run: { id, status: "completed" },
    approval: { outcome: "approved", decisions: [{ actor: ada, via: "link", comment: "go <ahead>" }] },
  });
  await eventually(async () => (await inboxOf(id)) === null, "the inbox to let go of it");
});

test("R21: an approval by API counts once, however often it is clicked, and another word on it is refused", async () => {
  const id = await begin();
  await advance(days(3));
  await evict();
  const send = (body: unknown) => api("POST", `/v1/approvals/${id}/legal/decide`, body);
  expect((await send({ decision: "approved", actor: "" })).status).toBe(400);
  expect((await api("POST", `/v1/approvals/${id}/act/decide`, { decision: "approved", actor: ada })).body.code).toBe("step_not_found");

  const both = await Promise.all([1, 2].map(() => send({ decision: "approved", actor: ada, comment: "ok" })));

  for (const { status, body } of both) {
    expect(status).toBe(200);
    expect(body).toMatchObject({ run: { id }, approval: { outcome: "approved", decisions: [{ actor: ada, via: "api", comment: "ok" }] } });
  }
  expect((await until(id, "completed")).output).toMatchObject({ text: "signed", decisions: [{ actor: ada, comment: "ok" }] });
  expect((await send({ decision: "approved", actor: ada, comment: "ok" })).status).toBe(200);
  expect((await send({ decision: "rejected", actor: ada })).body.code).toBe("already_decided");
  expect((await send({ decision: "approved", actor: bob })).body.code).toBe("already_decided");
  expect(await decisionsIn(id)).toBe(1);
  const foreign = await api(
    "POST",
    `/v1/approvals/${id}/legal/decide`,
    { decision: "approved", actor: bob },
    { authorization: "Bearer segno-other-namespace-key" },
  );
  expect(foreign.body.code).toBe("run_not_found");
});

test("R21: a button in Slack decides as the one who pressed it, once", async () => {
  const id = await begin();
  await linkOf(id, ada);
  const [notice] = await notices(id);
  expect(notice).toBeDefined();
  if (!notice) return;
  await advance(days(3));
  await evict();
  expect((await inSlack(notice, "approve", "not the secret")).body.code).toBe("signature_invalid");
  expect(await decisionsIn(id)).toBe(0);

  const answers = [await inSlack(notice, "approve"), await inSlack(notice, "approve")];

  expect(answers.map((it) => it.status)).toEqual([200, 200]);
  expect((await until(id, "completed")).output).toMatchObject({ text: "signed", decisions: [{ actor: "slack:U2CERLKJA", comment: "from the beach" }] });
  expect((await inSlack(notice, "reject")).body.code).toBe("already_decided");
  expect(await decisionsIn(id)).toBe(1);
});

test("R21: a rejection is a result that the workflow sees, with who and why", async () => {
  const id = await begin({ quorum: 2 });
  const link = await linkOf(id, bob);
  expect((await press(link, { decision: "rejected", comment: "too dear" })).status).toBe(200);
  expect((await until(id, "completed")).output).toMatchObject({
    text: "rejected",
    ok: false,
    reason: "rejected",
    by: bob,
    comment: "too dear",
    escalated: false,
  });
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body).text)).toEqual(["rejected"]);
});

test("R21: people are reminded, more are asked, and time runs out, each told once though the object comes and goes; then the link is expired", async () => {
  const id = await begin();
  const begun = clock.now();
  const told = async (): Promise<string[]> => (await notices(id)).map((notice) => notice.type);
  const count = (n: number) => eventually(async () => (await told()).length === n, `${n} notices`);
  await count(1);
  await evict();
  await advance(days(1));
  await count(2);
  await evict();
  await advance(hours(23));
  await count(2);
  await evict();
  await advance(hours(1));
  await count(3);
  expect(await inboxOf(id, "&overdue=true")).toBeNull();

  await evict();
  await advance(begun + days(4) - clock.now());
  await count(4);
  const escalated = await eventually(() => inboxOf(id, "&overdue=true"), "it to be overdue in the inbox");
  expect(escalated.assignees).toEqual([ada, bob, boss]);
  expect((await notices(id)).at(-1)).toMatchObject({ type: "approval_escalated", workflow: "contract", url: `http://segno.test/v1/runs/${id}` });
  expect((await notices(id)).at(-1)?.links.map((link) => link.assignee)).toEqual([ada, bob, boss]);
  const link = await linkOf(id, boss);
  expect((await open(link)).status).toBe(200);

  await crash();
  await advance(begun + days(7) - clock.now());
  await count(5);
  await advance(hours(1));
  expect((await until(id, "completed")).output).toEqual({ text: "timeout", ok: false, reason: "timeout", escalated: true, decisions: [] });
  await evict();
  await advance(days(1));
  expect(await told()).toEqual(["approval", "approval", "approval", "approval_escalated", "approval_expired"]);
  for (const answer of [await open(link), await press(link, { decision: "approved" })]) {
    expect(answer.status).toBe(410);
    expect(answer.body).toContain("This link has expired");
  }
  expect(await decisionsIn(id)).toBe(0);
});

test("R21: where two must approve, each counts once; those asked by escalation count as well", async () => {
  const id = await begin({ quorum: 2 });
  const link = await linkOf(id, ada);
  expect((await press(link, { decision: "approved" })).body).toContain("1 of 2 have approved");
  expect((await press(link, { decision: "approved" })).status).toBe(409);
  const after = await api("POST", `/v1/approvals/${id}/legal/decide`, { decision: "approved", actor: ada });
  expect(after.body.approval).toMatchObject({ outcome: null, quorum: 2, decisions: [{ actor: ada }] });
  await advance(seconds(1));
  await eventually(async () => (await inboxOf(id))?.decided === 1, "the inbox to show that one has approved");

  await advance(days(4));
  await evict();
  expect((await press(await linkOf(id, boss), { decision: "approved", comment: "hurry" })).status).toBe(200);
  const { output } = await until(id, "completed");
  expect(output).toMatchObject({ text: "signed", escalated: true });
  expect(output.decisions.map((it: { actor: string }) => it.actor)).toEqual([ada, boss]);
});

test("R60: a manual task's form comes back typed, and how long the person took is measured; a retry of a later step keeps it", async () => {
  archiveWorks = false;
  const id = await start("inspection", {});
  await until(id, "waiting");
  await advance(hours(50));
  await evict();
  const send = (form: unknown) => api("POST", `/v1/approvals/${id}/inspect/decide`, { decision: "approved", actor: ada, form });
  const { approval } = (await api("GET", `/v1/approvals/${id}/inspect`)).body;
  expect(approval.form.properties).toMatchObject({ floor: { type: "integer" }, state: { enum: ["clean", "dirty"] } });
  for (const form of [undefined, {}, { floor: "3", state: "clean", sealed: true }, { floor: 3, state: "lost", sealed: true }]) {
    expect(await send(form)).toMatchObject({ status: 422, body: { code: "invalid_payload" } });
  }
  expect(await decisionsIn(id)).toBe(0);

  expect((await send({ floor: 3, state: "dirty", sealed: false })).status).toBe(200);
  const paused = await until(id, "paused");
  expect(paused.reason).toMatchObject({ step: "archive" });
  archiveWorks = true;
  await evict();
  expect((await api("POST", `/v1/runs/${id}/resume`, {})).status).toBe(200);
  expect((await until(id, "completed")).output).toEqual({ floorBelow: 2, dirty: true, sealed: false });

  const [task] = await steps(id);
  expect(Date.parse(task.endedAt) - Date.parse(task.startedAt)).toBe(hours(50));
  expect(task).toMatchObject({
    kind: "approval",
    outcome: "approved",
    approval: { decisions: [{ actor: ada, form: { floor: 3, state: "dirty", sealed: false } }] },
  });
  expect(await decisionsIn(id)).toBe(1);
});

test("R60: a manual task is done by link, in a page made from its form", async () => {
  const id = await start("inspection", {});
  await until(id, "waiting");
  const page = await api("GET", `/v1/approvals/${id}/inspect`);
  expect(page.body.approval.outcome).toBeNull();
  const link = await linkByHand(id);
  expect((await open(link)).body).toContain('name="form.floor" required value="" step="1" min="0"');
  const refused = await press(link, { decision: "approved", "form.floor": "-1", "form.state": '"clean"', "form.note": "wet" });
  expect(refused.status).toBe(422);
  expect(refused.body).toContain("floor");
  expect(refused.body).toContain('value="wet"');
  expect(await decisionsIn(id)).toBe(0);

  expect((await press(link, { decision: "approved", "form.floor": "7", "form.state": '"clean"', "form.sealed": "true" })).status).toBe(200);
  expect((await until(id, "completed")).output).toEqual({ floorBelow: 6, dirty: false, sealed: true });
});

/** The link that a notice would carry: this workflow sends none. */
async function linkByHand(runId: string): Promise<string> {
  const { callbackMint } = await import("#objects/callback-token.ts");
  return callbackMint(env.SEGNO_SECRET).approvalUrl("http://segno.test", { namespace: "default", runId, key: "inspect", expiresAt: null, assignee: ada });
}
