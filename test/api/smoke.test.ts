import { expect, test } from "vitest";
import { createApi } from "#api/app.ts";
import { createRegistry } from "#sdk/registry.ts";

test("smoke", async () => {
  const api = createApi({ registry: createRegistry({ workflows: [] }), newId: () => "x", ports: () => ({ run: () => { throw new Error("no"); }, search: async () => ({ runs: [], nextCursor: null }) }) });
  const env = { SEGNO_ENV: "development", SEGNO_API_KEY: "segno-dev-key" };
  const h = { authorization: "Bearer segno-dev-key" };
  const r = await api.request("/openapi.json", {}, env);
  const d: any = await r.json();
  console.log(JSON.stringify(d.paths, null, 1).slice(0, 9000));
  for (const q of ["status=bad", "attr.x=5&status=failed,waiting&createdAfter=2026-01-01", "colour=1", "limit=5&limit=6"]) { const r = await api.request(`/v1/runs?${q}`, { headers: h }, env); console.log(q, r.status, await r.text()); }
  expect(1).toBe(1);
});
