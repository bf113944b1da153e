import { expect, test } from "vitest";
import type { Operation } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import type { RunSummary } from "#core/run.ts";
import { decode, encode } from "#core/value.ts";
import { park, startOfTime } from "./fake-runs.ts";
import { type Harness, harness } from "./harness.ts";

const at = new Date(startOfTime).toISOString();
const operator = { actor: "api:default", reason: null };

/** Runs that wait for a person, as both they and the index tell. */
async function withParked(...ids: string[]): Promise<Harness> {
  const made = harness();
  const found: RunSummary[] = [];
  for (const id of ids) {
    await made.ask("/v1/workflows/strict/runs", { body: { id, input: { customer: id } } });
    found.push(park(made.fakes.runs.get(`default:${id}`)!));
  }
  made.found = { runs: found, nextCursor: null };
  made.count = ids.length;
  made.fakes.writes.length = 0;
  return made;
}

function operations({ fakes }: Harness): Operation[] {
  return fakes.writes.map((write) => (write as [string, string, Operation])[2]);
}

test("dead letters are listed by the filters of runs", async () => {
  const made = await withParked("one");

  const { status, body } = await made.ask("/v1/dead-letters?fingerprint=0123456789abcdef&step=charge&attr.tier=smb&text=tank&limit=5");

  expect(made.queries).toEqual([
    {
      namespace: "default",
      status: ["paused"],
      deadLetter: true,
      fingerprint: "0123456789abcdef",
      step: "charge",
      text: "tank",
      limit: 5,
      attributes: [{ name: "tier", op: "eq", value: "smb" }],
    },
  ]);
  expect(status).toBe(200);
  expect(body).toEqual({
    deadLetters: [expect.objectContaining({ id: "one", step: "charge", version: "2", seq: 2, error: expect.objectContaining({ code: "E_EMPTY" }) })],
    nextCursor: null,
  });
});

test("groups tell what failed how often", async () => {
  const made = await withParked();
  const error = { name: "Error", message: "no", code: null };
  const group = {
    fingerprint: "f",
    workflow: "strict",
    step: "charge",
    error,
    count: 7,
    firstSeenAt: startOfTime,
    lastSeenAt: startOfTime,
    runIds: ["a", "b"],
  };
  made.groups = { groups: [group], more: true };

  const { body } = await made.ask("/v1/dead-letters/groups?workflow=strict&limit=1");

  expect(body).toEqual({ groups: [{ ...group, firstSeenAt: at, lastSeenAt: at }], more: true });
  expect(made.queries).toEqual([{ namespace: "default", status: ["paused"], deadLetter: true, workflow: "strict", limit: 1 }]);
});

test("a dead letter is read with the step that waits, its input, its attempts and its last error", async () => {
  const { ask } = await withParked("one");

  const { body } = await ask("/v1/dead-letters/one");
  const rich = await ask("/v1/dead-letters/one", { headers: { "accept-values": "devalue" } });

  expect(body).toEqual({
    run: expect.objectContaining({ id: "one", status: "paused" }),
    step: "charge",
    input: { amount: 5 },
    error: expect.objectContaining({ message: "The tank is empty.", litres: "0" }),
    attempts: [expect.objectContaining({ attempt: 1, outcome: "failed" }), expect.objectContaining({ attempt: 2 })],
    version: "2",
    fingerprint: "0123456789abcdef",
    seq: 2,
  });
  expect(decode(rich.body.error)).toBeInstanceOf(RangeError);
});

test("a run that waits for no person is no dead letter", async () => {
  const { ask } = await withParked();
  await ask("/v1/workflows/strict/runs", { body: { id: "well", input: { customer: "acme" } } });
  expect(await ask("/v1/dead-letters/well")).toMatchObject({ status: 404, body: { code: "not_found", status: 404 } });
  expect((await ask("/v1/dead-letters/unknown")).body.code).toBe("run_not_found");
});

test("a redrive tries the parked step again, once, and a second one is refused", async () => {
  const made = await withParked("one");

  const first = await made.ask("/v1/dead-letters/one/redrive", { body: { reason: "service repaired" } });
  const second = await made.ask("/v1/dead-letters/one/redrive", { method: "POST" });

  expect(first).toMatchObject({ status: 200, body: { id: "one", status: "running", fingerprint: null } });
  expect(second).toMatchObject({ status: 409, body: { code: "not_paused" } });
  expect(operations(made)).toEqual([{ ...operator, action: "resume", reason: "service repaired", expectedSeq: 2 }]);
});

test("a redrive takes a corrected input for the step that waits", async () => {
  const made = await withParked("one");

  await made.ask("/v1/dead-letters/one/redrive", { body: { input: encode({ at: new Date(5) }) }, headers: { "content-values": "devalue" } });

  expect(operations(made)).toEqual([{ ...operator, action: "retry", key: "charge", value: encode({ at: new Date(5) }), expectedSeq: 2 }]);
});

test("of several redrives at once, one counts", async () => {
  const made = await withParked("one");

  const answers = await Promise.all(Array.from({ length: 5 }, () => made.ask("/v1/dead-letters/one/redrive", { method: "POST" })));

  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409, 409, 409]);
  expect(operations(made)).toHaveLength(1);
});

test("an operator who looked at another state is refused as stale; one who did not say is not", async () => {
  const made = await withParked("one");
  made.fakes.failures.push(undefined, new Fault("stale"));

  expect((await made.ask("/v1/dead-letters/one/redrive", { body: { expectedSeq: 1 } })).body.code).toBe("stale");
  expect((await made.ask("/v1/dead-letters/one/redrive", { body: { expectedSeq: 2 } })).status).toBe(200);
});

test("a run that changes between the look and the act is looked at again", async () => {
  const made = await withParked("one");
  const run = made.fakes.runs.get("default:one")!;
  const { run: handle } = made.fakes;
  let isFirst = true;
  Object.assign(made.fakes, {
    run: (namespace: string, id: string) => ({
      ...handle(namespace, id),
      detail: async (waitMs: number) => {
        const detail = await handle(namespace, id).detail(waitMs);
        // An event arrives: the run is still parked, and another one than was looked at.
        if (isFirst) run.summary = { ...run.summary, seq: run.summary.seq + 2 };
        isFirst = false;
        return detail;
      },
    }),
  });

  expect((await made.ask("/v1/dead-letters/one/redrive", { method: "POST" })).status).toBe(200);
  expect(operations(made)).toMatchObject([{ action: "resume", expectedSeq: 3 }]);
});

test("a dead letter is discarded for a reason, and a repeat changes nothing", async () => {
  const made = await withParked("one");

  const first = await made.ask("/v1/dead-letters/one/discard", { body: { reason: "test data" } });
  const second = await made.ask("/v1/dead-letters/one/discard", { body: { reason: "test data" } });

  expect(first).toMatchObject({ status: 200, body: { status: "terminated", reason: { code: "discarded" } } });
  expect(second).toMatchObject({ status: 200, body: { status: "terminated" } });
  expect(operations(made)).toEqual([{ ...operator, action: "discard", reason: "test data", expectedSeq: 2 }]);
});

test("a dry run counts what would be acted on, names some, and does nothing", async () => {
  const made = await withParked("one", "two");
  made.count = 1234;

  const body = { filter: { workflow: "strict", "attr.amount": ["gte:1000", "lt:5000"], "attr.vip": true }, action: "redrive", dryRun: true };
  const told = await made.ask("/v1/dead-letters/bulk", { body });

  expect(told).toMatchObject({ status: 200, body: { count: 1234, runIds: ["one", "two"] } });
  const query = {
    namespace: "default",
    status: ["paused"],
    deadLetter: true,
    workflow: "strict",
    sort: { field: "createdAt", direction: "asc" },
    attributes: [
      { name: "amount", op: "gte", value: 1000 },
      { name: "amount", op: "lt", value: 5000 },
      { name: "vip", op: "eq", value: true },
    ],
  };
  expect(made.queries).toEqual([query, { ...query, limit: 10 }]);
  expect(made.fakes.writes).toEqual([]);
});

test("a bulk redrive resumes each that matches exactly once, however often it is asked while the index lags behind", async () => {
  const ids = Array.from({ length: 100 }, (_, place) => `run-${place}`);
  const made = await withParked(...ids);
  const redrive = () => made.ask("/v1/dead-letters/bulk", { body: { filter: { fingerprint: "0123456789abcdef" }, action: "redrive", reason: "repaired" } });

  const [first, second] = await Promise.all([redrive(), redrive()]);
  const third = await redrive();

  expect(operations(made)).toHaveLength(100);
  expect(new Set(made.fakes.writes.map((write) => (write as string[])[1]))).toEqual(new Set(ids));
  expect(first.body.done + second.body.done).toBe(100);
  expect([...first.body.skipped, ...second.body.skipped].every((it: { code: string }) => it.code === "not_paused")).toBe(true);
  expect(third.body).toEqual({ done: 0, skipped: ids.map((runId) => ({ runId, code: "not_paused" })), remaining: 0, nextCursor: null });
  expect(operations(made)[0]).toEqual({ ...operator, action: "resume", reason: "repaired", expectedSeq: 2 });
});

test("a run that refuses, is gone or can't be reached is told and keeps no other from its turn", async () => {
  const made = await withParked("ended", "gone", "two", "three");
  const ended = made.fakes.runs.get("default:ended")!;
  ended.summary = { ...ended.summary, status: "completed", fingerprint: null };
  made.fakes.runs.delete("default:gone");

  const { body } = await made.ask("/v1/dead-letters/bulk", { body: { filter: {}, action: "discard", reason: "test data" } });

  expect(body).toEqual({
    done: 2,
    skipped: [
      { runId: "ended", code: "not_paused" },
      { runId: "gone", code: "run_not_found" },
    ],
    remaining: 0,
    nextCursor: null,
  });
  expect(made.fakes.runs.get("default:three")!.summary.status).toBe("terminated");
});

test("one request acts on a bounded number, and the next goes on from its cursor", async () => {
  const made = await withParked("one");
  made.found = { ...made.found, nextCursor: "more" };
  made.count = 700;
  // Every page is the same run: how many there were is told by the number of searches.
  const { body } = await made.ask("/v1/dead-letters/bulk", { body: { filter: {}, action: "redrive", cursor: "earlier" } });

  const searches = made.queries.slice(1);
  expect(searches).toHaveLength(500);
  expect(searches.map((query) => query.cursor).slice(0, 3)).toEqual(["earlier", "more", "more"]);
  expect(searches[0]?.limit).toBe(200);
  expect(searches.at(-1)?.limit).toBe(1);
  expect(body).toMatchObject({ done: 1, remaining: 200, nextCursor: "more" });
});
