import { automation } from "#sdk/automation.ts";
import { workflow } from "#sdk/workflow.ts";

/** The shapes of runs that the cost model prices. Their steps do nothing: what an author's code costs is the author's. */

export const shapeAutomation = automation({ name: "queued", dispatch: "queue", run: async () => "done" });

const short = workflow({
  name: "shape-short",
  run: async ({ step }) => {
    for (let i = 0; i < 5; i++) await step.do("step", turn);
  },
});

const order = workflow({
  name: "shape-order",
  run: async ({ step }) => {
    for (let i = 0; i < 9; i++) await step.do("step", turn);
    await step.run(shapeAutomation, undefined);
    for (let i = 0; i < 9; i++) await step.do("step", turn);
    await step.run(shapeAutomation, undefined);
  },
});

/** Its three days are 50 ms here: a run that sleeps costs nothing, however long. */
const onboarding = workflow({
  name: "shape-onboarding",
  run: async ({ step }) => {
    for (let i = 0; i < 4; i++) await step.do("step", turn);
    await step.sleep("three days", 50);
    await step.approval("manager", { assignees: ["manager"] });
    for (let i = 0; i < 4; i++) await step.do("step", turn);
  },
});

const fanOut = workflow({
  name: "shape-fan-out",
  run: async ({ step }) => {
    await Promise.all(Array.from({ length: 100 }, () => step.do("step", turn)));
  },
});

/** A turn of the event loop, as a step that talks to the world takes. */
async function turn(): Promise<void> {
  await scheduler.wait(0);
}

export const shapes = [short, order, onboarding, fanOut];
