import { automation, workflow } from "segno";
import { beforeAll, expect, test } from "vitest";
import { deploy } from "../world.ts";
import { advance, eventually, passTime, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

/** What happened in the world, in order. */
const effects: string[] = [];
/** The action at work: whether it was told to stop, and whether the test lets it. */
let atWork = { isTold: false, mayEnd: false };

/** Works until the test lets it end, and has its effect then. It polls, for no object may touch what another one waits for. */
async function work(name: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
  const mine = { isTold: false, mayEnd: false };
  atWork = mine;
  signal.addEventListener("abort", () => {
    mine.isTold = true;
  });
  effects.push(`${name} begins`);
  while (!mine.mayEnd) await new Promise((resolve) => setTimeout(resolve, 5));
  effects.push(`${name} ends`);
}

const retries = { limit: 0 };

const queued = automation({
  name: "queued-work",
  dispatch: "queue",
  retries,
  compensate: () => void effects.push("queued undone"),
  run: (context) => work("queued", context),
});

const fails = () => Promise.reject(new Error("no"));

/** One branch is at work on the queue, another in the run's object, when a third fails the run. */
const onQueue = workflow({
  name: "on-queue",
  run: ({ step }) => Promise.all([step.run(queued, undefined), step.sleep("soon", "1s").then(() => step.do("fails", { retries }, fails))]),
});

const inObject = workflow({
  name: "in-object",
  run: ({ step }) =>
    Promise.all([
      step.do("work", { retries, compensate: () => void effects.push("work undone") }, (context) => work("work", context)),
      step.sleep("soon", "1s").then(() => step.do("fails", { retries }, fails)),
    ]),
});

beforeAll(async () => {
  await setUpWorld();
  deploy(onQueue, inObject, queued);
});

/** Starts a run and lets it fail while one of its branches is at work. */
async function failedMeanwhile(name: string): Promise<string> {
  effects.length = 0;
  const id = await start(name, {});
  await eventually(async () => effects.length === 1, "the work to begin");
  await passTime(seconds(1));
  const stopping = await until(id, "compensating");
  expect(stopping.reason).toMatchObject({ code: "stopping" });
  return id;
}

test("what an executor has in hand when its run fails is undone when the executor has stopped, and not before", async () => {
  const id = await failedMeanwhile("on-queue");
  // It hears of it when it renews its lease, in real time.
  await eventually(async () => atWork.isTold, "the executor to be told");
  expect([(await run(id)).status, effects]).toEqual(["compensating", ["queued begins"]]);
  atWork.mayEnd = true;
  expect((await until(id, "failed")).error).toMatchObject({ message: "no" });
  expect(effects).toEqual(["queued begins", "queued ends", "queued undone"]);
  expect((await steps(id)).map((step) => [step.key, step.status])).toContainEqual(["queued-work", "cancelled"]);
}, 20_000);

test("an action in the run's object is told at once, and what it did is undone when it has stopped", async () => {
  const id = await failedMeanwhile("in-object");
  expect(atWork.isTold).toBe(true);
  atWork.mayEnd = true;
  await until(id, "failed");
  expect(effects).toEqual(["work begins", "work ends", "work undone"]);
});

test("an action that does not stop is waited for as long as a lease, and then undone in doubt", async () => {
  const id = await failedMeanwhile("in-object");
  await advance(seconds(14));
  expect([(await run(id)).status, effects]).toEqual(["compensating", ["work begins"]]);
  await advance(seconds(1));
  await until(id, "failed");
  expect(effects).toEqual(["work begins", "work undone"]);
  atWork.mayEnd = true;
});
