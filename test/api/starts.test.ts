import { expect, test } from "vitest";
import type { StartCommand } from "#core/command.ts";
import { decode, encode } from "#core/value.ts";
import { startOfTime } from "./fake-runs.ts";
import { harness, otherKey } from "./harness.ts";

const at = new Date(startOfTime).toISOString();
const devalue = { "content-values": "devalue", "accept-values": "devalue" };

test("a start answers with the run, its address, and when it has ended with what it made", async () => {
  const { ask, fakes } = harness();

  const { status, headers, body } = await ask("/v1/workflows/echo/runs?wait=10s", {
    body: { id: "first", input: { customer: "acme" }, attributes: { tier: "smb" } },
  });

  expect(status).toBe(201);
  expect(headers.get("location")).toBe("/v1/runs/first");
  expect(fakes.waits).toEqual([10_000]);
  expect(body).toEqual({
    namespace: "default",
    id: "first",
    workflow: "echo",
    version: "1",
    status: "completed",
    reason: null,
    step: null,
    attributes: { tier: "smb" },
    trigger: "api",
    createdAt: at,
    updatedAt: at,
    endedAt: at,
    nextWakeAt: null,
    error: null,
    fingerprint: null,
    origin: null,
    seq: 1,
    input: { customer: "acme" },
    output: { customer: "acme" },
  });
});

test("a run that goes on is told at a glance, with why it waits and until when", async () => {
  const { ask } = harness();

  const { body } = await ask("/v1/workflows/strict/runs", { body: { input: { customer: "acme" } } });

  expect(body).toMatchObject({
    id: "id-1",
    status: "waiting",
    reason: { code: "event", step: "paid", until: new Date(startOfTime + 1000).toISOString() },
    attributes: { customer: "acme" },
  });
  expect(body).not.toHaveProperty("output");
});

test("what a start asks for reaches the run", async () => {
  const { ask, fakes } = harness();

  await ask("/v1/workflows/strict/runs", { body: { id: "old", version: "1", input: null, delay: "3d", attributes: { amount: 5, vip: true } } });
  await ask("/v1/workflows/echo/runs", {
    body: { delay: 1500 },
    env: { SEGNO_ENV: "development", SEGNO_API_KEY: "segno-dev-key", SEGNO_SECRET: "x", SEGNO_URL: "https://public.example/" },
  });

  const [first, second] = fakes.writes.map((write) => (write as [string, StartCommand])[1]);
  expect(first).toEqual({
    namespace: "default",
    runId: "old",
    workflow: "strict",
    version: "1",
    input: encode(null),
    attributes: { amount: 5, vip: true },
    delayMs: 3 * 24 * 60 * 60 * 1000,
    trigger: "api",
    publicUrl: "https://segno.test",
  });
  expect(second).toMatchObject({ version: null, input: encode(undefined), delayMs: 1500, publicUrl: "https://public.example" });
});

test("no body at all is a start without input", async () => {
  const { ask } = harness();
  expect((await ask("/v1/workflows/echo/runs", { method: "POST" })).body).toMatchObject({ status: "completed", input: null, output: null });
});

test("a JSON body may name its charset, or be JSON under another name", async () => {
  const { ask } = harness();
  for (const type of ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/cloudevents+json"]) {
    expect((await ask("/v1/workflows/echo/runs", { body: { input: 1 }, headers: { "content-type": type } })).status).toBe(201);
  }
});

test("a start that is repeated answers with the first run, also with its fields in another order; another input is refused", async () => {
  const { ask, fakes } = harness();
  const start = (input: string) => ask("/v1/workflows/echo/runs", { body: `{"id":"one","input":${input}}` });

  expect((await start('{"a":1,"b":[{"c":2,"d":"x"}]}')).status).toBe(201);
  const again = await start('{ "b": [{ "d": "x", "c": 2 }], "a": 1 }');
  const other = await start('{"a":1,"b":[{"c":2,"d":"y"}]}');

  expect(again.status).toBe(200);
  expect(again.body).toMatchObject({ id: "one", output: { a: 1, b: [{ c: 2, d: "x" }] } });
  expect(other).toMatchObject({ status: 409, body: { code: "run_exists", runId: "one" } });
  expect(fakes.writes).toHaveLength(1);
});

test("a plain value and its devalue text are the same input", async () => {
  const { ask } = harness();
  const input = { list: ["a", "a", 1.5], nothing: null, b: true, a: "ü" };

  await ask("/v1/workflows/echo/runs", { body: { id: "one", input } });
  const again = await ask("/v1/workflows/echo/runs", {
    body: { id: "one", input: encode({ a: "ü", b: true, list: ["a", "a", 1.5], nothing: null }) },
    headers: { "content-values": "devalue" },
  });

  expect(again.status).toBe(200);
});

test("five starts at once with one key make one run", async () => {
  const { ask, fakes } = harness();
  const start = (workflow: string, key: string) =>
    ask(`/v1/workflows/${workflow}/runs`, { body: { input: { customer: "acme" } }, headers: { "idempotency-key": key } });

  const answers = await Promise.all(Array.from({ length: 5 }, () => start("echo", "order 66 ✓".normalize().slice(0, 8))));
  const another = await start("echo", "order 67");
  const elsewhere = await start("strict", "order 66");

  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 200, 200, 201]);
  expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
  expect(answers[0]?.body.id).toMatch(/^idem-[0-9a-f]{32}$/);
  expect(new Set([answers[0]?.body.id, another.body.id, elsewhere.body.id]).size).toBe(3);
  expect(fakes.writes).toHaveLength(3);
});

test("the same id in two namespaces is two runs", async () => {
  const { ask, fakes } = harness();
  await ask("/v1/workflows/echo/runs", { body: { id: "one", input: 1 } });
  const other = await ask("/v1/workflows/echo/runs", { body: { id: "one", input: 2 }, headers: { authorization: `Bearer ${otherKey}` } });

  expect(other).toMatchObject({ status: 201, body: { namespace: "other" } });
  expect([...fakes.runs.keys()]).toEqual(["default:one", "other:one"]);
});

test("rich values travel both ways as devalue texts, cycles and shared parts included", async () => {
  const { ask } = harness();
  const shared = { at: new Date(0) };
  const input: Record<string, unknown> = {
    z: new Map([["big", 12n]]),
    a: new Set([shared]),
    shared,
    none: undefined,
    error: new RangeError("no"),
    bytes: new Uint8Array([1, 2]),
  };
  input["self"] = input;

  const { body } = await ask("/v1/workflows/echo/runs", { body: { input: encode(input) }, headers: devalue });
  const output = decode(body.output) as typeof input;

  expect(output).toEqual(input);
  expect(output["self"]).toBe(output);
  expect([...(output["a"] as Set<unknown>)][0]).toBe(output["shared"]);
  expect((await ask(`/v1/runs/${body.id}`)).body.output).toMatchObject({
    z: [["big", "12"]],
    a: [{ at: "1970-01-01T00:00:00.000Z" }],
    none: null,
    bytes: "AQI=",
    self: "[Circular]",
  });
});

test("a failed run tells its error: in short in lists, whole on its own", async () => {
  const { ask } = harness();

  const started = await ask("/v1/workflows/broken/runs", { body: { id: "b" } });
  const rich = await ask("/v1/runs/b", { headers: { "accept-values": "devalue" } });

  expect(started.body).toMatchObject({
    status: "failed",
    output: null,
    error: { name: "RangeError", message: "The tank is empty.", code: "E_EMPTY", litres: "0" },
  });
  const error = decode(rich.body.error);
  expect(error).toBeInstanceOf(RangeError);
  expect(error).toMatchObject({ code: "E_EMPTY", litres: 0n });
});
