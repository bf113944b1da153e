import { expect, test } from "vitest";
import { signToken } from "#objects/callback-token.ts";
import { harness, key, secret } from "./harness.ts";

const strongKey = "k".repeat(24);
const strongSecret = "s".repeat(32);
const production = { SEGNO_API_KEY: strongKey, SEGNO_SECRET: strongSecret };

test("a key opens its namespace, as a bearer or as X-API-Key", async () => {
  const env = { ...production, SEGNO_API_KEYS: `sales:${strongKey}1,ops.eu:with:colons:${strongKey}\n  billing : ${strongKey}2 ,\r\n` };
  const { ask, queries } = harness();

  await ask("/v1/runs", { env, headers: { authorization: `Bearer ${strongKey}` } });
  await ask("/v1/runs", { env, headers: { authorization: `bearer  ${strongKey}1` } });
  await ask("/v1/runs", { env, headers: { authorization: null, "x-api-key": `with:colons:${strongKey}` } });
  await ask("/v1/runs", { env, headers: { authorization: null, "x-api-key": `${strongKey}2` } });

  expect(queries.map((query) => query.namespace)).toEqual(["default", "sales", "ops.eu", "billing"]);
});

test.each([
  ["no key", { SEGNO_SECRET: strongSecret }, "wrangler secret put SEGNO_API_KEY"],
  ["an empty key", { ...production, SEGNO_API_KEY: " " }, "wrangler secret put SEGNO_API_KEY"],
  ["the development key", { ...production, SEGNO_API_KEY: "segno-dev-key" }, "wrangler secret put SEGNO_API_KEY`"],
  ["a short key", { ...production, SEGNO_API_KEY: "k".repeat(23) }, "wrangler secret put SEGNO_API_KEY`"],
  ["a short key of a namespace", { ...production, SEGNO_API_KEYS: "ops:short" }, "wrangler secret put SEGNO_API_KEYS`"],
  ["a key without namespace", { ...production, SEGNO_API_KEYS: strongKey }, "namespace:key"],
  ["a namespace that can't be one", { ...production, SEGNO_API_KEYS: `a b:${strongKey}1` }, "namespace:key"],
  ["one key for two namespaces", { ...production, SEGNO_API_KEYS: `ops:${strongKey}` }, "several namespaces"],
  ["no secret", { SEGNO_API_KEY: strongKey }, "wrangler secret put SEGNO_SECRET"],
  ["the development secret", { ...production, SEGNO_SECRET: secret }, "wrangler secret put SEGNO_SECRET"],
  ["a short secret", { ...production, SEGNO_SECRET: "s".repeat(31) }, "wrangler secret put SEGNO_SECRET"],
  [
    "the development settings in an environment of another name",
    { SEGNO_ENV: "Development", SEGNO_API_KEY: key, SEGNO_SECRET: secret },
    "wrangler secret put SEGNO_API_KEY",
  ],
])("outside development %s closes every guarded route and says what to set", async (_what, env, advice) => {
  const { ask, fakes, queries } = harness();

  for (const headers of [{ authorization: `Bearer ${strongKey}` }, { authorization: `Bearer ${key}` }, { authorization: null }]) {
    const { status, body } = await ask("/v1/runs", { env, headers });
    expect(status).toBe(503);
    expect(body).toMatchObject({ code: "not_configured", detail: expect.stringContaining(advice) });
    expect(JSON.stringify(body)).not.toMatch(/kkkk|ssss|short"/);
  }
  expect((await ask("/v1/workflows/echo/runs", { env, body: {} })).status).toBe(503);
  expect((await ask("/healthz", { env })).status).toBe(200);
  expect((await ask("/openapi.json", { env })).status).toBe(200);
  expect([fakes.writes, queries]).toEqual([[], []]);
});

test("all that is wrong is said at once", async () => {
  const { ask } = harness();
  const { body } = await ask("/v1/runs", { env: { SEGNO_API_KEY: "x", SEGNO_SECRET: "y" } });
  expect(body.problems).toHaveLength(2);
});

test("in development the well-known key is enough, and its absence is explained", async () => {
  const { ask } = harness();
  expect((await ask("/v1/runs", { env: { SEGNO_ENV: "development", SEGNO_API_KEY: key } })).status).toBe(200);
  expect((await ask("/v1/runs", { env: { SEGNO_ENV: "development" } })).body).toMatchObject({
    code: "not_configured",
    detail: expect.stringContaining(".dev.vars"),
  });
});

test("a secret that others know opens no callback", async () => {
  const { ask } = harness();
  const token = signToken(secret, "callback", { namespace: "default", runId: "run", key: "kyc", expiresAt: null });

  for (const env of [{ ...production, SEGNO_SECRET: secret }, { ...production, SEGNO_SECRET: undefined }, { SEGNO_ENV: "development" }]) {
    expect((await ask(`/callbacks/${token}`, { method: "POST", env })).body).toMatchObject({ status: 503, code: "not_configured" });
  }
  expect((await ask(`/callbacks/${token}`, { method: "POST", env: production })).body.code).toBe("callback_invalid");
});
