import { programs } from "../program.ts";
import { caught, once, undo } from "./helpers.ts";

/** Calls that meet each other, and sizes. */
export const edges = programs(
  {
    name: "edge-restart-event",
    promise: "A restarted run is told the time of the instance's creation, not of the restart.",
    // The times of the two sides differ, so they are told by an instance of the script's own.
    run: async (event, step, io) => {
      await step.do("time", async () => io.effect("time"));
      return event.instanceId.endsWith("told1") ? event.timestamp.getTime() : "done";
    },
    drive: async ({ binding, newId, finished, seen, pause, note }) => {
      const told = await binding.create({ id: newId("told") });
      const first = (await finished(told)).output;
      await pause(50);
      await told.restart();
      await seen("time", 3);
      note("same", (await finished(told)).output === first);
      note("kind", typeof first);
    },
    expect: { status: "complete", output: "done", effects: ["time", "time", "time"], notes: { same: true, kind: "number" } },
  },
  {
    name: "edge-old-handle",
    promise: "A handle from before a restart acts on what runs since.",
    run: async (_event, step, io) => {
      await step.do("begin", async () => io.effect("begin"));
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ binding, id, instance, seen, until, note }) => {
      const handle = await binding.get(id);
      await seen("begin");
      await instance.sendEvent({ type: "go", payload: 1 });
      note("first", (await until("complete")).output);
      await instance.restart();
      await seen("begin", 2);
      await handle.sendEvent({ type: "go", payload: 2 });
      await until("complete");
      note("old handle", (await handle.status()).output);
    },
    expect: { status: "complete", output: 2, notes: { first: 1, "old handle": 2 } },
  },
  {
    name: "edge-terminate-in-retry",
    promise: "A run that waits for its next attempt can be terminated, and makes none.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 3, delay: "1 minute", backoff: "constant" } }, async () => {
        await io.effect("try");
        throw new Error("again");
      }),
    drive: async ({ instance, seen, until }) => {
      await seen("try");
      await instance.terminate();
      await until("terminated");
    },
    settleMs: 300,
    expect: { status: "terminated", effects: ["try"] },
  },
  {
    name: "edge-restart-in-retry",
    promise: "A restart while a step waits for its next attempt begins with the first attempt.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 3, delay: "1 minute", backoff: "constant" } }, async (ctx) => {
        if ((await io.effect("try", ctx.attempt)) < 2) throw new Error("again");
        return ctx.attempt;
      }),
    drive: async ({ instance, seen, until, pause }) => {
      await seen("try");
      await pause(100);
      await instance.restart();
      await until("complete");
    },
    expect: { status: "complete", output: 1, effects: ["try(1)", "try(1)"] },
  },
  {
    name: "edge-pause-branches",
    promise: "A pause waits for every branch's step that is under way, and begins none behind them.",
    run: async (_event, step, io) => {
      const branch = async (name: string) => {
        await step.do(name, async () => {
          await io.effect("begin");
          await io.held("steps");
        });
        await step.do(`${name} next`, async () => io.effect("next"));
      };
      await Promise.all([branch("a"), branch("b")]);
    },
    drive: async ({ instance, seen, open, until, pause, note }) => {
      await seen("begin", 2);
      await instance.pause();
      note("meanwhile", (await instance.status()).status);
      await open("steps");
      await until("paused");
      await pause(150);
      note("paused", (await instance.status()).status);
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", effects: ["begin", "begin", "next", "next"], notes: { meanwhile: "waitingForPause", paused: "paused" } },
  },
  {
    name: "edge-events-across-pause",
    promise: "Events keep their order across a pause.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      const seen: number[] = [];
      for (let index = 0; index < 3; index++) seen.push((await step.waitForEvent<number>("next", { type: "go" })).payload);
      return seen;
    },
    drive: async ({ instance, seen, until, pause }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      for (const payload of [1, 2, 3]) await instance.sendEvent({ type: "go", payload });
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", output: [1, 2, 3] },
  },
  {
    name: "edge-batch-hundred",
    promise: "A hundred instances may be created at once.",
    run: async () => "done",
    drive: async ({ binding, note, finished }) => {
      const made = await binding.createBatch(Array.from({ length: 100 }, (_, index) => ({ params: { index } })));
      note("made", new Set(made.map(({ id }: { id: string }) => id)).size);
      note("last", (await finished(made[99])).output);
    },
    expect: { notes: { made: 100, last: { payload: { index: 99 } } } },
  },
  {
    name: "edge-delete-twice",
    promise: "An id that stands twice in a batch of deletions is told twice as deleted.",
    run: async () => "done",
    drive: async ({ binding, newId, finished, note }) => {
      const id = newId("twice");
      await finished(await binding.create({ id }));
      const { deleted, errors } = await binding.deleteBatch([id, id]);
      note("sizes", [deleted.length, errors.length]);
    },
    expect: { notes: { sizes: [2, 0] } },
  },
  {
    name: "edge-id-of-object",
    promise: "Ids that are properties of every object are ids like others.",
    run: async () => "done",
    drive: async ({ binding, finished, note }) => {
      const suffix = crypto.randomUUID().slice(0, 8);
      const statuses: string[] = [];
      for (const id of [`__proto__${suffix}`, `constructor-${suffix}`]) statuses.push((await finished(await binding.create({ id }))).status);
      note("statuses", statuses);
    },
    expect: { notes: { statuses: ["complete", "complete"] } },
  },
  {
    name: "edge-large-payload",
    promise: "A payload and an event of 900 kB arrive whole.",
    params: { text: "x".repeat(900_000) },
    run: async (event: { payload: { text: string } }, step) => {
      const got = await step.waitForEvent<string>("go", { type: "go" });
      return [event.payload.text.length, got.payload.length];
    },
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: "y".repeat(900_000) }),
    expect: { status: "complete", output: [900_000, 900_000] },
  },
  {
    name: "edge-error-then-wait",
    promise: "A run that caught an error and waits is replayed with the same error.",
    run: async (_event, step, io) => {
      const error = await caught(() =>
        step.do("fails", once, async () => {
          await io.effect("fails");
          throw new RangeError("far");
        }),
      );
      await step.do("mark", async () => io.effect("waiting"));
      await step.waitForEvent("go", { type: "go" });
      return error;
    },
    drive: async ({ instance, seen, until, pause }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.resume();
      await instance.sendEvent({ type: "go" });
    },
    expect: { status: "complete", output: "threw RangeError: far", effects: ["fails", "waiting"] },
  },
  {
    name: "edge-rollback-branches",
    promise: "Branches whose steps are under way when the run fails take part in the rollback, without an output.",
    run: async (_event, step, io) => {
      await step.do("first", async () => "F", undo(io, "first"));
      await Promise.all([
        step.do(
          "open",
          async () => {
            await io.effect("begin");
            await io.held("open");
            return "O";
          },
          undo(io, "open"),
        ),
        step.do("bad", once, async () => {
          await io.held("bad");
          throw new Error("bad");
        }),
      ]);
    },
    drive: async ({ seen, open, until }) => {
      await seen("begin");
      await open("bad");
      await until("errored");
      await open("open");
    },
    expect: { status: "errored", error: { name: "Error", message: "bad" }, effects: ["begin", "undo-open(nothing)", "undo-first(F)"] },
  },
  {
    name: "edge-sleep-in-branch",
    promise: "A sleep in one branch does not hold the steps of another.",
    run: async (_event, step, io) => {
      await Promise.all([
        step.sleep("long", 800).then(() => step.do("late", async () => io.effect("late"))),
        (async () => {
          for (let index = 0; index < 3; index++) await step.do("quick", async () => io.effect("quick"));
        })(),
      ]);
    },
    expect: { status: "complete", effects: ["quick", "quick", "quick", "late"] },
  },
  {
    name: "edge-thenable",
    promise: "What a callback returns may be a promise of a promise.",
    run: async (_event, step) => step.do("value", async () => Promise.resolve(Promise.resolve("flat"))),
    expect: { output: "flat" },
  },
  {
    name: "edge-env",
    promise: "A workflow class is made with the Worker's environment.",
    run: async (_event, step, io) => step.do("effect", async () => io.effect("effect")),
    expect: { output: 1, effects: ["effect"] },
  },
);
