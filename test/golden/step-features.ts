import { encode } from "#core/value.ts";
import { code, type Feature } from "./feature.ts";
import { greeter } from "./steps.ts";

/** Steps that succeed, one by one and together. */

export const stepFeatures: readonly Feature[] = [
  {
    name: "do",
    define: (act) => ({
      workflows: code(async (step, input) => {
        const a = await step.do("a", (context) => act({ key: "a", ...context }, () => ({ made: 1n, at: new Date(0) })));
        const b = await step.do("b", { input: { a, input }, redact: ["secret"] }, (context) => act({ key: "b", ...context }, () => context.input));
        await step.do("nothing", (context) => act({ key: "nothing", ...context }, () => {}));
        return b;
      }),
    }),
    start: { attributes: { customer: "acme", tier: 2, vip: true } },
  },
  {
    name: "run-inline",
    define: (act) => {
      const greet = greeter(act, "inline");
      return { automations: [greet], workflows: code((step) => step.run(greet, { key: "greet", who: "ann" })) };
    },
  },
  {
    name: "run-queue",
    define: (act) => {
      const greet = greeter(act, "queue");
      const twice = { key: "twice", who: "bob" };
      return {
        automations: [greet],
        workflows: code(async (step) => [await step.run(greet, { key: "greet", who: "ann" }), await step.run(greet, twice, { name: "twice" })]),
      };
    },
  },
  {
    name: "loop",
    define: (act) => ({
      workflows: code(async (step) => {
        const made: number[] = [];
        for (let nth = 1; nth <= 4; nth++)
          made.push(await step.do("round", (context) => act({ key: nth === 1 ? "round" : `round#${nth}`, ...context }, () => nth)));
        return made;
      }),
    }),
  },
  {
    name: "values",
    define: (act) => ({
      workflows: code(async (step) => {
        const seen = [await step.now(), await step.random(), await step.uuid(), await step.now()];
        return step.do("a", (context) => act({ key: "a", ...context }, () => seen.map((it) => typeof it)));
      }),
    }),
  },
  {
    name: "large-values",
    define: (act) => ({
      workflows: code(async (step, input) => {
        const large = await step.do("large", { input: "q".repeat(5000) }, (context) =>
          act({ key: "large", ...context }, () => `${context.input}${"é".repeat(2500)}`),
        );
        await step.sleep("nap", "1h");
        return { large, length: String(input).length };
      }),
    }),
    start: { input: encode("i".repeat(6000)) },
  },
  {
    name: "sensitive",
    define: (act) => ({
      workflows: code(async (step) => {
        const token = await step.do<string, undefined>("token", { sensitive: "output" }, (context) => act({ key: "token", ...context }, () => "hidden"));
        await step.sleep("nap", "1h");
        return step.do("use", (context) => act({ key: "use", ...context }, () => token.length));
      }),
    }),
  },
  {
    name: "parallel",
    define: (act) => {
      const greet = greeter(act, "queue");
      return {
        automations: [greet],
        workflows: code((step) =>
          Promise.all([
            step.do("a", (context) => act({ key: "a", ...context }, () => "a")),
            step.run(greet, { key: "greet", who: "b" }),
            step.sleep("nap", "10s").then(() => step.do("after", (context) => act({ key: "after", ...context }, () => "after"))),
            step.do("c", (context) => act({ key: "c", ...context }, () => "c")),
          ]),
        ),
      };
    },
  },
  {
    name: "race",
    define: (act) => ({
      workflows: code(async (step) => {
        const first = await Promise.race([
          step.sleep("slow", "1d").then(() => "slow"),
          step.sleep("quick", "1h").then(() => step.do("act", (context) => act({ key: "act", ...context }, () => "quick"))),
        ]);
        return [first, await step.do("last", (context) => act({ key: "last", ...context }, () => "last"))];
      }),
    }),
  },
  {
    name: "same-name",
    define: (act) => ({
      // Which branch calls `send` first is up to the order in which results reach the code, and to how long each is given.
      workflows: code((step) => {
        const branch = async (who: string, hops: number): Promise<string> => {
          await step.sleep("nap", "1h");
          for (let hop = 0; hop < hops; hop++) await null;
          return step.do("send", { input: who }, (context) => act({ key: who === "ann" ? "send" : "send#2", ...context }, () => `sent to ${context.input}`));
        };
        return Promise.all([branch("ann", 30), branch("bob", 0)]);
      }),
    }),
  },
];
