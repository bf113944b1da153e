import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import type { CallbackVerification } from "#core/entry.ts";
import { signToken } from "#objects/callback-token.ts";
import { environment, type Harness, harness, secret } from "./harness.ts";

const url = `/callbacks/${signToken(secret, "callback", { namespace: "other", runId: "run", key: "kyc/1", expiresAt: null })}`;
const webhookSecret = "whsec_c2VjcmV0LW9mLXRoZS1reWMtcHJvdmlkZXI=";
const env = { ...environment, KYC: webhookSecret, HMAC: "shared secret ü", EMPTY: "", NOT_BASE64: "whsec_!!!" };

async function waiting(verify: CallbackVerification | null = null): Promise<Harness> {
  const made = harness();
  await made.ask("/v1/workflows/strict/runs", { body: { id: "run", input: { customer: "acme" } }, headers: { authorization: "Bearer other-key" } });
  made.fakes.runs.get("other:run")!.callbacks.set("kyc/1", verify);
  made.fakes.writes.length = 0;
  return made;
}

test.each([
  ["JSON", { body: { ok: true, list: [1] } }, { ok: true, list: [1] }],
  ["JSON under another name", { body: { ok: true }, headers: { "content-type": "application/cloudevents+json" } }, { ok: true }],
  ["nothing", { method: "POST" }, null],
  [
    "a form",
    { body: "status=ok&tag=a&tag=b&note=gr%C3%BCn", headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" } },
    { status: "ok", tag: ["a", "b"], note: "grün" },
  ],
])("%s is the payload, and no API key is needed", async (_what, ask, payload) => {
  const { ask: send, fakes } = await waiting();

  const { status, body } = await send(url, { ...ask, headers: { authorization: null, ...("headers" in ask ? ask.headers : {}) } });

  expect(status).toBe(200);
  expect(body).toEqual({ accepted: true });
  expect(fakes.writes).toEqual([["callback", "kyc/1", payload]]);
});

test("a callback counts once", async () => {
  const { ask, fakes } = await waiting();
  await ask(url, { body: 1 });
  const again = await ask(url, { body: 2 });

  expect(again).toMatchObject({ status: 409, body: { code: "callback_used" } });
  expect(fakes.writes).toHaveLength(1);
});

test("reading a callback's address resumes nothing, nor does any other method than POST", async () => {
  const { ask, fakes } = await waiting();
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
    const { status, headers } = await ask(url, { method });
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe("POST");
  }
  expect(fakes.writes).toEqual([]);
});

const standard: CallbackVerification = { scheme: "standard-webhooks", secret: "KYC" };
const body = '{ "ok": true, "name": "Zoë" }';

function signedHeaders(changes: Readonly<Record<string, string | null>> = {}, ageSeconds = 0, signed = body): Record<string, string | null> {
  const at = new Date(Date.now() - ageSeconds * 1000);
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(webhookSecret).sign("msg_1", at, signed),
  };
  return { authorization: null, ...headers, ...changes };
}

test("a callback signed by standard webhooks is taken, also among several signatures", async () => {
  for (const headers of [signedHeaders(), { ...signedHeaders(), "webhook-signature": `v1,AAAA v2,x ${signedHeaders()["webhook-signature"]}` }]) {
    const { ask, fakes } = await waiting(standard);
    expect((await ask(url, { body, headers, env })).status).toBe(200);
    expect(fakes.writes).toEqual([["callback", "kyc/1", { ok: true, name: "Zoë" }]]);
  }
});

test.each([
  ["missing", { authorization: null }, body],
  ["of another body", signedHeaders(), body.replace("true", "false")],
  ["of another message", signedHeaders({ "webhook-id": "msg_2" }), body],
  ["too old", signedHeaders({}, 301), body],
  ["of the future", signedHeaders({}, -360), body],
  ["of a time that is none", signedHeaders({ "webhook-timestamp": "now" }), body],
  ["of another scheme", signedHeaders({ "webhook-signature": "v2,abc" }), body],
  ["without scheme", signedHeaders({ "webhook-signature": "abc" }), body],
])("a standard webhooks signature %s is refused and leaves the callback unused", async (_what, headers, sent) => {
  const { ask, fakes } = await waiting(standard);

  const refused = await ask(url, { body: sent, headers, env });

  expect(refused).toMatchObject({ status: 401, body: { code: "signature_invalid" } });
  expect(fakes.writes).toEqual([]);
  expect((await ask(url, { body, headers: signedHeaders(), env })).status).toBe(200);
});

async function hmacOf(text: string, hash: "SHA-256" | "SHA-512"): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(env.HMAC), { name: "HMAC", hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const base64Of = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

test("a callback signed by HMAC is taken, in hex or base64, with or without prefix", async () => {
  const plain = { scheme: "hmac", secret: "HMAC", header: "x-signature", prefix: "" } as const;
  const cases: [CallbackVerification, string][] = [
    [{ ...plain, algorithm: "SHA-256", encoding: "hex", header: "x-hub-signature-256", prefix: "sha256=" }, `sha256=${hexOf(await hmacOf(body, "SHA-256"))}`],
    [{ ...plain, algorithm: "SHA-512", encoding: "hex" }, hexOf(await hmacOf(body, "SHA-512")).toUpperCase()],
    [{ ...plain, algorithm: "SHA-256", encoding: "base64" }, base64Of(await hmacOf(body, "SHA-256"))],
  ];
  for (const [verify, signature] of cases) {
    const { ask, fakes } = await waiting(verify);
    const header = verify.scheme === "hmac" ? verify.header : "";
    expect((await ask(url, { body, headers: { [header]: signature }, env })).status).toBe(200);
    expect(fakes.writes).toHaveLength(1);
  }
});

test("an HMAC signature that is missing, malformed, of another body or algorithm, or without its prefix is refused", async () => {
  const verify = { scheme: "hmac", secret: "HMAC", algorithm: "SHA-256", encoding: "hex", header: "x-signature", prefix: "sha256=" } as const;
  const right = hexOf(await hmacOf(body, "SHA-256"));
  const wrong = [
    null,
    "",
    "sha256=",
    right,
    `sha256=${right.slice(1)}`,
    `sha256=${right}00`,
    `sha256=zz${right.slice(2)}`,
    `sha256=${hexOf(await hmacOf(`${body} `, "SHA-256"))}`,
    `sha256=${hexOf(await hmacOf(body, "SHA-512"))}`,
  ];
  const { ask, fakes } = await waiting(verify);

  for (const signature of wrong) {
    expect(await ask(url, { body, headers: { "x-signature": signature }, env })).toMatchObject({ status: 401, body: { code: "signature_invalid" } });
  }
  const { status } = await ask(url, { body, headers: { "x-signature": `sha256=${right}` }, env: { ...env, HMAC: "another" } });

  expect(status).toBe(401);
  expect(fakes.writes).toEqual([]);
});

test.each(["ABSENT", "EMPTY", "NOT_BASE64"])("a secret that is %s is the operator's to set, and is not told", async (name) => {
  const { ask, fakes } = await waiting({ scheme: "standard-webhooks", secret: name });

  const answer = await ask(url, { body, headers: signedHeaders(), env });

  expect(answer).toMatchObject({ status: 503, body: { code: "not_configured", detail: expect.stringContaining(name) } });
  expect(JSON.stringify(answer.body)).not.toContain("!!!");
  expect(fakes.writes).toEqual([]);
});
