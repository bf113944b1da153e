import { describe, expect, test } from "vitest";
import { NonRetryableError } from "#sdk/errors.ts";
import { begin, broken, plain, settle, teller, withEveryCrash } from "./steps.ts";
import type { World } from "./world.ts";

const told = (world: World) => world.effectKeys.filter((key) => key.startsWith("page:"));
/** Each notice, however often it was sent: what counts for a receiver that looks at the key. */
const distinct = (world: World) => [...new Set(world.effects.filter((effect) => effect.key.startsWith("page:")).map((it) => `${it.key} ${it.idempotencyKey}`))];

type Story = { readonly title: string; readonly expected: string; readonly begin: (answer?: () => void) => World; readonly act?: (world: World) => void };

const stories: Story[] = [
  {
    title: "a step that is parked",
    expected: "page: dead_letter s",
    begin: (answer) =>
      begin(
        (at) =>
          ({ step }) =>
            step.do("s", { onFailure: "pause", retries: { limit: 0 } }, ({ idempotencyKey }) => at().effect("s", idempotencyKey, broken)),
        {},
        (at) => ({ alerts: teller(at, "page", answer) }),
      ),
  },
  {
    title: "an operator who holds the run",
    expected: "page: paused run",
    begin: (answer) =>
      begin(
        () =>
          ({ step }) =>
            step.waitForEvent("never"),
        {},
        (at) => ({ alerts: teller(at, "page", answer) }),
      ),
    act: (world) => {
      if (!world.run.engine.state.paused) world.operate({ action: "pause" });
    },
  },
  {
    title: "a run that takes longer than expected",
    expected: "page: late run",
    begin: (answer) =>
      begin(
        () =>
          ({ step }) =>
            step.waitForEvent("never"),
        { expectedDuration: "1h" },
        (at) => ({ alerts: teller(at, "page", answer) }),
      ),
  },
  {
    title: "an approval that nobody decided on in time",
    expected: "page: approval_expired legal",
    begin: (answer) =>
      begin(
        () =>
          async ({ step }) => {
            await step.approval("legal", { assignees: ["ann"], timeout: "1d" });
            await step.waitForEvent("never");
          },
        {},
        (at) => ({ alerts: teller(at, "page", answer) }),
      ),
  },
];

describe.each(stories)("whoever is on call is told of $title", ({ expected, begin: beginStory, act }) => {
  /** Lets days pass; only what time and the queue bring happens. */
  async function play(world: World, onTurn: () => void = () => {}): Promise<World> {
    for (let quiet = 0; quiet < 400; quiet++) {
      const busy = await world.turn();
      if (world.turns === 3) {
        act?.(world);
        world.run.endTurn();
      }
      onTurn();
      if (busy) continue;
      const next = Math.min(world.run.alarmAt ?? Number.POSITIVE_INFINITY, world.clock.nextTimerAt() ?? Number.POSITIVE_INFINITY);
      if (Number.isFinite(next)) world.clock.set(Math.max(next, world.clock.now()));
    }
    return world;
  }

  test("once", async () => {
    const world = await play(beginStory());
    expect(told(world)).toEqual([expected]);
  });

  test("again until it has got through", async () => {
    let failures = 4;
    const world = await play(
      beginStory(() => {
        if (failures-- > 0) throw new Error("mail server away");
      }),
    );
    expect(told(world)).toEqual(Array.from({ length: 5 }, () => expected));
    expect(distinct(world)).toHaveLength(1);
  });

  test("again when the queue loses the message", async () => {
    const world = beginStory();
    let lost = 0;
    await play(world, () => {
      if (lost === 0 && world.queue.length > 0) lost = world.queue.splice(0).length;
    });
    expect(lost).toBe(1);
    expect(told(world)).toEqual([expected]);
  });

  test("once, though the process dies after any turn", async () => {
    await withEveryCrash(async (dies, title) => {
      const world = beginStory();
      world.run.endTurn();
      let turns = 0;
      await play(world, () => {
        if (turns++ < 12) dies(world);
      });
      expect(
        distinct(world).map((it) => it.split(" ").slice(0, 3).join(" ")),
        title,
      ).toEqual([expected]);
      world.turns = 12;
      return world;
    });
  });
});

test("an alert goes out though the run ends as soon as its approval has expired", async () => {
  const world = begin(
    () =>
      async ({ step }) => {
        const legal = await step.approval("legal", { assignees: ["ann"], timeout: "1d" });
        if (!legal.ok) throw new NonRetryableError("not approved");
      },
    {},
    (at) => ({ alerts: teller(at, "page") }),
  );
  await world.finish();
  await world.pass(86_400_000);
  expect(world.status).toBe("failed");
  expect(told(world)).toEqual(["page: approval_expired legal"]);
});

test("an alert goes out though the run rolls back as soon as its approval has expired", async () => {
  const world = begin(
    (at) =>
      async ({ step }) => {
        await step.do("a", { compensate: ({ idempotencyKey }) => at().effect("undo a", idempotencyKey, () => {}) }, () => 1);
        const legal = await step.approval("legal", { assignees: ["ann"], timeout: "1d" });
        if (!legal.ok) throw new NonRetryableError("not approved");
      },
    {},
    (at) => ({ alerts: teller(at, "page") }),
  );
  await world.finish();
  await world.pass(86_400_000);
  expect(told(world)).toEqual(["page: approval_expired legal"]);
});

test("an alert that can't be told never harms the run", async () => {
  const world = begin(
    (at) =>
      async ({ step }) => {
        await step.do("s", { onFailure: "pause", retries: { limit: 0 } }, ({ attempt }) => (attempt === 1 ? broken() : "well"));
        return plain(at, step, "after");
      },
    {},
    (at) => ({ alerts: teller(at, "page", broken) }),
  );
  await settle(world);
  await world.pass(86_400_000);
  expect(world.run.engine.summary).toMatchObject({ status: "paused", reason: { code: "step_failed", step: "s" } });
  world.operate({ action: "resume" });
  await world.finish();
  expect(world.output).toBe("after");
});

test("an alert whose executors all die never blocks the run", async () => {
  const world = begin(
    () =>
      ({ step }) =>
        step.do("s", { onFailure: "pause", retries: { limit: 0 } }, ({ attempt }) => (attempt === 1 ? broken() : "well")),
    {},
    (at) => ({ alerts: teller(at, "page") }),
  );
  world.executorsDie = true;
  await world.pass(86_400_000);
  expect(world.kinds).not.toContain("run.blocked");
  world.executorsDie = false;
  world.operate({ action: "resume" });
  await world.finish();
  expect(world.output).toBe("well");
});

test("a redriven step that parks again is told of again", async () => {
  const world = begin(
    () =>
      ({ step }) =>
        step.do("s", { onFailure: "pause", retries: { limit: 0 } }, () => broken()),
    {},
    (at) => ({ alerts: teller(at, "page") }),
  );
  await settle(world);
  world.operate({ action: "retry", key: "s", value: null });
  await settle(world);
  expect(told(world)).toEqual(["page: dead_letter s", "page: dead_letter s"]);
  expect(distinct(world)).toHaveLength(2);
});
