import type { Program } from "../program.ts";
import { programs } from "../program.ts";
import { caught, loose, once } from "./helpers.ts";

/** Fails three times, then gives its attempt. */
function backoff(name: string, promise: string, kind: { readonly backoff?: "constant" | "linear" | "exponential" }, atLeast: readonly number[]): Program {
  return {
    name,
    promise,
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 3, delay: 60, ...kind } }, async (ctx) => {
        if ((await io.effect("try", ctx.attempt)) < 4) throw new Error("not yet");
        return ctx.attempt;
      }),
    expect: { status: "complete", output: 4, effects: ["try(1)", "try(2)", "try(3)", "try(4)"] },
    spacing: { effect: "try", atLeast },
  };
}

/** A delay that is no delay ends the step, and says so. */
function badDelay(name: string, promise: string, delay: () => unknown, message: string): Program {
  return {
    name,
    promise,
    run: async (_event, step, io) =>
      caught(() =>
        loose(step).do("try", { retries: { limit: 3, delay } }, async () => {
          await io.effect("try");
          throw new Error("not yet");
        }),
      ),
    expect: { status: "complete", output: `threw Error: The delay function for step "try-1" ${message}`, effects: ["try"] },
  };
}

const invalid = `returned an invalid delay value (expected a number of ms or a duration string like "30 seconds")`;

/** Attempts, delays, time-outs. */
export const retries = programs(
  backoff("backoff-constant", "Constant backoff waits the delay each time.", { backoff: "constant" }, [60, 60, 60]),
  backoff("backoff-linear", "Linear backoff waits the delay times the attempt.", { backoff: "linear" }, [60, 120, 180]),
  backoff("backoff-exponential", "Exponential backoff doubles the delay.", { backoff: "exponential" }, [60, 120, 240]),
  backoff("backoff-default", "Without a backoff it is exponential.", {}, [60, 120, 240]),
  {
    name: "retry-later",
    promise: "A retry may be seconds away.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 1, delay: "1.5 seconds", backoff: "constant" } }, async (ctx) => {
        if ((await io.effect("try", ctx.attempt)) < 2) throw new Error("not yet");
        return ctx.attempt;
      }),
    expect: { status: "complete", output: 2, effects: ["try(1)", "try(2)"] },
    spacing: { effect: "try", atLeast: [1_500] },
  },
  {
    name: "retry-limit",
    promise: "A limit of 2 is two retries: three attempts, then the last error.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("try", { retries: { limit: 2, delay: 5 } }, async (ctx) => {
          throw new Error(`failed ${await io.effect("try", ctx.attempt)}`);
        }),
      ),
    expect: { output: "threw Error: failed 3", effects: ["try(1)", "try(2)", "try(3)"] },
  },
  {
    name: "retry-limit-zero",
    promise: "A limit of 0 is one attempt.",
    run: async (_event, step, io) =>
      step.do("try", once, async () => {
        await io.effect("try");
        throw new Error("failed");
      }),
    expect: { status: "errored", error: { name: "Error", message: "failed" }, effects: ["try"] },
  },
  {
    name: "retry-limit-one",
    promise: "A limit of 1 is two attempts.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 1, delay: 5 } }, async (ctx) => {
        if ((await io.effect("try")) < 2) throw new Error("failed");
        return ctx.attempt;
      }),
    expect: { status: "complete", output: 2, effects: ["try", "try"] },
  },
  {
    name: "retry-limit-fraction",
    promise: "A limit of 1.5 is one retry.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("try", { retries: { limit: 1.5, delay: 5 } }, async () => {
          await io.effect("try");
          throw new Error("failed");
        }),
      ),
    expect: { output: "threw Error: failed", effects: ["try", "try"] },
  },
  {
    name: "retry-delay-zero",
    promise: "A delay of 0 retries at once.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 4, delay: 0 } }, async (ctx) => {
        if ((await io.effect("try")) < 5) throw new Error("failed");
        return ctx.attempt;
      }),
    expect: { output: 5, effects: Array(5).fill("try") },
  },
  {
    name: "retry-delay-text",
    promise: "A delay may be written with a unit.",
    run: async (_event, step, io) =>
      loose(step).do("try", { retries: { limit: 1, delay: "0.1 seconds", backoff: "constant" } }, async () => {
        if ((await io.effect("try")) < 2) throw new Error("failed");
        return "well";
      }),
    expect: { output: "well" },
    spacing: { effect: "try", atLeast: [100] },
  },
  {
    name: "retry-delay-numeric-text",
    promise: "A delay that is a number written as text is milliseconds.",
    run: async (_event, step, io) =>
      loose(step).do("try", { retries: { limit: 1, delay: "80", backoff: "constant" } }, async () => {
        if ((await io.effect("try")) < 2) throw new Error("failed");
        return "well";
      }),
    expect: { output: "well" },
    spacing: { effect: "try", atLeast: [80] },
  },
  {
    name: "retry-steps-apart",
    promise: "Attempts are counted for each step by itself.",
    run: async (_event, step, io) => {
      const attempts: number[] = [];
      for (const failures of [2, 0, 1]) {
        attempts.push(
          await step.do("try", { retries: { limit: 3, delay: 5 } }, async (ctx) => {
            if (ctx.attempt <= failures) throw new Error("failed");
            await io.effect("done", ctx.attempt);
            return ctx.attempt;
          }),
        );
      }
      return attempts;
    },
    expect: { output: [3, 1, 2], effects: ["done(3)", "done(1)", "done(2)"] },
  },
  {
    name: "delay-function",
    promise: "A delay function is told the failed attempt and its error, and its result passes through the backoff.",
    run: async (_event, step, io) =>
      step.do(
        "try",
        {
          retries: {
            limit: 3,
            backoff: "linear",
            delay: async ({ ctx, error }) => {
              await io.effect("delay", [ctx.step, ctx.attempt, error instanceof Error, error.name, error.message]);
              return 50;
            },
          },
        },
        async (ctx) => {
          if ((await io.effect("try")) < 3) throw new RangeError("far");
          return ctx.attempt;
        },
      ),
    expect: {
      output: 3,
      effects: [
        "try",
        `delay([{"name":"try","count":1},1,true,"RangeError","far"])`,
        "try",
        `delay([{"name":"try","count":1},2,true,"RangeError","far"])`,
        "try",
      ],
    },
    spacing: { effect: "try", atLeast: [50, 100] },
  },
  {
    name: "delay-function-text",
    promise: "A delay function may give text, and without a backoff it is exponential too.",
    run: async (_event, step, io) =>
      loose(step).do("try", { retries: { limit: 3, delay: () => "0.05 seconds" } }, async () => {
        if ((await io.effect("try")) < 4) throw new Error("failed");
        return "well";
      }),
    expect: { output: "well" },
    spacing: { effect: "try", atLeast: [50, 100, 200] },
  },
  badDelay(
    "delay-throws",
    "A delay function that throws ends the step.",
    () => {
      throw new RangeError("no delay");
    },
    "threw an error: no delay",
  ),
  badDelay("delay-text-invalid", "A delay function that gives no duration ends the step.", () => "soon", invalid),
  badDelay("delay-negative", "A delay function that gives a negative number ends the step.", () => -5, invalid),
  badDelay("delay-infinite", "A delay function that gives infinity ends the step.", () => Number.POSITIVE_INFINITY, invalid),
  badDelay("delay-nothing", "A delay function that gives nothing ends the step.", () => undefined, invalid),
  badDelay("delay-slow", "A delay function has five seconds.", () => scheduler.wait(5_500).then(() => 1), "did not return within 5 seconds"),
  {
    name: "delay-throws-uncaught",
    promise: "A delay function that throws fails a run that does not catch it, with its own error.",
    run: async (_event, step) =>
      loose(step).do(
        "try",
        {
          retries: {
            limit: 3,
            delay: () => {
              throw new Error("no delay");
            },
          },
        },
        async () => {
          throw new Error("failed");
        },
      ),
    expect: { status: "errored", error: { name: "Error", message: `The delay function for step "try-1" threw an error: no delay` } },
  },
  {
    name: "timeout-attempt",
    promise: "A time-out is for each attempt, and is retried.",
    run: async (_event, step, io) =>
      step.do("try", { retries: { limit: 1, delay: 5 }, timeout: 300 }, async (ctx) => {
        await io.effect("try", ctx.attempt);
        if (ctx.attempt === 1) await io.held("late");
        return ctx.attempt;
      }),
    drive: async ({ until, open }) => {
      await until("complete");
      await open("late");
    },
    expect: { status: "complete", output: 2, effects: ["try(1)", "try(2)"] },
  },
  {
    name: "timeout-caught",
    promise: "A time-out that is the last attempt's is an error that names the time.",
    run: async (_event, step) => caught(() => step.do("slow", { ...once, timeout: 80 }, async () => scheduler.wait(5_000))),
    expect: { status: "complete", output: "threw Error: Execution timed out after 80ms" },
  },
  {
    name: "timeout-uncaught",
    promise: "A time-out that nobody catches fails the run.",
    run: async (_event, step) => step.do("slow", { ...once, timeout: 80 }, async () => scheduler.wait(5_000)),
    expect: { status: "errored", error: { name: "Error", message: "Execution timed out after 80ms" } },
  },
  {
    name: "timeout-text",
    promise: "A time-out may be written with a unit.",
    run: async (_event, step) => caught(() => loose(step).do("slow", { ...once, timeout: "0.1 seconds" }, async () => scheduler.wait(5_000))),
    expect: { output: "threw Error: Execution timed out after 100ms" },
  },
  {
    name: "timeout-late",
    promise: "What a timed-out attempt still does is done, and its result is ignored.",
    run: async (_event, step, io) => {
      const attempt = await step.do("try", { retries: { limit: 1, delay: 5 }, timeout: 300 }, async (ctx) => {
        if (ctx.attempt === 1) await io.held("late");
        await io.effect("end", ctx.attempt);
        return ctx.attempt;
      });
      await step.do("stay", async () => io.held("stay"));
      return attempt;
    },
    drive: async ({ seen, open }) => {
      await seen("end");
      await open("late");
      await seen("end", 2);
      await open("stay");
    },
    expect: { output: 2, effects: ["end(2)", "end(1)"] },
  },
  {
    name: "timeout-not-reached",
    promise: "An attempt within its time is not disturbed.",
    run: async (_event, step) =>
      step.do("quick", { timeout: "1 minute" }, async () => {
        await scheduler.wait(20);
        return "in time";
      }),
    expect: { output: "in time" },
  },
);
