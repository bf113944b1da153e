import { describe } from "../describe.ts";
import { programs } from "../program.ts";
import { caught, loose, once, twice } from "./helpers.ts";

class Plain {
  readonly x = 1;
}

/** What a step's output may be, and what becomes of it. Each program describes what it got, so that nothing is lost on the way out. */
export const values = programs(
  {
    name: "value-scalars",
    promise: "Undefined, null, booleans, numbers and text come back as they were.",
    run: async (_event, step) => {
      const given = [undefined, null, true, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "", "text", "🙂", "\ud800"];
      const seen: unknown[] = [];
      for (const value of given) seen.push(Object.is(await loose(step).do("value", async () => value), value));
      return seen;
    },
    expect: { output: Array(12).fill(true) },
  },
  {
    name: "value-date",
    promise: "A Date stays a Date, also an invalid one.",
    run: async (_event, step) => describe(await step.do("value", async () => [new Date(0), new Date(Number.NaN)])),
    expect: { output: ["<date 1970-01-01T00:00:00.000Z>", "<date invalid>"] },
  },
  {
    name: "value-collections",
    promise: "Map and Set stay what they are, with what is in them.",
    run: async (_event, step) =>
      describe(
        await loose(step).do("value", async () => ({
          map: new Map<unknown, unknown>([
            ["a", { b: new Set([1, 2]) }],
            [1, new Date(0)],
          ]),
        })),
      ),
    expect: {
      output: {
        map: {
          "<map>": [
            ["a", { b: { "<set>": [1, 2] } }],
            [1, "<date 1970-01-01T00:00:00.000Z>"],
          ],
        },
      },
    },
  },
  {
    name: "value-bytes",
    promise: "Typed arrays and buffers keep their bytes and their kind.",
    run: async (_event, step) =>
      describe(
        await loose(step).do("value", async () => [
          new Uint8Array([1, 2]),
          new Uint8Array([9, 1, 2]).subarray(1),
          new Uint16Array([1]),
          new Uint8Array([7]).buffer,
          new DataView(new ArrayBuffer(1)),
        ]),
      ),
    expect: { output: [{ "<Uint8Array>": [1, 2] }, { "<Uint8Array>": [1, 2] }, { "<Uint16Array>": [1, 0] }, { "<buffer>": [7] }, { "<DataView>": [0] }] },
  },
  {
    name: "value-regexp",
    promise: "A regular expression comes back with its flags.",
    run: async (_event, step) => describe(await loose(step).do("value", async () => /a+/gi)),
    expect: { output: "<regexp /a+/gi>" },
  },
  {
    name: "value-error",
    promise: "An error given as a value is an error of its class.",
    run: async (_event, step) => {
      const error = await loose(step).do("value", async () => new RangeError("far"));
      return [error instanceof RangeError, error instanceof Error, error.name, error.message];
    },
    expect: { output: [true, true, "RangeError", "far"] },
  },
  {
    name: "value-bigint",
    promise: "A BigInt comes back as a BigInt.",
    run: async (_event, step) => describe(await caught(() => loose(step).do("value", once, async () => ({ big: 10n })))),
    expect: { output: { big: "<bigint 10>" } },
    differs: { id: "local-json-log", local: { output: "threw TypeError: Do not know how to serialize a BigInt" } },
  },
  {
    name: "value-cycle",
    promise: "A cycle comes back as a cycle.",
    run: async (_event, step) =>
      caught(async () => {
        const value = await loose(step).do("value", once, async () => {
          const cycle: Record<string, unknown> = { a: 1 };
          cycle["self"] = cycle;
          return cycle;
        });
        return value.self === value;
      }),
    expect: { output: true },
    differs: {
      id: "local-json-log",
      local: {
        output:
          "threw TypeError: Converting circular structure to JSON\n    --> starting at object with constructor 'Object'\n    --- property 'self' closes the circle",
      },
    },
  },
  {
    name: "value-shared",
    promise: "What is one object twice in a value is one object twice in the result.",
    run: async (_event, step) => {
      const [one, two] = await step.do("value", async () => {
        const shared = { s: 1 };
        return [shared, shared];
      });
      return one === two;
    },
    expect: { output: true },
  },
  {
    name: "value-undefined-property",
    promise: "A property that is undefined is kept.",
    run: async (_event, step) => Object.keys(await loose(step).do("value", async () => ({ a: undefined, b: 1 }))),
    expect: { output: ["a", "b"] },
  },
  {
    name: "value-getter",
    promise: "A getter is read once and kept as a value.",
    run: async (_event, step) =>
      step.do("value", async () => ({
        get five() {
          return 5;
        },
      })),
    expect: { output: { five: 5 } },
  },
  {
    name: "value-sparse",
    promise: "A sparse array keeps its length and its holes.",
    run: async (_event, step) => {
      const value = await loose(step).do("value", async () => {
        const sparse: number[] = [];
        sparse[2] = 1;
        return sparse;
      });
      return [value.length, 0 in value, value[2]];
    },
    expect: { output: [3, false, 1] },
  },
  {
    name: "value-boxed",
    promise: "A boxed number stays boxed.",
    run: async (_event, step) => {
      const value = await loose(step).do("value", async () => Object(5));
      return [typeof value, Number(value)];
    },
    expect: { output: ["object", 5] },
  },
  {
    name: "value-copied",
    promise: "What the run gets is a copy: changing the original later changes nothing.",
    run: async (_event, step) => {
      const original = { list: [1] };
      const got = await step.do("value", async () => original);
      original.list.push(2);
      return [got === original, got];
    },
    expect: { output: [false, { list: [1] }] },
  },
  {
    name: "value-large",
    promise: "An output of 900 kB is kept.",
    run: async (_event, step) => (await step.do("value", async () => "x".repeat(900_000))).length,
    expect: { output: 900_000 },
  },
  {
    name: "value-function",
    promise: "A function as output is refused: the step fails, nothing of it is kept.",
    run: async (_event, step, io) => {
      const result = await caught(() =>
        loose(step).do("value", twice, async () => {
          await io.effect("value");
          return () => 1;
        }),
      );
      return String(result).startsWith("threw ");
    },
    expect: {
      status: "errored",
      error: {
        name: "WorkflowFatalError",
        message: `The execution of the Workflow instance was terminated, as the step "value" returned a value which is not serialisable`,
      },
      effects: ["value"],
    },
    differs: { id: "unserialisable-output", segno: { status: "complete", output: true, error: null, effects: ["value"] } },
  },
  {
    name: "value-function-rollback",
    promise: "An output that can't be kept still lets what was done be undone.",
    run: async (_event, step, io) => {
      await step.do("first", async () => "kept", {
        rollback: async () => {
          await io.effect("undo");
        },
      });
      await loose(step).do("value", twice, async () => ({ act: () => 1 }));
    },
    expect: {
      status: "errored",
      error: {
        name: "WorkflowFatalError",
        message: `The execution of the Workflow instance was terminated, as the step "value" returned a value which is not serialisable`,
      },
      effects: [],
    },
    differs: { id: "unserialisable-output", segno: { status: "errored", effects: ["undo"] } },
  },
  {
    name: "value-class",
    promise: "An instance of a class of one's own is refused, and the run may catch that.",
    run: async (_event, step, io) =>
      String(
        await caught(() =>
          loose(step).do("value", twice, async () => {
            await io.effect("value");
            return new Plain();
          }),
        ),
      ).startsWith("threw DataCloneError: "),
    expect: { status: "complete", output: true, effects: ["value", "value"] },
    differs: { id: "unserialisable-output", segno: { status: "complete", effects: ["value"] } },
  },
  {
    name: "value-symbol",
    promise: "A symbol is refused, and the run may catch that.",
    run: async (_event, step, io) =>
      String(
        await caught(() =>
          loose(step).do("value", twice, async () => {
            await io.effect("value");
            return { sign: Symbol("s") };
          }),
        ),
      ).startsWith("threw DataCloneError: "),
    expect: { status: "complete", output: true, effects: ["value", "value"] },
    differs: { id: "unserialisable-output", segno: { status: "complete", effects: ["value"] } },
  },
  {
    name: "output-kinds",
    promise: "The run's output is read as JSON: dates are text, NaN is null.",
    run: async () => ({ date: new Date(0), nan: Number.NaN, list: [1, undefined], text: "t", nothing: undefined }),
    expect: { status: "complete", output: { date: "1970-01-01T00:00:00.000Z", nan: null, list: [1, null], text: "t" } },
  },
  {
    name: "output-undefined",
    promise: "A run that returns nothing completes with no output.",
    run: async () => undefined,
    expect: { status: "complete", output: null },
  },
  {
    name: "output-class",
    promise: "A run that returns an instance of a class of its own fails.",
    run: async () => new Plain(),
    expect: { status: "errored", output: null },
    differs: { id: "unserialisable-output", segno: { status: "errored" } },
  },
  {
    name: "step-stream",
    promise: "A step may give a stream of bytes.",
    run: async (_event, step) => {
      const stream = await loose(step).do("stream", async () => new Response("abc").body);
      return new Response(stream).text();
    },
    expect: { status: "complete", output: "abc" },
  },
);
