import { programs } from "../program.ts";
import { undo } from "./helpers.ts";

/** Pause, resume, terminate, and what the status says meanwhile. */
export const lifecycle = programs(
  {
    name: "pause-sleep",
    promise: "A paused sleep stands still, and goes on for what was left of it.",
    run: async (_event, step, io) => {
      await step.do("before", async () => io.effect("mark"));
      await step.sleep("rest", 1_500);
      await step.do("after", async () => io.effect("mark"));
      return "awake";
    },
    drive: async ({ instance, seen, until, pause, note }) => {
      await seen("mark");
      await pause(80);
      await instance.pause();
      await until("paused");
      await pause(1_000);
      note("still", (await instance.status()).status);
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", output: "awake", effects: ["mark", "mark"], notes: { still: "paused" } },
    spacing: { effect: "mark", atLeast: [2_450] },
  },
  {
    name: "pause-step",
    promise: "A pause lets the step under way finish, and begins no other.",
    run: async (_event, step, io) => {
      await step.do("long", async (ctx) => {
        await io.effect("begin", ctx.attempt);
        await io.held("long");
        await io.effect("end");
      });
      await step.do("next", async () => io.effect("next"));
    },
    drive: async ({ instance, seen, open, until, pause, note }) => {
      await seen("begin");
      await instance.pause();
      note("meanwhile", (await instance.status()).status);
      await open("long");
      await until("paused");
      await pause(150);
      note("paused", (await instance.status()).status);
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", effects: ["begin(1)", "end", "next"], notes: { meanwhile: "waitingForPause", paused: "paused" } },
  },
  {
    name: "pause-cancelled",
    promise: "A resume while the pause still waits for a step takes the pause back.",
    run: async (_event, step, io) => {
      await step.do("long", async () => {
        await io.effect("begin");
        await io.held("long");
      });
      await step.do("next", async () => io.effect("next"));
    },
    drive: async ({ instance, seen, open, until, note }) => {
      await seen("begin");
      await instance.pause();
      note("asked", (await instance.status()).status);
      await instance.resume();
      note("taken back", (await instance.status()).status);
      await open("long");
      await until("complete");
    },
    expect: { status: "complete", effects: ["begin", "next"], notes: { asked: "waitingForPause", "taken back": "running" } },
  },
  {
    name: "pause-retry",
    promise: "A pause between two attempts holds the next one back; its number goes on.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 2, delay: 1_500, backoff: "constant" } }, async (ctx) => {
        if ((await io.effect("try", ctx.attempt)) < 2) throw new Error("failed");
        return ctx.attempt;
      }),
    drive: async ({ instance, seen, until, pause, note }) => {
      await seen("try");
      await pause(80);
      await instance.pause();
      await until("paused");
      await pause(1_700);
      note("still", (await instance.status()).status);
      await instance.resume();
      await until("complete");
    },
    expect: { status: "complete", output: 2, effects: ["try(1)", "try(2)"], notes: { still: "paused" } },
    spacing: { effect: "try", atLeast: [3_150] },
  },
  {
    name: "pause-wait",
    promise: "A pause of a waiting run takes hold at once.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance, seen, until, pause, note }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.resume();
      await pause(80);
      await instance.sendEvent({ type: "go", payload: 3 });
      note("ended", (await until("complete")).status);
    },
    expect: { status: "complete", output: 3, notes: { ended: "complete" } },
  },
  {
    name: "pause-twice",
    promise: "A second pause, and a second resume, change nothing.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance, seen, until, pause, attempt }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await attempt("second pause", () => instance.pause());
      await attempt("resume", () => instance.resume());
      await attempt("second resume", () => instance.resume());
      await pause(80);
      await instance.sendEvent({ type: "go", payload: 1 });
      await until("complete");
    },
    expect: { status: "complete", output: 1, notes: { "second pause": "<undefined>", resume: "<undefined>", "second resume": "<undefined>" } },
  },
  {
    name: "pause-ended",
    promise: "Pause and resume of an instance that has ended change nothing.",
    run: async () => "done",
    drive: async ({ instance, until, attempt, note }) => {
      await until("complete");
      await attempt("pause", () => instance.pause());
      await attempt("resume", () => instance.resume());
      note("after", (await instance.status()).status);
    },
    expect: { status: "complete", output: "done", notes: { pause: "<undefined>", resume: "<undefined>", after: "complete" } },
  },
  {
    name: "pause-failed",
    promise: "Pause and resume of an instance that failed change nothing.",
    run: async () => {
      throw new Error("boom");
    },
    drive: async ({ instance, until, attempt }) => {
      await until("errored");
      await attempt("pause", () => instance.pause());
      await attempt("resume", () => instance.resume());
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, notes: { pause: "<undefined>", resume: "<undefined>" } },
  },
  {
    name: "pause-after-caught-nonretryable",
    promise: "A run that caught a NonRetryableError can be paused.",
    run: async (_event, step, io) => {
      try {
        await step.do("fails", async () => {
          throw new io.NonRetryableError("stop");
        });
      } catch {
        await io.effect("caught");
      }
      return (await step.waitForEvent<number>("go", { type: "go" })).payload;
    },
    drive: async ({ instance, seen, pause, note }) => {
      await seen("caught");
      await pause(80);
      await instance.pause();
      await pause(300);
      note("after the pause", (await instance.status()).status);
      await instance.resume();
      await pause(80);
      await instance.sendEvent({ type: "go", payload: 1 });
    },
    expect: { status: "complete", output: 1, notes: { "after the pause": "paused" } },
    differs: { id: "local-pause-after-nonretryable", local: { status: "complete", output: 1, notes: { "after the pause": "waitingForPause" } } },
  },
  {
    name: "terminate-sleeping",
    promise: "A terminated run is over: nothing of it happens any more, and nothing is undone unasked.",
    run: async (_event, step, io) => {
      await step.do("first", async () => io.effect("first"), undo(io, "first"));
      await step.sleep("rest", 5_000);
      await step.do("second", async () => io.effect("second"));
    },
    drive: async ({ instance, seen, pause, attempt, until }) => {
      await seen("first");
      await pause(60);
      await attempt("terminate", () => instance.terminate());
      await until("terminated");
    },
    settleMs: 5_500,
    expect: { status: "terminated", output: null, error: null, effects: ["first"], notes: { terminate: "<undefined>" } },
  },
  {
    name: "terminate-in-step",
    promise: "Terminating a run ends the step under way.",
    run: async (_event, step, io) => {
      await step.do("long", async () => {
        await io.effect("begin");
        await io.held("long");
        await io.effect("end");
      });
    },
    drive: async ({ instance, seen, until, open }) => {
      await seen("begin");
      await instance.terminate();
      await until("terminated");
      await open("long");
    },
    settleMs: 400,
    expect: { status: "terminated", effects: ["begin"] },
    differs: { id: "callback-not-killed", segno: { status: "terminated", effects: ["begin", "end"] } },
  },
  {
    name: "terminate-paused",
    promise: "A paused run can be terminated.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      await step.waitForEvent("go", { type: "go" });
    },
    drive: async ({ instance, seen, pause, until }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.terminate();
    },
    expect: { status: "terminated" },
  },
  {
    name: "terminate-ended",
    promise: "What has ended can't be terminated.",
    run: async () => "done",
    drive: async ({ instance, until, attempt }) => {
      await until("complete");
      await attempt("terminate", () => instance.terminate());
      await attempt("with rollback", () => instance.terminate({ rollback: true }));
    },
    expect: {
      status: "complete",
      notes: {
        terminate: "<error Error: WorkflowError: (instance.cannot_terminate) Cannot terminate instance since its on a finite state>",
        "with rollback": "<error Error: WorkflowError: (instance.cannot_terminate) Cannot terminate instance since its on a finite state>",
      },
    },
  },
  {
    name: "terminate-twice",
    promise: "A terminated instance can't be terminated again.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => io.effect("waiting"));
      await step.waitForEvent("go", { type: "go" });
    },
    drive: async ({ instance, seen, until, attempt }) => {
      await seen("waiting");
      await instance.terminate();
      await until("terminated");
      await attempt("again", () => instance.terminate());
      await attempt("pause", () => instance.pause());
      await attempt("resume", () => instance.resume());
    },
    expect: {
      status: "terminated",
      notes: {
        again: "<error Error: WorkflowError: (instance.cannot_terminate) Cannot terminate instance since its on a finite state>",
        pause: "<undefined>",
        resume: "<undefined>",
      },
    },
  },
  {
    name: "terminate-failed",
    promise: "A failed instance can't be terminated.",
    run: async () => {
      throw new Error("boom");
    },
    drive: async ({ instance, until, attempt }) => {
      await until("errored");
      await attempt("terminate", () => instance.terminate());
    },
    expect: {
      status: "errored",
      notes: { terminate: "<error Error: WorkflowError: (instance.cannot_terminate) Cannot terminate instance since its on a finite state>" },
    },
  },
  {
    name: "status-running",
    promise: "While a step is under way, the status is running, without output and error.",
    run: async (_event, step, io) => {
      await step.do("long", async () => {
        await io.effect("begin");
        await io.held("long");
      });
      return "done";
    },
    drive: async ({ instance, seen, open, note }) => {
      await seen("begin");
      const { status, output, error } = await instance.status();
      note("meanwhile", [status, output ?? null, error ?? null]);
      await open("long");
    },
    expect: { status: "complete", output: "done", notes: { meanwhile: ["running", null, null] } },
  },
  {
    name: "status-waiting",
    promise: "While a run waits for an event or sleeps, its status is waiting.",
    run: async (_event, step, io) => {
      await step.waitForEvent("go", { type: "go" });
      await step.do("mark", async () => io.effect("sleeping"));
      await step.sleep("long", "1 minute");
    },
    drive: async ({ instance, seen, pause, note }) => {
      const becomesWaiting = async () => {
        for (let look = 0; look < 40; look++) {
          if ((await instance.status()).status === "waiting") return "waiting";
          await pause(50);
        }
        return (await instance.status()).status;
      };
      note("for an event", await becomesWaiting());
      await instance.sendEvent({ type: "go" });
      await seen("sleeping");
      note("asleep", await becomesWaiting());
      await instance.terminate();
    },
    expect: { status: "terminated", notes: { "for an event": "waiting", asleep: "waiting" } },
    differs: { id: "local-status-waiting", local: { status: "terminated", notes: { "for an event": "running", asleep: "running" } } },
  },
  {
    name: "status-after",
    promise: "After the end, the status keeps telling output and error.",
    run: async (_event, step) => step.do("one", async () => ({ a: 1 })),
    drive: async ({ binding, id, until, note }) => {
      await until("complete");
      const handle = await binding.get(id);
      const { status, output } = await handle.status();
      note("again", [handle.id === id, status, output]);
    },
    expect: { notes: { again: [true, "complete", { a: 1 }] } },
  },
);
