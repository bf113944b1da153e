import { programs } from "../program.ts";
import { caught, loose } from "./helpers.ts";

/** Steps: what they give, what they are told, how they are named and counted. */
export const steps = programs(
  {
    name: "step-result",
    promise: "A step gives what its callback gives, and the run's output is what run returns.",
    run: async (_event, step, io) => {
      const one = await step.do("one", async () => io.effect("one"));
      const two = await step.do("two", async () => one + 1);
      return { one, two };
    },
    expect: { status: "complete", output: { one: 1, two: 2 }, effects: ["one"] },
  },
  {
    name: "step-context",
    promise: "The callback is told its step, its attempt and its config, with defaults filled in.",
    run: async (_event, step) => {
      const seen = await step.do("one", { retries: { limit: 2, delay: "5 seconds" }, timeout: "1 minute" }, async (ctx) => ctx);
      return { keys: Object.keys(seen).sort(), step: seen.step, attempt: seen.attempt, config: seen.config };
    },
    expect: {
      output: {
        keys: ["attempt", "config", "step"],
        step: { name: "one", count: 1 },
        attempt: 1,
        config: { retries: { limit: 2, delay: "5 seconds", backoff: "exponential" }, timeout: "1 minute" },
      },
    },
  },
  {
    name: "step-default-config",
    promise: "Without a config, a step has 5 retries, exponential backoff and a time-out of ten minutes.",
    run: async (_event, step) => {
      const { config } = await step.do("one", async (ctx) => ctx);
      return { limit: config.retries?.limit, backoff: config.retries?.backoff, timeout: config.timeout };
    },
    expect: { output: { limit: 5, backoff: "exponential", timeout: "10 minutes" } },
  },
  {
    name: "step-default-delay",
    promise: "The default delay between attempts is 10 seconds.",
    run: async (_event, step) => (await step.do("one", async (ctx) => ctx.config.retries)) ?? null,
    expect: { output: { limit: 5, delay: 10_000, backoff: "exponential" } },
    differs: { id: "local-default-delay", local: { output: { limit: 5, delay: 1_000, backoff: "exponential" } } },
  },
  {
    name: "step-timeout-merges",
    promise: "A config with a time-out alone keeps the default retries.",
    run: async (_event, step) => {
      const { config } = await step.do("one", { timeout: 5_000 }, async (ctx) => ctx);
      return [config.timeout, config.retries?.limit, config.retries?.backoff];
    },
    expect: { output: [5_000, 5, "exponential"] },
  },
  {
    name: "step-sensitive",
    promise: "A sensitive step works as any other, and is told so in its config.",
    run: async (_event, step) => step.do("secret", { sensitive: "output" }, async (ctx) => ctx.config.sensitive),
    expect: { status: "complete", output: "output" },
  },
  {
    name: "step-dynamic-delay-config",
    promise: "When the delay is a function, the config that the callback sees has none.",
    run: async (_event, step) => {
      const { config } = await step.do("one", { retries: { limit: 1, delay: () => 5 } }, async (ctx) => ctx);
      return Object.keys(config.retries ?? {}).sort();
    },
    expect: { output: ["backoff", "limit"] },
  },
  {
    name: "step-names-repeat",
    promise: "Steps of one name are told apart by their count.",
    run: async (_event, step) => {
      const counts: unknown[] = [];
      for (const name of ["a", "b", "a", "a", "b"]) counts.push(await step.do(name, async (ctx) => `${ctx.step.name}-${ctx.step.count}`));
      return counts;
    },
    expect: { output: ["a-1", "b-1", "a-2", "a-3", "b-2"] },
  },
  {
    name: "step-names-own-results",
    promise: "Each step of a repeated name has a result of its own.",
    run: async (_event, step, io) => {
      const results: number[] = [];
      for (let round = 0; round < 4; round++) results.push(await step.do("round", async () => io.effect("round", round)));
      return results;
    },
    expect: { output: [1, 2, 3, 4], effects: ["round(0)", "round(1)", "round(2)", "round(3)"] },
  },
  {
    name: "step-names-kinds",
    promise: "A step, a sleep and a wait may have one name.",
    run: async (_event, step) => {
      const result = await step.do("same", async (ctx) => ctx.step.count);
      await step.sleep("same", 1);
      const event = await step.waitForEvent<string>("same", { type: "go" });
      return [result, event.payload, await step.do("same", async (ctx) => ctx.step.count)];
    },
    drive: async ({ instance }) => instance.sendEvent({ type: "go", payload: "went" }),
    expect: { output: [1, "went", 2] },
  },
  {
    name: "step-name-empty",
    promise: "An empty name, and one of 256 characters, are accepted.",
    run: async (_event, step) => [await step.do("", async () => "empty"), await step.do("x".repeat(256), async () => "long")],
    expect: { output: ["empty", "long"] },
  },
  {
    name: "step-name-unusual",
    promise: "Names may hold spaces, signs, umlauts and emoji, and what looks like a counter.",
    run: async (_event, step) => {
      const names = ["a b", "ä/ö#2", "🙂", "a-1", "~a", "a#2", "__proto__", "constructor"];
      const seen: string[] = [];
      for (const name of names) seen.push(await step.do(name, async (ctx) => ctx.step.name));
      return seen;
    },
    expect: { output: ["a b", "ä/ö#2", "🙂", "a-1", "~a", "a#2", "__proto__", "constructor"] },
  },
  {
    name: "step-name-like-counter",
    promise: "A step named like the second of another name is a step of its own.",
    run: async (_event, step) => [
      await step.do("a", async () => "first a"),
      await step.do("a#2", async () => "a#2"),
      await step.do("a-2", async () => "a-2"),
      await step.do("a", async () => "second a"),
    ],
    expect: { output: ["first a", "a#2", "a-2", "second a"] },
  },
  {
    name: "step-name-number",
    promise: "A number as a name is accepted.",
    run: async (_event, step) => loose(step).do(5, async () => "five"),
    expect: { output: "five" },
  },
  {
    name: "step-name-too-long",
    promise: "A name of more than 256 characters is refused, and the run may catch that.",
    run: async (_event, step, io) =>
      caught(() =>
        step.do("x".repeat(257), async () => {
          await io.effect("ran");
        }),
      ),
    expect: {
      status: "complete",
      output: `threw Error: Step name "${"x".repeat(257)}" exceeds max length (256 chars) or invalid characters found`,
      effects: [],
    },
  },
  {
    name: "step-name-control",
    promise: "A name with a control character is refused.",
    run: async (_event, step) => [await caught(() => step.do("a\nb", async () => 1)), await caught(() => step.do("a\u0000", async () => 1))],
    expect: {
      output: [
        `threw Error: Step name "a\nb" exceeds max length (256 chars) or invalid characters found`,
        `threw Error: Step name "a\u0000" exceeds max length (256 chars) or invalid characters found`,
      ],
    },
  },
  {
    name: "step-refused-uncaught",
    promise: "A refused step that nobody catches fails the run with the same text.",
    run: async (_event, step) => step.do("a\nb", async () => 1),
    expect: { status: "errored", error: { name: "Error", message: `Step name "a\nb" exceeds max length (256 chars) or invalid characters found` } },
  },
  {
    name: "step-without-callback",
    promise: "A step without a callback is refused.",
    run: async (_event, step) => [await caught(() => loose(step).do("a")), await caught(() => loose(step).do("b", {}))],
    expect: { output: [`threw Error: Step "a" requires a callback function`, `threw Error: Step "b" requires a callback function`] },
  },
  {
    name: "step-sync-callback",
    promise: "A callback need not be async.",
    run: async (_event, step) => loose(step).do("sync", () => 3),
    expect: { output: 3 },
  },
  {
    name: "step-null-config",
    promise: "A config that is null or undefined is none.",
    run: async (_event, step) => [await loose(step).do("a", null, async () => "a"), await loose(step).do("b", undefined, async () => "b")],
    expect: { output: ["a", "b"] },
  },
  {
    name: "step-in-step",
    promise: "A step called within a step's callback is refused at once, or is a step of its own.",
    run: async (_event, step, io) =>
      step.do("outer", async () => {
        const inner = await step.do("inner", async (ctx) => {
          await io.effect("inner");
          return `${ctx.step.name}-${ctx.step.count}`;
        });
        await io.effect("outer");
        return inner;
      }),
    expect: { output: "inner-1", effects: ["inner", "outer"] },
    differs: {
      id: "nested-steps",
      segno: {
        status: "errored",
        output: null,
        error: { name: "NonRetryableError", message: 'A step can\'t be called inside the callback of step "outer-1". Call it after that one.' },
        effects: [],
      },
    },
  },
  {
    name: "step-in-step-late",
    promise: "A step called within a step's callback after the callback's first await passes, for as long as the run is not replayed.",
    run: async (_event, step, io) => {
      const inner = await step.do("outer", async () => {
        await io.effect("outer");
        return step.do("inner", async () => io.effect("inner"));
      });
      await step.do("mark", async () => io.effect("waiting"));
      await step.waitForEvent("wait", { type: "go", timeout: "1 minute" });
      return inner;
    },
    drive: async ({ instance, seen }) => {
      await seen("waiting");
      await instance.sendEvent({ type: "go" });
    },
    expect: { status: "complete", output: 1, effects: ["outer", "inner", "waiting"] },
  },
  {
    name: "step-held",
    promise: "A step may take its time.",
    run: async (_event, step, io) =>
      step.do("long", { timeout: "1 minute" }, async () => {
        await io.effect("begin");
        await io.held("held");
        return "in the end";
      }),
    drive: async ({ seen, open }) => {
      await seen("begin");
      await open("held");
    },
    expect: { status: "complete", output: "in the end", effects: ["begin"] },
  },
  {
    name: "step-many",
    promise: "A run may have hundreds of steps.",
    run: async (_event, step) => {
      let sum = 0;
      for (let index = 0; index < 200; index++) sum += await step.do("add", async () => index);
      return sum;
    },
    expect: { status: "complete", output: 19_900 },
  },
  {
    name: "step-nothing",
    promise: "A run without steps completes.",
    run: async () => "done",
    expect: { status: "complete", output: "done", effects: [] },
  },
  {
    name: "limit-of-steps",
    promise: "A call beyond the limit of steps is refused, and so is each one after it; sleeps do not count.",
    workflow: "few-steps",
    run: async (_event, step) => {
      await step.sleep("rest", 1);
      const seen: unknown[] = [];
      for (let index = 0; index < 7; index++) seen.push(await caught(() => step.do("one", async () => index)));
      return seen;
    },
    expect: {
      status: "complete",
      output: [0, 1, 2, 3, 4, ...Array(2).fill("threw Error: The limit of 5 steps has been reached. This limit can be changed in your worker configuration.")],
    },
  },
  {
    name: "limit-of-steps-uncaught",
    promise: "The limit of steps fails a run that does not catch it.",
    workflow: "few-steps",
    run: async (_event, step, io) => {
      for (let index = 0; index < 6; index++) await step.do("one", async () => io.effect("one"));
    },
    expect: {
      status: "errored",
      error: { name: "Error", message: "The limit of 5 steps has been reached. This limit can be changed in your worker configuration." },
      effects: Array(5).fill("one"),
    },
  },
);
