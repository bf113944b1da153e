import { describe } from "../describe.ts";
import { programs } from "../program.ts";
import { caught } from "./helpers.ts";

/** Events: sent from outside, kept until waited for, in order. */
export const events = programs(
  {
    name: "event-shape",
    promise: "A wait gives the event with its type, its payload and the time of its arrival.",
    run: async (_event, step) => {
      const event = await step.waitForEvent<{ amount: number }>("go", { type: "go" });
      return { keys: Object.keys(event).sort(), type: event.type, payload: event.payload, dated: event.timestamp instanceof Date };
    },
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: { amount: 5 } }),
    expect: { output: { keys: ["payload", "timestamp", "type"], type: "go", payload: { amount: 5 }, dated: true } },
  },
  {
    name: "event-payload-values",
    promise: "A payload may be all that a step's output may be.",
    run: async (_event, step) => describe((await step.waitForEvent<Record<string, never>>("go", { type: "go" })).payload),
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: { date: new Date(0), map: new Map([["a", 1]]), big: 5n, none: undefined } }),
    expect: { output: { date: "<date 1970-01-01T00:00:00.000Z>", map: { "<map>": [["a", 1]] }, big: "<bigint 5>", none: "<undefined>" } },
    differs: {
      id: "local-json-log",
      local: { status: "errored", output: null, error: { name: "TypeError", message: "Do not know how to serialize a BigInt" } },
    },
  },
  {
    name: "event-payload-map",
    promise: "Dates and Maps in a payload stay what they are.",
    run: async (_event, step) => describe((await step.waitForEvent<Record<string, never>>("go", { type: "go" })).payload),
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: { date: new Date(0), map: new Map([["a", 1]]) } }),
    expect: { output: { date: "<date 1970-01-01T00:00:00.000Z>", map: { "<map>": [["a", 1]] } } },
  },
  {
    name: "event-no-payload",
    promise: "An event may have no payload.",
    run: async (_event, step) => typeof (await step.waitForEvent<never>("go", { type: "go" })).payload,
    drive: async ({ instance }) => instance.sendEvent({ type: "go" }),
    expect: { output: "undefined" },
  },
  {
    name: "event-while-waiting",
    promise: "An event that comes while the run waits ends the wait.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance, seen, pause }) => {
      await seen("waiting");
      await pause(80);
      await instance.sendEvent({ type: "go", payload: 7 });
    },
    expect: { output: 7 },
  },
  {
    name: "event-before-wait",
    promise: "An event that comes before the wait is kept for it.",
    run: async (_event, step) => {
      await step.sleep("first", 150);
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: 7 }),
    expect: { output: 7 },
  },
  {
    name: "event-order",
    promise: "Events of one type are taken in the order in which they came.",
    run: async (_event, step) => {
      await step.sleep("first", 100);
      const seen: number[] = [];
      for (let index = 0; index < 4; index++) seen.push((await step.waitForEvent<number>("next", { type: "go" })).payload);
      return seen;
    },
    drive: async ({ instance }) => {
      for (const payload of [1, 2, 3, 4]) await instance.sendEvent({ type: "go", payload });
    },
    expect: { output: [1, 2, 3, 4] },
  },
  {
    name: "event-types-apart",
    promise: "A wait takes events of its type only.",
    run: async (_event, step) => {
      const b = await step.waitForEvent<string>("b", { type: "b" });
      const a = await step.waitForEvent<string>("a", { type: "a" });
      return [b.payload, a.payload];
    },
    drive: async ({ instance }) => {
      await instance.sendEvent({ type: "a", payload: "for a" });
      await instance.sendEvent({ type: "b", payload: "for b" });
    },
    expect: { output: ["for b", "for a"] },
  },
  {
    name: "event-waiters-in-order",
    promise: "Of several waits for one type, the oldest is served first.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      return Promise.all(["a", "b", "c"].map(async (name) => `${name}${(await step.waitForEvent<number>(name, { type: "go" })).payload}`));
    },
    drive: async ({ instance, seen, pause }) => {
      await seen("waiting");
      await pause(80);
      for (const payload of [1, 2, 3]) await instance.sendEvent({ type: "go", payload });
    },
    expect: { output: ["a1", "b2", "c3"] },
  },
  {
    name: "event-timed-out-waiter",
    promise: "A wait that timed out takes no event from those behind it.",
    run: async (_event, step, io) =>
      Promise.all([
        caught(async () => (await step.waitForEvent<number>("a", { type: "go", timeout: 60 })).payload).then(async (result) => {
          await io.effect("timed out");
          return result;
        }),
        caught(async () => (await step.waitForEvent<number>("b", { type: "go", timeout: "1 minute" })).payload),
      ]),
    drive: async ({ instance, seen }) => {
      await seen("timed out");
      await instance.sendEvent({ type: "go", payload: 1 });
    },
    expect: { output: ["threw Error: Execution timed out after 60ms", 1] },
  },
  {
    name: "event-timeout",
    promise: "A wait whose time is over throws, and the run may catch that.",
    run: async (_event, step) => caught(() => step.waitForEvent("go", { type: "go", timeout: 50 })),
    expect: { status: "complete", output: "threw Error: Execution timed out after 50ms" },
  },
  {
    name: "event-timeout-text",
    promise: "The time of a wait may be written with a unit.",
    run: async (_event, step) => caught(() => step.waitForEvent("go", { type: "go", timeout: "0.05 seconds" })),
    expect: { output: "threw Error: Execution timed out after 50ms" },
  },
  {
    name: "event-timeout-uncaught",
    promise: "A wait whose time is over fails a run that does not catch it.",
    run: async (_event, step) => step.waitForEvent("go", { type: "go", timeout: 50 }),
    expect: { status: "errored", error: { name: "Error", message: "Execution timed out after 50ms" } },
  },
  {
    name: "event-after-timeout",
    promise: "An event that comes after a time-out is kept for the next wait.",
    run: async (_event, step, io) => {
      const first = await caught(() => step.waitForEvent("go", { type: "go", timeout: 40 }));
      await io.effect("timed out");
      return [first, (await step.waitForEvent<number>("go", { type: "go" })).payload];
    },
    drive: async ({ instance, seen }) => {
      await seen("timed out");
      await instance.sendEvent({ type: "go", payload: 1 });
    },
    expect: { output: ["threw Error: Execution timed out after 40ms", 1] },
  },
  {
    name: "event-race",
    promise: "A race between two waits is won by the event that comes.",
    run: async (_event, step) => {
      const first = await Promise.race([step.waitForEvent("yes", { type: "yes" }), step.waitForEvent("no", { type: "no" })]);
      return first.type;
    },
    drive: async ({ instance, pause }) => {
      await pause(80);
      await instance.sendEvent({ type: "no", payload: null });
    },
    expect: { output: "no" },
  },
  {
    name: "event-race-with-sleep",
    promise: "A race between a wait and a sleep is won by the sleep when no event comes.",
    run: async (_event, step) => Promise.race([step.waitForEvent("go", { type: "go" }).then(() => "event"), step.sleep("give up", 80).then(() => "given up")]),
    expect: { status: "complete", output: "given up" },
  },
  {
    name: "event-to-paused",
    promise: "An event sent to a paused instance is kept.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance, seen, until, pause, note }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.sendEvent({ type: "go", payload: 7 });
      await pause(80);
      note("still", (await instance.status()).status);
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", output: 7, notes: { still: "paused" } },
  },
  {
    name: "event-to-ended",
    promise: "An event to an instance that has ended is refused.",
    run: async () => "done",
    drive: async ({ instance, until, note }) => {
      await until("complete");
      const sent = instance.sendEvent({ type: "go", payload: 1 });
      note(
        "sent",
        await sent.then(
          () => "accepted",
          () => "refused",
        ),
      );
    },
    expect: { status: "complete", notes: { sent: "refused" } },
    differs: { id: "local-event-to-ended", local: { status: "complete", notes: { sent: "accepted" } } },
  },
  {
    name: "event-unserialisable",
    promise: "A payload that can't be kept is refused where it is sent.",
    run: async (_event, step) => (await step.waitForEvent<number>("go", { type: "go" })).payload,
    drive: async ({ instance, note }) => {
      class Own {
        readonly x = 1;
      }
      const refused = async (payload: unknown) => {
        try {
          await instance.sendEvent({ type: "go", payload });
          return false;
        } catch {
          return true;
        }
      };
      note("class", await refused(new Own()));
      note("symbol", await refused({ s: Symbol("s") }));
      await instance.sendEvent({ type: "go", payload: 1 });
    },
    expect: { output: 1, notes: { class: true, symbol: true } },
  },
  {
    name: "event-many",
    promise: "Many events that came before their waits are all kept.",
    run: async (_event, step) => {
      await step.sleep("first", 200);
      let sum = 0;
      for (let index = 0; index < 20; index++) sum += (await step.waitForEvent<number>("next", { type: "go" })).payload;
      return sum;
    },
    drive: async ({ instance }) => {
      for (let payload = 0; payload < 20; payload++) await instance.sendEvent({ type: "go", payload });
    },
    expect: { output: 190 },
  },
);
