import { expect, test } from "vitest";
import { encode } from "#core/value.ts";
import { startOfTime, stepRecord } from "./fake-runs.ts";
import { type Harness, harness } from "./harness.ts";

const at = new Date(startOfTime).toISOString();

async function withRun(): Promise<Harness> {
  const made = harness();
  await made.ask("/v1/workflows/strict/runs", { body: { id: "run", input: { customer: "acme" } } });
  made.fakes.writes.length = 0;
  made.fakes.waits.length = 0;
  return made;
}

test("a run is read with its values", async () => {
  const { ask, fakes } = await withRun();

  const { status, headers, body } = await ask("/v1/runs/run");

  expect(status).toBe(200);
  expect(headers.get("cache-control")).toBe("no-store");
  expect(body).toMatchObject({ id: "run", status: "waiting", createdAt: at, endedAt: null, input: { customer: "acme" }, output: null, error: null });
  expect(body).toMatchObject({ seq: 1, origin: null, fingerprint: null });
  expect(body).not.toHaveProperty("approvals");
  expect(fakes.waits).toEqual([0]);
});

test.each([
  ["10s", 10_000],
  ["1500", 1_500],
  ["0", 0],
  ["10m", 60_000],
])("?wait=%s waits for %i ms", async (wait, ms) => {
  const { ask, fakes } = await withRun();
  await ask(`/v1/runs/run?wait=${wait}`);
  expect(fakes.waits).toEqual([ms]);
});

test("the list asks the index, within the caller's namespace", async () => {
  const api = await withRun();
  api.found = { runs: [api.fakes.runs.get("default:run")!.summary], nextCursor: "next" };

  const { body } = await api.ask("/v1/runs?status=failed,waiting&attr.amount=gte:1000&limit=20&createdAfter=2026-01-01", {
    headers: { authorization: null, "x-api-key": "other-key" },
  });

  expect(api.queries).toEqual([
    {
      namespace: "other",
      status: ["failed", "waiting"],
      limit: 20,
      createdAfter: Date.UTC(2026, 0, 1),
      attributes: [{ name: "amount", op: "gte", value: 1000 }],
    },
  ]);
  expect(body).toEqual({ runs: [expect.objectContaining({ id: "run", createdAt: at, attributes: { customer: "acme" } })], nextCursor: "next" });
});

test("steps come with attempts, times and values, page by page", async () => {
  const { ask, fakes } = await withRun();
  const run = fakes.runs.get("default:run")!;
  run.steps = [
    stepRecord({ key: "create", seq: 2, input: encode(1) }),
    stepRecord({ key: "create#2", seq: 5 }),
    stepRecord({ key: "kyc", seq: 9, kind: "callback", callbackUrl: "https://segno.test/callbacks/x", output: null, endedAt: null }),
  ];

  const first = await ask("/v1/runs/run/steps?limit=2");
  const last = await ask(`/v1/runs/run/steps?limit=2&after=${first.body.nextCursor}`);

  expect(first.body.steps.map((step: { key: string }) => step.key)).toEqual(["create", "create#2"]);
  expect(first.body.steps[0]).toEqual({
    ...run.steps[0],
    startedAt: at,
    endedAt: new Date(startOfTime + 5).toISOString(),
    input: 1,
    output: { at },
    attempts: [
      {
        attempt: 1,
        startedAt: at,
        endedAt: new Date(startOfTime + 1).toISOString(),
        outcome: "failed",
        error: expect.objectContaining({ message: "The tank is empty.", litres: "0" }),
      },
      { attempt: 2, startedAt: new Date(startOfTime + 2).toISOString(), endedAt: new Date(startOfTime + 5).toISOString(), outcome: "completed", error: null },
    ],
  });
  expect(last.body).toMatchObject({ steps: [{ key: "kyc", endedAt: null, callbackUrl: "https://segno.test/callbacks/x" }], nextCursor: null });
});

test("a step is found by its key, whatever signs it holds", async () => {
  const { ask, fakes } = await withRun();
  for (const key of ["invite#2", "a/b", "100%", "50%25", "späße ?&", "..."]) {
    fakes.runs.get("default:run")!.steps = [stepRecord({ key, seq: 2 })];
    expect((await ask(`/v1/runs/run/steps/${encodeURIComponent(key)}`)).body.key).toBe(key);
  }
});

test("the journal is told entry by entry", async () => {
  const { ask, fakes } = await withRun();
  const run = fakes.runs.get("default:run")!;
  run.journal.push({
    kind: "run.ended",
    at: startOfTime,
    seq: 2,
    status: "completed",
    reason: null,
    actor: null,
    failedKey: null,
    error: null,
    value: encode({ done: new Date(0) }),
  });

  const first = await ask("/v1/runs/run/journal?limit=1");
  const second = await ask("/v1/runs/run/journal?limit=1&after=1", { headers: { "accept-values": "devalue" } });

  expect(first.body).toEqual({
    entries: [expect.objectContaining({ seq: 1, at, kind: "run.created", startAt: at, deadlineAt: null, value: { customer: "acme" } })],
    nextCursor: "1",
  });
  expect(second.body).toEqual({
    entries: [
      { seq: 2, at, kind: "run.ended", status: "completed", reason: null, actor: null, failedKey: null, error: null, value: encode({ done: new Date(0) }) },
    ],
    nextCursor: null,
  });
});

test("an event is recorded once per id or key, and every time without", async () => {
  const { ask, fakes } = await withRun();
  const send = (body: unknown, key?: string) => ask("/v1/runs/run/events/invoice.paid", { body, headers: { "idempotency-key": key ?? null } });

  expect(await send({ id: "e1", key: "inv-1", payload: { amount: 5 } })).toMatchObject({ status: 202, body: { duplicate: false, step: null } });
  expect((await send({ id: "e1", key: "inv-1", payload: { amount: 5 } })).body.duplicate).toBe(true);
  expect((await send({}, "e2")).body.duplicate).toBe(false);
  expect((await send({}, "e2")).body.duplicate).toBe(true);
  expect((await send({})).body.duplicate).toBe(false);
  expect((await ask("/v1/runs/run/events/invoice.paid", { method: "POST" })).body.duplicate).toBe(false);

  expect(fakes.writes).toHaveLength(4);
  expect(fakes.writes[0]).toEqual(["event", { eventId: "e1", name: "invoice.paid", eventKey: "inv-1", payload: encode({ amount: 5 }) }]);
});

test("what is deployed is listed, newest version first, with the schema of its input", async () => {
  const { ask } = harness();

  const { body } = await ask("/v1/workflows");
  const strict = await ask("/v1/workflows/strict");

  expect(body.workflows.map((it: { name: string }) => it.name)).toEqual(["broken", "echo", "strict"]);
  expect(body.workflows[1]).toEqual({ name: "echo", versions: [{ version: "1", input: null }] });
  expect(strict.body).toEqual(body.workflows[2]);
  expect(strict.body.versions.map((it: { version: string }) => it.version)).toEqual(["2", "1"]);
  expect(strict.body.versions[0].input).toMatchObject({ type: "object", properties: { customer: { type: "string" } }, required: ["customer"] });
});
