import { automation, NonRetryableError, type RetryOptions, workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { clock, deploy } from "../world.ts";
import { advance, callsTo, days, eventually, mock, passTime, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

/** What was seen of each attempt's signal, since the workflows of this file and its tests share an isolate. */
const aborts: { readonly run: string; readonly attempt: number; readonly at: number; readonly code: unknown }[] = [];

const Settings = z.object({ retries: z.custom<RetryOptions>().optional(), timeout: z.number().default(600_000) });

/** Sends one notification, by the settings in its input. */
const notify = workflow({
  name: "notify",
  input: Settings,
  run: ({ input, step, run: { id } }) =>
    step.do("notify", { timeout: input.timeout, ...(input.retries && { retries: input.retries }) }, ({ attempt, signal, idempotencyKey }) => {
      signal.addEventListener("abort", () => void aborts.push({ run: id, attempt, at: clock.now(), code: signal.reason.code }));
      return saas("/notifications", { body: { text: "hello" }, idempotencyKey, signal });
    }),
});

/** Two steps with settings of their own; the second lists the statuses that are not worth another attempt. */
const picky = workflow({
  name: "picky",
  async run({ step }) {
    const project = await step.do("project", { retries: { limit: 5, delay: "2s", backoff: "constant", jitter: 0 } }, ({ signal, idempotencyKey }) =>
      saas("/projects", { body: { customer: "Acme" }, idempotencyKey, signal }),
    );
    await step.do("mail", { retries: { limit: 5, delay: "1s", jitter: 0 }, retryIf: (error) => !String(error).includes("402") }, async ({ signal }) => {
      await saas("/emails", { body: { to: "ann@acme.example", template: "hi", data: {} }, signal }).catch((error: Error) => {
        throw new Error(error.message);
      });
    });
    return project;
  },
});

/** The same by way of the queue. */
const notifyQueued = automation({
  name: "notify-queued",
  input: z.object({ run: z.string() }),
  dispatch: "queue",
  timeout: "5s",
  retries: { limit: 1, delay: "1s", jitter: 0 },
  run: ({ input, attempt, signal, idempotencyKey }) => {
    signal.addEventListener("abort", () => void aborts.push({ run: input.run, attempt, at: clock.now(), code: signal.reason.code }));
    return saas("/notifications", { body: { text: "hello" }, idempotencyKey, signal });
  },
});

const queued = workflow({ name: "queued", run: ({ step, run: { id } }) => step.run(notifyQueued, { run: id }) });

/** A step of ten minutes in a run that has one. */
const hurried = workflow({
  name: "hurried",
  timeout: "1m",
  async run({ step, run: { id } }) {
    await step.do("notify", { timeout: "10m" }, ({ attempt, signal, idempotencyKey }) => {
      signal.addEventListener("abort", () => void aborts.push({ run: id, attempt, at: clock.now(), code: signal.reason.code }));
      return saas("/notifications", { body: { text: "hello" }, idempotencyKey, signal });
    });
    await step.do("mail", ({ signal, idempotencyKey }) => saas("/emails", { body: {}, signal, idempotencyKey }));
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(notify, picky, hurried, queued, notifyQueued);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** When the attempts of a step began and ended, in ms after the first began. */
// biome-ignore lint/suspicious/noExplicitAny: steps as the API tells them
function offsets(step: any): { began: number[]; ended: (number | null)[] } {
  const first = Date.parse(step.attempts[0].startedAt);
  return {
    began: step.attempts.map((it: { startedAt: string }) => Date.parse(it.startedAt) - first),
    ended: step.attempts.map((it: { endedAt: string | null }) => it.endedAt && Date.parse(it.endedAt) - first),
  };
}

/** How many calls a service got so far. */
const count = async (service: string) => (await callsTo(service)).length;

test("R12: a step that fails is tried again after 1, 2 and 4 seconds, to the millisecond, and then no more", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "fail", status: 503 });
  const id = await start("notify", { retries: { limit: 3, delay: "1s", backoff: "exponential", jitter: 0 } });
  const waiting = await until(id, "waiting");
  expect(waiting.reason).toMatchObject({ code: "retry", step: "notify", until: new Date(clock.now() + 1000).toISOString() });

  const seen = [await count("notifications")];
  for (const pause of [999, 1, 1999, 1, 3999, 1, days(1)]) {
    await advance(pause);
    seen.push(await count("notifications"));
  }
  expect(seen).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);

  const failed = await until(id, "failed");
  expect(failed.error).toMatchObject({ name: "SaasError", status: 503 });
  const [step] = await steps(id);
  expect(offsets(step)).toEqual({ began: [0, 1000, 3000, 7000], ended: [0, 1000, 3000, 7000] });
  expect(step.attempts.map((it: { outcome: string }) => it.outcome)).toEqual(["failed", "failed", "failed", "failed"]);
  const calls = await callsTo("notifications");
  expect(new Set(calls.map((call) => call.idempotencyKey))).toEqual(new Set([`default/${id}/notify`]));
});

test("R12: jitter spreads the pauses of many runs, each within its bounds", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "fail" });
  const retries: RetryOptions = { limit: 3, delay: "1s", backoff: "exponential", jitter: 0.5 };
  const runs = await Promise.all(Array.from({ length: 8 }, () => start("notify", { retries })));
  for (const id of runs) await until(id, "waiting");
  await advance(seconds(12));
  const pauses: number[][] = [];
  for (const id of runs) {
    await until(id, "failed");
    const { began } = offsets((await steps(id))[0]);
    pauses.push([1, 2, 3].map((n) => (began[n] ?? Number.NaN) - (began[n - 1] ?? Number.NaN)));
  }
  for (const [first = 0, second = 0, third = 0] of pauses) {
    expect([first >= 500 && first <= 1500, second >= 1000 && second <= 3000, third >= 2000 && third <= 6000], String(pauses)).toEqual([true, true, true]);
  }
  for (const nth of [0, 1, 2]) expect(new Set(pauses.map((of) => of[nth])).size).toBeGreaterThan(4);
  expect(await count("notifications")).toBe(4 * runs.length);
});

test("R12: pauses grow no longer than their cap", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "fail", times: 5 });
  const id = await start("notify", { retries: { limit: 5, delay: "1s", maxDelay: "3s", jitter: 0 } });
  await until(id, "waiting");
  await advance(seconds(12));
  await until(id, "completed");
  expect(offsets((await steps(id))[0]).began).toEqual([0, 1000, 3000, 6000, 9000, 12_000]);
  expect(await count("notifications")).toBe(6);
});

test("R12: an answer of 4xx stops a step at its first attempt", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "fail", status: 422 });
  const id = await start("notify", { retries: { limit: 3, jitter: 0 } });
  const failed = await until(id, "failed");
  expect(failed.error).toMatchObject({ name: "NonRetryableError", code: new NonRetryableError("").code });
  expect(failed.reason).toMatchObject({ step: "notify" });
  await advance(days(1));
  expect(await count("notifications")).toBe(1);
  expect((await steps(id))[0].attempts).toHaveLength(1);
});

test("R12: each step has its own settings, and a status that it lists stops it while another does not", async () => {
  await mock("PUT", "/admin/faults/projects", { mode: "fail", status: 500, times: 2 });
  await mock("PUT", "/admin/faults/emails", { mode: "fail", status: 500, times: 1 });
  const id = await start("picky", {});
  await until(id, "waiting");
  await advance(seconds(4));
  await mock("PUT", "/admin/faults/emails", { mode: "fail", status: 402 });
  await advance(seconds(1));
  await until(id, "failed");
  await advance(days(1));
  const [project, mail] = await steps(id);
  expect(offsets(project).began).toEqual([0, 2000, 4000]);
  expect(offsets(mail).began).toEqual([0, 1000]);
  expect([await count("projects"), await count("emails")]).toEqual([3, 2]);
});

test("R12: a service that says when to come back is called again then, not sooner", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "fail", status: 429, retryAfter: 17, times: 1 });
  const id = await start("notify", { retries: { limit: 3, delay: "1s", jitter: 0 } });
  await until(id, "waiting");
  await advance(seconds(17) - 1);
  expect(await count("notifications")).toBe(1);
  expect((await run(id)).reason).toMatchObject({ code: "retry" });
  await advance(1);
  await until(id, "completed");
  expect((await callsTo("notifications")).map((call) => call.status)).toEqual([429, 201]);
  const [step] = await steps(id);
  expect(offsets(step).began).toEqual([0, 17_000]);
  expect(step.attempts[0].error).toMatchObject({ code: "retry_after" });
});

test("R13: an attempt that hangs is cancelled at its limit, counts as a time-out, and is tried again", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "hang", delayMs: 900, times: 1 });
  const begin = clock.now();
  const id = await start("notify", { timeout: 5000, retries: { limit: 3, delay: "1s", jitter: 0 } });
  await eventually(async () => (await count("notifications")) === 1, "the first call");
  await passTime(seconds(5) - 1);
  expect((await run(id)).status).toBe("running");
  await passTime(1);
  expect((await until(id, "waiting")).reason).toMatchObject({ code: "retry", until: new Date(begin + 6000).toISOString() });
  expect(aborts.filter((it) => it.run === id)).toEqual([{ run: id, attempt: 1, at: begin + 5000, code: "timeout" }]);

  await advance(seconds(1));
  await until(id, "completed");
  const [step] = await steps(id);
  expect(offsets(step)).toEqual({ began: [0, 6000], ended: [5000, 6000] });
  expect(step.attempts[0]).toMatchObject({ outcome: "failed", error: { code: "timeout" } });
  expect(step.attempts[1]).toMatchObject({ outcome: "completed" });
  // The hung call never got an answer: the caller had gone.
  const calls = await callsTo("notifications");
  expect(calls.map((call) => [call.status === 201, call.idempotencyKey])).toEqual([
    [false, `default/${id}/notify`],
    [true, `default/${id}/notify`],
  ]);
});

test("R13: an attempt on the queue that hangs is cancelled at its limit, and tried again", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "hang", delayMs: 900, times: 1 });
  const begin = clock.now();
  const id = await start("queued", {});
  await eventually(async () => (await count("notifications")) === 1, "the first call");
  await passTime(seconds(5));
  expect((await until(id, "waiting")).reason).toMatchObject({ code: "retry", until: new Date(begin + 6000).toISOString() });
  expect(aborts.filter((it) => it.run === id)).toEqual([{ run: id, attempt: 1, at: begin + 5000, code: "timeout" }]);
  await passTime(seconds(1));
  await until(id, "completed");
  const [step] = await steps(id);
  expect(offsets(step).began).toEqual([0, 6000]);
  expect(step.attempts[0]).toMatchObject({ outcome: "failed", error: { code: "timeout" } });
  expect((await callsTo("notifications")).map((call) => call.status === 201)).toEqual([false, true]);
});

test("R13: a step that hangs again and again fails when its total time is over, in the middle of an attempt", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "hang", delayMs: 900 });
  const id = await start("notify", { timeout: 5000, retries: { limit: 50, delay: "1s", backoff: "constant", jitter: 0, totalTimeout: "14s" } });
  for (const [nth, pauses] of [
    [1, [5000, 1000]],
    [2, [5000, 1000]],
    [3, [1999]],
  ] as const) {
    await eventually(async () => (await count("notifications")) === nth, `call ${nth}`);
    for (const pause of pauses) {
      await passTime(pause);
      if (pause === 5000) await until(id, "waiting");
    }
  }
  expect((await run(id)).status).toBe("running");
  await passTime(1);
  expect((await until(id, "failed")).error).toMatchObject({ code: "timeout" });
  await advance(days(1));
  const [step] = await steps(id);
  expect(offsets(step)).toEqual({ began: [0, 6000, 12_000], ended: [5000, 11_000, 14_000] });
  expect(aborts.filter((it) => it.run === id).map((it) => it.attempt)).toEqual([1, 2, 3]);
  expect(await count("notifications")).toBe(3);
});

test("R13: a run that takes longer than it may fails as a whole, and what it was doing is told to stop", async () => {
  await mock("PUT", "/admin/faults/notifications", { mode: "hang", delayMs: 900 });
  const begin = clock.now();
  const id = await start("hurried", {});
  await eventually(async () => (await count("notifications")) === 1, "the first call");
  await passTime(seconds(60) - 1);
  expect((await run(id)).status).toBe("running");
  await passTime(1);
  const failed = await until(id, "failed");
  expect(failed).toMatchObject({ reason: { code: "run_timeout" }, error: { code: "timeout" }, endedAt: new Date(begin + 60_000).toISOString() });
  expect(aborts.filter((it) => it.run === id).map((it) => it.attempt)).toEqual([1]);
  expect((await steps(id)).map((step) => [step.key, step.status])).toEqual([["notify", "cancelled"]]);
  await advance(days(1));
  expect([await count("notifications"), await count("emails")]).toEqual([1, 0]);
});
