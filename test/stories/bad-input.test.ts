import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { workflow } from "segno";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { deploy } from "../world.ts";
import { advance, api, days, eventually, minutes, outside, setUpWorld, start, steps, until } from "./story.ts";

const greeting = workflow({
  name: "greeting",
  input: z.object({ person: z.object({ email: z.email() }) }),
  run: ({ step, input }) => step.do("greet", () => `hello ${input.person.email}`),
});
const waiting = workflow({ name: "waiting", run: ({ step }) => step.waitForEvent("word", { schema: z.object({ text: z.string() }) }) });
const asking = workflow({ name: "asking", run: ({ step }) => step.callback("answer", { timeout: "1d" }) });

const person = { person: { email: "ann@acme.example" } };
const megabytes = (n: number): string => `{"input":"${"x".repeat(n * 1024 * 1024)}"}`;

/** Runs that the requests below are about, each in a state of its own. */
const known = { done: "done", waiting: "open", asking: "asked", used: "used", expired: "expired" };
/** Callback URLs: open, used, expired. */
const links = { open: "", used: "", expired: "" };

beforeAll(async () => {
  await setUpWorld();
  deploy(greeting, waiting, asking);
  for (const id of [known.used, known.expired]) await start("asking", {}, { id });
  for (const id of [known.used, known.expired]) await until(id, "waiting");
  links.used = (await steps(known.used))[0].callbackUrl;
  links.expired = (await steps(known.expired))[0].callbackUrl;
  expect((await outside(links.used, { method: "POST" })).status).toBe(200);
  await until(known.used, "completed");
  await advance(days(1));
  await until(known.expired, "completed");
  await start("greeting", person, { id: known.done });
  await until(known.done, "completed");
  await start("waiting", {}, { id: known.waiting });
  await start("asking", {}, { id: known.asking });
  for (const id of [known.waiting, known.asking]) await until(id, "waiting");
  links.open = (await steps(known.asking))[0].callbackUrl;
  await advance(minutes(1));
  // Whatever is still on its way to the index belongs to these, not to the requests below.
  await eventually(async () => (await indexRows()).filter((row) => ["completed", "waiting"].includes(row.status)).length === 5, "five runs in the index");
});

interface Ask {
  readonly method?: string;
  readonly body?: string | Uint8Array | (() => ReadableStream);
  readonly headers?: Record<string, string | null>;
}

/** A request with the default key, and JSON where it has a body; a header that is null is left out. */
function ask(path: string, { method, body, headers = {} }: Ask) {
  const sent = { authorization: "Bearer segno-dev-key", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers };
  const present = Object.entries(sent).filter((header): header is [string, string] => header[1] !== null);
  const init: RequestInit = { method: method ?? (body === undefined ? "GET" : "POST"), headers: present };
  if (body !== undefined) init.body = typeof body === "function" ? body() : body;
  return outside(new URL(path, "http://segno.test").href, init);
}

/** Everything that is durable: the journal of every object, null where an object has none, and the index. */
async function everything(): Promise<unknown> {
  const objects: Record<string, unknown> = {};
  for (const id of await listDurableObjectIds(env.RUNS)) {
    const journal = await runInDurableObject(env.RUNS.get(id), (_instance, { storage }) => {
      const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
      return tables.length === 0 ? null : storage.sql.exec("SELECT seq, entries, value FROM journal ORDER BY seq").toArray();
    });
    if (journal !== null) objects[String(id)] = journal;
  }
  return { objects, index: await indexRows() };
}

async function indexRows(): Promise<{ id: string; status: string }[]> {
  return (await env.INDEX.prepare("SELECT namespace, id, status FROM runs ORDER BY namespace, id").all<{ id: string; status: string }>()).results;
}

const json = (value: unknown): Ask => ({ body: JSON.stringify(value) });
const starts = "/v1/workflows/greeting/runs";
const forged = (): string => links.open.replace(/\.[\w-]+$/, (signature) => `.${signature[1] === "A" ? "B" : "A"}${signature.slice(2)}`);
const pathOf = (url: string): string => new URL(url).pathname;
const anonymous = { authorization: null };

/** What is wrong, the status and code that say so, the address, the request, and what else the answer must tell. */
const refused: readonly (readonly [string, number, string, string | (() => string), Ask, object?])[] = [
  ["an unknown workflow", 404, "workflow_not_found", "/v1/workflows/nobody/runs", json({ input: person }), { workflow: "nobody" }],
  ["a version that there is not", 404, "version_not_found", starts, json({ input: person, version: "7" }), { versions: ["1"] }],
  ["an input that does not fit", 422, "invalid_input", starts, json({ input: { person: { email: 7 } } }), { issues: [{ path: ["person", "email"] }] }],
  ["no input where one is needed", 422, "invalid_input", starts, { method: "POST" }, { issues: [{ path: [] }] }],
  ["a field that there is not", 400, "invalid_request", starts, json({ input: person, inptu: 1 })],
  ["a body of 9 MiB", 413, "body_too_large", starts, { body: megabytes(9) }, { limitBytes: 8 * 1024 * 1024 }],
  ["a body of 9 MiB that does not tell its length", 413, "body_too_large", starts, { body: () => new Blob([megabytes(9)]).stream() }],
  ["malformed JSON", 400, "invalid_json", starts, { body: '{"input":' }],
  ["bytes that are not UTF-8", 400, "invalid_json", starts, { body: new Uint8Array([0x7b, 0xff, 0x7d]) }],
  ["a wrong content type", 415, "unsupported_media_type", starts, { body: "{}", headers: { "content-type": "text/plain" } }],
  ["no content type", 415, "unsupported_media_type", starts, { body: new TextEncoder().encode("{}"), headers: { "content-type": null } }],
  ["an id with a space", 400, "invalid_id", starts, json({ input: person, id: "a b" })],
  ["an id that is too long", 400, "invalid_id", starts, json({ input: person, id: "x".repeat(201) })],
  ["an id in the address that can't be one", 400, "invalid_id", "/v1/runs/a%3Ab", {}],
  ["a delay of two years", 400, "invalid_duration", starts, json({ input: person, delay: "730d" })],
  ["an attribute that is too long", 422, "invalid_attributes", starts, json({ input: person, attributes: { note: "x".repeat(513) } })],
  [
    "the same id with another input",
    409,
    "run_exists",
    starts,
    json({ id: known.done, input: { person: { email: "bob@acme.example" } } }),
    { runId: known.done },
  ],
  ["the same id for another workflow", 409, "run_exists", "/v1/workflows/waiting/runs", json({ id: known.done, input: person }), { workflow: "greeting" }],
  ["an unknown run", 404, "run_not_found", "/v1/runs/nobody", {}],
  ["the steps of an unknown run", 404, "run_not_found", "/v1/runs/nobody/steps", {}],
  ["the journal of an unknown run", 404, "run_not_found", "/v1/runs/nobody/journal", {}],
  ["an event to an unknown run", 404, "run_not_found", "/v1/runs/nobody/events/word", json({ payload: 1 })],
  ["cancelling an unknown run", 404, "run_not_found", "/v1/runs/nobody/cancel", json({})],
  ["terminating an unknown run", 404, "run_not_found", "/v1/runs/nobody/terminate", json({})],
  ["an unknown step", 404, "step_not_found", `/v1/runs/${known.done}/steps/nothing`, {}],
  ["an event to a finished run", 409, "run_ended", `/v1/runs/${known.done}/events/word`, json({ payload: 1 }), { status: 409 }],
  ["cancelling a finished run", 409, "run_ended", `/v1/runs/${known.done}/cancel`, json({})],
  ["an event that the wait refuses", 422, "invalid_payload", `/v1/runs/${known.waiting}/events/word`, json({ payload: { text: 1 } }), { step: "word" }],
  ["an event without a name that fits", 400, "invalid_name", `/v1/runs/${known.waiting}/events/${"x".repeat(257)}`, json({})],
  ["a replayed callback", 409, "callback_used", () => pathOf(links.used), { ...json({}), headers: anonymous }],
  ["an expired callback", 410, "callback_expired", () => pathOf(links.expired), { ...json({}), headers: anonymous }],
  ["a forged callback", 401, "callback_invalid", () => pathOf(forged()), { ...json({}), headers: anonymous }],
  ["a callback that is no token", 401, "callback_invalid", "/callbacks/hello", { ...json({}), headers: anonymous }],
  ["a callback of 9 MiB", 413, "body_too_large", () => pathOf(links.open), { body: megabytes(9), headers: anonymous }],
  ["a callback with malformed JSON", 400, "invalid_json", () => pathOf(links.open), { body: "{", headers: anonymous }],
  ["a callback by GET", 405, "method_not_allowed", () => pathOf(links.open), { headers: anonymous }, { allow: ["POST"] }],
  ["a bad cursor", 400, "invalid_cursor", "/v1/runs?cursor=nonsense", {}],
  ["a status that there is not", 400, "invalid_request", "/v1/runs?status=happy", {}, { issues: [{ path: ["status", "0"] }] }],
  ["a parameter that there is not", 400, "invalid_request", "/v1/runs?colour=red", {}, { path: "colour" }],
  ["a page that is too long", 400, "invalid_request", "/v1/runs?limit=201", {}, { issues: [{ path: ["limit"] }] }],
  ["a wait that can't be read", 400, "invalid_duration", `/v1/runs/${known.done}?wait=soon`, {}],
  ["no key", 401, "unauthorized", starts, { ...json({ input: person }), headers: anonymous }],
  ["a wrong key", 401, "unauthorized", starts, { ...json({ input: person }), headers: { authorization: "Bearer segno-dev-keys" } }],
  ["a wrong key in the other header", 401, "unauthorized", "/v1/runs", { headers: { ...anonymous, "x-api-key": "x" } }],
  ["no key, cancelling", 401, "unauthorized", `/v1/runs/${known.waiting}/cancel`, { ...json({}), headers: anonymous }],
  ["an address that there is not", 404, "not_found", "/v1/nothing", {}],
  ["a method that there is not", 405, "method_not_allowed", "/v1/runs/x", { method: "PUT" }],
  ["a % that encodes nothing", 400, "invalid_request", "/v1/runs/%zz", {}],
];

for (const [what, status, code, path, request, more = {}] of refused) {
  test(`issue 2, bad input: ${what}: ${status} ${code}, and nothing is written`, async () => {
    const before = await everything();
    const answer = await ask(typeof path === "string" ? path : path(), request);
    expect(answer.body).toMatchObject({ status, code, type: `urn:segno:problem:${code}`, title: expect.any(String), detail: expect.any(String), ...more });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(await everything()).toEqual(before);
  });
}

test("issue 2, bad input: the cursor of one list is refused by another", async () => {
  const { nextCursor } = (await api("GET", "/v1/runs?limit=2")).body;
  expect((await api("GET", `/v1/runs?limit=2&cursor=${nextCursor}`)).status).toBe(200);
  const other = await api("GET", `/v1/runs?limit=2&status=waiting&cursor=${nextCursor}`);
  expect([other.status, other.body.code]).toEqual([400, "invalid_cursor"]);
});

test("issue 2, bad input: a start that is repeated with the same input is the same run, and nothing more is written", async () => {
  const before = await everything();
  const again = await api("POST", starts, { input: person, id: known.done });
  expect([again.status, again.body]).toMatchObject([200, { id: known.done, status: "completed" }]);
  expect(await everything()).toEqual(before);
});

test("issue 2, namespaces: the key of another namespace sees no run of this one, and can't signal or end it", async () => {
  const headers = { authorization: "Bearer segno-other-namespace-key" };
  const before = await everything();
  const path = `/v1/runs/${known.waiting}`;
  for (const [method, address, body] of [
    ["GET", path],
    ["GET", `${path}/steps`],
    ["GET", `${path}/steps/word`],
    ["GET", `${path}/journal`],
    ["POST", `${path}/events/word`, { payload: { text: "hi" } }],
    ["POST", `${path}/cancel`, {}],
    ["POST", `${path}/terminate`, {}],
  ] as const) {
    const answer = await api(method, address, body, headers);
    expect([method, address, answer.status, answer.body.code]).toEqual([method, address, 404, "run_not_found"]);
  }
  expect((await api("GET", "/v1/runs", undefined, headers)).body).toEqual({ runs: [], nextCursor: null });
  expect(await everything()).toEqual(before);

  // The same id is another run there, and their keys keep them apart.
  const theirs = await api("POST", "/v1/workflows/waiting/runs", { id: known.waiting, input: {} }, headers);
  expect([theirs.status, theirs.body.namespace]).toEqual([201, "other"]);
  await eventually(async () => (await api("GET", "/v1/runs", undefined, headers)).body.runs.length === 1, "their run in their list");
  expect((await api("POST", `${path}/cancel`, {}, headers)).status).toBe(200);
  await eventually(async () => (await api("GET", "/v1/runs?status=cancelled", undefined, headers)).body.runs.length === 1, "its end in their list");
  expect((await until(known.waiting, "waiting")).namespace).toBe("default");
  expect((await api("GET", "/v1/runs?limit=200")).body.runs.every((it: { namespace: string }) => it.namespace === "default")).toBe(true);
});

test("issue 2: in production Segno serves nobody until it has a real key and a real secret", async () => {
  const { default: worker } = await import("../worker.ts");
  const strong = { SEGNO_API_KEY: "k".repeat(32), SEGNO_SECRET: "s".repeat(32) };
  const production = async (settings: Record<string, string | undefined>, path: string, key = "segno-dev-key") => {
    const request = new Request(`http://segno.test${path}`, {
      method: path === starts || path.startsWith("/callbacks") ? "POST" : "GET",
      headers: { authorization: `Bearer ${key}` },
    });
    const response = await worker.fetch(request, { ...env, SEGNO_ENV: undefined, SEGNO_API_KEYS: undefined, ...settings } as unknown as Cloudflare.Env);
    return [response.status, response.headers.get("content-type"), ((await response.json()) as { code?: string }).code];
  };
  const before = await everything();
  const unfit = [503, "application/problem+json", "not_configured"];
  for (const path of ["/v1/runs", starts, `/v1/runs/${known.waiting}`, pathOf(links.open)])
    expect([path, ...(await production({}, path))]).toEqual([path, ...unfit]);
  expect(await production({ ...strong, SEGNO_API_KEY: undefined }, "/v1/runs")).toEqual(unfit);
  expect(await production({ ...strong, SEGNO_API_KEY: "short" }, "/v1/runs", "short")).toEqual(unfit);
  expect(await production({ ...strong, SEGNO_SECRET: undefined }, "/v1/runs", strong.SEGNO_API_KEY)).toEqual(unfit);
  expect(await production({ SEGNO_ENV: "Development" }, "/v1/runs")).toEqual(unfit);
  expect(await everything()).toEqual(before);
  expect((await production({}, "/healthz"))[0]).toBe(200);
  expect((await production(strong, "/v1/runs", strong.SEGNO_API_KEY))[0]).toBe(200);
  expect(await production(strong, "/v1/runs")).toEqual([401, "application/problem+json", "unauthorized"]);
});
