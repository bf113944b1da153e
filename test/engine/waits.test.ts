import { describe, expect, test } from "vitest";
import { z } from "zod";
import { encode } from "#core/value.ts";
import type { EventOptions } from "#sdk/step.ts";
import { flow, World } from "./world.ts";

const dayMs = 86_400_000;

describe("sleep", () => {
  test("ends at its time, not before, and the run says until when", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "3d")));
    const began = world.clock.now();
    await world.pass(3 * dayMs - 1);
    expect(world.run.engine.summary).toMatchObject({ status: "waiting", reason: { code: "sleep", step: "nap", until: began + 3 * dayMs } });
    await world.pass(1);
    expect(world.status).toBe("completed");
  });

  test("until a time that is past ends at once, now and on replay", async () => {
    const world = World.begin(
      flow(async ({ step }) => {
        await step.sleepUntil("past", new Date("2020-01-01"));
        await step.sleepUntil("long past", 0);
        await step.sleep("nothing", 0);
        await step.sleep("nap", "1h");
        return "done";
      }),
    );
    const began = world.clock.now();
    await world.rest();
    expect(world.run.engine.state.steps.get("nap")?.startedAt).toBe(began);
    world.evict();
    await world.finish();
    expect(world.output).toBe("done");
    expect(world.clock.now()).toBe(began + 3_600_000);
  });

  test("ends once when the alarm is late, and when it comes twice", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
    await world.rest();
    world.evict();
    world.clock.set(world.clock.now() + 10 * dayMs);
    world.run.engine.wake();
    world.run.engine.wake();
    await world.rest();
    expect(world.kinds).toEqual(["run.created", "step.started", "step.completed", "run.ended"]);
  });

  test("ends in order of its deadlines when several are over at once", async () => {
    const order: string[] = [];
    const nap = (world: { sleep(name: string, ms: number): Promise<void> }, name: string, ms: number) => world.sleep(name, ms).then(() => order.push(name));
    const world = World.begin(flow(({ step }) => Promise.all([nap(step, "a", 60_000), nap(step, "b", 60_000), nap(step, "c", 60_000)])));
    await world.rest();
    world.evict();
    await world.pass(60_000);
    expect(order).toEqual(["a", "b", "c"]);
  });

  test("refuses what can't be waited for", async () => {
    const world = World.begin(
      flow(async ({ step }) => {
        const code = (error: { code?: string }) => error.code;
        return [
          await step.sleep("a", "367d").catch(code),
          await step.sleepUntil("b", new Date(Number.NaN)).catch(code),
          await step.sleepUntil("c", Number.POSITIVE_INFINITY).catch(code),
          await step.sleep("d", -1).catch(code),
        ];
      }),
    );
    await world.finish();
    expect(world.output).toEqual(Array(4).fill("invalid_duration"));
  });
});

const wait = (options: EventOptions<unknown> = {}) => flow(({ step }) => step.waitForEvent("paid", options));

describe("an event", () => {
  test("ends the wait with its payload and the time it came", async () => {
    const world = World.begin(wait());
    await world.pass(5000);
    expect(await world.sendEvent("paid", { amount: 1n })).toEqual({ duplicate: false, step: "paid" });
    await world.finish();
    expect(world.output).toEqual({ ok: true, payload: { amount: 1n }, receivedAt: new Date(world.run.engine.summary.createdAt + 5000) });
  });

  test("that comes before its wait is kept, over evictions too", async () => {
    const world = World.begin(flow(async ({ step }) => (await step.sleep("nap", "1h"), step.waitForEvent("paid"))));
    await world.rest();
    expect(await world.sendEvent("paid", 7)).toEqual({ duplicate: false, step: null });
    world.evict();
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, payload: 7 });
  });

  test("is taken by one wait, in order of arrival; another name is left alone", async () => {
    const world = World.begin(
      flow(async ({ step }) => {
        await step.sleep("nap", "1h");
        const payloads: unknown[] = [];
        for (let i = 0; i < 3; i++) {
          const event = await step.waitForEvent("paid");
          payloads.push(event.ok && event.payload);
        }
        return payloads;
      }),
    );
    await world.rest();
    await world.sendEvent("paid", "first");
    await world.sendEvent("other", "other");
    await world.sendEvent("paid", "second");
    await world.pass(3_600_000);
    await world.sendEvent("paid", "third");
    await world.finish();
    expect(world.output).toEqual(["first", "second", "third"]);
  });

  test("goes to the wait begun first among those that take it, by key where a wait asks for one", async () => {
    const world = World.begin(
      flow(({ step }) => {
        const options = (key?: string) => ({ event: "paid", ...(key ? { key } : {}) });
        return Promise.all(
          [
            step.waitForEvent("of b", options("b")),
            step.waitForEvent("of a", options("a")),
            step.waitForEvent("any", options()),
            step.waitForEvent("any too", options()),
          ].map((it) => it.then((event) => event.ok && event.payload)),
        );
      }),
    );
    await world.rest();
    expect((await world.sendEvent("paid", 1, { key: "a" })).step).toBe("of a");
    expect((await world.sendEvent("paid", 2, { key: "a" })).step).toBe("any");
    expect((await world.sendEvent("paid", 3)).step).toBe("any too");
    expect((await world.sendEvent("paid", 4)).step).toBe(null);
    expect((await world.sendEvent("paid", 5, { key: "b" })).step).toBe("of b");
    await world.finish();
    expect(world.output).toEqual([5, 1, 2, 3]);
  });

  test("buffered under a key is taken only by a wait for that key or for any", async () => {
    const world = World.begin(
      flow(async ({ step }) => {
        await step.sleep("nap", "1h");
        const keyed = await step.waitForEvent("k", { event: "paid", key: "b" });
        const any = await step.waitForEvent("any", { event: "paid" });
        return [keyed.ok && keyed.payload, any.ok && any.payload];
      }),
    );
    await world.rest();
    await world.sendEvent("paid", "a's", { key: "a" });
    await world.sendEvent("paid", "b's", { key: "b" });
    await world.finish();
    expect(world.output).toEqual(["b's", "a's"]);
  });

  test("sent twice under one id counts once, whether it is buffered, taken, or the run has ended", async () => {
    const world = World.begin(
      flow(async ({ step }) => [await step.waitForEvent("paid"), await step.waitForEvent("paid", { timeout: "1d" })].map((it) => it.ok)),
    );
    await world.rest();
    expect(await world.sendEvent("paid", 1, { id: "x" })).toEqual({ duplicate: false, step: "paid" });
    expect(await world.sendEvent("paid", 1, { id: "x" })).toEqual({ duplicate: true, step: null });
    world.evict();
    expect(await world.sendEvent("paid", 1, { id: "x" })).toEqual({ duplicate: true, step: null });
    await world.finish();
    expect(world.output).toEqual([true, false]);
    expect(await world.sendEvent("paid", 1, { id: "x" })).toEqual({ duplicate: true, step: null });
  });

  test("to a run that has ended is refused and changes nothing", async () => {
    const world = World.begin(flow(() => 1));
    await world.finish();
    const size = world.run.journal.size;
    await expect(world.sendEvent("paid")).rejects.toMatchObject({ code: "run_ended" });
    expect(world.run.journal.size).toBe(size);
  });

  test("that never comes ends the wait as timed out", async () => {
    const world = World.begin(wait({ timeout: "14d" }));
    await world.finish();
    expect(world.output).toEqual({ ok: false, reason: "timeout" });
    expect(world.clock.now() - world.run.engine.summary.createdAt).toBe(14 * dayMs);
  });

  test("that comes after the time-out does not end the wait, though the alarm is late", async () => {
    const world = World.begin(wait({ timeout: "1h" }));
    await world.rest();
    world.clock.set(world.clock.now() + 3_600_000);
    expect(await world.sendEvent("paid", "late")).toEqual({ duplicate: false, step: null });
    await world.finish();
    expect(world.output).toEqual({ ok: false, reason: "timeout" });
  });

  test("that comes a moment before the time-out ends the wait", async () => {
    const world = World.begin(wait({ timeout: "1h" }));
    await world.pass(3_599_999);
    await world.sendEvent("paid", "just in time");
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, payload: "just in time" });
  });

  test.each([false, true])("with a payload that does not fit is refused before anything is written, and the wait goes on (evicted: %s)", async (evicted) => {
    const world = World.begin(wait({ schema: z.object({ amount: z.number() }) }));
    await world.rest();
    if (evicted) world.evict();
    const size = world.run.journal.size;
    const refused = world.sendEvent("paid", { amount: "much" }, { id: "x" });
    const outcome = refused.catch((error) => error);
    await world.rest();
    expect(await outcome).toMatchObject({ code: "invalid_payload", details: { step: "paid", issues: [expect.stringContaining("amount")] } });
    expect(world.run.journal.size).toBe(size);
    expect(await world.sendEvent("paid", { amount: 5 }, { id: "x" })).toEqual({ duplicate: false, step: "paid" });
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, payload: { amount: 5 } });
  });

  test("buffered with a payload that does not fit ends the wait as invalid, and says why", async () => {
    const world = World.begin(
      flow(async ({ step }) => (await step.sleep("nap", "1h"), step.waitForEvent("paid", { schema: z.object({ amount: z.number() }) }))),
    );
    await world.rest();
    await world.sendEvent("paid", {});
    await world.finish();
    expect(world.output).toMatchObject({ ok: false, reason: "invalid", issues: [expect.stringContaining("amount")] });
  });

  test("with a payload that its schema transforms arrives transformed, the same on replay", async () => {
    const seen: unknown[] = [];
    const world = World.begin(
      flow(async ({ step }) => {
        const event = await step.waitForEvent("paid", { schema: z.object({ at: z.coerce.date() }) });
        seen.push(event.ok && event.payload);
        await step.sleep("nap", "1h");
      }),
    );
    await world.rest();
    await world.sendEvent("paid", { at: "2026-05-01T00:00:00Z" });
    await world.rest();
    world.evict();
    await world.finish();
    expect(seen).toEqual(Array(2).fill({ at: new Date("2026-05-01T00:00:00Z") }));
  });

  test("of ten thousand buffered ones the next is refused as inbox_full, and a wait that takes one makes room", async () => {
    const world = World.begin(flow(async ({ step }) => (await step.sleep("nap", "1h"), await step.waitForEvent("e0"), step.sleep("more", "1h"))));
    await world.rest();
    for (let i = 0; i < 10_000; i++) await world.sendEvent(`e${i}`);
    await expect(world.sendEvent("one more")).rejects.toMatchObject({ code: "inbox_full" });
    await world.pass(3_600_000);
    expect(await world.sendEvent("one more")).toEqual({ duplicate: false, step: null });
  });
});

describe("a callback", () => {
  const kyc = (options: { timeout?: "3d"; schema?: z.ZodType<string> } = {}, urls: string[] = []) =>
    flow(async ({ step }) => step.callback("kyc", { ...options, retries: { jitter: 0 } }, ({ url }) => void urls.push(url)));

  test("hands out a URL, waits, and ends with what was sent to it", async () => {
    const urls: string[] = [];
    const world = World.begin(kyc({}, urls));
    await world.rest();
    expect(world.run.engine.summary).toMatchObject({ status: "waiting", reason: { code: "callback", step: "kyc" } });
    await world.run.engine.callback("kyc", encode("approved"));
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, payload: "approved" });
    expect(urls).toEqual(["http://segno.test/callbacks/kyc"]);
  });

  test("counts once", async () => {
    const world = World.begin(flow(async ({ step }) => (await step.callback("kyc", {}), step.sleep("nap", "1h"))));
    await world.rest();
    await world.run.engine.callback("kyc", encode(1));
    await world.rest();
    const size = world.run.journal.size;
    await expect(world.run.engine.callback("kyc", encode(2))).rejects.toMatchObject({ code: "callback_used" });
    expect(() => world.run.engine.callbackTerms("kyc")).toThrow(expect.objectContaining({ code: "callback_used" }));
    expect(world.run.journal.size).toBe(size);
  });

  test("is expired after its time, before and after the alarm has said so", async () => {
    const world = World.begin(flow(async ({ step }) => [await step.callback("kyc", { timeout: "3d" }), await step.sleep("nap", "1h")][0]));
    await world.rest();
    world.clock.set(world.clock.now() + 3 * dayMs);
    await expect(world.run.engine.callback("kyc", encode(1))).rejects.toMatchObject({ code: "callback_expired" });
    await world.rest();
    await expect(world.run.engine.callback("kyc", encode(1))).rejects.toMatchObject({ code: "callback_expired" });
    await world.finish();
    expect(world.output).toEqual({ ok: false, reason: "timeout" });
  });

  test("that comes before its request has answered ends the step all the same, and the request is aborted", async () => {
    const aborted: unknown[] = [];
    const world = World.begin(
      flow(({ step }) => step.callback("kyc", {}, ({ signal }) => new Promise(() => signal.addEventListener("abort", () => aborted.push(signal.reason.code))))),
    );
    await world.rest();
    await world.run.engine.callback("kyc", encode("early"));
    await world.finish();
    expect([world.output, aborted]).toEqual([{ ok: true, payload: "early", receivedAt: expect.any(Date) }, ["cancelled"]]);
  });

  test("whose request keeps failing fails the step; its URL is of no use then", async () => {
    const world = World.begin(flow(({ step }) => step.callback("kyc", { retries: { limit: 1, jitter: 0 } }, () => Promise.reject(new Error("down")))));
    await world.finish();
    expect([world.status, world.error.message]).toEqual(["failed", "down"]);
    await expect(world.run.engine.callback("kyc", encode(1))).rejects.toMatchObject({ code: "callback_expired" });
  });

  test("whose time is over while its request is being retried ends as timed out", async () => {
    const world = World.begin(
      flow(({ step }) => step.callback("kyc", { timeout: "10s", retries: { delay: "1m", jitter: 0 } }, () => Promise.reject(new Error("down")))),
    );
    await world.finish();
    expect(world.output).toEqual({ ok: false, reason: "timeout" });
  });

  test("whose request had answered before a crash is not requested again", async () => {
    const urls: string[] = [];
    const world = World.begin(kyc({ timeout: "3d" }, urls));
    await world.rest();
    world.evict();
    await world.finish();
    expect([urls.length, world.output]).toEqual([1, { ok: false, reason: "timeout" }]);
  });

  test.each([false, true])("with a payload that does not fit is refused and stays unused (evicted: %s)", async (evicted) => {
    const world = World.begin(kyc({ schema: z.literal("approved") }));
    await world.rest();
    if (evicted) world.evict();
    const size = world.run.journal.size;
    const outcome = world.run.engine.callback("kyc", encode("perhaps")).catch((error) => error);
    await world.rest();
    expect(await outcome).toMatchObject({ code: "invalid_payload" });
    expect(world.run.journal.size).toBe(size);
    await world.run.engine.callback("kyc", encode("approved"));
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, payload: "approved" });
  });

  test("of a step that is none, or not there, is not found", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
    await world.rest();
    await expect(world.run.engine.callback("nap", encode(1))).rejects.toMatchObject({ code: "step_not_found" });
    await expect(world.run.engine.callback("none", encode(1))).rejects.toMatchObject({ code: "step_not_found" });
  });
});
