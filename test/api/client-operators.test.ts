import { expect, expectTypeOf, test } from "vitest";
import { createClient, type DeadLetter, type ForkPlan, type Run, type SegnoClient, type StartedRun } from "#client/index.ts";
import type { Operation, StartCommand } from "#core/command.ts";
import { decode, encode } from "#core/value.ts";
import { type FakeRun, park, startOfTime, stepRecord } from "./fake-runs.ts";
import { type Harness, harness, key, strict } from "./harness.ts";

interface ClientOfTest extends Harness {
  readonly segno: SegnoClient;
  readonly sent: { readonly url: string; readonly body: unknown }[];
  readonly fake: FakeRun;
}

/** A client, and a run `run` that waits for a person at `charge`. */
async function client(): Promise<ClientOfTest> {
  const made = harness();
  const sent: { url: string; body: unknown }[] = [];
  const segno = createClient({
    url: "https://segno.test",
    apiKey: key,
    fetch: (url, init) => {
      sent.push({ url: url.slice("https://segno.test".length), body: typeof init.body === "string" ? JSON.parse(init.body) : null });
      return made.fetch(url, init);
    },
  });
  await segno.workflow(strict).start({ customer: "acme" }, { id: "run" });
  const fake = made.fakes.runs.get("default:run")!;
  park(fake);
  made.fakes.writes.length = 0;
  sent.length = 0;
  return Object.assign(made, { segno, sent, fake });
}

function lastOperation({ fakes }: Harness): Operation {
  return (fakes.writes.at(-1) as [string, string, Operation])[2];
}

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("every command of an operator reaches the run, with why and on which state", async () => {
  const made = await client();
  const run = made.segno.run("run");
  const why = { reason: "repaired", expectedSeq: 2 };
  const operator = { actor: "api:default", ...why };
  const acts: [(run: ReturnType<SegnoClient["run"]>) => Promise<Run>, object][] = [
    [(it) => it.pause(why), { action: "pause" }],
    [(it) => it.resume(why), { action: "resume" }],
    [(it) => it.cancel({ ...why, compensate: true }), { action: "cancel", compensate: true }],
    [(it) => it.terminate(why), { action: "terminate" }],
    [(it) => it.retry("charge", why), { action: "retry", key: "charge", value: null }],
    [(it) => it.retry("charge", { ...why, input: { at: new Date(5) } }), { action: "retry", value: encode({ at: new Date(5) }) }],
    [(it) => it.complete("charge", { ...why, output: new Set([1]) }), { action: "complete", value: encode(new Set([1])) }],
    [(it) => it.complete("charge", { ...why, output: undefined }), { action: "complete", value: encode(undefined) }],
    [(it) => it.skip("charge", why), { action: "skip", value: null }],
    [(it) => it.rollback({ ...why, from: "charge" }), { action: "rollback", from: "charge" }],
  ];
  made.fake.undo = ["charge"];
  for (const [act, operation] of acts) {
    park(made.fake, { seq: 5, endedAt: null });
    const told = await act(run);
    expect(lastOperation(made)).toMatchObject({ ...operator, ...operation });
    expect(told).toMatchObject({ id: "run", seq: 3, createdAt: new Date(startOfTime) });
  }
  park(made.fake, { endedAt: null });
  await run.fail("charge", { message: "stolen", code: "E_STOLEN" });
  expect(decode((lastOperation(made) as { value: string }).value)).toMatchObject({ message: "stolen", code: "E_STOLEN" });
  await expect(run.resume({ expectedSeq: 0 })).rejects.toMatchObject({ code: "stale", status: 409 });
});

test("plans are told without doing anything; a rollback of a run that has ended answers with the run that undoes it", async () => {
  const made = await client();
  made.fake.undo = ["charge", "account"];
  made.fake.plan = { kept: ["account"], repeated: ["charge"], unsafe: [] };
  const run = made.segno.run("run");

  expect(await run.rollbackPlan()).toEqual(["charge", "account"]);
  expect(await run.forkPlan("charge")).toEqual(made.fake.plan);
  expect(made.fakes.writes).toEqual([]);

  made.fake.summary = { ...made.fake.summary, status: "completed", endedAt: startOfTime };
  expect(await run.rollback()).toMatchObject({ id: "run.rollback", origin: { runId: "run", relation: "rollback" } });
});

test("one call of fork is one new run, with a handle of the same type", async () => {
  const made = await client();
  const run = made.segno.workflow(strict).run("run");

  const forked = await run.fork({ from: "charge", input: { customer: "umbrella", at: new Date(5) } });
  const again = await run.fork({ from: "charge", id: forked.id });

  expect(forked).toMatchObject({ created: true, status: "waiting" });
  expect(again).toMatchObject({ id: forked.id, created: false });
  expect(await forked.get()).toMatchObject({ origin: { runId: "run", relation: "fork", step: "charge" } });
  const [, command] = made.fakes.writes[0] as [string, StartCommand];
  expect(decode(command.input)).toEqual({ customer: "umbrella", at: new Date(5) });
  expectTypeOf(forked).toEqualTypeOf<StartedRun<{ customer: string; signedAt: Date }>>();
  expectTypeOf(run.forkPlan).returns.resolves.toEqualTypeOf<ForkPlan>();
});

test("the audit is read to its last page, values and times as they were", async () => {
  const made = await client();
  made.fake.audit = Array.from({ length: 250 }, (_, place) => ({
    seq: place + 2,
    at: startOfTime,
    actor: "api:default",
    action: "retry" as const,
    reason: null,
    keys: ["charge"],
    before: "paused",
    after: "waiting" as const,
    value: encode(new Date(place)),
  }));

  const audit = await listOf(made.segno.run("run").audit());

  expect(audit).toHaveLength(250);
  expect(audit[249]).toMatchObject({ seq: 251, at: new Date(startOfTime), after: "waiting", value: new Date(249) });
});

test("dead letters are found, read, tried again and given up", async () => {
  const made = await client();
  const { deadLetters } = made.segno;
  made.found = { runs: [made.fake.summary], nextCursor: null };
  made.groups = {
    groups: [
      {
        fingerprint: "f",
        workflow: "strict",
        step: "charge",
        error: { name: "E", message: "", code: null },
        count: 1,
        firstSeenAt: startOfTime,
        lastSeenAt: startOfTime,
        runIds: ["run"],
      },
    ],
    more: false,
  };

  const [listed] = await listOf(deadLetters.iterate({ fingerprint: "f", attributes: { tier: "1000" }, createdAfter: new Date(1_700_000_000_000) }));
  const { groups, more } = await deadLetters.groups({ workflow: "strict", limit: 5 });
  const letter = await deadLetters.get("run");

  expect(listed).toMatchObject({ id: "run", fingerprint: "0123456789abcdef", createdAt: new Date(startOfTime) });
  expect(made.queries[0]).toMatchObject({
    deadLetter: true,
    fingerprint: "f",
    createdAfter: 1_700_000_000_000,
    attributes: [{ name: "tier", op: "eq", value: "1000" }],
  });
  expect([groups[0]?.firstSeenAt, more]).toEqual([new Date(startOfTime), false]);
  expect(letter).toMatchObject({ step: "charge", input: { amount: 5 }, seq: 2, attempts: [{ startedAt: new Date(startOfTime) }, {}] });
  expect(letter.error).toBeInstanceOf(RangeError);
  expectTypeOf(letter).toEqualTypeOf<DeadLetter>();

  await deadLetters.redrive("run", { reason: "repaired", input: { at: new Date(5) }, expectedSeq: letter.seq });
  expect(lastOperation(made)).toMatchObject({ action: "retry", key: "charge", reason: "repaired", value: encode({ at: new Date(5) }) });
  await expect(deadLetters.redrive("run")).rejects.toMatchObject({ code: "not_paused" });
  await expect(deadLetters.get("run")).rejects.toMatchObject({ code: "not_found", status: 404 });
  park(made.fake);
  expect(await deadLetters.discard("run", { reason: "test data" })).toMatchObject({ status: "terminated", reason: { code: "discarded" } });
});

test("many dead letters are counted first, and acted on until the last page", async () => {
  const made = await client();
  const { deadLetters } = made.segno;
  made.found = { runs: [made.fake.summary], nextCursor: null };
  made.count = 1;

  expect(await deadLetters.count({ workflow: "strict", attributes: { amount: { gte: 5, lt: 9 } } })).toEqual({ count: 1, runIds: ["run"] });
  expect(made.sent[0]?.body).toEqual({ filter: { workflow: ["strict"], "attr.amount": ["gte:5", "lt:9"] }, action: "redrive", dryRun: true });
  expect(await deadLetters.redriveAll({}, { reason: "repaired" })).toEqual({ done: 1, skipped: [] });
  expect(await deadLetters.redriveAll({})).toEqual({ done: 0, skipped: [{ runId: "run", code: "not_paused" }] });

  // An answer that is not the last is followed by the next request.
  made.fake.steps = [stepRecord({ key: "charge", seq: 2 })];
  const cursors: unknown[] = [];
  const paged = createClient({
    url: "https://segno.test",
    apiKey: key,
    fetch: async (_url, init) => {
      const { cursor } = JSON.parse(String(init.body));
      cursors.push(cursor);
      return Response.json({ done: 500, skipped: [{ runId: "x", code: "run_ended" }], remaining: 1, nextCursor: cursor ? null : "more" });
    },
  });
  expect(await paged.deadLetters.discardAll({}, { reason: "test data" })).toMatchObject({ done: 1000, skipped: [{}, {}] });
  expect(cursors).toEqual([undefined, "more"]);
});
