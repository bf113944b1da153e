import { programs } from "../program.ts";
import { caught, once } from "./helpers.ts";

/** Branches, races, loops. */
export const parallel = programs(
  {
    name: "parallel-all",
    promise: "Promise.all gives the results in the order of the calls, whatever the order of the ends.",
    run: async (_event, step) =>
      Promise.all(
        [150, 10, 80].map((ms) =>
          step.do(`wait ${ms}`, async () => {
            await scheduler.wait(ms);
            return ms;
          }),
        ),
      ),
    expect: { output: [150, 10, 80] },
  },
  {
    name: "parallel-order-of-ends",
    promise: "Branches go on in the order in which their steps end.",
    run: async (_event, step, io) => {
      const order: string[] = [];
      await Promise.all(
        ["a", "b", "c"].map(async (branch) => {
          await step.do(branch, async () => io.held(branch));
          order.push(branch);
          await io.effect("went on", branch);
        }),
      );
      return order;
    },
    drive: async ({ open, seen }) => {
      for (const [index, branch] of ["b", "c", "a"].entries()) {
        await open(branch);
        await seen("went on", index + 1);
      }
    },
    expect: { output: ["b", "c", "a"], effects: ["went on(b)", "went on(c)", "went on(a)"] },
  },
  {
    name: "parallel-one-name",
    promise: "Branches with steps of one name are counted in the order of the calls.",
    run: async (_event, step) => Promise.all(["a", "b", "c"].map((branch) => step.do("one", async (ctx) => `${branch}${ctx.step.count}`))),
    expect: { output: ["a1", "b2", "c3"] },
  },
  {
    name: "parallel-race",
    promise: "Promise.race gives the first; the loser goes on to its end while the run does.",
    run: async (_event, step, io) => {
      const won = await Promise.race([
        step.do("slow", async () => {
          await io.held("slow");
          await io.effect("slow");
          return "slow";
        }),
        step.do("fast", async () => "fast"),
      ]);
      await io.effect("won", won);
      await step.do("stay", async () => io.held("stay"));
      return won;
    },
    drive: async ({ open, seen }) => {
      await seen("won");
      await open("slow");
      await seen("slow");
      await open("stay");
    },
    expect: { output: "fast", effects: ["won(fast)", "slow"] },
  },
  {
    name: "parallel-race-ends",
    promise: "The loser of a race does not keep the run from ending.",
    run: async (_event, step, io) =>
      Promise.race([
        step.do("slow", async () => {
          await io.held("slow");
          await io.effect("slow");
          return "slow";
        }),
        step.do("fast", async () => "fast"),
      ]),
    drive: async ({ open, until, seen }) => {
      await until("complete");
      await open("slow");
      await seen("slow");
    },
    expect: { status: "complete", output: "fast", effects: ["slow"] },
  },
  {
    name: "parallel-any",
    promise: "Promise.any passes over a branch that failed.",
    run: async (_event, step) =>
      Promise.any([
        step.do("bad", once, async (): Promise<string> => {
          throw new Error("bad");
        }),
        step.do("good", async () => "good"),
      ]),
    expect: { output: "good" },
  },
  {
    name: "parallel-all-settled",
    promise: "Promise.allSettled tells each branch's end.",
    run: async (_event, step) => {
      const ends = await Promise.allSettled([
        step.do("bad", once, async (): Promise<string> => {
          throw new RangeError("bad");
        }),
        step.do("good", async () => "good"),
      ]);
      return ends.map((end) => (end.status === "fulfilled" ? end.value : `${end.reason.name}: ${end.reason.message}`));
    },
    expect: { output: ["RangeError: bad", "good"] },
  },
  {
    name: "parallel-one-fails",
    promise: "When one branch fails the run, a callback of another that is under way may still finish.",
    run: async (_event, step, io) => {
      await Promise.all([
        step.do("bad", once, async () => {
          throw new Error("bad");
        }),
        step.do("good", async () => {
          await io.held("slow");
          await io.effect("good");
        }),
      ]);
    },
    drive: async ({ open, until, seen }) => {
      await until("errored");
      await open("slow");
      await seen("good");
    },
    expect: { status: "errored", error: { name: "Error", message: "bad" }, effects: ["good"] },
  },
  {
    name: "parallel-caught-branch",
    promise: "A branch may fail and be caught while the others go on.",
    run: async (_event, step) =>
      Promise.all([
        caught(() =>
          step.do("bad", once, async () => {
            throw new Error("bad");
          }),
        ),
        step.do("good", async () => "good"),
      ]),
    expect: { output: ["threw Error: bad", "good"] },
  },
  {
    name: "parallel-wide",
    promise: "Fifty branches at once are no problem.",
    run: async (_event, step) => {
      const results = await Promise.all(Array.from({ length: 50 }, (_, index) => step.do("branch", async () => index)));
      return results.reduce((sum, value) => sum + value, 0);
    },
    expect: { output: 1_225 },
  },
  {
    name: "parallel-chains",
    promise: "Chains side by side each keep their own order.",
    run: async (_event, step) => {
      const chain = async (name: string) => {
        const seen: string[] = [];
        for (let index = 0; index < 4; index++) seen.push(await step.do(`${name} ${index}`, async () => `${name}${index}`));
        return seen.join(" ");
      };
      return Promise.all([chain("a"), chain("b")]);
    },
    expect: { output: ["a0 a1 a2 a3", "b0 b1 b2 b3"] },
  },
  {
    name: "loop-until",
    promise: "A loop may go on until a step says that it is done.",
    run: async (_event, step, io) => {
      let rounds = 0;
      while (!(await step.do("poll", async () => (await io.effect("poll")) >= 4))) {
        rounds++;
        await step.sleep("pause", 20);
      }
      return rounds;
    },
    expect: { output: 3, effects: Array(4).fill("poll") },
  },
  {
    name: "branch-on-result",
    promise: "A run may branch on what a step gave.",
    run: async (_event, step, io) => {
      const amount = await step.do("ask", async () => 5);
      return amount > 3 ? step.do("large", async () => io.effect("large")) : step.do("small", async () => io.effect("small"));
    },
    expect: { output: 1, effects: ["large"] },
  },
  {
    name: "unawaited-step",
    promise: "A step that is not awaited does not keep the run from ending.",
    run: async (_event, step, io) => {
      step
        .do("slow", async () => {
          await io.effect("begin");
          await io.held("slow");
          await io.effect("end");
        })
        .catch(() => {});
      await step.sleep("a moment", 100);
      return "done";
    },
    drive: async ({ open, until, seen }) => {
      await until("complete");
      await open("slow");
      await seen("end");
    },
    expect: { status: "complete", output: "done", effects: ["begin", "end"] },
  },
  {
    name: "unawaited-chain",
    promise: "Nothing begins after the run has ended.",
    run: async (_event, step, io) => {
      const chain = async () => {
        for (const name of ["x", "y"]) {
          await step.do(name, async () => {
            await io.effect(`begin ${name}`);
            await io.held("slow");
          });
        }
      };
      chain().catch(() => {});
      await step.sleep("a moment", 100);
      return "done";
    },
    drive: async ({ open, until }) => {
      await until("complete");
      await open("slow");
    },
    settleMs: 500,
    expect: { status: "complete", output: "done", effects: ["begin x"] },
  },
  {
    name: "unawaited-retries",
    promise: "A step that nobody awaits is not tried again after the end of the run.",
    run: async (_event, step, io) => {
      step
        .do("fails", { retries: { limit: 1, delay: 1_500, backoff: "constant" } }, async (ctx) => {
          await io.effect("try", ctx.attempt);
          throw new Error("again");
        })
        .catch(() => {});
      await step.sleep("a moment", 300);
      return "done";
    },
    drive: async ({ until, pause }) => {
      await until("complete");
      await pause(2_500);
    },
    expect: { status: "complete", output: "done", effects: ["try(1)", "try(2)"] },
    differs: { id: "unawaited-steps", segno: { status: "complete", output: "done", effects: ["try(1)"] } },
  },
  {
    name: "unawaited-failure",
    promise: "A step that is not awaited may fail without failing the run.",
    run: async (_event, step, io) => {
      step
        .do("fails", once, async () => {
          await io.effect("fails");
          throw new Error("unseen");
        })
        .catch(() => {});
      await step.sleep("go on", 150);
      return "done";
    },
    expect: { status: "complete", output: "done", effects: ["fails"] },
  },
);
