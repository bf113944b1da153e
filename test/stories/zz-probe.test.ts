import { env } from "cloudflare:workers";
import { workflow } from "segno";
import { beforeAll, test } from "vitest";
import { clock, deploy } from "../world.ts";
import { advance, crash, eventually, run, setUpWorld, start, evict } from "./story.ts";

const halt = new Set<string>();
const log: number[] = [];
const wf = workflow({ name: "wf", async run({ step, run }) {
  for (let i = 0; i < 20; i++) {
    await step.do(`n-${i}`, async ({ signal }: any) => { await (await env.MOCK_SAAS.fetch("http://mock-saas/no", { signal })).text(); });
    log.push(Date.now());
    if (i === 5 && halt.delete(run.id)) await new Promise(() => {});
  }
}});
const live = new Map<number, string>(); let n = 0;
const orig = clock.timer.bind(clock);
clock.timer = ((at: number, fire: () => void) => {
  const id = n++; live.set(id, `${Math.round((at - clock.now())/1000)}s ` + String(new Error().stack).split("\n").slice(2,4).map((l) => l.trim().split(" ")[1]).join("<"));
  const c = orig(at, () => { live.delete(id); fire(); });
  return () => { live.delete(id); c(); };
}) as any;
beforeAll(async () => { await setUpWorld(); deploy(wf); });
async function go(n: number, how: string) {
  const ids = Array.from({ length: n }, (_, i) => `r${n}-${how}-${i}`);
  for (const id of ids) halt.add(id);
  let t = Date.now();
  await Promise.all(ids.map((id) => start("wf", null, { id })));
  await eventually(async () => halt.size === 0, "x");
  console.log("LAP", n, how, "halted", Date.now() - t); 
  await new Promise((r) => setTimeout(r, 100));
  t = Date.now();
  if (how === "crash") await crash();
  console.log("LAP", n, how, "crashed", Date.now() - t); t = Date.now();
  log.length = 0;
  await advance(16000);
  console.log("LAP", n, how, "advanced", Date.now() - t, "timers", clock.nextTimerAt(), log.map((x) => x - t).join(" "));
  console.log("LAP live", live.size, JSON.stringify([...live.values()]), "made", n);
  for (const id of ids) await eventually(async () => { const r = await run(id); return r.status === "completed" && r; }, "x");
}
test("a", async () => {
  await go(1, "crash"); await go(5, "crash");  await go(10, "crash");
}, 60000);
