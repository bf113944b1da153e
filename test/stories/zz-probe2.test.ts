import { env, exports } from "cloudflare:workers";
import { test } from "vitest";
async function laps(name: string, f: () => Promise<unknown>) {
  const out: number[] = [];
  for (let k = 0; k < 6; k++) {
    const t = Date.now();
    for (let i = 0; i < 40; i++) await f();
    out.push(Math.round((Date.now() - t) / 40 * 10) / 10);
  }
  console.log("LAP", name, out.join(" "));
}
test("a", async () => {
  await laps("binding", async () => (await env.MOCK_SAAS.fetch("http://mock-saas/no")).text());
  await laps("exports", async () => (await exports.default.fetch(new Request("http://mock-saas/no"))).text());
}, 60000);
