import { programs } from "../program.ts";
import { caught, loose, once, undo } from "./helpers.ts";

/** Rollback: undoing what a failed run did. */
export const rollback = programs(
  {
    name: "rollback-order",
    promise: "A failed run is undone in reverse order of start; steps without a handler are passed over.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("plain", async () => "P");
      await step.do("b", async () => "B", undo(io, "b"));
      throw new RangeError("far");
    },
    expect: { status: "errored", error: { name: "RangeError", message: "far" }, effects: ["undo-b(B)", "undo-a(A)"] },
  },
  {
    name: "rollback-by-start",
    promise: "With branches, the order is that of the starts, not of the ends.",
    run: async (_event, step, io) => {
      const branch = (name: string, ms: number) =>
        step.do(
          name,
          async () => {
            await scheduler.wait(ms);
            return name;
          },
          undo(io, name),
        );
      await Promise.all([branch("a", 200), branch("b", 100), branch("c", 10)]);
      throw new Error("boom");
    },
    expect: { status: "errored", effects: ["undo-c(c)", "undo-b(b)", "undo-a(a)"] },
  },
  {
    name: "rollback-failed-step",
    promise: "The step that failed takes part, without an output.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do(
        "b",
        once,
        async () => {
          throw new Error("b failed");
        },
        undo(io, "b"),
      );
    },
    expect: { status: "errored", error: { name: "Error", message: "b failed" }, effects: ["undo-b(nothing)", "undo-a(A)"] },
  },
  {
    name: "rollback-context",
    promise: "A handler is told the step's context, the run's error, the output and the step's display name.",
    run: async (_event, step, io) => {
      await step.do(
        "a",
        { retries: { limit: 2, delay: 5 }, timeout: 5_000 },
        async (ctx) => {
          if (ctx.attempt < 2) throw new Error("once");
          return "A";
        },
        {
          rollback: async (context) => {
            await io.effect("keys", Object.keys(context).sort());
            await io.effect("step", [context.ctx.step, context.ctx.attempt, context.ctx.config.retries?.limit, context.ctx.config.timeout]);
            await io.effect("error", [context.error instanceof Error, context.error.name, context.error.message]);
            await io.effect("output", [context.output, context.stepName]);
          },
        },
      );
      throw new TypeError("wrong");
    },
    expect: {
      status: "errored",
      effects: [
        `keys(["ctx","error","output","stepName"])`,
        `step([{"name":"a","count":1},2,2,5000])`,
        `error([true,"TypeError","wrong"])`,
        `output(["A","a-1"])`,
      ],
    },
  },
  {
    name: "rollback-counted-steps",
    promise: "Each step of a repeated name is undone with its own output.",
    run: async (_event, step, io) => {
      for (let round = 0; round < 3; round++) {
        await step.do("round", async () => round, {
          rollback: async ({ output, ctx, stepName }) => {
            await io.effect("undo", [output, ctx.step.count, stepName]);
          },
        });
      }
      throw new Error("boom");
    },
    expect: { status: "errored", effects: [`undo([2,3,"round-3"])`, `undo([1,2,"round-2"])`, `undo([0,1,"round-1"])`] },
  },
  {
    name: "rollback-not-on-success",
    promise: "A run that completes is not undone.",
    run: async (_event, step, io) => step.do("a", async () => "A", undo(io, "a")),
    settleMs: 150,
    expect: { status: "complete", output: "A", effects: [] },
  },
  {
    name: "rollback-not-on-caught",
    promise: "A run that catches a failure is not undone.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      return caught(() =>
        step.do(
          "b",
          once,
          async () => {
            throw new Error("b failed");
          },
          undo(io, "b"),
        ),
      );
    },
    settleMs: 150,
    expect: { status: "complete", output: "threw Error: b failed", effects: [] },
  },
  {
    name: "rollback-caught-step",
    promise: "A step whose failure was caught takes part when the run fails later.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await caught(() =>
        step.do(
          "b",
          once,
          async () => {
            throw new Error("b failed");
          },
          undo(io, "b"),
        ),
      );
      throw new Error("later");
    },
    expect: { status: "errored", error: { name: "Error", message: "later" }, effects: ["undo-b(nothing)", "undo-a(A)"] },
  },
  {
    name: "rollback-nonretryable",
    promise: "A NonRetryableError undoes a run as any other.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do(
        "b",
        async () => {
          throw new io.NonRetryableError("stop");
        },
        undo(io, "b"),
      );
    },
    expect: { status: "errored", error: { name: "NonRetryableError", message: "stop" }, effects: ["undo-b(nothing)", "undo-a(A)"] },
    differs: {
      id: "local-generic-nonretryable",
      local: {
        status: "errored",
        error: {
          name: "WorkflowFatalError",
          message: "The execution of the Workflow instance was terminated, as a step threw an NonRetryableError and it was not handled",
        },
        effects: ["undo-b(nothing)", "undo-a(A)"],
      },
    },
  },
  {
    name: "rollback-handler-retries",
    promise: "A handler that fails is retried by its own config; its context stays that of the step.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("b", async () => "B", {
        rollback: async ({ ctx }) => {
          if ((await io.effect("undo-b", ctx.attempt)) < 3) throw new Error("not yet");
        },
        rollbackConfig: { retries: { limit: 3, delay: 5 } },
      });
      throw new Error("boom");
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo-b(1)", "undo-b(1)", "undo-b(1)", "undo-a(A)"] },
  },
  {
    name: "rollback-handler-backoff",
    promise: "The retries of a handler wait as those of a step.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          if ((await io.effect("undo")) < 3) throw new Error("not yet");
        },
        rollbackConfig: { retries: { limit: 3, delay: 60, backoff: "linear" } },
      });
      throw new Error("boom");
    },
    expect: { status: "errored", effects: ["undo", "undo", "undo"] },
    spacing: { effect: "undo", atLeast: [60, 120] },
  },
  {
    name: "rollback-held",
    promise: "A handler takes as long as it takes.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          await io.effect("undo-a");
          await io.held("held");
        },
      });
      await step.do("b", async () => "B", { rollback: async () => void (await io.effect("undo-b")) });
      throw new Error("boom");
    },
    drive: async ({ seen, open, until }) => {
      await seen("undo-a");
      await open("held");
      await until("errored");
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo-b", "undo-a"] },
  },
  {
    name: "rollback-handler-timeout",
    promise: "A handler may have a time-out, and is retried after it.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          if ((await io.effect("undo")) < 2) await io.held("late");
        },
        rollbackConfig: { timeout: 300, retries: { limit: 2, delay: 5 } },
      });
      throw new Error("boom");
    },
    drive: async ({ until, open }) => {
      await until("errored");
      await open("late");
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo", "undo"] },
  },
  {
    name: "rollback-handler-fails",
    promise: "A handler that keeps failing does not silently leave the rest undone.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("b", async () => "B", {
        rollback: async () => {
          await io.effect("undo-b");
          throw new Error("undo failed");
        },
        rollbackConfig: { retries: { limit: 1, delay: 5 } },
      });
      await step.do("c", async () => "C", undo(io, "c"));
      throw new Error("boom");
    },
    ends: ["errored", "paused"],
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo-c(C)", "undo-b", "undo-b"] },
    differs: { id: "rollback-stops", segno: { status: "paused", effects: ["undo-c(C)", "undo-b", "undo-b"] } },
  },
  {
    name: "rollback-handler-nonretryable",
    promise: "A NonRetryableError of a handler is not retried.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          await io.effect("undo");
          throw new io.NonRetryableError("never");
        },
        rollbackConfig: { retries: { limit: 3, delay: 5 } },
      });
      throw new Error("boom");
    },
    ends: ["errored", "paused"],
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo"] },
    differs: { id: "rollback-stops", segno: { status: "paused", effects: ["undo"] } },
  },
  {
    name: "rollback-no-steps-in-handler",
    promise: "A handler may not call steps.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          await io.effect("undo", String(await caught(() => step.do("x", async () => io.effect("x")))).startsWith("threw "));
        },
      });
      throw new Error("boom");
    },
    expect: { status: "errored", effects: ["undo(true)"] },
  },
  {
    name: "rollback-wait-timeout",
    promise: "A wait whose time is over undoes a run that does not catch it.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.waitForEvent("go", { type: "go", timeout: 40 });
    },
    expect: { status: "errored", error: { name: "Error", message: "Execution timed out after 40ms" }, effects: ["undo-a(A)"] },
  },
  {
    name: "rollback-on-terminate",
    promise: "A run terminated with rollback is undone, and then terminated.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("b", async () => "B", undo(io, "b"));
      await step.do("mark", async () => io.effect("waiting"));
      await step.sleep("long", "1 minute");
    },
    drive: async ({ instance, seen, pause, until }) => {
      await seen("waiting");
      await pause(80);
      await instance.terminate({ rollback: true });
      await until("terminated");
    },
    expect: { status: "terminated", output: null, error: null, effects: ["waiting", "undo-b(B)", "undo-a(A)"] },
  },
  {
    name: "rollback-on-terminate-error",
    promise: "The handlers of a terminated run are told that it was terminated.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async ({ error }) => {
          await io.effect("undo", error.message);
        },
      });
      await step.do("mark", async () => io.effect("waiting"));
      await step.sleep("long", "1 minute");
    },
    drive: async ({ instance, seen, pause, until }) => {
      await seen("waiting");
      await pause(80);
      await instance.terminate({ rollback: true });
      await until("terminated");
    },
    expect: { status: "terminated", effects: ["waiting", "undo(Instance terminated during rollback)"] },
  },
  {
    name: "rollback-on-terminate-in-step",
    promise: "A step under way at a termination with rollback takes part, without an output.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do(
        "b",
        async () => {
          await io.effect("begin");
          await io.held("b");
          return "B";
        },
        undo(io, "b"),
      );
    },
    drive: async ({ instance, seen, until, open }) => {
      await seen("begin");
      await instance.terminate({ rollback: true });
      await until("terminated");
      await open("b");
    },
    expect: { status: "terminated", effects: ["begin", "undo-b(nothing)", "undo-a(A)"] },
  },
  {
    name: "rollback-on-terminate-paused",
    promise: "A paused run can be terminated with rollback.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("mark", async () => io.effect("waiting"));
      await step.sleep("long", "1 minute");
    },
    drive: async ({ instance, seen, pause, until }) => {
      await seen("waiting");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.terminate({ rollback: true });
      await until("terminated");
    },
    expect: { status: "terminated", effects: ["waiting", "undo-a(A)"] },
  },
  {
    name: "rollback-not-on-terminate",
    promise: "A run terminated without rollback is not undone.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("mark", async () => io.effect("waiting"));
      await step.sleep("long", "1 minute");
    },
    drive: async ({ instance, seen, pause }) => {
      await seen("waiting");
      await pause(80);
      await instance.terminate({ rollback: false });
    },
    settleMs: 200,
    expect: { status: "terminated", effects: ["waiting"] },
  },
  {
    name: "rollback-status",
    promise: "While a run is undone, its status says so; then it is errored.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", {
        rollback: async () => {
          await io.effect("undo");
          await io.held("undo");
        },
      });
      throw new Error("boom");
    },
    drive: async ({ instance, seen, open, note, until }) => {
      await seen("undo");
      note("meanwhile", (await instance.status()).status);
      await open("undo");
      await until("errored");
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo"], notes: { meanwhile: "running" } },
    differs: {
      id: "local-status-rolling-back",
      segno: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["undo"], notes: { meanwhile: "rollingBack" } },
    },
  },
  {
    name: "rollback-options-refused",
    promise: "Rollback options that are none are refused before the step begins.",
    run: async (_event, step, io) => {
      const act = async () => io.effect("ran");
      return [
        await caught(() => loose(step).do("a", act, 5)),
        await caught(() => loose(step).do("a", act, null)),
        await caught(() => loose(step).do("a", {}, act, [])),
        await caught(() => loose(step).do("a", act, {})),
        await caught(() => loose(step).do("a", act, { rollback: "undo" })),
        await caught(() => loose(step).do("a", act, { rollback: async () => {}, rollbackConfig: { timeout: 0 } })),
      ];
    },
    expect: {
      status: "complete",
      output: [
        `threw Error: Rollback options for "a" must be an object`,
        `threw Error: Rollback options for "a" must be an object`,
        `threw Error: Rollback options for "a" must be an object`,
        `threw Error: Rollback for "a" must be a function`,
        `threw Error: Rollback for "a" must be a function`,
        `threw Error: Rollback config for "a" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/`,
      ],
      effects: [],
    },
  },
  {
    name: "rollback-limit-of-steps",
    promise: "A run that reaches its limit of steps is undone; the handlers do not count.",
    workflow: "few-steps",
    run: async (_event, step, io) => {
      for (let round = 0; round < 6; round++) await step.do("round", async () => round, undo(io, "round"));
    },
    expect: {
      status: "errored",
      effects: ["undo-round(4)", "undo-round(3)", "undo-round(2)", "undo-round(1)", "undo-round(0)"],
    },
  },
);
