import { programs } from "../program.ts";
import { caught, once, undo } from "./helpers.ts";

const notFound = (name: string) => `<error Error: WorkflowError: (instance.cannot_restart) Step "${name}" not found in execution history>`;

/** Restarts, from the beginning and from a step. */
export const restart = programs(
  {
    name: "restart-complete",
    promise: "A restart runs the whole again with the same payload; attempts count from one.",
    params: { amount: 5 },
    run: async (event: { payload: { amount: number } }, step, io) => {
      const a = await step.do("a", async (ctx) => io.effect("a", ctx.attempt));
      const b = await step.do("b", async () => io.effect("b"));
      return [a, b, event.payload.amount];
    },
    drive: async ({ instance, until, attempt, seen }) => {
      await until("complete");
      await attempt("restart", () => instance.restart());
      await seen("b", 2);
      await until("complete");
    },
    expect: { status: "complete", output: [2, 2, 5], effects: ["a(1)", "b", "a(1)", "b"], notes: { restart: "<undefined>" } },
  },
  {
    name: "restart-failed",
    promise: "A failed instance can be restarted, and its error is gone when it completes.",
    run: async (_event, step, io) => {
      await step.do("a", async () => io.effect("a"));
      await step.do("b", once, async () => {
        if ((await io.effect("b")) < 2) throw new Error("first time");
      });
      return "well";
    },
    drive: async ({ instance, until }) => {
      await until("errored");
      await instance.restart();
      await until("complete");
    },
    expect: { status: "complete", output: "well", error: null, effects: ["a", "b", "a", "b"] },
  },
  {
    name: "restart-terminated",
    promise: "A terminated instance can be restarted.",
    run: async (_event, step, io) => {
      const times = await step.do("a", async () => io.effect("a"));
      if (times === 1) await step.sleep("long", "1 minute");
      return times;
    },
    drive: async ({ instance, until, seen, pause }) => {
      await seen("a");
      await pause(50);
      await instance.terminate();
      await until("terminated");
      await instance.restart();
      await until("complete");
    },
    expect: { status: "complete", output: 2, effects: ["a", "a"] },
  },
  {
    name: "restart-paused",
    promise: "A paused instance can be restarted, and runs.",
    run: async (_event, step, io) => {
      const times = await step.do("a", async () => io.effect("a"));
      if (times === 1) await step.sleep("long", "1 minute");
      return times;
    },
    drive: async ({ instance, until, seen, pause }) => {
      await seen("a");
      await pause(80);
      await instance.pause();
      await until("paused");
      await instance.restart();
      await until("complete");
    },
    expect: { status: "complete", output: 2, effects: ["a", "a"] },
  },
  {
    name: "restart-running",
    promise: "A restart in the middle of a step ends that step and begins anew.",
    run: async (_event, step, io) =>
      step.do("a", async (ctx) => {
        const times = await io.effect("begin", ctx.attempt);
        await io.held("a");
        await io.effect("end");
        return times;
      }),
    drive: async ({ instance, seen, until, open }) => {
      await seen("begin");
      await instance.restart();
      await seen("begin", 2);
      await open("a");
      await until("complete");
    },
    settleMs: 400,
    expect: { status: "complete", output: 2, effects: ["begin(1)", "begin(1)", "end"] },
    differs: { id: "callback-not-killed", segno: { status: "complete", output: 2, effects: ["begin(1)", "begin(1)", "end", "end"] } },
  },
  {
    name: "restart-drops-events",
    promise: "A restart drops the events that were kept.",
    run: async (_event, step, io) => {
      await step.do("mark", async () => {
        await io.effect("mark");
        await io.held("sent");
      });
      return caught(async () => (await step.waitForEvent<number>("go", { type: "go", timeout: 150 })).payload);
    },
    drive: async ({ instance, until, open, seen, note }) => {
      await instance.sendEvent({ type: "go", payload: 1 });
      await instance.sendEvent({ type: "go", payload: 2 });
      await open("sent");
      note("first", (await until("complete")).output);
      await instance.restart();
      await seen("mark", 2);
      await until("complete");
    },
    expect: { output: "threw Error: Execution timed out after 150ms", notes: { first: 1 } },
  },
  {
    name: "restart-from-step",
    promise: "A restart from a step keeps what came before it and does it and all after it again.",
    run: async (_event, step, io) => {
      const a = await step.do("a", async () => io.effect("a"));
      const b = await step.do("b", async (ctx) => io.effect("b", ctx.attempt));
      const c = await step.do("c", async () => io.effect("c"));
      return [a, b, c];
    },
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "b" } });
      await seen("c", 2);
      await until("complete");
    },
    expect: { status: "complete", output: [1, 2, 2], effects: ["a", "b(1)", "c", "b(1)", "c"] },
  },
  {
    name: "restart-from-count",
    promise: "A restart may name which step of a repeated name it means.",
    run: async (_event, step, io) => {
      const rounds: number[] = [];
      for (let round = 0; round < 3; round++) rounds.push(await step.do("round", async () => io.effect("round", round)));
      return rounds;
    },
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "round", count: 2 } });
      await seen("round", 5);
      await until("complete");
    },
    expect: { output: [1, 4, 5], effects: ["round(0)", "round(1)", "round(2)", "round(1)", "round(2)"] },
  },
  {
    name: "restart-from-failed-step",
    promise: "A failed run can be restarted from the step that failed.",
    run: async (_event, step, io) => {
      const a = await step.do("a", async () => io.effect("a"));
      const b = await step.do("b", { retries: { limit: 1, delay: 5 } }, async (ctx) => {
        const times = await io.effect("b", ctx.attempt);
        if (times < 3) throw new Error("failed");
        return times;
      });
      return [a, b];
    },
    drive: async ({ instance, until }) => {
      await until("errored");
      await instance.restart({ from: { name: "b" } });
      await until("complete");
    },
    expect: { status: "complete", output: [1, 3], error: null, effects: ["a", "b(1)", "b(2)", "b(1)"] },
  },
  {
    name: "restart-from-sleep",
    promise: "A restart may begin at a sleep, when it says so.",
    run: async (_event, step, io) => {
      await step.do("a", async () => io.effect("a"));
      await step.sleep("rest", 20);
      return step.do("b", async () => io.effect("b"));
    },
    drive: async ({ instance, until, seen, attempt }) => {
      await until("complete");
      await attempt("as a step", () => instance.restart({ from: { name: "rest" } }));
      await instance.restart({ from: { name: "rest", type: "sleep" } });
      await seen("b", 2);
      await until("complete");
    },
    expect: { output: 2, effects: ["a", "b", "b"], notes: { "as a step": notFound("rest") } },
  },
  {
    name: "restart-from-wait",
    promise: "A restart may begin at a wait for an event; it then needs a new event.",
    run: async (_event, step, io) => {
      await step.do("a", async () => io.effect("a"));
      const event = await step.waitForEvent<number>("go", { type: "go", timeout: "1 minute" });
      return step.do("b", async () => {
        await io.effect("b");
        return event.payload;
      });
    },
    drive: async ({ instance, until, seen }) => {
      await instance.sendEvent({ type: "go", payload: 1 });
      await until("complete");
      await instance.restart({ from: { name: "go", type: "waitForEvent" } });
      await instance.sendEvent({ type: "go", payload: 2 });
      await seen("b", 2);
      await until("complete");
    },
    expect: { output: 2, effects: ["a", "b", "b"] },
  },
  {
    name: "restart-from-unknown",
    promise: "A restart from a step that the history does not have is refused, and the instance stays as it was.",
    run: async (_event, step, io) => {
      for (let round = 0; round < 2; round++) await step.do("round", async () => io.effect("round"));
      return "done";
    },
    drive: async ({ instance, until, attempt, note }) => {
      await until("complete");
      await attempt("unknown", () => instance.restart({ from: { name: "elsewhere" } }));
      await attempt("display name", () => instance.restart({ from: { name: "round-1" } }));
      await attempt("count", () => instance.restart({ from: { name: "round", count: 3 } }));
      await attempt("count zero", () => instance.restart({ from: { name: "round", count: 0 } }));
      await attempt("kind", () => instance.restart({ from: { name: "round", type: "sleep" } }));
      note("after", (await instance.status()).status);
    },
    expect: {
      status: "complete",
      output: "done",
      effects: ["round", "round"],
      notes: {
        unknown: notFound("elsewhere"),
        "display name": notFound("round-1"),
        count: notFound("round"),
        "count zero": notFound("round"),
        kind: notFound("round"),
        after: "complete",
      },
    },
  },
  {
    name: "restart-twice",
    promise: "An instance may be restarted more than once.",
    run: async (_event, step, io) => [await step.do("a", async () => io.effect("a")), await step.do("b", async () => io.effect("b"))],
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "b" } });
      await seen("b", 2);
      await until("complete");
      await instance.restart();
      await seen("b", 3);
      await until("complete");
    },
    expect: { output: [2, 3], effects: ["a", "b", "b", "a", "b"] },
  },
  {
    name: "restart-rolled-back",
    promise: "A run that was rolled back, restarted and failed again is rolled back again.",
    run: async (_event, step, io) => {
      await step.do("a", async () => io.effect("a"), undo(io, "a"));
      throw new Error(`time ${await io.effect("fail")}`);
    },
    drive: async ({ instance, until, seen }) => {
      await until("errored");
      await instance.restart();
      await seen("fail", 2);
      await until("errored");
    },
    expect: { status: "errored", error: { name: "Error", message: "time 2" }, effects: ["a", "fail", "undo-a(1)", "a", "fail", "undo-a(2)"] },
  },
  {
    name: "restart-from-rolled-back",
    promise: "A run that was rolled back and is restarted from a step is rolled back again when it fails again.",
    run: async (_event, step, io) => {
      await step.do("a", async () => io.effect("a"), undo(io, "a"));
      throw new Error(`time ${await io.effect("fail")}`);
    },
    drive: async ({ instance, until, seen }) => {
      await until("errored");
      await instance.restart({ from: { name: "a" } });
      await seen("fail", 2);
      await until("errored");
    },
    settleMs: 200,
    expect: { status: "errored", error: { name: "Error", message: "time 2" }, effects: ["a", "fail", "undo-a(1)", "a", "fail"] },
    differs: { id: "rollback-after-restart", segno: { status: "errored", effects: ["a", "fail", "undo-a(1)", "a", "fail", "undo-a(2)"] } },
  },
  {
    name: "restart-changed-code",
    promise: "Code that calls another step than the history has is not executed.",
    run: async (_event, step, io) => {
      const first = (await io.effect("run")) === 1;
      await step.do(first ? "before the change" : "after the change", async () => io.effect("step"));
      return step.do("last", async () => io.effect("last"));
    },
    drive: async ({ instance, until, seen, pause }) => {
      await until("complete");
      await instance.restart({ from: { name: "last" } });
      await seen("run", 2);
      await pause(200);
    },
    ends: ["complete", "paused", "running", "waiting", "unknown"],
    expect: { status: "complete", output: 2, effects: ["run", "step", "last", "run", "step", "last"] },
    differs: { id: "changed-code", segno: { effects: ["run", "step", "last", "run"] } },
  },
);
