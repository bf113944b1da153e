import { env } from "cloudflare:workers";
import { type VerifyOptions, workflow } from "segno";
import { Webhook } from "standardwebhooks";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { verification } from "#examples/verification/workflow.ts";
import { clock, deploy, undeploy } from "../world.ts";
import {
  advance,
  alarmOf,
  api,
  callsTo,
  crash,
  days,
  eventually,
  evict,
  hours,
  minutes,
  mock,
  outside,
  run,
  seconds,
  setUpWorld,
  start,
  steps,
  until,
} from "./story.ts";

/** Asks a person by mail, and acts on the answer. */
const approval = workflow({
  name: "approval",
  input: z.object({ verify: z.custom<VerifyOptions>().optional() }),
  async run({ input, step }) {
    const schema = z.object({ approved: z.boolean(), by: z.string(), comment: z.string().default("") });
    const decision = await step.callback(
      "decision",
      { timeout: "7d", schema, ...(input.verify && { verify: input.verify }) },
      ({ url, idempotencyKey, signal }) =>
        saas("/emails", { body: { to: "boss@acme.example", template: "please-approve", data: { url } }, idempotencyKey, signal }),
    );
    const outcome = !decision.ok ? "unanswered" : decision.payload.approved ? "approved" : "rejected";
    await step.do("tell", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: outcome }, idempotencyKey, signal }));
    return decision.ok ? { outcome, by: decision.payload.by, comment: decision.payload.comment } : { outcome };
  },
});

/** Waits for the payment of two orders at once. */
const orders = workflow({
  name: "orders",
  input: z.object({ first: z.string(), second: z.string() }),
  run: ({ input, step }) =>
    Promise.all(
      [input.first, input.second].map(async (key) => {
        const paid = await step.waitForEvent(`paid-${key}`, { event: "paid", key });
        await step.do(`ship-${key}`, ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: `ship ${key}` }, idempotencyKey, signal }));
        return paid.ok ? paid.payload : null;
      }),
    ),
});

/** Sleeps for an hour, and only then takes three messages, one after another. */
const lateReader = workflow({
  name: "late-reader",
  async run({ step }) {
    await step.sleep("first-sleep", "1h");
    const read: unknown[] = [];
    for (let nth = 0; nth < 3; nth++) {
      const message = await step.waitForEvent("message");
      read.push(message.ok ? message.payload : null);
    }
    return read;
  },
});

/** Waits for its callback and does nothing else. */
const parked = workflow({ name: "parked", run: async ({ step }) => (await step.callback("answer", { timeout: "2h" })).ok });
const quick = workflow({ name: "quick", run: ({ step }) => step.do("once", () => "done") });

/** The same code as another deployment would bring it: another object, the same workflow. */
const campaign = (version: string, second: string) =>
  workflow({
    name: "campaign",
    version,
    async run({ step }) {
      await step.do("first-mail", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: "first" }, idempotencyKey, signal }));
      await step.sleep("month", "30d");
      await step.do("second-mail", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: second }, idempotencyKey, signal }));
      return second;
    },
  });

beforeAll(async () => {
  await setUpWorld();
  deploy(approval, orders, lateReader, parked, quick, verification);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** The link that an approval's mail carried. */
async function mailedLink(id: string): Promise<string> {
  const calls = await callsTo("emails");
  return JSON.parse(calls.find((call) => call.idempotencyKey === `default/${id}/decision`).body).data.url;
}

const post = (url: string, payload: unknown, headers: Record<string, string> = {}) =>
  outside(url, { method: "POST", body: JSON.stringify(payload), headers: { "content-type": "application/json", ...headers } });

const stubOf = (id: string) => env.RUNS.getByName(`default:${id}`);

async function journal(id: string): Promise<{ kind: string; key?: string }[]> {
  return (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body.entries;
}

test("R21: a run waits three days for a link to be clicked; approving it counts once, however often it is sent", async () => {
  const id = await start("approval", {});
  await until(id, "waiting");
  const link = await mailedLink(id);
  expect(link).toMatch(/^http:\/\/segno\.test\/callbacks\/[\w-]+\.[\w-]+$/);
  expect((await steps(id))[0]).toMatchObject({ key: "decision", callbackUrl: link, status: "waiting" });
  await advance(days(3));
  await evict();

  const clicks = await Promise.all(["ann", "bob"].map((by) => post(link, { approved: true, by, comment: "go" })));
  expect(clicks.map((it) => it.status).sort()).toEqual([200, 409]);
  const winner = clicks[0]?.status === 200 ? "ann" : "bob";
  expect((await until(id, "completed")).output).toEqual({ outcome: "approved", by: winner, comment: "go" });
  const again = await post(link, { approved: false, by: "mallory" });
  expect([again.status, again.body.code]).toEqual([409, "callback_used"]);

  expect((await journal(id)).filter((entry) => entry.kind === "step.completed" && entry.key === "decision")).toHaveLength(1);
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body).text)).toEqual(["approved"]);
  const [decision] = await steps(id);
  expect(decision).toMatchObject({ outcome: "arrived", output: { approved: true, by: winner, comment: "go" } });
  expect(decision.callbackUrl).toBeNull();
});

test("R21: opening the link decides nothing, and neither does a link that somebody made up or an answer that makes no sense", async () => {
  const id = await start("approval", {});
  const other = await start("approval", {});
  await until(id, "waiting");
  await until(other, "waiting");
  const link = await mailedLink(id);
  const [claims, signature] = link.split("/callbacks/")[1]?.split(".") ?? [];
  const [, otherSignature] = (await mailedLink(other)).split(".test/callbacks/")[1]?.split(".") ?? [];
  const before = await journal(id);

  for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
    const opened = await outside(link, { method });
    expect([method, opened.status]).toEqual([method, 405]);
  }
  const flipped = `${signature?.startsWith("A") ? "B" : "A"}${signature?.slice(1)}`;
  for (const token of [`${claims}.${flipped}`, `${claims}.${otherSignature}`, `${claims}`, `${claims}.`, `x.${signature}`, `${claims}.${signature}.x`]) {
    const forged = await post(`http://segno.test/callbacks/${token}`, { approved: true, by: "mallory" });
    expect([token, forged.status, forged.body.code]).toEqual([token, 401, "callback_invalid"]);
  }
  const senseless = await post(link, { approved: "maybe" });
  expect([senseless.status, senseless.body.code]).toEqual([422, "invalid_payload"]);
  expect(await journal(id)).toEqual(before);

  await post(link, { approved: false, by: "ann", comment: "too dear" });
  expect((await until(id, "completed")).output).toEqual({ outcome: "rejected", by: "ann", comment: "too dear" });
  expect((await run(other)).status).toBe("waiting");
});

test("R21: a link that nobody used expires, and the run takes its other branch", async () => {
  const id = await start("approval", {});
  await until(id, "waiting");
  const link = await mailedLink(id);
  // The time is over, but the alarm is late.
  clock.set(clock.now() + days(7));
  const late = await post(link, { approved: true, by: "ann" });
  expect([late.status, late.body.code]).toEqual([410, "callback_expired"]);
  await advance(seconds(1));
  expect((await until(id, "completed")).output).toEqual({ outcome: "unanswered" });
  const later = await post(link, { approved: true, by: "ann" });
  expect([later.status, later.body.code]).toEqual([410, "callback_expired"]);
  // The clock is moved for the runs of other stories too.
  const told = (await callsTo("notifications")).filter((call) => call.idempotencyKey.includes(id));
  expect(told.map((call) => JSON.parse(call.body).text)).toEqual(["unanswered"]);
});

test("R21: a callback may ask for a signature by Standard Webhooks; the provider's counts, nobody else's does", async () => {
  const id = await start("customer-verification", { customer: "Acme", contractId: "c-1" });
  await until(id, "waiting");
  const [request] = await callsTo("kyc");
  const { callbackUrl } = JSON.parse(request.body);
  const body = JSON.stringify({ checkId: "chk_x", result: "approved" });
  const signed = (secret: string, at: Date, text: string) => ({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign("msg_1", at, text),
  });
  const now = new Date();
  for (const headers of [
    {},
    signed("whsec_c29tZWJvZHktZWxzZS1zZWNyZXQtb2YtMjQtYnl0ZXM=", now, body),
    signed(env.KYC_SECRET, new Date(now.getTime() - minutes(6)), body),
    signed(env.KYC_SECRET, now, body.replace("approved", "rejected")),
  ]) {
    const refused = await outside(callbackUrl, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
    expect([refused.status, refused.body.code]).toEqual([401, "signature_invalid"]);
  }
  expect((await run(id)).reason).toMatchObject({ code: "callback", step: "kyc" });

  const [effect] = (await mock("GET", "/admin/effects?service=kyc")).body.effects;
  const answered = await mock("POST", `/admin/kyc/${effect.resourceId}/answer`, { result: "approved" });
  expect(answered.body.status).toBe(200);
  expect((await mock("POST", `/admin/kyc/${effect.resourceId}/answer`, { result: "rejected" })).body.status).toBe(409);
  expect((await until(id, "waiting")).reason).toMatchObject({ code: "event", step: "contract.signed" });
  await api("POST", `/v1/runs/${id}/events/contract.signed`, { key: "c-1", payload: { by: "ann" } });
  expect((await until(id, "completed")).output).toMatchObject({ outcome: "verified", checkId: effect.resourceId, signedBy: "ann" });
});

test("R21: a callback may ask for a plain HMAC over its body", async () => {
  const verify: VerifyOptions = { scheme: "hmac", secret: "KYC_SECRET", header: "X-Hub-Signature-256", prefix: "sha256=" };
  const id = await start("approval", { verify });
  await until(id, "waiting");
  const link = await mailedLink(id);
  const body = { approved: true, by: "ann" };
  const right = await hmacHex(env.KYC_SECRET, JSON.stringify(body));
  const wrong = [undefined, right, "sha256=", `sha256=${await hmacHex("guess", JSON.stringify(body))}`, `sha256=${await hmacHex(env.KYC_SECRET, "{}")}`];
  for (const signature of wrong) {
    const refused = await post(link, body, signature === undefined ? {} : { "x-hub-signature-256": signature });
    expect([signature, refused.status, refused.body.code]).toEqual([signature, 401, "signature_invalid"]);
  }
  expect((await run(id)).status).toBe("waiting");
  expect((await post(link, body, { "x-hub-signature-256": `sha256=${right}` })).status).toBe(200);
  expect((await until(id, "completed")).output).toMatchObject({ outcome: "approved", by: "ann" });
});

async function hmacHex(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return Array.from(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

test("R22: an event for order 7 resumes what waits for order 7, and nothing else", async () => {
  const id = await start("orders", { first: "7", second: "8" });
  const other = await start("orders", { first: "7", second: "9" });
  await until(id, "waiting");
  await until(other, "waiting");
  const untouched = await journal(other);
  const sent = await api("POST", `/v1/runs/${id}/events/paid`, { key: "7", payload: { amount: 70 } });
  expect([sent.status, sent.body]).toEqual([202, { duplicate: false, step: "paid-7" }]);
  await eventually(async () => (await callsTo("notifications")).length === 1, "order 7 to be shipped");
  await until(id, "waiting");
  expect((await steps(id)).map((step) => [step.key, step.status])).toEqual([
    ["paid-7", "completed"],
    ["paid-8", "waiting"],
    ["ship-7", "completed"],
  ]);
  expect(await journal(other)).toEqual(untouched);

  // A key that nothing waits for is kept, and disturbs nobody.
  expect((await api("POST", `/v1/runs/${id}/events/paid`, { key: "1" })).body).toEqual({ duplicate: false, step: null });
  expect((await run(id)).status).toBe("waiting");
  await api("POST", `/v1/runs/${id}/events/paid`, { key: "8", payload: { amount: 80 } });
  expect((await until(id, "completed")).output).toEqual([{ amount: 70 }, { amount: 80 }]);
  expect((await callsTo("notifications")).map((call) => call.idempotencyKey)).toEqual([`default/${id}/ship-7`, `default/${id}/ship-8`]);
});

test("R22: events that come before the wait are kept, taken in order, and count once each", async () => {
  const id = await start("late-reader", {});
  await until(id, "waiting");
  const send = (payload: string, eventId: string) => api("POST", `/v1/runs/${id}/events/message`, { payload, id: eventId });
  expect((await send("first", "e-1")).body).toEqual({ duplicate: false, step: null });
  expect((await send("second", "e-2")).body).toEqual({ duplicate: false, step: null });
  await crash();
  expect((await send("second, repeated", "e-2")).body).toEqual({ duplicate: true, step: null });
  const rows = (await journal(id)).length;
  await evict();
  await advance(hours(1));
  expect((await until(id, "waiting")).reason).toMatchObject({ code: "event", step: "message#3" });

  // The third comes to a wait that is open, twice at once, by header this time.
  const both = await Promise.all([1, 2].map(() => api("POST", `/v1/runs/${id}/events/message`, { payload: "third" }, { "idempotency-key": "e-3" })));
  expect(both.map((it) => it.body.duplicate).sort()).toEqual([false, true]);
  expect((await until(id, "completed")).output).toEqual(["first", "second", "third"]);
  const received = (await journal(id)).filter((entry) => entry.kind === "event.received");
  expect(received).toHaveLength(3);
  expect((await journal(id)).length).toBeGreaterThan(rows);
});

test("R23: a run that waits 40 minutes for a slow API holds nothing meanwhile, and goes on at once when the answer comes", async () => {
  const id = await start("customer-verification", { customer: "Acme", contractId: "c-2" });
  const waiting = await until(id, "waiting");
  const timeoutAt = Date.parse(waiting.createdAt) + days(3);
  await eventually(async () => (await alarmOf(stubOf(id))) === timeoutAt, "the alarm to be the time-out and nothing sooner");
  await evict();
  const before = await journal(id);
  await evict();
  await advance(minutes(40));
  expect(await alarmOf(stubOf(id))).toBe(timeoutAt);
  expect(await journal(id)).toEqual(before);
  expect(await callsTo("kyc")).toHaveLength(1);
  await evict();

  const [effect] = (await mock("GET", "/admin/effects?service=kyc")).body.effects;
  expect((await mock("POST", `/admin/kyc/${effect.resourceId}/answer`, {})).body.status).toBe(200);
  const next = await eventually(async () => {
    const found = await run(id);
    return found.status === "waiting" && found.reason.code === "event" && found;
  }, "the run to go on");
  expect(next.updatedAt).toBe(new Date(clock.now()).toISOString());
  const [kyc] = await steps(id);
  expect(Date.parse(kyc.endedAt) - Date.parse(kyc.startedAt)).toBe(minutes(40));
  expect(kyc.attempts).toHaveLength(1);
  expect(await callsTo("kyc")).toHaveLength(1);
});

test("R25: a run that sleeps for 30 days goes on after a redeployment and a crash in the middle", async () => {
  const before = campaign("1", "second");
  deploy(before);
  const id = await start("campaign", {});
  await until(id, "waiting");
  await advance(days(10));
  undeploy(before);
  deploy(campaign("1", "second"), campaign("2", "second of version 2"));
  await evict();
  await advance(days(5));
  await crash();
  await advance(days(15) - 1);
  expect(await run(id)).toMatchObject({ status: "waiting", reason: { code: "sleep", until: new Date(clock.now() + 1).toISOString() } });
  expect(await callsTo("notifications")).toHaveLength(1);
  await advance(1);
  expect((await until(id, "completed")).output).toBe("second");
  const calls = await callsTo("notifications");
  expect(calls.map((call) => [JSON.parse(call.body).text, call.idempotencyKey])).toEqual([
    ["first", `default/${id}/first-mail`],
    ["second", `default/${id}/second-mail`],
  ]);
  const [first, month] = await steps(id);
  expect(first.attempts).toHaveLength(1);
  expect(Date.parse(month.endedAt) - Date.parse(month.startedAt)).toBe(days(30));
});

/** Stays last: its objects would slow the clock of the other stories. The measure is what a call to an object that holds nothing takes. */
test("R23: a thousand runs that wait do not delay the next one", { timeout: 90_000 }, async () => {
  await pace();
  const alone = await pace();
  const ids: string[] = [];
  for (let batch = 0; batch < 50; batch++) ids.push(...(await Promise.all(Array.from({ length: 20 }, () => start("parked", {})))));
  for (let tries = 0; tries < 5 && (await listed("workflow=parked&status=waiting")).length < 1000; tries++) await advance(minutes(1));
  expect((await listed("workflow=parked&status=waiting")).sort()).toEqual([...ids].sort());
  const before = await journal(ids[7] ?? "");
  const among = await pace();
  expect(among, `${among} times a bare call among a thousand, ${alone} times alone`).toBeLessThan(3 * alone + 1);
  expect(await journal(ids[7] ?? "")).toEqual(before);

  await evict();
  const chosen = ids[50] ?? "";
  expect((await post((await steps(chosen))[0].callbackUrl, {})).status).toBe(200);
  expect((await until(chosen, "completed")).output).toBe(true);
  await eventually(async () => (await listed("workflow=parked&status=waiting")).length === 999, "the others to wait on");
});

/** How long a short run takes, beginning to end, as a multiple of a call to an object that holds nothing. */
async function pace(): Promise<number> {
  const ratios: number[] = [];
  for (let nth = 0; nth < 7; nth++) {
    const begin = performance.now();
    await stubOf(crypto.randomUUID()).poke();
    const bare = performance.now();
    expect((await api("POST", "/v1/workflows/quick/runs?wait=10s", { input: {} })).body.status).toBe("completed");
    ratios.push((performance.now() - bare) / (bare - begin));
  }
  return ratios.sort((a, b) => a - b)[3] ?? Number.NaN;
}

/** The ids of all runs that a query lists. */
async function listed(query: string): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: { runs: { id: string }[]; nextCursor: string | null } = (await api("GET", `/v1/runs?limit=200&${query}${cursor && `&cursor=${cursor}`}`)).body;
    ids.push(...page.runs.map((it) => it.id));
    cursor = page.nextCursor;
  }
  return ids;
}
