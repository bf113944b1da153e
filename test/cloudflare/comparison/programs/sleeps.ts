import { programs } from "../program.ts";
import { caught, loose } from "./helpers.ts";

/** Sleeps and their durations. */
export const sleeps = programs(
  {
    name: "sleep-number",
    promise: "A sleep of so many milliseconds lasts at least so long.",
    run: async (_event, step, io) => {
      await step.do("before", async () => io.effect("mark"));
      await step.sleep("rest", 120);
      await step.do("after", async () => io.effect("mark"));
    },
    expect: { status: "complete", effects: ["mark", "mark"] },
    spacing: { effect: "mark", atLeast: [120] },
  },
  {
    name: "sleep-text",
    promise: "A sleep may be written with a unit, also with a fraction.",
    run: async (_event, step, io) => {
      await step.do("before", async () => io.effect("mark"));
      await step.sleep("rest", "0.1 seconds");
      await step.do("between", async () => io.effect("mark"));
      await step.sleep("rest", "0.002 minutes");
      await step.do("after", async () => io.effect("mark"));
    },
    expect: { status: "complete", effects: ["mark", "mark", "mark"] },
    spacing: { effect: "mark", atLeast: [100, 120] },
  },
  {
    name: "sleep-units",
    promise: "Second, minute, hour, day, week, month and year are known, in singular and plural.",
    run: async (_event, step) => {
      for (const unit of ["second", "minute", "hour", "day", "week", "month", "year"]) {
        await loose(step).sleep("rest", `0 ${unit}`);
        await loose(step).sleep("rest", `0 ${unit}s`);
      }
      return "awake";
    },
    expect: { status: "complete", output: "awake" },
  },
  {
    name: "sleep-zero",
    promise: "A sleep of nothing goes on.",
    run: async (_event, step) => {
      await step.sleep("rest", 0);
      return "awake";
    },
    expect: { output: "awake" },
  },
  {
    name: "sleep-negative",
    promise: "A sleep of less than nothing goes on.",
    run: async (_event, step) => {
      await step.sleep("rest", -5);
      await step.sleep("rest", "-1 second");
      return "awake";
    },
    expect: { output: "awake" },
  },
  {
    name: "sleep-numeric-text",
    promise: "A number written as text is milliseconds.",
    run: async (_event, step, io) => {
      await step.do("before", async () => io.effect("mark"));
      await loose(step).sleep("rest", "100");
      await step.do("after", async () => io.effect("mark"));
    },
    expect: { status: "complete" },
    spacing: { effect: "mark", atLeast: [100] },
  },
  {
    name: "sleep-invalid",
    promise: "A sleep without meaning throws.",
    run: async (_event, step) => {
      const seen: boolean[] = [];
      for (const duration of ["soon", "1m", Number.NaN, undefined, null]) {
        seen.push(String(await caught(() => loose(step).sleep("rest", duration))).startsWith("threw "));
      }
      return seen;
    },
    expect: { status: "complete", output: Array(5).fill(true) },
  },
  {
    name: "sleep-gives-nothing",
    promise: "A sleep gives undefined.",
    run: async (_event, step) => [typeof (await loose(step).sleep("rest", 1)), typeof (await loose(step).sleepUntil("until", Date.now() + 1_000))],
    expect: { output: ["undefined", "undefined"] },
  },
  {
    name: "sleep-until",
    promise: "Sleeping until a time, as a Date or as a number, ends not before it.",
    run: async (_event, step, io) => {
      await step.do("before", async () => io.effect("mark"));
      await step.sleepUntil("date", new Date(Date.now() + 500));
      await step.do("between", async () => io.effect("mark"));
      await step.sleepUntil("number", Date.now() + 500);
      await step.do("after", async () => io.effect("mark"));
    },
    expect: { status: "complete", effects: ["mark", "mark", "mark"] },
    spacing: { effect: "mark", atLeast: [490, 490] },
  },
  {
    name: "sleep-until-past",
    promise: "Sleeping until a time in the past throws, and the run may catch that.",
    run: async (_event, step) => caught(() => step.sleepUntil("past", 5)),
    expect: { output: "threw Error: You can't sleep until a time in the past, time-traveler" },
  },
  {
    name: "sleep-until-past-uncaught",
    promise: "Sleeping until a time in the past fails a run that does not catch it.",
    run: async (_event, step) => step.sleepUntil("past", new Date(5)),
    expect: { status: "errored", error: { name: "Error", message: "You can't sleep until a time in the past, time-traveler" } },
  },
  {
    name: "sleep-until-invalid",
    promise: "Sleeping until no time throws.",
    run: async (_event, step) => {
      const seen: boolean[] = [];
      for (const time of [Number.NaN, new Date(Number.NaN), "tomorrow", undefined]) {
        seen.push(String(await caught(() => loose(step).sleepUntil("never", time))).startsWith("threw "));
      }
      return seen;
    },
    expect: { status: "complete", output: Array(4).fill(true) },
  },
  {
    name: "sleep-until-replayed",
    promise: "A sleep until a time is over for good once it is over, also when the run is replayed later.",
    run: async (_event, step, io) => {
      const at = await step.do("choose", async () => Date.now() + 1_000);
      await step.sleepUntil("then", at);
      return step.do("after", async () => io.effect("after"));
    },
    drive: async ({ instance, until, pause }) => {
      await until("complete");
      await pause(200);
      await instance.restart({ from: { name: "after" } });
      await until("complete", "errored");
    },
    expect: { status: "errored", error: { name: "Error", message: "You can't sleep until a time in the past, time-traveler" }, effects: ["after"] },
    differs: { id: "sleep-until-replayed", segno: { status: "complete", output: 2, error: null, effects: ["after", "after"] } },
  },
  {
    name: "sleep-parallel",
    promise: "Sleeps side by side take as long as the longest.",
    run: async (_event, step, io) => {
      await Promise.all([50, 450, 900].map((ms) => step.sleep(`rest ${ms}`, ms).then(() => step.do("mark", async () => io.effect("mark", ms)))));
      return "awake";
    },
    expect: { output: "awake", effects: ["mark(50)", "mark(450)", "mark(900)"] },
  },
);
