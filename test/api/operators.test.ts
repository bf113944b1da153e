import { expect, test } from "vitest";
import type { Operation, StartCommand } from "#core/command.ts";
import { decode, encode } from "#core/value.ts";
import { brokenError, park, startOfTime, stepRecord } from "./fake-runs.ts";
import { type Harness, harness } from "./harness.ts";

const at = new Date(startOfTime).toISOString();
const operator = { actor: "api:default", reason: null, expectedSeq: null };

/** A run that waits, and no trace of how it came to be. */
async function withRun(): Promise<Harness> {
  const made = harness();
  await made.ask("/v1/workflows/strict/runs", { body: { id: "run", input: { customer: "acme" }, attributes: { tier: "smb" } } });
  made.fakes.writes.length = 0;
  return made;
}

/** A run that waits for a person at `charge`. */
async function withParked(): Promise<Harness> {
  const made = await withRun();
  park(made.fakes.runs.get("default:run")!);
  return made;
}

async function withEnded(): Promise<Harness> {
  const made = await withRun();
  const run = made.fakes.runs.get("default:run")!;
  run.summary = { ...run.summary, status: "completed", reason: null, step: null, endedAt: startOfTime };
  run.steps = [stepRecord({ key: "charge", seq: 2 })];
  return made;
}

function operations({ fakes }: Harness): Operation[] {
  return fakes.writes.map((write) => (write as [string, string, Operation])[2]);
}

test.each([
  ["pause", {}, "paused", { action: "pause" }],
  ["resume", { reason: "service repaired" }, "running", { action: "resume", reason: "service repaired" }],
  ["cancel", { reason: "customer left" }, "cancelled", { action: "cancel", compensate: false, reason: "customer left" }],
  ["cancel", { compensate: true }, "cancelled", { action: "cancel", compensate: true }],
  ["terminate", { expectedSeq: 2 }, "terminated", { action: "terminate", expectedSeq: 2 }],
  ["retry", { step: "charge" }, "running", { action: "retry", key: "charge", value: null }],
  ["retry", { step: "charge", input: { b: 1, a: 2 } }, "running", { action: "retry", key: "charge", value: encode({ a: 2, b: 1 }) }],
  ["rollback", {}, "compensating", { action: "rollback", from: null }],
  ["rollback", { from: "charge", reason: "wrong customer" }, "compensating", { action: "rollback", from: "charge", reason: "wrong customer" }],
  ["steps/charge/retry", {}, "running", { action: "retry", key: "charge", value: null }],
  ["steps/charge/retry", { input: null }, "running", { action: "retry", key: "charge", value: encode(null) }],
  ["steps/charge/complete", {}, "running", { action: "complete", key: "charge", value: null }],
  ["steps/charge/complete", { output: { id: 7 } }, "running", { action: "complete", key: "charge", value: encode({ id: 7 }) }],
  [
    "steps/charge/skip",
    { reason: "done by hand", expectedSeq: 2 },
    "running",
    { action: "skip", key: "charge", value: null, reason: "done by hand", expectedSeq: 2 },
  ],
] as const)("%s with %j leaves the run %s, in the name of the key, and answers with the run", async (path, body, status, operation) => {
  const made = await withParked();
  made.fakes.runs.get("default:run")!.undo = ["charge"];

  const told = await made.ask(`/v1/runs/run/${path}`, { body });

  expect(told).toMatchObject({ status: 200, body: { id: "run", status, seq: 3 } });
  expect(operations(made)).toEqual([{ ...operator, ...operation }]);
});

test("a command without a body is one without a reason", async () => {
  const made = await withParked();
  expect((await made.ask("/v1/runs/run/pause", { method: "POST" })).status).toBe(200);
  expect(operations(made)).toEqual([{ ...operator, action: "pause" }]);
});

test("a step fails by hand with the error that the operator writes, and no trace of our own code", async () => {
  const made = await withParked();

  await made.ask("/v1/runs/run/steps/charge/fail", { body: { message: "The card is stolen.", code: "E_STOLEN" } });

  const [operation] = operations(made);
  expect(operation).toMatchObject({ ...operator, action: "fail", key: "charge" });
  const error = decode((operation as { value: string }).value) as Error;
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ message: "The card is stolen.", code: "E_STOLEN" });
  expect(JSON.stringify(operation)).not.toMatch(/\.ts/);
});

test("values given by hand keep their types as devalue texts, and steps are found whatever signs their keys hold", async () => {
  const made = await withParked();
  const run = made.fakes.runs.get("default:run")!;
  run.summary = { ...run.summary, step: "50%/späße#2" };

  await made.ask(`/v1/runs/run/steps/${encodeURIComponent("50%/späße#2")}/complete`, {
    body: { output: encode({ at: new Date(5) }) },
    headers: { "content-values": "devalue" },
  });

  const [operation] = operations(made);
  expect(operation).toMatchObject({ key: "50%/späße#2", value: encode({ at: new Date(5) }) });
});

test("what was decided on another state of the run is refused as stale, and the seq that is shown is the one to send", async () => {
  const made = await withParked();
  const { seq } = (await made.ask("/v1/runs/run")).body;

  const stale = await made.ask("/v1/runs/run/resume", { body: { expectedSeq: seq - 1 } });
  const fresh = await made.ask("/v1/runs/run/resume", { body: { expectedSeq: seq } });

  expect(stale).toMatchObject({ status: 409, body: { code: "stale" } });
  expect(fresh).toMatchObject({ status: 200, body: { seq: seq + 1 } });
});

test("a parked run shows the error of its step, in a list and alone, in both forms", async () => {
  const made = await withParked();
  made.found = { runs: [made.fakes.runs.get("default:run")!.summary], nextCursor: null };
  const error = { name: "RangeError", message: "The tank is empty.", code: "E_EMPTY" };

  const [listed] = (await made.ask("/v1/runs")).body.runs;
  expect(listed).toMatchObject({ error, fingerprint: "0123456789abcdef" });
  expect((await made.ask("/v1/runs/run")).body.error).toEqual(error);
  const rich = (await made.ask("/v1/runs/run", { headers: { "accept-values": "devalue" } })).body.error;
  expect(decode(rich)).toBeInstanceOf(RangeError);
  expect(decode(rich)).toMatchObject({ code: "E_EMPTY" });
  expect(rich).not.toContain(".ts");
});

test("a dry run of a rollback lists what would be undone and does nothing", async () => {
  const made = await withParked();
  made.fakes.runs.get("default:run")!.undo = ["charge", "account"];

  const { status, body } = await made.ask("/v1/runs/run/rollback", { body: { dryRun: true } });

  expect({ status, body }).toEqual({ status: 200, body: { undo: ["charge", "account"] } });
  expect(made.fakes.writes).toEqual([]);
});

test("a run that has ended is undone by a new run that is linked to it, once", async () => {
  const made = await withEnded();
  made.fakes.runs.get("default:run")!.undo = ["charge"];

  const { status, headers, body } = await made.ask("/v1/runs/run/rollback", { body: { from: "charge", reason: "wrong customer" } });
  const again = await made.ask("/v1/runs/run/rollback", { body: { from: "charge" } });
  const otherwise = await made.ask("/v1/runs/run/rollback", { body: {} });
  const named = await made.ask("/v1/runs/run/rollback", { body: { id: "undo-all" } });

  expect(status).toBe(201);
  expect(headers.get("location")).toBe("/v1/runs/run.rollback");
  expect(body).toMatchObject({ id: "run.rollback", origin: { runId: "run", relation: "rollback", step: "charge" } });
  expect(again).toMatchObject({ status: 200, body: { id: "run.rollback" } });
  expect(otherwise).toMatchObject({ status: 409, body: { code: "run_exists" } });
  expect(named).toMatchObject({ status: 201, body: { id: "undo-all", origin: { step: null } } });
  const [, command] = made.fakes.writes[0] as [string, StartCommand];
  expect(command).toMatchObject({ workflow: "strict", version: "2", input: encode({ customer: "acme" }), attributes: { customer: "acme", tier: "smb" } });
});

test("a run that has ended and has nothing to undo makes no new run", async () => {
  const made = await withEnded();
  expect((await made.ask("/v1/runs/run/rollback", { body: {} })).body.code).toBe("nothing_to_undo");
  expect(made.fakes.writes).toEqual([]);
});

test("a fork shows its plan, needs a word for what is unsafe to repeat, and then is a new run with its origin", async () => {
  const made = await withEnded();
  made.fakes.runs.get("default:run")!.plan = { kept: ["account"], repeated: ["charge", "mail"], unsafe: ["charge"] };

  const plan = await made.ask("/v1/runs/run/fork", { body: { from: "charge", dryRun: true } });
  const refused = await made.ask("/v1/runs/run/fork", { body: { from: "charge" } });
  expect(plan).toMatchObject({ status: 200, body: { kept: ["account"], repeated: ["charge", "mail"], unsafe: ["charge"] } });
  expect(refused).toMatchObject({ status: 409, body: { code: "unsafe_repeat", unsafe: ["charge"] } });
  expect(made.fakes.writes).toEqual([]);

  const forked = await made.ask("/v1/runs/run/fork", { body: { from: "charge", acknowledgeUnsafe: true } });
  const shown = await made.ask(`/v1/runs/${forked.body.id}`);
  expect(forked).toMatchObject({ status: 201, body: { id: "id-1", createdAt: at, origin: { runId: "run", relation: "fork", step: "charge" } } });
  expect(forked.headers.get("location")).toBe("/v1/runs/id-1");
  expect(shown.body).toMatchObject({ input: { customer: "acme" }, origin: { runId: "run" } });
});

test("a fork takes a corrected input, another version and an id, under which it happens once", async () => {
  const made = await withEnded();
  const fork = () =>
    made.ask("/v1/runs/run/fork", {
      body: { from: "charge", id: "again", version: "1", input: encode({ customer: "umbrella", at: new Date(5) }) },
      headers: { "content-values": "devalue" },
    });

  const statuses = [(await fork()).status, (await fork()).status];

  expect(statuses).toEqual([201, 200]);
  expect(made.fakes.writes).toHaveLength(1);
  const [, command] = made.fakes.writes[0] as [string, StartCommand];
  // The old attributes came from the old input.
  expect(command).toMatchObject({ runId: "again", version: "1", input: encode({ at: new Date(5), customer: "umbrella" }), attributes: {}, delayMs: 0 });
});

test("a fork of a run that hides parts of its input starts with the input itself, not with what is shown of it", async () => {
  const made = await withEnded();
  const input = encode({ customer: "acme", password: "s3cret" });
  Object.assign(made.fakes.runs.get("default:run")!.created, { value: input });

  expect((await made.ask("/v1/runs/run/fork", { body: { from: "charge", id: "again" } })).status).toBe(201);
  expect(made.fakes.runs.get("default:again")?.created.value).toBe(input);
});

test("a fork or rollback of another state than was looked at is refused as stale", async () => {
  const made = await withEnded();
  made.fakes.runs.get("default:run")!.undo = ["charge"];
  expect((await made.ask("/v1/runs/run/fork", { body: { from: "charge", expectedSeq: 9 } })).body.code).toBe("stale");
  expect((await made.ask("/v1/runs/run/rollback", { body: { expectedSeq: 9 } })).body.code).toBe("stale");
  expect(made.fakes.writes).toEqual([]);
});

test("the audit tells who did what, when, why and with which value, page by page", async () => {
  const made = await withParked();
  const record = { at: startOfTime, actor: "api:default", reason: null, keys: ["charge"], before: "paused", after: "running" as const, value: null };
  made.fakes.runs.get("default:run")!.audit = [
    { ...record, seq: 4, action: "retry", reason: "typo", value: encode({ since: new Date(0) }) },
    { ...record, seq: 9, action: "pause", keys: [] },
  ];

  const first = await made.ask("/v1/runs/run/audit?limit=1");
  const last = await made.ask(`/v1/runs/run/audit?after=${first.body.nextCursor}`, { headers: { "accept-values": "devalue" } });

  expect(first.body).toEqual({
    audit: [{ ...record, seq: 4, at, action: "retry", reason: "typo", value: { since: "1970-01-01T00:00:00.000Z" } }],
    nextCursor: "4",
  });
  expect(last.body).toEqual({ audit: [{ ...record, seq: 9, at, action: "pause", keys: [] }], nextCursor: null });
});

test("a step shows how it was declared and who decided on it", async () => {
  const made = await withRun();
  made.fakes.runs.get("default:run")!.steps = [
    stepRecord({
      key: "legal",
      seq: 2,
      kind: "approval",
      onFailure: "pause",
      compensates: true,
      attempts: [{ attempt: 1, startedAt: startOfTime, endedAt: null, outcome: null, error: encode(brokenError) }],
      approval: {
        assignees: ["legal"],
        quorum: 1,
        form: { type: "object" },
        escalated: false,
        decisions: [{ actor: "ann", via: "api", decision: "approved", comment: null, at: startOfTime, form: encode({ limit: 5n }) }],
      },
    }),
  ];

  const { body } = await made.ask("/v1/runs/run/steps/legal");

  expect(body).toMatchObject({ onFailure: "pause", compensates: true, unsafeToRepeat: false, policy: null });
  expect(body.approval).toMatchObject({ assignees: ["legal"], decisions: [{ actor: "ann", at, form: { limit: "5" } }] });
});
