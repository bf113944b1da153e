import type { Instance, InstanceEvent } from "../program.ts";
import { programs } from "../program.ts";
import { once, twice, undo } from "./helpers.ts";

/** The stream of an instance's events. The local engine does not have it: Segno is held to what is published. */

async function all(instance: Instance, options?: { cursor?: number; filter?: readonly string[] }): Promise<readonly InstanceEvent[]> {
  const subscription = await instance.subscribe?.(options);
  const events: InstanceEvent[] = [];
  if (subscription === undefined) return events;
  for (;;) {
    const { done, value } = await subscription.next();
    if (done === true || value === undefined) return events;
    events.push(value);
  }
}

const types = (events: readonly InstanceEvent[]) => events.map(({ type }) => type);
const differs = { id: "local-no-subscribe", local: "not comparable" } as const;
/** How a run begins and ends is the workflow's part of the stream; the rest is its steps. */
const ofSteps = (events: readonly InstanceEvent[]) => events.filter(({ type }) => !type.startsWith("workflow_"));

export const subscribe = programs(
  {
    name: "subscribe-history",
    promise: "A subscription gives the whole history, and ends with the run.",
    run: async (_event, step) => step.do("a", async () => 1),
    drive: async ({ instance, until, note }) => {
      await until("complete");
      const events = await all(instance);
      note("steps", types(ofSteps(events)));
      note("first", events[0]?.type);
      note("last", events.at(-1)?.type);
    },
    expect: {
      notes: {
        steps: ["step_started", "attempt_started", "attempt_completed", "step_completed"],
        first: "workflow_queued",
        last: "workflow_completed",
      },
    },
    differs,
  },
  {
    name: "subscribe-fields",
    promise: "Each event has the instance's id, an id of its own that grows, and a time; those of a step have its display name.",
    run: async (_event, step) => {
      await step.do("a", async () => 1);
      await step.do("a", async () => 2);
    },
    drive: async ({ instance, id, until, note }) => {
      await until("complete");
      const events = await all(instance);
      note(
        "instance",
        events.every((event) => event["instanceId"] === id),
      );
      note(
        "growing",
        events.every((event, index) => index === 0 || event.eventId > (events[index - 1]?.eventId ?? 0)),
      );
      note(
        "timed",
        events.every((event) => event["timestamp"] !== undefined),
      );
      note(
        "names",
        events.filter(({ type }) => type === "step_started").map((event) => event["stepName"]),
      );
    },
    expect: { notes: { instance: true, growing: true, timed: true, names: ["a-1", "a-2"] } },
    differs,
  },
  {
    name: "subscribe-live",
    promise: "A subscription that begins before the end goes on with what happens then.",
    run: async (_event, step) => {
      await step.do("a", async () => 1);
      await step.waitForEvent("go", { type: "go" });
      await step.sleep("rest", 30);
    },
    drive: async ({ instance, pause, note }) => {
      const events = all(instance);
      await pause(150);
      await instance.sendEvent({ type: "go" });
      note("steps", types(ofSteps(await events)));
    },
    expect: {
      notes: {
        steps: ["step_started", "attempt_started", "attempt_completed", "step_completed", "wait_started", "wait_completed", "sleep_started", "sleep_completed"],
      },
    },
    differs,
  },
  {
    name: "subscribe-attempts",
    promise: "A failed attempt is told with the delay before the next one; a failed step after its last.",
    run: async (_event, step) =>
      step.do("a", twice, async () => {
        throw new Error("failed");
      }),
    drive: async ({ instance, until, note }) => {
      await until("errored");
      const events = await all(instance);
      note("steps", types(ofSteps(events)));
      note(
        "delays",
        events.filter(({ type }) => type === "attempt_errored").map((event) => event["retryDelayMs"] ?? null),
      );
      note("last", events.at(-1)?.type);
    },
    expect: {
      status: "errored",
      notes: {
        steps: ["step_started", "attempt_started", "attempt_errored", "attempt_started", "attempt_errored", "step_errored"],
        delays: [1, null],
        last: "workflow_errored",
      },
    },
    differs,
  },
  {
    name: "subscribe-timed-out-wait",
    promise: "A wait whose time is over is told as timed out.",
    run: async (_event, step) => step.waitForEvent("go", { type: "go", timeout: 40 }).catch(() => "nobody came"),
    drive: async ({ instance, until, note }) => {
      await until("complete");
      note("steps", types(ofSteps(await all(instance))));
    },
    expect: { output: "nobody came", notes: { steps: ["wait_started", "wait_timed_out"] } },
    differs,
  },
  {
    name: "subscribe-cursor",
    promise: "With a cursor, a subscription begins after that event; a cursor that is no number is refused.",
    run: async (_event, step) => {
      for (const name of ["a", "b", "c"]) await step.do(name, async () => name);
    },
    drive: async ({ instance, until, note }) => {
      await until("complete");
      const events = await all(instance);
      const cursor = events[5]?.eventId ?? 0;
      note("rest", JSON.stringify(await all(instance, { cursor })) === JSON.stringify(events.slice(6)));
      note(
        "text",
        await all(instance, { cursor: "5" as never }).then(
          () => "accepted",
          () => "refused",
        ),
      );
    },
    expect: { notes: { rest: true, text: "refused" } },
    differs,
  },
  {
    name: "subscribe-filter",
    promise: "With a filter, a subscription gives those types only, and still ends.",
    run: async (_event, step) => {
      for (const name of ["a", "b"]) await step.do(name, async () => name);
    },
    drive: async ({ instance, until, note }) => {
      await until("complete");
      note("types", types(await all(instance, { filter: ["step_completed"] })));
    },
    expect: { notes: { types: ["step_completed", "step_completed"] } },
    differs,
  },
  {
    name: "subscribe-terminated",
    promise: "A subscription ends with the termination.",
    run: async (_event, step) => step.sleep("long", "1 minute"),
    drive: async ({ instance, pause, note }) => {
      const events = all(instance);
      await pause(100);
      await instance.terminate();
      note("last", (await events).at(-1)?.type);
    },
    expect: { status: "terminated", notes: { last: "workflow_terminated" } },
    differs,
  },
  {
    name: "subscribe-rollback",
    promise: "A rollback is told from its start to its end.",
    run: async (_event, step, io) => {
      await step.do("a", async () => "A", undo(io, "a"));
      await step.do("b", once, async () => {
        throw new Error("b failed");
      });
    },
    drive: async ({ instance, until, note }) => {
      await until("errored");
      const events = await all(instance);
      note(
        "rollback",
        types(events).filter((type) => type.startsWith("rollback_")),
      );
      note("last", events.at(-1)?.type);
    },
    expect: {
      status: "errored",
      notes: {
        rollback: [
          "rollback_started",
          "rollback_step_started",
          "rollback_attempt_started",
          "rollback_attempt_completed",
          "rollback_step_completed",
          "rollback_completed",
        ],
        last: "workflow_errored",
      },
    },
    differs,
  },
);
