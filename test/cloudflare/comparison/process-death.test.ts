import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Both, startBoth } from "./local.ts";

/**
 * The one listed difference that no program can show by itself, `process-death`: the process ends in the middle of an instance. It is ended as `kill -9` ends it, and
 * nobody touches the instance afterwards.
 */

const sides = ["real", "segno"] as const;
const ample = { timeout: 20_000, interval: 100 };
let directory: string;
let both: Both;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "segno-comparison-"));
  both = await startBoth(directory);
});

afterEach(async () => {
  await both.stop();
  rmSync(directory, { recursive: true, force: true });
});

const create = (id: string) => Promise.all(sides.map((side) => both.ask(side, "create", id)));
const status = async (side: (typeof sides)[number], id: string) => (await both.ask(side, "status", id)).status;

async function processEnds(): Promise<void> {
  await both.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  both = await startBoth(directory);
}

test("A sleeping run goes on after the process has ended, where the local engine forgets it", { timeout: 60_000 }, async () => {
  const id = "sleep-number--death";
  await create(id);
  await processEnds();
  await expect.poll(() => status("segno", id), ample).toBe("complete");
  expect(await status("real", id)).toBe("running");
});

test("A run in the middle of a step goes on after the process has ended, where the local engine forgets it", { timeout: 60_000 }, async () => {
  const id = "step-held--death";
  await create(id);
  for (const side of sides) await expect.poll(() => both.effects(side, id), ample).toEqual(["begin"]);
  await processEnds();
  for (const side of sides) await both.ask(side, "open", id);
  await expect.poll(() => status("segno", id), ample).toBe("complete");
  expect(await both.effects("segno", id)).toEqual(["begin", "begin"]);
  expect(await status("real", id)).toBe("running");
  expect(await both.effects("real", id)).toEqual(["begin"]);
});

test("A run that waits for an event gets it after the process has ended, on both sides", { timeout: 60_000 }, async () => {
  const id = "event-while-waiting--death";
  await create(id);
  for (const side of sides) await expect.poll(() => both.effects(side, id), ample).toEqual(["waiting"]);
  await processEnds();
  for (const side of sides) {
    await both.ask(side, "event", id);
    await expect.poll(() => status(side, id), ample).toBe("complete");
    expect((await both.ask(side, "status", id)).output).toBe(1);
  }
});

test("A run between two attempts makes the next one after the process has ended", { timeout: 60_000 }, async () => {
  const id = "retry-later--death";
  await create(id);
  for (const side of sides) await expect.poll(() => both.effects(side, id), ample).toEqual(["try"]);
  await processEnds();
  await expect.poll(() => status("segno", id), ample).toBe("complete");
  expect(await both.effects("segno", id)).toEqual(["try", "try"]);
  // The number of the attempt outlives the process.
  expect((await both.ask("segno", "status", id)).output).toBe(2);
});

test("A rollback goes on after the process has ended in the middle of it", { timeout: 60_000 }, async () => {
  const id = "rollback-held--death";
  await both.ask("segno", "create", id);
  await expect.poll(() => both.effects("segno", id), ample).toEqual(["undo-b", "undo-a"]);
  expect(await status("segno", id)).toBe("rollingBack");
  await processEnds();
  await both.ask("segno", "open", id);
  await expect.poll(() => status("segno", id), ample).toBe("errored");
  // What was undone before is not undone again; what was cut off is.
  expect(await both.effects("segno", id)).toEqual(["undo-b", "undo-a", "undo-a"]);
});

test("A step called inside another step's callback after its first await passes, and a replay of that run blocks", { timeout: 60_000 }, async () => {
  const id = "step-in-step-late--death";
  await create(id);
  for (const side of sides) await expect.poll(() => both.effects(side, id), ample).toEqual(["outer", "inner", "waiting"]);
  await processEnds();
  for (const side of sides) await both.ask(side, "event", id);
  await expect.poll(() => status("real", id), ample).toBe("complete");
  // The layer has no word of Cloudflare's for a blocked run; its error says why it does not move.
  await expect.poll(() => both.ask("segno", "status", id), ample).toMatchObject({ status: "unknown", error: { name: "nondeterminism" } });
  expect(await both.effects("segno", id)).toEqual(["outer", "inner", "waiting"]);
});
