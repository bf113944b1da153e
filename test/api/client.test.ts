import { expect, expectTypeOf, test, vi } from "vitest";
import { createClient, type Fetch, type Run, type RunDetail, type SegnoClient, SegnoError } from "#client/index.ts";
import type { EventCommand, StartCommand } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { decode, encode } from "#core/value.ts";
import { brokenError, startOfTime, stepRecord } from "./fake-runs.ts";
import { broken, echo, type Harness, harness, key, strict } from "./harness.ts";

interface ClientOfTest extends Harness {
  readonly segno: SegnoClient;
  readonly sent: { readonly url: string; readonly init: RequestInit }[];
}

/** A client of the API over fake runs. The first requests meet what `trouble` makes of them instead. */
function client(trouble: ((url: string, init: RequestInit) => Promise<Response>)[] = []): ClientOfTest {
  const made = harness();
  const sent: { url: string; init: RequestInit }[] = [];
  const fetch: Fetch = (url, init) => {
    sent.push({ url, init });
    return (trouble.shift() ?? made.fetch)(url, init);
  };
  return Object.assign(made, { sent, segno: createClient({ url: "https://segno.test/", apiKey: key, fetch }) });
}

const unreachable = () => Promise.reject(new TypeError("Network connection lost."));
const gateway = () => Promise.resolve(new Response("<h1>Bad gateway</h1>", { status: 502 }));

/** Does the work while pauses pass at once. */
async function inFakeTime<T>(work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  try {
    let isDone = false;
    const result = Promise.allSettled([work()]).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await vi.advanceTimersByTimeAsync(500);
      await scheduler.wait(0);
    }
    const [settled] = await result;
    if (settled.status === "rejected") throw settled.reason;
    return settled.value;
  } finally {
    vi.useRealTimers();
  }
}

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("a workflow is started and gives its result, dates and all", async () => {
  const { segno, fakes } = client();

  const run = await segno.workflow(echo).start({ at: new Date(5), tags: new Set(["a"]) }, { id: "one", wait: "5s", attributes: { since: new Date(7) } });
  const result = await run.result();

  expect(run).toMatchObject({ id: "one", status: "completed", created: true });
  expect(result).toEqual({ at: new Date(5), tags: new Set(["a"]) });
  const [, command] = fakes.writes[0] as [string, StartCommand];
  expect(command).toMatchObject({ runId: "one", attributes: { since: 7 } });
  expect(fakes.waits[0]).toBe(5000);
  expect((await segno.workflow("echo").start({ tags: new Set(["a"]), at: new Date(5) }, { id: "one" })).created).toBe(false);
});

test("the result of a run is awaited, however often it must be asked for", async () => {
  vi.useFakeTimers();
  const { segno, fakes, sent } = client();
  const run = await segno.workflow(strict).start({ customer: "acme" });
  const fake = [...fakes.runs.values()][0]!;

  const result = run.result();
  await vi.advanceTimersByTimeAsync(2500);
  expect(sent).toHaveLength(1 + 3);
  fake.summary = { ...fake.summary, status: "completed", endedAt: startOfTime };
  fake.output = encode({ customer: "acme", signedAt: new Date(9) });
  await vi.advanceTimersByTimeAsync(1000);
  vi.useRealTimers();

  expect(await result).toEqual({ customer: "acme", signedAt: new Date(9) });
  expect(sent[1]?.url).toBe(`https://segno.test/v1/runs/${run.id}?wait=25s`);
});

test("a run that failed throws its error, one that was cancelled or terminated says so", async () => {
  const { segno } = client();
  const failed = await segno.workflow(broken).start();
  const cancelled = await segno.workflow(strict).start({ customer: "acme" });
  await cancelled.cancel({ reason: "no longer needed" });
  const terminated = await segno.workflow(strict).start({ customer: "acme" });
  await terminated.terminate();

  for (const run of [failed, segno.run(failed.id)]) {
    const error = await run.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SegnoError);
    expect(error).toMatchObject({ code: "run_failed", status: null, message: `Run ${failed.id} failed: The tank is empty.`, details: { runId: failed.id } });
    expect((error as SegnoError).cause).toBeInstanceOf(RangeError);
    expect((error as SegnoError).cause).toMatchObject({ code: "E_EMPTY", litres: brokenError.litres });
  }
  await expect(cancelled.result()).rejects.toMatchObject({ code: "run_cancelled" });
  await expect(terminated.result()).rejects.toMatchObject({ code: "run_terminated" });
});

test("waiting for a result ends with its signal", async () => {
  const hanging: Fetch = (_url, init) => new Promise((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason)));
  const controller = new AbortController();
  const result = createClient({ url: "https://segno.test", apiKey: key, fetch: hanging }).run("one").result({ signal: controller.signal });

  controller.abort(new Error("enough"));

  await expect(result).rejects.toThrow("enough");
});

test("one call of start starts one run, though its first answers were lost", async () => {
  const made: ClientOfTest = client([
    unreachable,
    gateway,
    (url, init) => made.fetch(url, init),
    async (url, init) => {
      await made.fetch(url, init);
      throw new TypeError("The connection broke after the run had begun.");
    },
  ]);
  made.fakes.failures.push(new Fault("overloaded"));

  const run = await inFakeTime(() => made.segno.workflow(echo).start("hello"));

  expect(made.sent).toHaveLength(5);
  expect(new Set(made.sent.map(({ init }) => new Headers(init.headers).get("idempotency-key"))).size).toBe(1);
  expect(made.fakes.writes).toHaveLength(1);
  expect(run.id).toMatch(/^idem-/);
  const another = await made.segno.workflow(echo).start("hello");
  expect(another.id).not.toBe(run.id);
});

test("one call of sendEvent is one event, and payloads keep their types", async () => {
  const made: ClientOfTest = client();
  const run = await made.segno.workflow(strict).start({ customer: "acme" });
  made.fakes.writes.length = 0;
  made.fakes.failures.push(new Fault("overloaded"), new Fault("overloaded"));

  expect(await inFakeTime(() => run.sendEvent("paid", { at: new Date(3) }, { key: "inv/1" }))).toEqual({ duplicate: false, step: null });
  await run.sendEvent("paid");
  await run.sendEvent("paid", 1, { id: "e1" });
  expect((await run.sendEvent("paid", 1, { id: "e1" })).duplicate).toBe(true);

  const commands = made.fakes.writes.map((write) => (write as [string, EventCommand])[1]);
  expect(commands.map(({ eventKey, payload }) => [eventKey, decode(payload)])).toEqual([
    ["inv/1", { at: new Date(3) }],
    [null, undefined],
    [null, 1],
  ]);
});

test("what can't help is not repeated: a refusal is thrown at once, with its code and details", async () => {
  const { segno, sent } = client();

  const refused = await segno
    .workflow<typeof strict>("strict")
    .start({ customer: 5 as unknown as string })
    .catch((thrown: unknown) => thrown);

  expect(refused).toBeInstanceOf(SegnoError);
  expect(refused).toMatchObject({
    code: "invalid_input",
    status: 422,
    message: expect.stringContaining("customer"),
    details: { issues: [{ path: ["customer"] }] },
  });
  expect(sent).toHaveLength(1);
  await expect(segno.run("unknown").get()).rejects.toMatchObject({ code: "run_not_found", status: 404 });
  await expect(segno.run("a/b").get()).rejects.toMatchObject({ code: "invalid_id" });
});

test("what answers but is no Segno is said to be none", async () => {
  const page = async () => new Response("<h1>Hello</h1>");
  await expect(client([page]).segno.run("one").get()).rejects.toMatchObject({ code: "unexpected_answer", status: 200 });
  const missing = async () => new Response("not here", { status: 404 });
  await expect(client([missing]).segno.run("one").get()).rejects.toMatchObject({ code: "unexpected_answer", status: 404 });
});

test("after six attempts without an answer the client gives up", async () => {
  const made = client(Array.from({ length: 10 }, () => unreachable));

  const gone = inFakeTime(() => made.segno.run("one").get());

  await expect(gone).rejects.toMatchObject({ code: "unreachable", status: null, cause: expect.any(TypeError) });
  expect(made.sent).toHaveLength(6);
});

test("steps, entries and runs are read to their last page", async () => {
  const made = client();
  const run = await made.segno.workflow(strict).start({ customer: "acme" });
  const fake = [...made.fakes.runs.values()][0]!;
  fake.steps = Array.from({ length: 450 }, (_, at) => stepRecord({ key: `step#${at + 1}`, seq: at + 2 }));

  const steps = await listOf(run.steps());
  const entries = await listOf(run.journal());
  const step = await run.step("step#7");

  expect(steps.map((it) => it.key)).toEqual(fake.steps.map((it) => it.key));
  expect(steps[0]).toMatchObject({
    startedAt: new Date(startOfTime),
    output: { at: new Date(startOfTime) },
    attempts: [{ startedAt: new Date(startOfTime), outcome: "failed" }, { error: null }],
  });
  expect(steps[0]?.attempts[0]?.error).toBeInstanceOf(RangeError);
  expect(entries).toEqual([expect.objectContaining({ seq: 1, kind: "run.created", at: new Date(startOfTime), value: { customer: "acme" } })]);
  expect(step.key).toBe("step#7");
});

test("runs are listed by what the filter says", async () => {
  const made = client();
  await made.segno.workflow(strict).start({ customer: "acme" });
  const summary = [...made.fakes.runs.values()][0]!.summary;
  made.found = { runs: [summary], nextCursor: null };

  const { runs, nextCursor } = await made.segno.runs.list({
    workflow: "strict",
    status: ["failed", "paused"],
    createdAfter: new Date(1_700_000_000_000),
    attributes: { tier: "1000", amount: { gte: 5, lt: 10 }, since: { gt: new Date(1_700_000_000_000) }, vip: true },
    sort: "-updatedAt",
    limit: 10,
  });
  const [iterated] = await listOf(made.segno.runs.iterate());

  expect(made.queries[0]).toEqual({
    namespace: "default",
    workflow: "strict",
    status: ["failed", "paused"],
    createdAfter: 1_700_000_000_000,
    attributes: [
      { name: "tier", op: "eq", value: "1000" },
      { name: "amount", op: "gte", value: 5 },
      { name: "amount", op: "lt", value: 10 },
      { name: "since", op: "gt", value: 1_700_000_000_000 },
      { name: "vip", op: "eq", value: true },
    ],
    sort: { field: "updatedAt", direction: "desc" },
    limit: 10,
  });
  expect(runs[0]).toMatchObject({ id: summary.id, createdAt: new Date(startOfTime), reason: { until: new Date(startOfTime + 1000) } });
  expect(iterated).toEqual(runs[0]);
  expect(nextCursor).toBeNull();
});

test("the types of a workflow are the types of its client", () => {
  const { segno } = client();
  const typed = segno.workflow(strict);
  const named = segno.workflow<typeof strict>("strict");

  type Input = { customer: string; at?: Date | undefined };
  type Output = { customer: string; signedAt: Date };
  expectTypeOf(typed.start).parameter(0).toEqualTypeOf<Input>();
  expectTypeOf(named).toEqualTypeOf(typed);
  expectTypeOf(typed.run("one").result).returns.resolves.toEqualTypeOf<Output>();
  expectTypeOf(typed.run("one").get).returns.resolves.toEqualTypeOf<RunDetail<Output>>();
  expectTypeOf(typed.start).returns.resolves.toHaveProperty("status");
  expectTypeOf(segno.workflow("strict").start).parameter(0).toEqualTypeOf<unknown>();
  expectTypeOf(segno.run("one").result).returns.resolves.toEqualTypeOf<unknown>();
  expectTypeOf(segno.runs.iterate).returns.toEqualTypeOf<AsyncGenerator<Run, void, undefined>>();

  const wrong = async (): Promise<void> => {
    // @ts-expect-error the input must fit the workflow's schema
    await typed.start({ customer: 5 });
    // @ts-expect-error the input is needed
    await typed.start();
    // @ts-expect-error a status that there is not
    await segno.runs.list({ status: "asleep" });
    // @ts-expect-error a delay that is no duration
    await typed.start({ customer: "acme" }, { delay: "soon" });
    await segno.workflow(echo).start();
  };
  expect(wrong).toBeTypeOf("function");
});
