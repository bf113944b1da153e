import { env } from "cloudflare:workers";
import { workflow } from "segno";
import { beforeAll, test } from "vitest";
import { clock, deploy } from "../world.ts";
import { advance, crash, eventually, run, setUpWorld, start, evict } from "./story.ts";

const mk = (name: string, action: any) => workflow({ name, async run({ step, run }) {
  const t = Date.now();
  for (let i = 0; i < 20; i++) await step.do(`n-${i}`, action);
  return Date.now() - t;
}});
const defs = {
  
  f404: async ({ signal }: any) => { await (await env.MOCK_SAAS.fetch("http://mock-saas/no", { signal })).text(); },
  nosig: async () => { await (await env.MOCK_SAAS.fetch("http://mock-saas/no")).text(); },
};
beforeAll(async () => { await setUpWorld(); deploy(...Object.entries(defs).map(([n, a]) => mk(n, a))); });
test("a", async () => {
  for (let k = 0; k < 17; k++) for (const name of Object.keys(defs)) {
    const t = Date.now();
    const id = await start(name, null);
    const done: any = await eventually(async () => { const r = await run(id); return r.status === "completed" && r; }, "x");
    if (k % 4 === 0) console.log("LAP", name, k, done.output, Date.now() - t);
  }
  let t = Date.now();
  for (let i = 0; i < 20; i++) await (await env.MOCK_SAAS.fetch("http://mock-saas/no")).text();
  console.log("LAP 20 fetches", Date.now() - t);
  await crash();
  t = Date.now();
  for (let i = 0; i < 20; i++) await (await env.MOCK_SAAS.fetch("http://mock-saas/no")).text();
  console.log("LAP 20 fetches after crash", Date.now() - t);
}, 60000);
