import { expect, test, vi } from "vitest";
import { z } from "zod";
import type { ApprovalRecord, StepRecord } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { jsonSchemaOf } from "#core/json-schema.ts";
import { limits } from "#core/limits.ts";
import { decode, encode } from "#core/value.ts";
import { signToken } from "#objects/callback-token.ts";
import { slackApprovalBlocks } from "#sdk/slack-blocks.ts";
import type { Notice } from "#sdk/step.ts";
import { startOfTime, stepRecord } from "./fake-runs.ts";
import { environment, type Harness, harness, secret, type Told } from "./harness.ts";

const ada = "ada@acme.example";
const at = new Date(startOfTime).toISOString();

function tokenFor(assignee: string, runId = "run", key = "legal"): string {
  return signToken(secret, "approval", { namespace: "default", runId, key, expiresAt: null, assignee });
}

const link = `/approvals/${tokenFor(ada)}`;

/** A run that waits for an approval `legal`, with what the test says otherwise. */
async function waiting(approval: Partial<ApprovalRecord> = {}, changes: Partial<StepRecord> = {}): Promise<Harness> {
  const made = harness();
  await made.ask("/v1/workflows/strict/runs", { body: { id: "run", input: { customer: "acme" } } });
  const record = { assignees: [ada], quorum: 1, form: null, escalated: false, decisions: [], ...approval };
  const step = { kind: "approval", status: "waiting", endedAt: null, output: null, attempts: [], approval: record, ...changes };
  made.fakes.runs.get("default:run")!.steps = [stepRecord({ key: "legal", seq: 2, ...step }), stepRecord({ key: "other", seq: 3 })];
  made.fakes.writes.length = 0;
  return made;
}

const json = { authorization: null, accept: "application/json" };
const browser = { authorization: null, accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

/** What a browser sends when a button is pressed. */
function press({ ask }: Harness, fields: Record<string, string>, path = link): Promise<Told> {
  const headers = { ...browser, "content-type": "application/x-www-form-urlencoded" };
  return ask(path, { body: new URLSearchParams(fields).toString(), headers });
}

const decisions = ({ fakes }: Harness): unknown[] => fakes.writes.map((write) => (write as unknown[])[1]);

test("the inbox is asked in the namespace of the key, and tells times as ISO texts", async () => {
  const made = harness();
  const row = { runId: "run", workflow: "contract", key: "legal", name: "legal", assignees: [ada], quorum: 2, decided: 1 };
  made.inbox = { approvals: [{ ...row, since: startOfTime, until: null, dueAt: startOfTime }], nextCursor: "next" };

  const { status, body } = await made.ask(`/v1/approvals?assignee=${ada}&workflow=contract&overdue=true&limit=5&cursor=x`);
  await made.ask("/v1/approvals", { headers: { authorization: "Bearer other-key" } });

  expect({ status, body }).toEqual({ status: 200, body: { approvals: [{ ...row, since: at, until: null, dueAt: at }], nextCursor: "next" } });
  expect(made.inboxQueries).toEqual([
    { namespace: "default", assignee: ada, workflow: "contract", overdue: true, limit: 5, cursor: "x" },
    { namespace: "other", overdue: false },
  ]);
});

test("an approval is shown whole: whom it asks, its form, its decisions and its run", async () => {
  const decision = { actor: "bob", via: "slack", decision: "approved", comment: "fine", at: startOfTime, form: encode({ on: new Date(0) }) } as const;
  const form = { type: "object" };
  const { ask } = await waiting({ quorum: 2, form, decisions: [decision] }, { wakeAt: startOfTime });

  const { status, body } = await ask("/v1/approvals/run/legal");

  expect(status).toBe(200);
  expect(body.run).toMatchObject({ id: "run", workflow: "strict", attributes: { customer: "acme" } });
  expect(body.approval).toEqual({
    ...{ key: "legal", name: "legal", status: "waiting", outcome: null, since: at, until: at, endedAt: null },
    ...{ assignees: [ada], quorum: 2, form, escalated: false },
    decisions: [{ ...decision, at, form: { on: new Date(0).toISOString() } }],
  });
});

test("a decision by API tells who, what and why, and answers with what came of it", async () => {
  const made = await waiting();
  const body = { decision: "approved", actor: "  ada ", comment: "  fine by me ", form: { amount: 5 } };

  const answer = await made.ask("/v1/approvals/run/legal/decide", { body });

  expect(answer.status).toBe(200);
  expect(answer.body.run.id).toBe("run");
  expect(answer.body.approval).toMatchObject({ outcome: "approved", endedAt: at, decisions: [{ actor: "ada", via: "api", comment: "fine by me" }] });
  expect(decisions(made)).toEqual([{ key: "legal", actor: "ada", via: "api", decision: "approved", comment: "fine by me", form: encode({ amount: 5 }) }]);
});

test("a double click counts once, and another decision of the same person is refused", async () => {
  const made = await waiting();
  const send = (decision: string) => made.ask("/v1/approvals/run/legal/decide", { body: { decision, actor: "ada" } });

  const [first, second] = await Promise.all([send("rejected"), send("rejected")]);
  const third = await send("approved");

  expect([first.status, second.status]).toEqual([200, 200]);
  expect(third).toMatchObject({ status: 409, body: { code: "already_decided" } });
  expect(made.fakes.writes).toHaveLength(1);
});

test.each([
  ["another decision", { decision: "maybe", actor: "ada" }, 400, "invalid_request"],
  ["nobody", { decision: "approved" }, 400, "invalid_request"],
  ["a blank name", { decision: "approved", actor: " " }, 400, "invalid_request"],
  ["a comment without end", { decision: "approved", actor: "ada", comment: "x".repeat(4001) }, 400, "invalid_request"],
  ["something unheard of", { decision: "approved", actor: "ada", via: "slack" }, 400, "invalid_request"],
  ["a form with a rejection", { decision: "rejected", actor: "ada", form: {} }, 400, "invalid_request"],
  ["a form that does not fit", { decision: "approved", actor: "ada", form: {} }, 422, "invalid_payload"],
  ["no form where one is asked for", { decision: "approved", actor: "ada" }, 422, "invalid_payload"],
])("%s is refused by the API and changes nothing", async (_what, body, status, code) => {
  const made = await waiting({ form: { type: "object", required: ["amount"] } });
  expect(await made.ask("/v1/approvals/run/legal/decide", { body })).toMatchObject({ status, body: { code } });
  expect(made.fakes.writes).toEqual([]);
});

test.each([
  ["/v1/approvals/none/legal", "run_not_found"],
  ["/v1/approvals/run/none", "step_not_found"],
  ["/v1/approvals/run/other", "step_not_found"],
  ["/v1/approvals/run/other/decide", "step_not_found"],
  ["/v1/approvals/-/legal", "invalid_id"],
])("%s is refused as %s", async (path, code) => {
  const { ask, fakes } = await waiting();
  const asked = path.endsWith("decide") ? { body: { decision: "approved", actor: "ada" } } : {};
  expect((await ask(path, asked)).body.code).toBe(code);
  expect((await ask(path, { ...asked, headers: { authorization: null } })).body.code).toBe("unauthorized");
  expect(fakes.writes).toEqual([]);
});

test("a form that is larger than all decisions together could be shown with is refused", async () => {
  const made = await waiting({ quorum: 100 });
  const form = "x".repeat(limits.formBytes);

  const byApi = await made.ask("/v1/approvals/run/legal/decide", { body: { decision: "approved", actor: "ada", form } });
  const byLink = await made.ask(link, { body: { decision: "approved", form }, headers: json });

  expect([byApi, byLink]).toMatchObject([1, 2].map(() => ({ status: 413, body: { code: "value_too_large" } })));
  expect(decisions(made)).toEqual([]);
});

test("opening a link shows what is asked and decides nothing, however often and in whatever way", async () => {
  const made = await waiting({ assignees: [ada, "bob"] }, { wakeAt: startOfTime });

  const { status, headers, body } = await made.ask(link, { headers: browser });
  for (const method of ["GET", "HEAD"]) await made.ask(link, { method, headers: { authorization: null } });
  for (const method of ["OPTIONS", "PUT", "DELETE", "PATCH"]) expect((await made.ask(link, { method, headers: browser })).status).toBe(405);

  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
  for (const shown of [ada, "bob", "strict", "run", "legal", 'value="approved"', 'value="rejected"', '<html lang="en">', "2026-01-02 03:04 UTC"]) {
    expect(body).toContain(shown);
  }
  expect(body).not.toContain("<script");
  expect(made.fakes.writes).toEqual([]);
});

test("no page or answer behind a link can be framed, cached, sniffed, or tell its address", async () => {
  const made = await waiting();
  const answers = [
    await made.ask(link, { headers: browser }),
    await made.ask(link, { method: "HEAD", headers: browser }),
    await made.ask(`${link}x`, { headers: browser }),
    await made.ask(`${link}x`, { headers: json }),
    await press(made, { decision: "approved" }),
  ];
  for (const { headers } of answers) {
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
  const nonce = /'nonce-([\w-]+)'/.exec(answers[0]?.headers.get("content-security-policy") ?? "")?.[1];
  expect(answers[0]?.body).toContain(`<style nonce="${nonce}">`);
});

test("pressing a button decides as the one whom the link was made for, once", async () => {
  const made = await waiting({ quorum: 2 });

  const first = await press(made, { decision: "approved", comment: " fine <b>" });
  const again = await press(made, { decision: "approved" });
  const other = await press(made, { decision: "rejected" });
  const opened = await made.ask(link, { headers: browser });

  expect(first.status).toBe(200);
  expect(first.body).toContain("1 of 2 have approved");
  for (const { status, body } of [again, other, opened]) {
    expect(status).toBe(409);
    expect(body).toContain("This is decided");
    expect(body).toContain("has approved this already");
    expect(body).not.toContain("<form");
  }
  expect(decisions(made)).toEqual([{ key: "legal", actor: ada, via: "link", decision: "approved", comment: "fine <b>", form: null }]);
});

test("two presses at once count once", async () => {
  const made = await waiting();
  const both = await Promise.all([press(made, { decision: "approved" }), press(made, { decision: "approved" })]);
  expect(both.map((it) => it.status).every((status) => status === 200 || status === 409)).toBe(true);
  expect(made.fakes.writes).toHaveLength(1);
});

test("a program decides by link in JSON, and is answered and refused in JSON", async () => {
  const made = await waiting();

  const decided = await made.ask(link, { body: { decision: "rejected", comment: "no" }, headers: json });
  const again = await made.ask(link, { body: { decision: "rejected" }, headers: json });

  expect(decided).toMatchObject({ status: 200, body: { runId: "run", key: "legal", decision: "rejected", decided: 1, quorum: 1, open: false } });
  expect(JSON.stringify(decided.body)).not.toContain('acme"');
  expect(again).toMatchObject({ status: 409, body: { code: "already_decided", decision: "rejected" } });
});

test.each([
  ["no decision", {}],
  ["another decision", { decision: "maybe" }],
  ["somebody else's name", { decision: "approved", actor: "eve" }],
])("%s is refused by a link and leaves it unused", async (_what, body) => {
  const made = await waiting();
  expect(await made.ask(link, { body, headers: json })).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  expect((await made.ask(link, { body: "decision=approved", headers: { ...json, "content-type": "text/plain" } })).body.code).toBe("unsupported_media_type");
  expect((await made.ask(link, { body: "{", headers: json })).body.code).toBe("invalid_json");
  expect(made.fakes.writes).toEqual([]);
  expect((await press(made, { decision: "approved" })).status).toBe(200);
});

test("a link that was forged, changed, signed for a callback or by another Segno is none", async () => {
  const made = await waiting();
  const claims = { namespace: "default", runId: "run", key: "legal", expiresAt: null, assignee: "eve" };
  const [, signature] = tokenFor(ada).split(".");
  const forged = [
    "nonsense",
    `${tokenFor(ada)}A`,
    `${signToken(secret, "approval", claims).split(".")[0]}.${signature}`,
    signToken(secret, "callback", claims),
    signToken("the secret of another Segno entirely", "approval", claims),
  ];
  for (const token of forged) {
    for (const method of ["GET", "POST"]) {
      const page = await made.ask(`/approvals/${token}`, { method, headers: browser });
      expect(page.status).toBe(401);
      expect(page.body).toContain("This link is not valid");
      expect((await made.ask(`/approvals/${token}`, { method, headers: json })).body).toMatchObject({ code: "callback_invalid" });
    }
  }
  const callback = await made.ask(`/callbacks/${tokenFor(ada)}`, { method: "POST" });
  expect(callback.body.code).toBe("callback_invalid");
  expect(made.fakes.writes).toEqual([]);
});

test("a link whose time is over says so, also before the run has noticed", async () => {
  const ended = await waiting({}, { status: "completed", outcome: "timeout", endedAt: startOfTime });
  for (const answer of [await ended.ask(link, { headers: browser }), await press(ended, { decision: "approved" })]) {
    expect(answer.status).toBe(410);
    expect(answer.body).toContain("This link has expired");
  }

  const unnoticed = await waiting();
  unnoticed.fakes.runs.get("default:run")!.steps = [];
  const run = unnoticed.fakes.run("default", "run");
  const step = (await waiting()).fakes.runs.get("default:run")!.steps[0]!;
  const late = { ...run, step: async () => step, decide: async () => Promise.reject(new Fault("already_decided", "", { outcome: "waiting" })) };
  unnoticed.fakes.run = () => late;
  expect(await unnoticed.ask(link, { body: { decision: "approved" }, headers: json })).toMatchObject({ status: 410, body: { code: "callback_expired" } });
});

test.each([
  ["somebody else rejected", { outcome: "rejected" as const }, "it is rejected"],
  ["an operator skipped", { outcome: "skipped" as const }, "An operator has ended this"],
  ["the run was cancelled", { outcome: null, status: "cancelled" }, "it is cancelled"],
])("the link of an approval that %s says so", async (_what, changes, said) => {
  const made = await waiting({}, { status: "completed", endedAt: startOfTime, ...changes });
  const page = await press(made, { decision: "approved" });
  expect(page.status).toBe(409);
  expect(page.body).toContain(said);
  expect(made.fakes.writes).toEqual([]);
});

test("what breaks inside is told as a problem, and the log does not tell the link", async () => {
  const made = await waiting();
  made.fakes.failures.push(new Error("disk on fire"));
  const { status, body } = await made.ask(link, { headers: browser });
  expect({ status, code: body.code }).toEqual({ status: 500, code: "internal" });
  expect(JSON.stringify(made.logged)).toContain("/approvals/(token)");
  expect(JSON.stringify(made.logged)).not.toContain(tokenFor(ada));

  made.fakes.failures.push(new Fault("overloaded"));
  const busy = await made.ask(link, { headers: browser });
  expect(busy.status).toBe(503);
  expect(busy.body).toContain("try again");
});

test("whatever stands in a run or is typed by a person is escaped", async () => {
  const evil = `"><img src=x onerror=alert(1)>'&`;
  const form = { type: "object", properties: { [evil]: { type: "string", title: evil, description: evil, default: evil, enum: [evil] } }, required: [evil] };
  const made = await waiting({ assignees: [evil, "bob"], form }, { name: evil });
  const path = `/approvals/${tokenFor(evil)}`;

  const shown = await made.ask(path, { headers: browser });
  const refused = await press(made, { decision: "approved", comment: evil }, path);

  expect([shown.status, refused.status]).toEqual([200, 422]);
  for (const { body } of [shown, refused]) {
    expect(body).not.toContain("<img");
    expect(body).not.toContain(`"${evil}`);
  }
});

const Everything = z.object({
  name: z.string().meta({ title: "Your name" }),
  note: z.string().optional(),
  mail: z.email().optional(),
  count: z.int().min(1).max(5),
  price: z.number().nullable(),
  agreed: z.boolean(),
  tier: z.enum(["smb", "big"]),
  size: z.enum(["s", "l"]).nullable(),
  who: z.object({ name: z.string() }).nullable(),
  level: z.union([z.literal(1), z.literal("1")]),
  color: z.string().default("red"),
  tags: z.array(z.string()).describe("As JSON"),
});

test("the form is shown as inputs by its schema, and what is filled in comes back typed", async () => {
  const made = await waiting({ form: jsonSchemaOf(Everything) });

  const { body } = await made.ask(link, { headers: browser });
  for (const shown of [
    'type="text" id="field-0" name="form.name" required',
    "Your name",
    'type="email" id="field-2" name="form.mail" value',
    'type="number" id="field-3" name="form.count" required value="" step="1" min="1" max="5"',
    'type="checkbox" id="field-5" name="form.agreed" value="true"',
    '<select id="field-6" name="form.tier" required>',
    '<option value="&quot;big&quot;">big</option>',
    'name="form.color" value="red"',
    'aria-describedby="field-11-hint" required rows="4"',
    '<label for="field-0">',
    "formnovalidate",
  ])
    expect(body).toContain(shown);

  const filled = {
    name: "Ada",
    note: "",
    mail: "",
    count: "3",
    price: "",
    agreed: "true",
    tier: '"big"',
    size: "",
    who: "",
    level: "1",
    color: "blue",
    tags: '["a"]',
  };
  const fields = Object.fromEntries(Object.entries(filled).map(([name, value]) => [`form.${name}`, value]));
  expect((await press(made, { decision: "approved", ...fields })).status).toBe(200);

  const [decided] = decisions(made) as { form: string }[];
  const value = decode(decided?.form ?? "");
  expect(value).toEqual({ name: "Ada", count: 3, price: null, agreed: true, tier: "big", size: null, who: null, level: 1, color: "blue", tags: ["a"] });
  expect(Everything.safeParse(value).success).toBe(true);
});

test("a form that does not fit is shown again with what was filled in and what is wrong; rejecting needs no form", async () => {
  const made = await waiting({ form: jsonSchemaOf(Everything.pick({ name: true, count: true, agreed: true, tags: true })) });

  const refused = await press(made, { decision: "approved", comment: "so far", "form.name": "Ada", "form.agreed": "true", "form.tags": "[]" });
  const broken = await press(made, { decision: "approved", "form.tags": "[" });

  expect([refused.status, broken.status]).toEqual([422, 422]);
  for (const kept of ["count: It is missing.", 'value="Ada"', "checked", "so far", 'role="alert"']) expect(refused.body).toContain(kept);
  expect(broken.body).toContain("not well-formed JSON");
  expect(made.fakes.writes).toEqual([]);

  expect((await press(made, { decision: "rejected", "form.tags": "[" })).status).toBe(200);
  expect(decisions(made)).toMatchObject([{ decision: "rejected", form: null }]);
});

test("a form of a single value is one input", async () => {
  const made = await waiting({ form: jsonSchemaOf(z.number()) });
  expect((await made.ask(link, { headers: browser })).body).toContain('name="form"');
  await press(made, { decision: "approved", form: "2.5" });
  expect(decisions(made)).toMatchObject([{ form: encode(2.5) }]);
});

const slackSecret = "8f742231b10e8888abcd99yyyzzz85a5";
const slackEnv = { ...environment, SLACK_SIGNING_SECRET: slackSecret };

function notice(changes: Partial<Notice> = {}): Notice {
  const links = [ada, "bob"].map((assignee) => ({ assignee, url: `https://segno.test/approvals/${tokenFor(assignee)}` }));
  const run = { namespace: "default", runId: "run", workflow: "strict", version: "1", step: "legal" };
  return { type: "approval", message: "legal waits for a decision.", url: "https://segno.test/v1/runs/run", links, ...run, ...changes };
}

async function signed(text: string, changes: { readonly seconds?: number; readonly secret?: string } = {}): Promise<Record<string, string | null>> {
  const timestamp = String(Math.floor(Date.now() / 1000) + (changes.seconds ?? 0));
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", encoder.encode(changes.secret ?? slackSecret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(`v0:${timestamp}:${text}`)));
  const signature = `v0=${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const type = { "content-type": "application/x-www-form-urlencoded" };
  return { authorization: null, ...type, "x-slack-request-timestamp": timestamp, "x-slack-signature": signature };
}

interface Button {
  readonly action_id: string;
  readonly value?: string;
}

function buttonOf(id: string, message = slackApprovalBlocks(notice())): Button | undefined {
  return message.flatMap((block) => (block["elements"] ?? []) as Button[]).find((button) => button.action_id === id);
}

function pressedIn(button: Button | undefined, changes: Record<string, unknown> = {}): string {
  const payload = { type: "block_actions", user: { id: "U2CERLKJA", username: "ada" }, actions: [{ type: "button", ...button }], ...changes };
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
}

async function slack({ ask }: Harness, body: string, headers?: Record<string, string | null>): Promise<Told> {
  return ask("/slack/interactions", { body, headers: headers ?? (await signed(body)), env: slackEnv });
}

test("a button pressed in Slack decides as its user, with the comment, and twice counts once", async () => {
  const made = await waiting();
  const state = { values: { segno_comment: { segno_comment: { type: "plain_text_input", value: "schön 👍" } } } };
  const body = pressedIn(buttonOf("segno_approve"), { state });

  const first = await slack(made, body);
  const second = await slack(made, body);
  const other = await slack(made, pressedIn(buttonOf("segno_reject")));

  expect(first).toMatchObject({ status: 200, body: { ok: true, text: expect.stringContaining("approved legal of run run") } });
  expect(second.status).toBe(200);
  expect(other).toMatchObject({ status: 409, body: { code: "already_decided" } });
  expect(decisions(made)).toEqual([{ key: "legal", actor: "slack:U2CERLKJA", via: "slack", decision: "approved", comment: "schön 👍", form: null }]);
});

test("whoever pressed is told what came of it, at Slack's own address only, and a failure to tell changes nothing", async () => {
  const told: string[] = [];
  const fetching = vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init) => {
    told.push(`${url} ${JSON.parse(String(init?.body)).text}`);
    throw new Error("unreachable");
  });
  const made = await waiting({ form: { type: "object", required: ["amount"] } });
  const approve = buttonOf("segno_approve");

  const refused = await slack(made, pressedIn(approve, { response_url: "https://hooks.slack.com/actions/1" }));
  const decided = await slack(made, pressedIn(buttonOf("segno_reject"), { response_url: "https://hooks.slack.com/actions/2" }));
  await slack(made, pressedIn(approve, { response_url: "https://hooks.slack.com.evil.example/actions/3" }));

  expect([refused.status, decided.status]).toEqual([422, 200]);
  expect(told).toEqual([
    "https://hooks.slack.com/actions/1 This approval asks for data that Slack can't take: press Open to fill them in.",
    "https://hooks.slack.com/actions/2 You have rejected legal of run run.",
  ]);
  fetching.mockRestore();
});

test("what is not signed by Slack, lately and over just this body, is refused", async () => {
  const made = await waiting();
  const body = pressedIn(buttonOf("segno_approve"));
  const good = await signed(body);
  const refused = [
    { ...good, "x-slack-signature": null },
    { ...good, "x-slack-signature": String(good["x-slack-signature"]).slice(3) },
    { ...good, "x-slack-signature": "v0=zz" },
    { ...good, "x-slack-request-timestamp": null },
    { ...good, "x-slack-request-timestamp": `${Number(good["x-slack-request-timestamp"]) + 1}` },
    await signed(`${body} `),
    await signed(body, { seconds: -302 }),
    await signed(body, { seconds: 302 }),
    await signed(body, { secret: "another" }),
  ];
  for (const headers of refused) expect(await slack(made, body, headers)).toMatchObject({ status: 401, body: { code: "signature_invalid" } });
  const unset = await made.ask("/slack/interactions", { body, headers: good, env: environment });
  expect(unset).toMatchObject({ status: 503, body: { code: "not_configured" } });
  expect(made.fakes.writes).toEqual([]);
});

test("a signature is checked as Slack's documentation says", async () => {
  vi.useFakeTimers({ now: 1531420618_000, toFake: ["Date"] });
  const body =
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
  const signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
  const headers = { authorization: null, "x-slack-request-timestamp": "1531420618", "x-slack-signature": signature };
  // The signature fits; a slash command is just no interaction.
  expect((await slack(await waiting(), body, headers)).body.code).toBe("invalid_request");
  vi.useRealTimers();
});

test("a message of another Segno decides nothing here", async () => {
  const made = await waiting();
  const foreign = signToken("the secret of another Segno entirely", "approval", {
    namespace: "default",
    runId: "run",
    key: "legal",
    expiresAt: null,
    assignee: ada,
  });
  const answer = await slack(made, pressedIn({ action_id: "segno_approve", value: `approved:${foreign}` }));
  expect(answer).toMatchObject({ status: 401, body: { code: "callback_invalid" } });
  expect(made.fakes.writes).toEqual([]);
});

test("other interactions are taken note of and decide nothing", async () => {
  const made = await waiting();
  const bodies = [
    pressedIn(buttonOf("segno_open")),
    pressedIn({ action_id: "mine", value: "approve" }),
    pressedIn(undefined, { actions: [] }),
    pressedIn(buttonOf("segno_approve"), { type: "view_submission" }),
  ];
  for (const body of bodies) expect(await slack(made, body)).toMatchObject({ status: 200, body: { ok: true } });
  expect(made.fakes.writes).toEqual([]);
});

test("Slack is answered in time when the run is not", async () => {
  const made = await waiting();
  const run = made.fakes.run("default", "run");
  made.fakes.run = () => ({ ...run, decide: () => new Promise(() => {}) });
  const begin = Date.now();
  expect(await slack(made, pressedIn(buttonOf("segno_approve")))).toMatchObject({ status: 503, body: { code: "overloaded" } });
  expect(Date.now() - begin).toBeLessThan(3000);
});

test("a notice becomes a message with the buttons of one assignee, and text alone where there is nothing to decide", () => {
  expect(buttonOf("segno_reject")?.value).toBe(`rejected:${tokenFor(ada)}`);
  expect(buttonOf("segno_approve", slackApprovalBlocks(notice(), "bob"))?.value).toBe(`approved:${tokenFor("bob")}`);
  expect(slackApprovalBlocks(notice({ links: [] }))).toEqual([
    { type: "section", text: { type: "plain_text", text: "legal waits for a decision.\nWorkflow: strict\nRun: run", emoji: false } },
  ]);
  const long = { assignee: "x", url: `https://segno.test/approvals/${"x".repeat(2000)}` };
  expect(buttonOf("segno_approve", slackApprovalBlocks(notice({ links: [long] })))).toBeUndefined();
  expect(buttonOf("segno_open", slackApprovalBlocks(notice({ links: [long] })))).toBeDefined();
});
