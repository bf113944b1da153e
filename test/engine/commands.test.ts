import { describe, expect, test } from "vitest";
import { z } from "zod";
import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import { isCancelled } from "#sdk/errors.ts";
import { flow, World } from "./world.ts";

const operator = { actor: "ann", reason: "wrong customer" };

describe("start", () => {
  test("again with the same id and input answers as the first time, also after the end", async () => {
    const world = World.begin(flow(() => 1));
    const again = () =>
      world.run.engine.start({
        namespace: "default",
        runId: "r1",
        workflow: "p",
        version: null,
        input: "[null]",
        attributes: {},
        delayMs: 0,
        trigger: "api",
        publicUrl: "http://segno.test",
      });
    expect(again()).toBe(false);
    await world.finish();
    expect(again()).toBe(false);
    expect(world.status).toBe("completed");
  });

  test("again with another input, version or workflow is refused, and the run goes on", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
    const start = (more: object) => () => world.start("p", null, more);
    expect(start({ input: "[1]" })).toThrow(expect.objectContaining({ code: "run_exists" }));
    expect(start({ version: "2" })).toThrow(expect.objectContaining({ code: "run_exists" }));
    expect(start({ workflow: "q" })).toThrow(expect.objectContaining({ code: "run_exists" }));
    await world.finish();
    expect(world.status).toBe("completed");
  });

  test.each([
    ["workflow_not_found", { workflow: "nowhere" }],
    ["version_not_found", { version: "9" }],
    ["invalid_input", { input: '["text"]' }],
  ])("of something wrong is refused as %s and leaves no trace", (code, more) => {
    const world = new World({ workflows: [flow(() => 1, { input: z.number() as never })] });
    expect(() => world.start("p", 1, more)).toThrow(expect.objectContaining({ code }));
    expect([world.run.journal.size, world.run.alarmAt]).toEqual([0, null]);
  });

  test("with an input over which the schema itself fails is refused as invalid_input", () => {
    const careless = z.unknown().refine((input) => (input as { list: number[] }).list.length > 0);
    const world = new World({ workflows: [flow(() => 1, { input: careless as never })] });
    expect(() => world.start("p", 1, { input: "[null]" })).toThrow(expect.objectContaining({ code: "invalid_input" }));
    expect(world.run.journal.size).toBe(0);
  });

  test("with hundreds of thousands of wrong parts is refused as invalid_input, and names a few of them", () => {
    const world = new World({ workflows: [flow(() => 1, { input: z.object({ names: z.array(z.string()) }) as never })] });
    const sent = (count: number) => ({ input: encode({ names: Array.from({ length: count }, (_, nth) => nth) }) });
    expect(() => world.start("p", 1, sent(300_000))).toThrow(expect.objectContaining({ code: "invalid_input" }));
    expect(() => world.start("p", 1, sent(1000))).toThrow(expect.objectContaining({ details: { issues: expect.toSatisfy((issues) => issues.length <= 100) } }));
  });

  test("derives attributes from the input; those of the command win; a broken derivation is refused", async () => {
    const world = World.begin(
      flow(() => 1, { attributes: () => ({ tier: "smb", at: new Date(5), none: undefined }) }),
      { attributes: { tier: "big" } },
    );
    expect(world.run.engine.summary.attributes).toEqual({ tier: "big", at: 5 });
    const broken = flow(() => 1, {
      attributes: () => {
        throw new TypeError("x");
      },
    });
    expect(() => World.begin(broken)).toThrow(expect.objectContaining({ code: "invalid_attributes" }));
  });

  test("with a delay leaves the run queued until then, evicted or not; its time-out counts from there", async () => {
    const world = World.begin(
      flow(({ step }) => step.waitForEvent("never"), { timeout: "1h" }),
      { delayMs: 7_200_000 },
    );
    const began = world.clock.now();
    await world.rest();
    expect(world.run.engine.summary).toMatchObject({ status: "queued", reason: { code: "delayed", until: began + 7_200_000 } });
    world.evict();
    await world.pass(7_199_999);
    expect(world.status).toBe("queued");
    await world.pass(1);
    expect(world.status).toBe("waiting");
    await world.finish();
    expect(world.clock.now()).toBe(began + 7_200_000 + 3_600_000);
  });

  test("gives the workflow its parsed input and its own ids", async () => {
    const world = new World({ workflows: [flow(async ({ input, run }) => [input, run], { input: z.object({ n: z.number().default(3) }) as never })] });
    world.start("p", {});
    await world.finish();
    expect(world.output).toEqual([
      { n: 3 },
      {
        id: "r1",
        namespace: "default",
        workflow: "p",
        version: "1",
        trigger: world.run.engine.summary.trigger,
        createdAt: new Date(world.run.engine.summary.createdAt),
      },
    ]);
  });
});

test("commands to a run that does not exist are answered run_not_found, and write nothing", async () => {
  const world = new World({ workflows: [] });
  const { engine } = world.run;
  const notFound = expect.objectContaining({ code: "run_not_found" });
  expect(() => engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false })).toThrow(notFound);
  expect(() => engine.operate({ ...operator, expectedSeq: null, action: "terminate" })).toThrow(notFound);
  expect(() => engine.callbackTerms("x")).toThrow(notFound);
  await expect(world.sendEvent("x")).rejects.toEqual(notFound);
  await expect(engine.callback("x", "[1]")).rejects.toEqual(notFound);
  expect(engine.claim({ key: "x", attempt: 1 })).toMatchObject({ granted: false });
  expect(engine.renew({ key: "x", attempt: 1 })).toBe(false);
  expect(engine.settle({ key: "x", attempt: 1 }, { ok: true, value: "[1]" })).toBe("ignored");
  engine.wake();
  engine.poke();
  expect([world.run.journal.size, world.run.alarmAt]).toEqual([0, null]);
});

describe("cancel", () => {
  test("rejects what is open with the code cancelled; finally may run steps; the run ends cancelled", async () => {
    const seen: unknown[] = [];
    const world = World.begin(
      flow(async ({ step }) => {
        try {
          await Promise.all([step.sleep("nap", "9d"), step.waitForEvent("never")]);
        } catch (error) {
          seen.push(isCancelled(error));
          throw error;
        } finally {
          seen.push(await step.do("clean up", () => "cleaned"));
          await step.sleep("let it settle", "1h");
        }
      }),
    );
    await world.rest();
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false })).toMatchObject({ reason: { code: "cancelling" } });
    await world.rest();
    world.evict();
    await world.finish();
    expect(world.run.engine.summary).toMatchObject({ status: "cancelled", reason: { code: "operator" } });
    expect(seen).toEqual([true, "cleaned", true, "cleaned"]);
    expect(world.kinds.filter((kind) => kind.startsWith("run."))).toEqual(["run.created", "run.cancel_requested", "run.ended"]);
  });

  test("reaches a run that is evicted, and one whose step is being retried", async () => {
    const world = World.begin(flow(({ step }) => step.do("s", { retries: { delay: "1h", maxDelay: "1h" } }, () => Promise.reject(new Error("x")))));
    await world.rest();
    world.evict();
    world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    expect(world.status).toBe("cancelled");
  });

  test("aborts the attempt under way", async () => {
    const codes: unknown[] = [];
    const world = World.begin(
      flow(({ step }) => step.do("s", ({ signal }) => new Promise(() => signal.addEventListener("abort", () => codes.push(signal.reason.code))))),
    );
    await world.rest();
    world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.finish();
    expect([world.status, codes]).toEqual(["cancelled", ["cancelled"]]);
  });

  test("drops a step on the queue: its message finds nothing to do, and cleaning up may take its time", async () => {
    const send = automation({ name: "send", dispatch: "queue", run: () => "sent" });
    const world = World.begin(
      flow(async ({ step }) => {
        try {
          await step.run(send, undefined);
        } finally {
          await step.sleep("settle", "1h");
        }
      }),
      { automations: [send] },
    );
    world.consumes = false;
    await world.rest();
    world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    world.consumes = true;
    await world.finish({ maxTurns: 500 });
    expect(world.status).toBe("cancelled");
    expect(world.clock.now() - world.run.engine.summary.createdAt).toBe(3_600_000);
  });

  test("asked twice changes nothing the second time, nor after the end", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "1h").catch(() => step.sleep("settle", "1h"))));
    await world.rest();
    world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    const { size } = world.run.journal;
    world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    expect(world.run.journal.size).toBe(size);
    await world.finish();
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false }).status).toBe("cancelled");
  });

  test("of a run that has not begun ends it at once", async () => {
    let called = false;
    const world = World.begin(
      flow(() => (called = true)),
      { delayMs: 60_000 },
    );
    await world.rest();
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false }).status).toBe("cancelled");
    await world.pass(120_000);
    expect(called).toBe(false);
  });

  test("of a blocked run ends it at once", async () => {
    const world = World.begin(flow(({ step }) => step.sleep("nap", "1h")));
    await world.rest();
    world.deploy({ workflows: [] });
    await world.pass(3_600_000);
    expect(world.status).toBe("blocked");
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false }).status).toBe("cancelled");
  });

  test("of a run that has ended is refused", async () => {
    const world = World.begin(flow(() => 1));
    await world.finish();
    expect(() => world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false })).toThrow(
      expect.objectContaining({ code: "run_ended" }),
    );
    expect(() => world.run.engine.operate({ ...operator, expectedSeq: null, action: "terminate" })).toThrow(expect.objectContaining({ code: "run_ended" }));
  });
});

describe("terminate", () => {
  test("ends the run at once: nothing is caught, nothing cleans up, attempts are aborted", async () => {
    const seen: unknown[] = [];
    const world = World.begin(
      flow(async ({ step }) => {
        try {
          await step.do("s", ({ signal }) => new Promise(() => signal.addEventListener("abort", () => seen.push("aborted"))));
        } catch {
          seen.push("caught");
        } finally {
          seen.push("finally");
        }
      }),
    );
    await world.rest();
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "terminate" }).status).toBe("terminated");
    await world.pass(100_000);
    expect(seen).toEqual(["aborted"]);
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "terminate" }).status).toBe("terminated");
    expect(world.kinds.at(-1)).toBe("run.ended");
    expect(world.run.alarmAt).toBe(null);
  });

  test.each(["queued", "blocked", "cancelling"])("ends a run that is %s", async (state) => {
    const world = World.begin(
      flow(({ step }) => step.sleep("nap", "1h").catch(() => step.sleep("settle", "1h"))),
      { delayMs: state === "queued" ? 60_000 : 0 },
    );
    await world.rest();
    if (state === "blocked") world.deploy({ workflows: [] });
    if (state === "blocked") await world.pass(3_600_000);
    if (state === "cancelling") world.run.engine.operate({ ...operator, expectedSeq: null, action: "cancel", compensate: false });
    await world.rest();
    expect(world.run.engine.operate({ ...operator, expectedSeq: null, action: "terminate" }).status).toBe("terminated");
    await world.pass(7_200_000);
    expect(world.run.alarmAt).toBe(null);
  });
});

test("a delayed run whose alarm comes after its time-out ends as timed out, and does not begin", async () => {
  const world = World.begin(
    flow(() => 1, { timeout: "30s" }),
    { delayMs: 60_000 },
  );
  await world.rest();
  world.clock.set(world.clock.now() + 200_000);
  await world.finish();
  expect(world.run.engine.summary).toMatchObject({ status: "failed", reason: { code: "run_timeout" } });
  expect(world.kinds).not.toContain("run.started");
});
