import { workflow } from "#sdk/workflow.ts";

/** The programs that are measured, for Segno. `peer-workflow.ts` has the same for Cloudflare Workflows, `bare-object.ts` for nothing at all. */

interface Steps {
  readonly steps: number;
}

const sequential = workflow({
  name: "sequential",
  run: async ({ input, step }) => {
    const { steps, markEvery } = input as Steps & { markEvery?: number };
    const marks: number[] = [];
    for (let i = 0; i < steps; i++) {
      if (markEvery && i % markEvery === 0) marks.push(Date.now());
      await step.do("step", () => Promise.resolve(i));
    }
    marks.push(Date.now());
    return { marks };
  },
});

/** Each step takes a turn of the event loop, as one that talks to the world does. */
const turns = workflow({
  name: "turns",
  run: async ({ input, step }) => {
    for (let i = 0; i < (input as Steps).steps; i++) await step.do("step", () => turnOf(i));
  },
});

const fanOut = workflow({
  name: "fan-out",
  run: async ({ input, step }) => {
    const results = await Promise.all(Array.from({ length: (input as Steps).steps }, (_, i) => step.do("step", () => Promise.resolve(i))));
    return results.length;
  },
});

const fanOutTurns = workflow({
  name: "fan-out-turns",
  run: async ({ input, step }) => {
    const results = await Promise.all(Array.from({ length: (input as Steps).steps }, (_, i) => step.do("step", () => turnOf(i))));
    return results.length;
  },
});

const event = workflow({
  name: "event",
  run: async ({ step }) => {
    const go = await step.waitForEvent<number>("go");
    return go.ok ? go.payload + 1 : 0;
  },
});

/** How much too late a sleep is over, in ms. */
const nap = workflow({
  name: "nap",
  run: async ({ input, step }) => {
    const dueAt = Date.now() + (input as { ms: number }).ms;
    await step.sleepUntil("nap", dueAt);
    return Date.now() - dueAt;
  },
});

const payload = workflow({
  name: "payload",
  run: async ({ input, step }) => {
    let length = 0;
    for (let i = 0; i < (input as Steps).steps; i++) length += (await step.do("step", () => Promise.resolve(megabyte(i)))).length;
    return length;
  },
});

/** A result of 1 MB, another one for each step. */
export function megabyte(i: number): string {
  return String(i % 10).repeat(1_000_000);
}

async function turnOf(value: number): Promise<number> {
  await scheduler.wait(0);
  return value;
}

export const workflows = [sequential, turns, fanOut, fanOutTurns, event, nap, payload];
