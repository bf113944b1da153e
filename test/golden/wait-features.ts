import { z } from "zod";
import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import type { Notice } from "#sdk/step.ts";
import type { World } from "../engine/world.ts";
import { code, type Feature } from "./feature.ts";

/** Waits: for time, events, callbacks and people. */

const hour = 3_600_000;

export const waitFeatures: readonly Feature[] = [
  {
    name: "sleep",
    define: (act) => ({
      workflows: code(async (step) => {
        await step.sleep("nap", "3d");
        await step.sleep("none", 0);
        return step.do("a", (context) => act({ key: "a", ...context }, () => "a"));
      }),
    }),
  },
  {
    name: "sleep-until",
    define: (act) => ({
      workflows: code(async (step) => {
        await step.sleepUntil("past", new Date(0));
        await step.sleepUntil("monday", Date.UTC(2026, 0, 5));
        return step.do("a", (context) => act({ key: "a", ...context }, () => "a"));
      }),
    }),
  },
  {
    name: "sleep-until-computed",
    define: (act) => ({
      workflows: code(async (step) => {
        await step.sleepUntil("next hour", (now) => Math.ceil((now + 1) / hour) * hour);
        await step.sleepUntil("at once", () => new Date(0));
        const refused = await step
          .sleepUntil("never", () => {
            throw new Error("no such time");
          })
          .catch((error: Error) => error.message);
        return [refused, await step.do("a", (context) => act({ key: "a", ...context }, () => "a"))];
      }),
    }),
  },
  { name: "delayed-start", define: () => ({ workflows: code((step) => step.sleep("nap", "1h")) }), start: { delayMs: 2 * hour } },
  {
    name: "event",
    define: (act) => ({
      workflows: code(async (step) => {
        const first = await step.waitForEvent("paid");
        const keyed = await step.waitForEvent("shipped", { key: "order-2", timeout: "30d" });
        await step.do("work", (context) => act({ key: "work", ...context }, () => "worked"));
        const checked = await step.waitForEvent("checked", { event: "paid", schema: z.object({ amount: z.number() }) });
        return [first, keyed, checked].map((it) => it.ok && it.payload);
      }),
    }),
    outside: async (world) => {
      if (!world.run.engine.state.eventIds.has("e1")) {
        await world.sendEvent("shipped", "another order", { id: "e0", key: "order-1" });
        // Before anybody waits for it.
        await world.sendEvent("shipped", "order 2", { id: "e2", key: "order-2" });
        await world.sendEvent("paid", { amount: 1 }, { id: "e1" });
        return true;
      }
      if (world.statusOf("checked") !== "waiting") return false;
      await world.sendEvent("paid", { amount: 2 }, { id: "e3" });
      return true;
    },
  },
  {
    name: "event-timeout",
    define: () => ({ workflows: code(async (step) => [await step.waitForEvent("never", { timeout: "14d" }), await step.waitForEvent("skipped")]) }),
    outside: (world) => {
      const isWaiting = world.statusOf("skipped") === "waiting";
      if (isWaiting) world.operate({ action: "skip", key: "skipped", value: null });
      return isWaiting;
    },
  },
  {
    name: "callback",
    define: (act) => ({
      workflows: code(async (step) => {
        const verify = { scheme: "hmac", secret: "KYC_SECRET", prefix: "sha256=" } as const;
        const kyc = await step.callback("kyc", { timeout: "3d", verify, retries: { jitter: 0 } }, (context) =>
          act({ key: "kyc", ...context }, () => {
            if (context.attempt === 1) throw new Error("not yet");
          }),
        );
        const bare = await step.callback("bare", { verify: { scheme: "standard-webhooks", secret: "OTHER" } });
        return [kyc.ok && kyc.payload, bare.ok && bare.payload];
      }),
    }),
    outside: async (world) => {
      const open = ["kyc", "bare"].find((key) => world.statusOf(key) === "waiting");
      if (open === undefined) return false;
      await world.run.engine.callback(open, encode({ verified: open }));
      return true;
    },
  },
  {
    name: "callback-timeout",
    define: (act) => ({ workflows: code((step) => step.callback("kyc", { timeout: "3d" }, (context) => act({ key: "kyc", ...context }, () => {}))) }),
  },
  {
    name: "approval-quorum",
    define: () => ({
      workflows: code(async (step) => {
        const legal = await step.approval("legal", { assignees: ["ann", "bob", "cleo"], quorum: 2, form: z.object({ amount: z.number() }) });
        const board = await step.approval("board", { assignees: ["dan"], timeout: "7d" });
        return [legal.ok && [legal.form, legal.decisions.map((it) => it.actor)], board.ok || board.reason];
      }),
    }),
    outside: async (world) => {
      const legal = world.run.engine.state.steps.get("legal");
      if (legal?.status === "waiting") await decide(world, "legal", legal.decisions.length === 0 ? "ann" : "cleo", "approved");
      else if (world.statusOf("board") === "waiting") await decide(world, "board", "dan", "rejected");
      else return false;
      return true;
    },
  },
  {
    name: "approval-escalation",
    define: (act) => {
      const tell = automation<Notice>({ name: "tell", run: (context) => act({ key: `~told:${context.input.type}`, ...context }, () => {}) });
      const options = { assignees: ["ann"], notify: tell, reminders: ["1h", "2h"], escalation: { after: "1d", assignees: ["boss"] } } as const;
      return {
        automations: [tell],
        workflows: code(async (step) => {
          const legal = await step.approval("legal", options);
          const late = await step.approval("late", { ...options, timeout: "2d" });
          await step.sleep("told", "1h");
          return [legal.ok && legal.escalated, late.ok || late.reason];
        }),
      };
    },
    outside: async (world) => {
      const legal = world.run.engine.state.steps.get("legal");
      if (legal?.status !== "waiting" || !legal.escalated) return false;
      await decide(world, "legal", "boss", "approved");
      return true;
    },
  },
];

function decide(world: World, key: string, actor: string, decision: "approved" | "rejected"): Promise<void> {
  const form = decision === "approved" ? encode({ amount: 7 }) : null;
  return world.run.engine.decide({ key, actor, via: "api", decision, comment: `says ${actor}`, form });
}
