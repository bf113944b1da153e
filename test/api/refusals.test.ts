import { expect, test } from "vitest";
import { type FaultCode, faultCodes } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { encode } from "#core/value.ts";
import { signToken } from "#objects/callback-token.ts";
import { stepRecord } from "./fake-runs.ts";
import { type Ask, harness, secret } from "./harness.ts";

const start = "/v1/workflows/echo/runs";
const run = "/v1/runs/known";
const callback = `/callbacks/${signToken(secret, "callback", { namespace: "default", runId: "known", key: "kyc", expiresAt: null })}`;
const anonymous = { authorization: null };

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

/** One byte more than is allowed, without a declared length. */
function endless(): ReadableStream {
  let sentBytes = 0;
  return new ReadableStream({
    pull: (controller) => {
      sentBytes += 1024 * 1024;
      controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
      if (sentBytes > limits.bodyBytes) controller.close();
    },
  });
}

/** Another text of base64 for the same bytes: the last character has two bits that say nothing. */
function respelt(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const respelt = token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1];
  const bytesOf = (text: string): string =>
    atob(
      text
        .slice(text.lastIndexOf(".") + 1)
        .replaceAll("-", "+")
        .replaceAll("_", "/"),
    );
  if (bytesOf(respelt) !== bytesOf(token)) throw new Error("The signature has become another.");
  return respelt;
}

/** The devalue text of an error whose cause is an error whose cause is an error. */
function causes(depth: number): string {
  const texts = 2 * depth;
  const links = Array.from({ length: depth }, (_, nth) => [
    ["SegnoError", 2 * nth + 1],
    { name: texts, message: texts, stack: -1, cause: nth === depth - 1 ? texts : 2 * nth + 2, hasCause: texts + 1, errors: -1, properties: texts + 2 },
  ]);
  return JSON.stringify([...links.flat(), "Error", true, {}]);
}

/** Its sender goes away in the middle. */
function brokenOff(): ReadableStream {
  let parts = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (++parts === 1) controller.enqueue(new TextEncoder().encode('{"input":'));
      else controller.error(new Error("The client went away."));
    },
  });
}

const refused: [string, FaultCode, string, Ask?][] = [
  // What it is
  ["an address that is none", "not_found", "/v2/runs"],
  ["an address below v1 that is none", "not_found", "/v1/jobs"],
  ["the root", "not_found", "/"],
  ["an address with a trailing slash", "not_found", "/v1/runs/"],
  ["a method that an address does not take", "method_not_allowed", "/v1/runs", { method: "DELETE" }],
  ["a method that no address takes", "method_not_allowed", run, { method: "PURGE" }],
  ["a GET where runs are started", "method_not_allowed", start],
  ["a GET on a callback", "method_not_allowed", callback, { headers: anonymous }],
  ["a HEAD on a callback", "method_not_allowed", callback, { method: "HEAD", headers: anonymous }],
  ["a % that encodes nothing", "invalid_request", "/v1/runs/50%25%"],
  ["a % that encodes no UTF-8", "invalid_request", "/v1/runs/%ff"],
  ["a % in the query that encodes nothing", "invalid_request", "/v1/runs?text=50%"],
  // Who asks
  ["no key", "unauthorized", "/v1/runs", { headers: anonymous }],
  ["no key, whatever the address below v1", "unauthorized", "/v1/jobs", { headers: anonymous }],
  ["a wrong key", "unauthorized", "/v1/runs", { headers: { authorization: "Bearer segno-dev-keY" } }],
  ["an empty key", "unauthorized", "/v1/runs", { headers: { authorization: "Bearer " } }],
  ["another scheme", "unauthorized", "/v1/runs", { headers: { authorization: "Basic c2Vnbm8tZGV2LWtleQ==" } }],
  ["a wrong key in X-API-Key", "unauthorized", "/v1/runs", { headers: { authorization: null, "x-api-key": "x" } }],
  ["a start without key", "unauthorized", start, { body: {}, headers: anonymous }],
  // Bodies
  ["a text that is an object whose length can't be compared", "invalid_request", `${run}/pause`, { body: `{"reason":{"length":{"toString":1}}}` }],
  [
    "a text that is an object whose length is nested without end",
    "invalid_request",
    `${run}/pause`,
    { body: `{"reason":{"length":${"[".repeat(20_000)}${"]".repeat(20_000)}}}` },
  ],
  ["an attribute __proto__", "invalid_attributes", start, { body: '{"attributes":{"__proto__":"x"}}' }],
  ["attributes that are a list", "invalid_request", start, { body: { attributes: ["x"] } }],
  ["errors that hang on each other without end", "invalid_request", start, { body: { input: causes(500) }, headers: { "content-values": "devalue" } }],
  [
    "a BigInt that would take seconds to read",
    "invalid_request",
    start,
    { body: { input: `[["BigInt","${"9".repeat(1_000_000)}"]]` }, headers: { "content-values": "devalue" } },
  ],
  ["a body that breaks off", "invalid_request", start, { body: brokenOff() }],
  ["a callback's body that breaks off", "invalid_request", callback, { body: brokenOff(), headers: anonymous }],
  ["a callback whose token is spelt in another way", "callback_invalid", respelt(callback), { body: {}, headers: anonymous }],
  ["a body that is not JSON", "invalid_json", start, { body: '{"input":' }],
  ["a body of white space", "invalid_json", start, { body: " " }],
  ["a body that is not UTF-8", "invalid_json", start, { body: new Uint8Array([0x22, 0xff, 0x22]) }],
  ["a body of another type", "unsupported_media_type", start, { body: "{}", headers: { "content-type": "text/plain" } }],
  ["a form where JSON is asked for", "unsupported_media_type", start, { body: "input=1", headers: { "content-type": "application/x-www-form-urlencoded" } }],
  ["a body without a type", "unsupported_media_type", start, { body: new Uint8Array([0x7b, 0x7d]), headers: { "content-type": null } }],
  ["a body over the limit", "body_too_large", start, { body: " ".repeat(limits.bodyBytes + 1) }],
  ["a stream over the limit", "body_too_large", start, { body: endless() }],
  ["a list as body", "invalid_request", start, { body: [] }],
  ["null as body", "invalid_request", start, { body: "null" }],
  // Starts
  ["a field that there is not", "invalid_request", start, { body: { inputs: 1 } }],
  ["the field __proto__", "invalid_request", start, { body: '{"__proto__":{}}' }],
  ["an input with the field __proto__", "invalid_request", start, { body: '{"input":{"a":{"__proto__":1}}}' }],
  ["an input nested too deep", "invalid_request", start, { body: { input: nested(250) } }],
  ["an input nested far too deep", "invalid_request", start, { body: `{"input":${"[".repeat(1e5)}${"]".repeat(1e5)}}` }],
  ["an input that is not devalue's", "invalid_request", start, { body: { input: "{}" }, headers: { "content-values": "devalue" } }],
  ["an input that is no text, with Content-Values: devalue", "invalid_request", start, { body: { input: {} }, headers: { "content-values": "devalue" } }],
  ["a devalue input nested too deep", "invalid_request", start, { body: { input: encode(nested(250)) }, headers: { "content-values": "devalue" } }],
  [
    "a devalue input nested far too deep",
    "invalid_request",
    start,
    { body: { input: `[${Array.from({ length: 1e5 }, (_, at) => `[${at + 1}]`).join()},1]` }, headers: { "content-values": "devalue" } },
  ],
  [
    "a devalue input with an error that is none",
    "invalid_request",
    start,
    { body: { input: '[["SegnoError",1],5]' }, headers: { "content-values": "devalue" } },
  ],
  ["a devalue input that is all holes", "invalid_request", start, { body: { input: "[[-7,4294967294]]" }, headers: { "content-values": "devalue" } }],
  ["a form of values that there is not", "invalid_request", start, { body: {}, headers: { "content-values": "xml" } }],
  ["an id and a key at once", "invalid_request", start, { body: { id: "a" }, headers: { "idempotency-key": "a" } }],
  ["an id with a slash", "invalid_id", start, { body: { id: "a/b" } }],
  ["an id with a colon", "invalid_id", start, { body: { id: "other:a" } }],
  ["an empty id", "invalid_id", start, { body: { id: "" } }],
  ["an id that is too long", "invalid_id", start, { body: { id: "a".repeat(limits.runIdLength + 1) } }],
  ["an id that is a number", "invalid_request", start, { body: { id: 5 } }],
  ["a key that is too long", "invalid_request", start, { body: {}, headers: { "idempotency-key": "a".repeat(256) } }],
  ["an empty key for a start", "invalid_request", start, { body: {}, headers: { "idempotency-key": "" } }],
  ["a version that is a number", "invalid_request", start, { body: { version: 2 } }],
  ["an attribute that is an object", "invalid_request", start, { body: { attributes: { a: {} } } }],
  ["an attribute with a name that is not allowed", "invalid_attributes", start, { body: { attributes: { "a b": 1 } } }],
  ["an attribute that is too long", "invalid_attributes", start, { body: { attributes: { a: "x".repeat(513) } } }],
  ["too many attributes", "invalid_attributes", start, { body: { attributes: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`a${at}`, at])) } }],
  ["a delay that can't be read", "invalid_duration", start, { body: { delay: "soon" } }],
  ["a delay without unit", "invalid_duration", start, { body: { delay: "10" } }],
  ["a negative delay", "invalid_duration", start, { body: { delay: -1 } }],
  ["a delay of more than a year", "invalid_duration", start, { body: { delay: "2 years" } }],
  ["a wait that can't be read", "invalid_duration", `${start}?wait=long`, { body: {} }],
  ["a parameter that there is not", "invalid_request", `${start}?wiat=5s`, { body: {} }],
  ["a parameter that is given twice", "invalid_request", `${start}?wait=5s&wait=6s`, { body: {} }],
  ["a workflow that there is not", "workflow_not_found", "/v1/workflows/unknown/runs", { body: {} }],
  ["a workflow name that none can have", "workflow_not_found", "/v1/workflows/a%2Fb/runs", { body: {} }],
  ["a version that there is not", "version_not_found", start, { body: { version: "7" } }],
  ["an input that does not fit", "invalid_input", "/v1/workflows/strict/runs", { body: { input: { customer: 5 } } }],
  ["no input where one is needed", "invalid_input", "/v1/workflows/strict/runs", { method: "POST" }],
  ["an id that another run has", "run_exists", start, { body: { id: "known", input: "another" } }],
  // Runs
  ["a run that there is not", "run_not_found", "/v1/runs/unknown"],
  ["a run of another namespace", "run_not_found", run, { headers: { authorization: "Bearer other-key" } }],
  ["a run id that none can have", "invalid_id", "/v1/runs/other%3Aknown"],
  ["a run id that is a path", "invalid_id", "/v1/runs/..%2Fknown"],
  ["a wait for a run that can't be read", "invalid_duration", `${run}?wait=-5s`],
  ["values in a form that there is not", "invalid_request", run, { headers: { "accept-values": "yaml" } }],
  ["a list's parameter that there is not", "invalid_request", "/v1/runs?colour=red"],
  ["a list's status that there is not", "invalid_request", "/v1/runs?status=asleep"],
  ["a list's limit that is too high", "invalid_request", "/v1/runs?limit=201"],
  ["a list's attribute that can't be read", "invalid_request", "/v1/runs?attr.a=gte:"],
  ["a step that there is not", "step_not_found", `${run}/steps/unknown`],
  ["the steps of a run that there is not", "run_not_found", "/v1/runs/unknown/steps"],
  ["a page that is too long", "invalid_request", `${run}/steps?limit=201`],
  ["a page of nothing", "invalid_request", `${run}/journal?limit=0`],
  ["a page after nothing known", "invalid_request", `${run}/journal?after=x`],
  // Events, ends
  ["an event for a run that there is not", "run_not_found", "/v1/runs/unknown/events/paid", { body: {} }],
  ["an event for a run that has ended", "run_ended", "/v1/runs/ended/events/paid", { body: {} }],
  ["an event with a name that is too long", "invalid_name", `${run}/events/${"n".repeat(257)}`, { body: {} }],
  ["an event with a control character in its name", "invalid_name", `${run}/events/a%00b`, { body: {} }],
  ["an event with an id and a key at once", "invalid_request", `${run}/events/paid`, { body: { id: "a" }, headers: { "idempotency-key": "a" } }],
  ["an event with an empty id", "invalid_request", `${run}/events/paid`, { body: { id: "" } }],
  ["an event with a field that there is not", "invalid_request", `${run}/events/paid`, { body: { data: 1 } }],
  ["the cancellation of a run that there is not", "run_not_found", "/v1/runs/unknown/cancel", { method: "POST" }],
  ["the cancellation of a run that has ended", "run_ended", "/v1/runs/ended/cancel", { method: "POST" }],
  ["the resumption of a run that is not paused", "not_paused", `${run}/resume`, { method: "POST" }],
  ["the resumption of a run that has ended", "run_ended", "/v1/runs/ended/resume", { method: "POST" }],
  ["a reason that is a number", "invalid_request", `${run}/cancel`, { body: { reason: 5 } }],
  ["a reason that is too long", "invalid_request", `${run}/terminate`, { body: { reason: "x".repeat(513) } }],
  ["a field of an operator's request that there is not", "invalid_request", `${run}/pause`, { body: { why: "x" } }],
  ["an expected seq that is no whole number", "invalid_request", `${run}/pause`, { body: { expectedSeq: 1.5 } }],
  ["an expected seq that is a text", "invalid_request", `${run}/resume`, { body: { expectedSeq: "1" } }],
  ["an expected seq that the run is past", "stale", `${run}/pause`, { body: { expectedSeq: 9 } }],
  ["a compensation that is no yes or no", "invalid_request", `${run}/cancel`, { body: { compensate: "yes" } }],
  ["the hold of a run that has ended", "run_ended", "/v1/runs/ended/pause", { method: "POST" }],
  ["a retry that names no step", "invalid_request", `${run}/retry`, { body: {} }],
  ["a retry of a step that there is not", "step_not_found", `${run}/retry`, { body: { step: "unknown" } }],
  ["a retry of a step that is done", "step_state", `${run}/retry`, { body: { step: "done" } }],
  ["a retry with an input that can't be recorded", "invalid_request", `${run}/steps/paid/retry`, { body: '{"input":{"__proto__":1}}' }],
  [
    "a retry with an input that is not devalue's",
    "invalid_request",
    `${run}/retry`,
    { body: { step: "paid", input: "{}" }, headers: { "content-values": "devalue" } },
  ],
  ["a retry of a step of a run that there is not", "run_not_found", "/v1/runs/unknown/steps/paid/retry", { method: "POST" }],
  ["a retry of a step of a run that has ended", "run_ended", "/v1/runs/ended/steps/paid/retry", { method: "POST" }],
  ["the completion of a step that there is not", "step_not_found", `${run}/steps/unknown/complete`, { method: "POST" }],
  ["the completion of a step that is done", "step_state", `${run}/steps/done/complete`, { body: { output: 1 } }],
  ["a completion with an input", "invalid_request", `${run}/steps/paid/complete`, { body: { input: 1 } }],
  ["the skipping of a step that is done", "step_state", `${run}/steps/done/skip`, { method: "POST" }],
  ["a skip with an output", "invalid_request", `${run}/steps/paid/skip`, { body: { output: 1 } }],
  ["a failure without a message", "invalid_request", `${run}/steps/paid/fail`, { method: "POST" }],
  ["a failure with an empty message", "invalid_request", `${run}/steps/paid/fail`, { body: { message: "" } }],
  ["a failure with a code that is a number", "invalid_request", `${run}/steps/paid/fail`, { body: { message: "x", code: 5 } }],
  ["the failure of a step that is done", "step_state", `${run}/steps/done/fail`, { body: { message: "x" } }],
  ["an act on a step that there is not", "not_found", `${run}/steps/paid/explode`, { method: "POST" }],
  [
    "a step's act by the key of another namespace",
    "run_not_found",
    `${run}/steps/paid/skip`,
    { method: "POST", headers: { authorization: "Bearer other-key" } },
  ],
  ["a rollback of a run that there is not", "run_not_found", "/v1/runs/unknown/rollback", { method: "POST" }],
  ["a rollback with nothing to undo", "nothing_to_undo", `${run}/rollback`, { method: "POST" }],
  ["a rollback of a run that has ended with nothing to undo", "nothing_to_undo", "/v1/runs/ended/rollback", { method: "POST" }],
  ["a rollback to instead of from", "invalid_request", `${run}/rollback`, { body: { to: "paid" } }],
  ["a rollback from an empty step", "invalid_request", `${run}/rollback`, { body: { from: "" } }],
  ["a dry run that is no yes or no", "invalid_request", `${run}/rollback`, { body: { dryRun: 1 } }],
  ["a fork from nowhere", "invalid_request", `${run}/fork`, { body: {} }],
  ["a fork from a step that there is not", "step_not_found", `${run}/fork`, { body: { from: "unknown" } }],
  ["a fork of a run that there is not", "run_not_found", "/v1/runs/unknown/fork", { body: { from: "done" } }],
  ["a fork to an id that none can have", "invalid_id", `${run}/fork`, { body: { from: "done", id: "a/b" } }],
  ["a fork to the id of another run", "run_exists", `${run}/fork`, { body: { from: "done", id: "ended" } }],
  ["a fork to a version that there is not", "version_not_found", `${run}/fork`, { body: { from: "done", version: "7" } }],
  ["a fork with an input that does not fit", "invalid_input", `${run}/fork`, { body: { from: "done", input: { customer: 5 } } }],
  ["a fork with an input that can't be recorded", "invalid_request", `${run}/fork`, { body: '{"from":"done","input":{"__proto__":1}}' }],
  ["the audit of a run that there is not", "run_not_found", "/v1/runs/unknown/audit"],
  ["a page of an audit that is too long", "invalid_request", `${run}/audit?limit=201`],
  // Dead letters
  ["a status asked of dead letters", "invalid_request", "/v1/dead-letters?status=failed"],
  ["dead letters that have ended", "invalid_request", "/v1/dead-letters?endedAfter=2026-01-01"],
  ["a cursor for groups", "invalid_request", "/v1/dead-letters/groups?cursor=x"],
  ["a dead letter that there is not", "run_not_found", "/v1/dead-letters/unknown"],
  ["a dead letter that is none", "not_found", "/v1/dead-letters/known"],
  ["a dead letter's id that none can have", "invalid_id", "/v1/dead-letters/a%2Fb"],
  ["the redrive of a run that there is not", "run_not_found", "/v1/dead-letters/unknown/redrive", { method: "POST" }],
  ["the redrive of a run that waits for no person", "not_paused", "/v1/dead-letters/known/redrive", { method: "POST" }],
  ["the redrive of a run that has ended", "not_paused", "/v1/dead-letters/ended/redrive", { method: "POST" }],
  [
    "the redrive of another namespace's run",
    "run_not_found",
    "/v1/dead-letters/known/redrive",
    { method: "POST", headers: { authorization: "Bearer other-key" } },
  ],
  ["a redrive with an output", "invalid_request", "/v1/dead-letters/known/redrive", { body: { output: 1 } }],
  ["a discard without a reason", "invalid_request", "/v1/dead-letters/known/discard", { method: "POST" }],
  ["a discard with an empty reason", "invalid_request", "/v1/dead-letters/known/discard", { body: { reason: "" } }],
  ["the discard of a run that waits for no person", "not_paused", "/v1/dead-letters/known/discard", { body: { reason: "x" } }],
  ["the discard of a run that has ended", "not_paused", "/v1/dead-letters/ended/discard", { body: { reason: "x" } }],
  ["a bulk act without a filter", "invalid_request", "/v1/dead-letters/bulk", { body: { action: "redrive" } }],
  ["a bulk act of another kind", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: {}, action: "retry" } }],
  ["a bulk discard without a reason", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: {}, action: "discard" } }],
  ["a bulk filter that there is not", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: { colour: "red" }, action: "redrive" } }],
  ["a bulk filter with a limit", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: { limit: 5 }, action: "redrive" } }],
  ["a bulk filter by status", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: { status: "failed" }, action: "redrive" } }],
  ["a bulk filter given twice", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: { step: ["a", "b"] }, action: "redrive" } }],
  ["a bulk filter that is an object", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: { step: {} }, action: "redrive" } }],
  ["a bulk act with an input", "invalid_request", "/v1/dead-letters/bulk", { body: { filter: {}, action: "redrive", input: 1 } }],
  ["the end of a run id that none can have", "invalid_id", "/v1/runs/%2E%2E%2Fx/terminate", { method: "POST" }],
  // Workflows
  ["a workflow to read that there is not", "workflow_not_found", "/v1/workflows/unknown"],
  // Callbacks
  ["a token that is none", "callback_invalid", "/callbacks/abc", { method: "POST", headers: anonymous }],
  [
    "a token signed with another secret",
    "callback_invalid",
    `/callbacks/${signToken("x", "callback", { namespace: "default", runId: "known", key: "kyc", expiresAt: null })}`,
    { method: "POST", headers: anonymous },
  ],
  [
    "a token with a letter changed",
    "callback_invalid",
    callback.slice(0, -2) + (callback.endsWith("AA") ? "BB" : "AA"),
    { method: "POST", headers: anonymous },
  ],
  ["a callback body that is not JSON", "invalid_json", callback, { body: "{", headers: anonymous }],
  ["a callback body of another type", "unsupported_media_type", callback, { body: "ok", headers: { ...anonymous, "content-type": "text/plain" } }],
  ["a callback body over the limit", "body_too_large", callback, { body: endless(), headers: anonymous }],
  ["a callback with the field __proto__", "invalid_request", callback, { body: '{"__proto__":1}', headers: anonymous }],
];

test.each(refused)("%s is refused as %s, as a problem, and nothing is written", async (_what, code, path, ask) => {
  const { ask: send, fakes } = harness();
  await send(start.replace("echo", "strict"), { body: { id: "known", input: { customer: "acme" } } });
  await send(start, { body: { id: "ended" } });
  const known = fakes.runs.get("default:known")!;
  known.callbacks.set("kyc", null);
  known.steps = [stepRecord({ key: "done", seq: 2 })];
  const before = fakes.writes.length;

  const { status, headers, body } = await send(path, ask);

  expect(fakes.writes.slice(before)).toEqual([]);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(status).toBe(faultCodes[code].status);
  if (ask?.method === "HEAD") return;
  const instance = path.split("?")[0];
  expect(body).toMatchObject({ type: `urn:segno:problem:${code}`, title: faultCodes[code].title, status, code, detail: expect.stringMatching(/./) });
  if (!/%/.test(path)) expect(body.instance).toBe(instance);
});

test("a refusal says what would be right: the methods of the address, the scheme of the key, the fields that do not fit", async () => {
  const { ask } = harness();

  const method = await ask("/v1/runs", { method: "PUT" });
  expect(method.headers.get("allow")).toBe("GET, HEAD");
  const key = await ask("/v1/runs", { headers: { authorization: null } });
  expect(key.headers.get("www-authenticate")).toBe('Bearer realm="segno"');
  const fields = await ask(start, { body: { id: 5, delay: {}, colour: "red" } });
  expect(fields.body.issues.map((issue: { path: string[] }) => issue.path)).toEqual([["id"], ["delay"], []]);
  expect(fields.body.issues[2].message).toContain("colour");
});

test("a refusal stays short, however much was sent", async () => {
  const { ask } = harness();
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, nth) => [`field-${nth}`, null]));
  const long = "x".repeat(100_000);

  const answers = [
    await ask(start, { body: many }),
    await ask(start, { body: { attributes: many } }),
    await ask(start, { body: { attributes: Object.fromEntries(Array.from({ length: 300_000 }, (_, nth) => [`a${nth}`, null])) } }),
    await ask("/v1/dead-letters/bulk", { body: { filter: { "attr.a": Array.from({ length: 300_000 }, () => null) }, action: "redrive" } }),
    await ask(start, { body: { attributes: { [long]: 1 } } }),
    await ask(start, { body: { delay: long } }),
    await ask(`${run}/retry`, { body: { step: long } }),
    await ask("/v1/dead-letters/bulk", { body: { filter: { [long]: "x" }, action: "redrive" } }),
  ];

  for (const { status, body } of answers) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(body).length).toBeLessThan(64 * 1024);
  }
});

test("brackets in a text are no nesting", async () => {
  const { ask } = harness();
  const input = `${"[".repeat(300)} \\" ${"{".repeat(300)}`;
  expect((await ask(start, { body: { input } })).status).toBe(201);
});

test("a header that names no host is the caller's mistake", async () => {
  const { ask } = harness();
  expect(await ask("/v1/runs", { url: "https://[::1/v1/runs" })).toMatchObject({ status: 400, body: { code: "invalid_request" } });
});

test("an unexpected failure tells an incident that the log knows, and nothing of what happened", async () => {
  const { ask, fakes, logged } = harness();
  fakes.failures.push(new TypeError("password is hunter2"));

  const { status, body } = await ask("/v1/runs/known");

  expect(status).toBe(500);
  expect(body).toMatchObject({ code: "internal", incident: "id-1" });
  expect(JSON.stringify(body)).not.toContain("hunter2");
  expect(logged).toEqual([expect.objectContaining({ incident: "id-1", request: "GET /v1/runs/known", error: "TypeError: password is hunter2" })]);
});

test("the log of a failed callback does not tell its token", async () => {
  const { ask, fakes, logged } = harness();
  fakes.failures.push(new Error("broken"));

  const { body } = await ask(callback, { method: "POST" });

  expect(body.code).toBe("internal");
  expect(JSON.stringify(logged)).not.toContain(callback.slice("/callbacks/".length));
});
