import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { DecideCommand } from "#core/approval.ts";
import type { Duration } from "#core/duration.ts";
import { encode } from "#core/value.ts";
import type { ApprovalOptions } from "#sdk/step.ts";
import { begin, settle, teller } from "./steps.ts";
import type { World } from "./world.ts";

const hour = 3_600_000;
const code = (value: string) => expect.objectContaining({ code: value });

function decide(world: World, actor: string, more: Partial<DecideCommand> = {}): Promise<void> {
  return world.run.engine.decide({ key: "legal", actor, via: "api", decision: "approved", comment: null, form: null, ...more });
}

/** A run that asks, and returns what it was answered. */
const asking = (options: Partial<ApprovalOptions<unknown>> = {}): World =>
  begin(
    () =>
      ({ step }) =>
        step.approval("legal", { assignees: ["ann", "bob", "cleo"], ...options }),
  );

describe("an approval", () => {
  test("of two of three goes on after the second, and tells the workflow who decided and what they said", async () => {
    const world = asking({ quorum: 2 });
    await settle(world);
    expect(world.run.engine.summary).toMatchObject({ status: "waiting", reason: { code: "approval", step: "legal" }, approvals: [{ decided: 0, quorum: 2 }] });
    await decide(world, "ann", { comment: "fine" });
    await decide(world, "ann");
    await settle(world);
    expect(world.run.engine.summary.approvals).toMatchObject([{ decided: 1 }]);
    world.evict();
    await decide(world, "cleo", { via: "slack" });
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, escalated: false, decisions: [{ actor: "ann", comment: "fine", form: undefined }, { actor: "cleo" }] });
    await expect(decide(world, "bob")).rejects.toEqual(code("already_decided"));
    await decide(world, "ann");
  });

  test("that one rejects is rejected, and says by whom and why", async () => {
    const world = asking({ quorum: 2 });
    await settle(world);
    await decide(world, "ann");
    await decide(world, "bob", { decision: "rejected", comment: "no budget" });
    await world.finish();
    expect(world.output).toMatchObject({ ok: false, reason: "rejected", by: "bob", comment: "no budget", decisions: [{ actor: "ann" }, { actor: "bob" }] });
  });

  test("that nobody decides on in time says so", async () => {
    const world = asking({ timeout: "1d" });
    const startedAt = world.clock.now();
    await world.finish();
    expect(world.output).toEqual({ ok: false, reason: "timeout", escalated: false, decisions: [] });
    expect(world.clock.now() - startedAt).toBe(24 * hour);
  });

  test("that a person skips or completes says so", async () => {
    for (const [action, expected] of [
      ["skip", { ok: false, reason: "skipped" }],
      ["complete", { ok: true, form: { n: 1 } }],
    ] as const) {
      const world = asking();
      await settle(world);
      world.operate({ action, key: "legal", value: action === "skip" ? null : encode({ n: 1 }) });
      await world.finish();
      expect(world.output).toMatchObject(expected);
    }
  });

  test("that a cancel cuts off rejects as cancelled, and takes no decision afterwards", async () => {
    const world = begin(
      () =>
        ({ step }) =>
          step.approval("legal", { assignees: ["ann"] }).catch((error) => step.sleep("settle", "1h").then(() => error)),
    );
    await settle(world);
    world.operate({ action: "cancel", compensate: false });
    await world.rest();
    await expect(decide(world, "ann")).rejects.toEqual(code("already_decided"));
    await world.finish();
    expect(world.status).toBe("cancelled");
  });

  test("comes to the same end whichever turn the process dies after", async () => {
    for (let turn = 0; turn < 12; turn++) {
      const world = asking({ quorum: 2 });
      world.run.endTurn();
      const people = ["ann", "bob"];
      await world
        .finish({
          onTurn: () => {
            if (world.turns === turn) world.run.crash();
          },
        })
        .catch(() => {});
      for (const actor of people) {
        await decide(world, actor);
        world.run.endTurn();
        world.run.crash();
      }
      await world.finish();
      expect(world.output).toMatchObject({ ok: true, decisions: [{ actor: "ann" }, { actor: "bob" }] });
    }
  });
});

describe("an approval's form", () => {
  const form = z.object({ amount: z.number().min(1) });
  type Situation = (world: World) => void;
  const situations: [string, Situation][] = [
    ["", () => {}],
    ["of an evicted run", (world) => world.evict()],
    ["of a held run", (world) => world.operate({ action: "pause" })],
    [
      "of a held run that was evicted",
      (world) => {
        world.operate({ action: "pause" });
        world.evict();
      },
    ],
  ];

  test.each(situations)("%s that does not fit is refused, and counts for nothing", async (_title, prepare) => {
    const world = asking({ form });
    await settle(world);
    prepare(world);
    const { size } = world.run.journal;
    for (const data of [{ amount: "1" }, { amount: 0 }, {}, undefined]) {
      let refusal: unknown = "nothing";
      const answered = decide(world, "ann", { form: data === undefined ? null : encode(data) }).catch((error: unknown) => {
        refusal = error;
      });
      await world.rest();
      await answered;
      expect(refusal, JSON.stringify(data)).toEqual(code("invalid_payload"));
    }
    expect(world.run.journal.size).toBe(size);
    await decide(world, "ann", { form: encode({ amount: 5 }) });
    if (world.run.engine.state.paused) world.operate({ action: "resume" });
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, form: { amount: 5 } });
  });

  test("need not be filled in by whoever rejects, and what they send instead harms nothing", async () => {
    for (const data of [null, encode({ amount: "none" })]) {
      const world = asking({ form });
      await settle(world);
      await decide(world, "ann", { decision: "rejected", form: data }).catch((error: unknown) => expect(error).toEqual(code("invalid_payload")));
      if (!world.run.engine.state.steps.get("legal")?.endSeq) continue;
      await world.finish();
      expect(world.output).toMatchObject({ ok: false, reason: "rejected", by: "ann" });
    }
  });

  test("is parsed by its schema, once, for the workflow", async () => {
    const world = asking({ form: z.object({ due: z.string().transform((text) => new Date(text)) }) });
    await settle(world);
    await decide(world, "ann", { form: encode({ due: "2026-01-02" }) });
    await world.finish();
    expect(world.output).toMatchObject({ ok: true, form: { due: new Date("2026-01-02") } });
  });
});

describe("reminders and escalation", () => {
  const reminders: Duration[] = ["1h", "2h"];
  const story = () =>
    begin(
      (at) =>
        ({ step }) =>
          step.approval("legal", { assignees: ["ann"], notify: teller(at, "ask"), reminders, escalation: { after: "3h", assignees: ["cleo"] }, timeout: "4h" }),
      {},
      (at) => ({ automations: [teller(at, "ask")] }),
    );
  const told = (world: World) =>
    [...new Set(world.effects.map((effect) => `${effect.key} ${effect.idempotencyKey}`))].map((it) => it.split(" ").slice(1, 2)[0]);
  const full = ["approval", "approval", "approval", "approval_escalated", "approval_expired"];

  test("each go out once, at their times, and stop with the time-out", async () => {
    const world = story();
    const startedAt = world.clock.now();
    const times: number[] = [];
    await world.finish({
      onTurn: () => {
        while (times.length < world.effects.length) times.push(world.clock.now() - startedAt);
      },
    });
    await world.pass(hour);
    expect(times.slice(0, 4)).toEqual([0, hour, 2 * hour, 3 * hour]);
    expect(told(world)).toEqual(full);
    expect(world.output).toEqual({ ok: false, reason: "timeout", escalated: true, decisions: [] });
  });

  test("each go out once, though the process dies after or in any turn", async () => {
    const calm = story();
    await calm.finish();
    for (let turn = 0; turn <= calm.turns; turn++) {
      for (const durable of [true, false]) {
        const world = story();
        world.run.endTurn();
        await world.finish({
          onTurn: () => {
            if (world.turns !== turn) return;
            if (durable) world.evict();
            else world.diesInTurn = true;
          },
        });
        await world.pass(hour);
        const title = `${durable ? "after" : "in"} turn ${turn}`;
        expect(told(world), title).toEqual(full);
        expect(
          world.kinds.filter((kind) => kind === "approval.escalated"),
          title,
        ).toHaveLength(1);
      }
    }
  });

  test("stop when it is decided; whoever was asked by the escalation may decide too", async () => {
    const world = story();
    await world.pass(3 * hour + 1);
    expect(world.run.engine.summary.approvals).toMatchObject([{ assignees: ["ann", "cleo"] }]);
    await decide(world, "cleo");
    await world.finish();
    await world.pass(hour);
    expect(told(world)).toEqual(full.slice(0, 4));
    expect(world.output).toMatchObject({ ok: true, escalated: true });
  });

  test("stand still while the run is held", async () => {
    const world = story();
    await world.pass(hour / 2);
    world.operate({ action: "pause" });
    await world.pass(10 * hour);
    expect(told(world)).toEqual(["approval"]);
    world.operate({ action: "resume" });
    await world.rest();
    expect(told(world)).toEqual(["approval"]);
    await world.pass(hour / 2);
    expect(told(world)).toEqual(["approval", "approval"]);
  });

  test("carry a link for everybody who is asked, and one to the run", async () => {
    const seen: unknown[] = [];
    const world = begin(
      (at) =>
        ({ step }) =>
          step.approval("legal", { assignees: ["ann", "bob"], notify: teller(at, "ask") }),
      {},
      () => ({ automations: [{ ...teller(() => world, "ask"), options: { name: "ask", run: ({ input }: { input: unknown }) => void seen.push(input) } }] }),
    );
    await settle(world);
    expect(seen).toMatchObject([
      {
        type: "approval",
        runId: "r1",
        step: "legal",
        url: "http://segno.test/v1/runs/r1",
        links: [{ assignee: "ann", url: expect.stringContaining("/ann") }, { assignee: "bob" }],
      },
    ]);
  });
});
