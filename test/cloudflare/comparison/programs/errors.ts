import type { Observation, Program } from "../program.ts";
import { programs } from "../program.ts";
import { CustomError, caught, loose, once, twice } from "./helpers.ts";

/** What is seen on Cloudflare, and on Segno where that is on purpose something else. */
interface Sides<T> {
  readonly cloudflare: T;
  readonly segno?: T;
}

/** How an error that a step throws looks in the run that catches it. */
function crossing(name: string, promise: string, make: () => unknown, seen: string | Sides<string>): Program {
  const sides = typeof seen === "string" ? { cloudflare: seen } : seen;
  return {
    name: `error-${name}`,
    promise,
    run: async (_event, step) =>
      caught(() =>
        step.do("fails", once, async () => {
          throw make();
        }),
      ),
    expect: { status: "complete", output: `threw ${sides.cloudflare}` },
    ...(sides.segno === undefined ? {} : { differs: { id: "error-fidelity", segno: { output: `threw ${sides.segno}` } } }),
  };
}

/** How an error that leaves run() stands in the status. */
function leaving(name: string, promise: string, make: () => unknown, { cloudflare, segno }: Sides<Observation["error"]>): Program {
  return {
    name: `fails-${name}`,
    promise,
    run: async () => {
      throw make();
    },
    expect: { status: "errored", output: null, error: cloudflare },
    ...(segno === undefined ? {} : { differs: { id: "error-fidelity", segno: { status: "errored", error: segno } } }),
  };
}

const generic = {
  name: "WorkflowFatalError",
  message: "The execution of the Workflow instance was terminated, as a step threw an NonRetryableError and it was not handled",
};

/** Errors: what of them crosses, and which are not retried. */
export const errors = programs(
  crossing("plain", "An Error keeps its message.", () => new Error("boom"), "Error: boom"),
  crossing("range", "A RangeError keeps its name.", () => new RangeError("far"), "RangeError: far"),
  crossing("type", "A TypeError keeps its name.", () => new TypeError("wrong"), "TypeError: wrong"),
  crossing("syntax", "A SyntaxError keeps its name.", () => new SyntaxError("odd"), "SyntaxError: odd"),
  crossing("empty", "An error without a message has none.", () => new Error(""), "Error: "),
  crossing("text", "Thrown text is an Error with that text.", () => "text", "Error: text"),
  crossing("number", "A thrown number is an Error with that number.", () => 5, "Error: 5"),
  crossing("null", "A thrown null is an Error.", () => null, "Error: null"),
  crossing("undefined", "A thrown undefined is an Error.", () => undefined, "Error: undefined"),
  crossing("custom", "A class of one's own loses its name to its message.", () => new CustomError("own"), {
    cloudflare: "Error: CustomError: own",
    segno: "CustomError: own",
  }),
  crossing("named", "An error with a name given by hand loses it to its message.", () => Object.assign(new Error("by hand"), { name: "Special" }), {
    cloudflare: "Error: Special: by hand",
    segno: "Special: by hand",
  }),
  {
    name: "error-properties",
    promise: "Properties of an error are lost.",
    run: async (_event, step) => {
      try {
        await step.do("fails", once, async () => {
          throw Object.assign(new Error("with code"), { code: "E_CODE", details: { a: 1 } });
        });
      } catch (error) {
        const { message, code, details } = error as Error & { code?: string; details?: unknown };
        return { message, code: code ?? "lost", details: details ?? "lost" };
      }
      return "no error";
    },
    expect: { output: { message: "with code", code: "lost", details: "lost" } },
    differs: { id: "error-fidelity", segno: { output: { message: "with code", code: "E_CODE", details: { a: 1 } } } },
  },
  {
    name: "error-instance",
    promise: "A caught built-in error is an instance of its class.",
    run: async (_event, step) => {
      try {
        await step.do("fails", once, async () => {
          throw new TypeError("wrong");
        });
      } catch (error) {
        return [error instanceof Error, error instanceof TypeError];
      }
      return "no error";
    },
    expect: { output: [true, true] },
  },
  {
    name: "error-last-wins",
    promise: "The error of the last attempt is the step's error.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("fails", twice, async () => {
          throw (await io.effect("try")) === 1 ? new TypeError("first") : new RangeError("second");
        }),
      ),
    expect: { output: "threw RangeError: second", effects: ["try", "try"] },
  },
  {
    name: "error-caught-goes-on",
    promise: "A run that catches an error goes on.",
    run: async (_event, step, io) => {
      const result = await caught(() =>
        step.do("fails", once, async () => {
          throw new Error("boom");
        }),
      );
      await step.do("after", async () => io.effect("after"));
      return result;
    },
    expect: { status: "complete", output: "threw Error: boom", effects: ["after"] },
  },
  {
    name: "error-finally",
    promise: "A finally block runs once, and may have steps.",
    run: async (_event, step, io) => {
      try {
        await step.do("fails", once, async () => {
          throw new Error("boom");
        });
      } finally {
        await step.do("clean", async () => io.effect("clean"));
      }
    },
    expect: { status: "errored", error: { name: "Error", message: "boom" }, effects: ["clean"] },
  },
  leaving("plain", "An error that leaves run fails it with name and message.", () => new Error("boom"), { cloudflare: { name: "Error", message: "boom" } }),
  leaving("range", "A built-in error keeps its name in the status.", () => new RangeError("far"), { cloudflare: { name: "RangeError", message: "far" } }),
  leaving("text", "Thrown text is an Error in the status.", () => "text", { cloudflare: { name: "Error", message: "text" } }),
  leaving("undefined", "A thrown undefined is an Error in the status.", () => undefined, { cloudflare: { name: "Error", message: "undefined" } }),
  leaving("custom", "A class of one's own loses its name to its message in the status.", () => new CustomError("own"), {
    cloudflare: { name: "Error", message: "CustomError: own" },
    segno: { name: "CustomError", message: "own" },
  }),
  {
    name: "fails-by-step",
    promise: "A step's error that nobody catches is the run's error.",
    run: async (_event, step, io) => {
      await step.do("fails", twice, async () => {
        await io.effect("try");
        throw new TypeError("in step");
      });
      await io.effect("never");
    },
    expect: { status: "errored", error: { name: "TypeError", message: "in step" }, effects: ["try", "try"] },
  },
  {
    name: "nonretryable-once",
    promise: "A NonRetryableError is not retried, and the run may catch it.",
    run: async (_event, step, io) =>
      (await caught(() =>
        step.do("fails", { retries: { limit: 3, delay: 5 } }, async () => {
          await io.effect("try");
          throw new io.NonRetryableError("stop");
        }),
      )) !== undefined,
    expect: { status: "complete", output: true, effects: ["try"] },
  },
  {
    name: "nonretryable-caught",
    promise: "A caught NonRetryableError tells its message.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("fails", async () => {
          throw new io.NonRetryableError("stop");
        }),
      ),
    expect: { output: "threw Error: NonRetryableError: stop" },
    differs: { id: "error-fidelity", segno: { output: "threw NonRetryableError: stop" } },
  },
  {
    name: "nonretryable-uncaught",
    promise: "A NonRetryableError that nobody catches fails the run with its name and message.",
    run: async (_event, step, io) =>
      step.do("fails", async () => {
        throw new io.NonRetryableError("stop");
      }),
    expect: { status: "errored", error: { name: "NonRetryableError", message: "stop" } },
    differs: { id: "local-generic-nonretryable", local: { status: "errored", error: generic } },
  },
  {
    name: "nonretryable-run",
    promise: "A NonRetryableError that run throws itself fails it with its name and message.",
    run: async (_event, _step, io) => {
      throw new io.NonRetryableError("stop");
    },
    expect: { status: "errored", error: { name: "NonRetryableError", message: "stop" } },
    differs: { id: "local-generic-nonretryable", local: { status: "errored", error: generic } },
  },
  {
    name: "nonretryable-by-name",
    promise: "Any error named NonRetryableError is not retried.",
    run: async (_event, step, io) => {
      await caught(() =>
        step.do("fails", { retries: { limit: 3, delay: 5 } }, async () => {
          await io.effect("try");
          throw Object.assign(new Error("by name"), { name: "NonRetryableError" });
        }),
      );
    },
    expect: { status: "complete", effects: ["try"] },
  },
  {
    name: "nonretryable-by-message",
    promise: "An error whose message begins with NonRetryableError is not retried.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("fails", { retries: { limit: 3, delay: 5 } }, async () => {
          await io.effect("try");
          throw new Error("NonRetryableError: by message");
        }),
      ),
    expect: { status: "complete", output: "threw Error: NonRetryableError: by message", effects: ["try"] },
  },
  {
    name: "nonretryable-renamed",
    promise: "A NonRetryableError with a name of its own is not retried.",
    run: async (_event, step, io) => {
      await caught(() =>
        step.do("fails", { retries: { limit: 2, delay: 5 } }, async () => {
          await io.effect("try");
          throw new io.NonRetryableError("stop", "Custom");
        }),
      );
    },
    expect: { status: "complete", effects: ["try", "try", "try"] },
    differs: { id: "renamed-nonretryable", segno: { effects: ["try"] } },
  },
  {
    name: "nonretryable-shape",
    promise: "A NonRetryableError has its name, or the one that it was given.",
    run: async (_event, _step, io) => {
      const [plain, named] = [new io.NonRetryableError("a"), new io.NonRetryableError("b", "Custom")];
      return [plain.name, plain.message, String(plain), plain instanceof Error, named.name, named.message];
    },
    expect: { output: ["NonRetryableError", "a", "NonRetryableError: a", true, "Custom", "b"] },
  },
  {
    name: "nonretryable-after-retry",
    promise: "A NonRetryableError ends the retries that were under way.",
    run: async (_event, step, io) => {
      await caught(() =>
        step.do("fails", { retries: { limit: 5, delay: 5 } }, async (ctx) => {
          await io.effect("try", ctx.attempt);
          throw ctx.attempt < 3 ? new Error("again") : new io.NonRetryableError("stop");
        }),
      );
    },
    expect: { status: "complete", effects: ["try(1)", "try(2)", "try(3)"] },
  },
  {
    name: "nonretryable-caught-again",
    promise: "A step whose NonRetryableError was caught is not executed again when the run is replayed.",
    run: async (_event, step, io) => {
      await caught(() =>
        step.do("fails", async () => {
          await io.effect("fails");
          throw new io.NonRetryableError("stop");
        }),
      );
      return step.do("after", async () => io.effect("after"));
    },
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "after" } });
      await seen("after", 2);
    },
    expect: { status: "complete", output: 2, effects: ["fails", "after", "fails", "after"] },
    differs: { id: "caught-nonretryable-again", segno: { status: "complete", output: 2, effects: ["fails", "after", "after"] } },
  },
  {
    name: "error-caught-kept",
    promise: "A step whose error was caught is not executed again when the run is replayed.",
    run: async (_event, step, io) => {
      const first = await caught(() =>
        step.do("fails", once, async () => {
          await io.effect("fails");
          throw new RangeError("far");
        }),
      );
      return [first, await step.do("after", async () => io.effect("after"))];
    },
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "after" } });
      await seen("after", 2);
    },
    expect: { status: "complete", output: ["threw RangeError: far", 2], effects: ["fails", "after", "after"] },
  },
);

/** What a step's config may be. */
const refusal = (name: string) =>
  `threw Error: Step config for "${name}" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/`;

function refused(name: string, promise: string, configs: readonly unknown[]): Program {
  return {
    name: `config-${name}`,
    promise,
    run: async (_event, step, io) => {
      const seen: unknown[] = [];
      for (const config of configs) seen.push(await caught(() => loose(step).do("configured", config, async () => io.effect("ran"))));
      return seen;
    },
    expect: { status: "complete", output: configs.map(() => refusal("configured")), effects: [] },
  };
}

function accepted(name: string, promise: string, configs: readonly unknown[]): Program {
  return {
    name: `config-${name}`,
    promise,
    run: async (_event, step, io) => {
      for (const config of configs) await loose(step).do("configured", config, async () => io.effect("ran"));
    },
    expect: { status: "complete", effects: configs.map(() => "ran") },
  };
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

export const configs = programs(
  refused("timeout", "A time-out of zero, below zero, without end or without meaning is refused, and the callback is not called.", [
    { timeout: 0 },
    { timeout: -1 },
    { timeout: infinity },
    { timeout: nan },
    { timeout: "soon" },
    { timeout: null },
  ]),
  refused("retries-partial", "Retries need both a limit and a delay.", [{ retries: { limit: 2 } }, { retries: { delay: 2 } }, { retries: {} }]),
  refused("limit", "A limit that is no number from zero up is refused.", [
    { retries: { limit: infinity, delay: 5 } },
    { retries: { limit: -1, delay: 5 } },
    { retries: { limit: nan, delay: 5 } },
    { retries: { limit: "2", delay: 5 } },
  ]),
  refused("delay", "A delay that is no duration is refused.", [
    { retries: { limit: 1, delay: -5 } },
    { retries: { limit: 1, delay: "soon" } },
    { retries: { limit: 1, delay: infinity } },
    { retries: { limit: 1, delay: null } },
  ]),
  refused("backoff", "A backoff that is not one of the three is refused.", [{ retries: { limit: 1, delay: 1, backoff: "random" } }]),
  refused("unknown", "Keys that nobody knows are refused.", [{ retry: 1 }, { retries: { limit: 1, delay: 1, jitter: true } }]),
  refused("sensitive", "Sensitive is `output` or absent.", [{ sensitive: true }, { sensitive: "input" }]),
  refused("shape", "A config is an object.", ["fast", [], 5]),
  accepted("whole", "Every form that the types allow is accepted.", [
    {},
    { timeout: 500 },
    { timeout: "1 minute" },
    { retries: { limit: 0, delay: 0 } },
    { retries: { limit: 2, delay: "5 seconds" } },
    { retries: { limit: 2, delay: 5, backoff: "linear" }, timeout: "2 hours", sensitive: "output" },
    { retries: { limit: 2, delay: () => 5 } },
    { retries: { limit: 10_000, delay: "1 week" } },
  ]),
  {
    name: "config-refused-uncaught",
    promise: "A refused config that nobody catches fails the run.",
    run: async (_event, step) => step.do("configured", { timeout: 0 }, async () => 1),
    expect: { status: "errored", error: { name: "Error", message: refusal("configured").replace("threw Error: ", "") } },
  },
);
