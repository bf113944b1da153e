import fc from "fast-check";
import { expect, test } from "vitest";
import { encode } from "#core/value.ts";
import { type AnyAutomation, automation } from "#sdk/automation.ts";
import type { Step } from "#sdk/step.ts";
import { flow, World } from "./world.ts";

/** A program, as a tree. Its names are few on purpose, so that branches share them. */
type Program =
  | { readonly type: "do"; readonly name: string; readonly failures: number }
  | { readonly type: "queued" }
  | { readonly type: "sleep"; readonly ms: number }
  | { readonly type: "event"; readonly name: string; readonly timeoutMs: number }
  | { readonly type: "value" }
  | { readonly type: "sequence" | "parallel" | "race" | "settled"; readonly parts: readonly Program[] }
  | { readonly type: "loop"; readonly times: number; readonly body: Program }
  | { readonly type: "guarded"; readonly body: Program; readonly rescue: Program };

const { program } = fc.letrec<{ program: Program; leaf: Program }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    tie("leaf"),
    fc.record({ type: fc.constantFrom("sequence", "parallel", "race", "settled"), parts: fc.array(tie("program"), { minLength: 1, maxLength: 4 }) }),
    fc.record({ type: fc.constant("loop" as const), times: fc.integer({ min: 1, max: 3 }), body: tie("program") }),
    fc.record({ type: fc.constant("guarded" as const), body: tie("program"), rescue: tie("program") }),
  ) as fc.Arbitrary<Program>,
  leaf: fc.oneof(
    fc.record({ type: fc.constant("do" as const), name: fc.constantFrom("a", "b"), failures: fc.constantFrom(0, 0, 0, 1, 9) }),
    fc.constant({ type: "queued" as const }),
    fc.record({ type: fc.constant("sleep" as const), ms: fc.constantFrom(0, 1, 1000, 60_000) }),
    fc.record({ type: fc.constant("event" as const), name: fc.constantFrom("x", "y"), timeoutMs: fc.constantFrom(1, 5000, 120_000) }),
    fc.constant({ type: "value" as const }),
  ),
}));

interface Trouble {
  readonly turn: number;
  readonly what: "crash" | "evict" | "event x" | "event y" | "double" | "drop" | "touch";
}

const troubles = fc.array(
  fc.record({ turn: fc.integer({ min: 1, max: 25 }), what: fc.constantFrom("crash", "evict", "event x", "event y", "double", "drop", "touch") }),
  { maxLength: 12 },
) as fc.Arbitrary<Trouble[]>;

/** Runs a program's tree. What it returns tells which way it went. */
function interpret(tree: Program, step: Step, at: () => World, send: AnyAutomation): Promise<unknown> {
  const go = (part: Program) => interpret(part, step, at, send);
  switch (tree.type) {
    case "do":
      return step.do(tree.name, { retries: { limit: 2, delay: "1s" } }, ({ idempotencyKey, attempt }) =>
        at().effect(tree.name, idempotencyKey, () => {
          if (attempt <= tree.failures) throw new Error(`attempt ${attempt}`);
          return idempotencyKey;
        }),
      );
    case "queued":
      return step.run(send, undefined);
    case "sleep":
      return step.sleep("nap", tree.ms);
    case "event":
      return step.waitForEvent(tree.name, { timeout: tree.timeoutMs }).then((event) => (event.ok ? event.payload : event.reason));
    case "value":
      return step.uuid();
    default:
      return interpretBranch(tree, go);
  }
}

async function interpretBranch(tree: Extract<Program, { parts: unknown } | { body: Program }>, go: (part: Program) => Promise<unknown>): Promise<unknown> {
  switch (tree.type) {
    case "sequence": {
      const results: unknown[] = [];
      for (const part of tree.parts) results.push(await go(part));
      return results;
    }
    case "parallel":
      return Promise.all(tree.parts.map(go));
    case "race":
      return Promise.race(tree.parts.map(async (part, index) => [index, await go(part)]));
    case "settled":
      return (await Promise.allSettled(tree.parts.map(go))).map((it) => (it.status === "fulfilled" ? it.value : String(it.reason)));
    case "loop": {
      const results: unknown[] = [];
      for (let i = 0; i < tree.times; i++) results.push(await go(tree.body));
      return results;
    }
    case "guarded":
      try {
        return await go(tree.body);
      } catch (error) {
        return [String(error), await go(tree.rescue)];
      }
  }
}

function worldOf(tree: Program): World {
  let world: World;
  const at = () => world;
  const send = automation({ name: "send", dispatch: "queue", run: ({ idempotencyKey }) => world.effect("send", idempotencyKey, () => idempotencyKey) });
  world = new World({ workflows: [flow(({ step }) => interpret(tree, step, at, send))], automations: [send] });
  return world;
}

function trouble(world: World, what: Trouble["what"]): void {
  const message = world.queue[0] ?? world.run.messages.at(-1);
  if (what === "crash") world.diesInTurn = true;
  if (what === "evict") world.evict();
  if (what === "touch") world.run.engine.wake();
  if (what === "double" && message) world.queue.push(message, message);
  if (what === "drop") world.queue.shift();
  if (what.startsWith("event") && world.run.engine.exists) world.sendEvent(what.slice(-1), what).catch(() => {});
}

/** Nothing is recorded twice, nothing after its end, and no effect after the record of its step. */
function checkHistory(world: World): void {
  const endedAt = new Map<string, number>();
  for (const entry of world.run.journal.page(0, 100_000)) {
    if (!("key" in entry)) continue;
    expect(endedAt.get(entry.key), `entry ${entry.seq} (${entry.kind}) of ${entry.key}, which had ended`).toBeUndefined();
    if (entry.kind === "step.completed" || entry.kind === "step.failed") endedAt.set(entry.key, entry.seq);
  }
  for (const effect of world.effects) {
    const key = decodeURIComponent(effect.idempotencyKey.split("/")[2] ?? "");
    expect(effect.atSeq, `effect of ${key} when its step was recorded`).toBeLessThan(endedAt.get(key) ?? Number.POSITIVE_INFINITY);
  }
}

test("whatever the program, whatever dies, repeats or is lost: it ends, each step is recorded once, and its journal replays to the same output", async () => {
  await fc.assert(
    fc.asyncProperty(program, troubles, async (tree, list) => {
      const world = worldOf(tree);
      world.start("p");
      await world.finish({
        maxTurns: 3000,
        onTurn: () => {
          for (const it of list) if (it.turn === world.turns) trouble(world, it.what);
        },
      });
      checkHistory(world);
      const end = world.run.journal.page(0, 100_000).at(-1);
      const again = worldOf(tree);
      again.clock.set(world.clock.now());
      again.run.journal.append(
        world.run.journal
          .page(0, 100_000)
          .slice(0, -1)
          .map(({ seq: _seq, ...entry }) => entry as never),
      );
      again.run.endTurn();
      again.run.engine.wake();
      await again.finish({ maxTurns: 3000 });
      const endAgain = again.run.journal.page(0, 100_000).at(-1);
      expect({ ...endAgain, seq: 0, at: 0 }).toEqual({ ...end, seq: 0, at: 0 });
      expect(encode(again.output)).toBe(encode(world.output));
    }),
    { numRuns: 3000 },
  );
}, 60_000);
