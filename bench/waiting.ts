import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "./http.ts";
import { startLocal } from "./local.ts";

/** Do runs that wait delay the next one? Times a run of ten steps alone, and again among a thousand runs that wait for an event. */

const waiting = 1000;

const directory = mkdtempSync(join(tmpdir(), "segno-waiting-"));
const local = await startLocal({
  worker: "worker.ts",
  directory,
  objects: { RUNS: "RunObject", COUNTED: "CountedRun", BARE: "BareObject" },
  workflows: { PEER: "PeerWorkflow" },
});
const client = createClient(local.url);
try {
  await medianMs();
  const alone = await medianMs();
  for (let started = 0; started < waiting; started += 50) {
    await Promise.all(Array.from({ length: 50 }, () => client.post("/v1/workflows/event/runs", { input: null })));
  }
  const among = await medianMs();
  console.log(`a run of 10 steps: ${alone.toFixed(1)} ms alone, ${among.toFixed(1)} ms among ${waiting} runs that wait (medians of 21)`);
} finally {
  client.close();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function medianMs(): Promise<number> {
  const times: number[] = [];
  for (let repeat = 0; repeat < 21; repeat++) {
    const begin = performance.now();
    const { status } = await client.post("/v1/workflows/sequential/runs?wait=30s", { input: { steps: 10 } });
    if (status !== 201) throw new Error(`The run was answered with ${status}.`);
    times.push(performance.now() - begin);
  }
  return times.sort((a, b) => a - b)[10] ?? Number.NaN;
}
