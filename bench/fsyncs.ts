import { spawn } from "node:child_process";
import type { Client } from "./http.ts";

/** How often the storage is made to wait for the disk, counted by strace. */
export interface Fsyncs {
  /** Per step of a sequential run whose steps each take a turn of the event loop. */
  readonly sequential: number;
  /** Per step of 1,000 parallel ones that end at once. */
  readonly fanOut: number;
  /** Per step of 1,000 parallel ones that each take a turn. */
  readonly fanOutTurns: number;
  readonly shortRun: number;
}

export async function fsyncsPerStep(client: Client, pid: number | null): Promise<Fsyncs> {
  if (pid === null) throw new Error("workerd is not running.");
  const runs = (workflow: string, steps: number, count: number) => async () => {
    for (let i = 0; i < count; i++) await client.post(`/v1/workflows/${workflow}/runs?wait=30s`, { input: { steps } });
  };
  return {
    sequential: (await countFsyncs(pid, runs("turns", 1_000, 1))) / 1_000,
    fanOut: (await countFsyncs(pid, runs("fan-out", 1_000, 1))) / 1_000,
    fanOutTurns: (await countFsyncs(pid, runs("fan-out-turns", 1_000, 1))) / 1_000,
    shortRun: (await countFsyncs(pid, runs("sequential", 5, 20))) / 20,
  };
}

/** Of the machine, not of a package. */
const strace = "strace";

async function countFsyncs(pid: number, action: () => Promise<void>): Promise<number> {
  const tracer = spawn(strace, ["-f", "-e", "trace=fsync,fdatasync", "-p", String(pid)], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => tracer.on("close", resolve));
  let text = "";
  const attached = new Promise<void>((resolve, reject) => {
    tracer.on("error", reject);
    tracer.stderr.on("data", (part) => {
      text += String(part);
      if (text.includes("attached")) resolve();
    });
  });
  await attached;
  await action();
  tracer.kill("SIGINT");
  await ended;
  return text.split("\n").filter((line) => /f(data)?sync\(/.test(line)).length;
}
