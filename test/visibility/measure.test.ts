import { beforeAll, test } from "vitest";
import { openIndex } from "./index-db.ts";
let db: D1Database;
beforeAll(async () => { db = await openIndex(); });
test("measure", async () => {
  for (const n of [3, 5, 6, 9]) try { await db.prepare(Array.from({ length: n }, () => "SELECT id, created_at FROM runs INDEXED BY runs_by_status WHERE namespace='x' and status='failed' and status <> 'completed'").join(" UNION ALL ") + " ORDER BY created_at, id LIMIT 3").all(); console.log(n, "ok"); } catch (e) { console.log(n, String(e)); }
  const one = "SELECT id, created_at FROM runs INDEXED BY runs_by_status WHERE namespace='x' and status='failed' and status <> 'completed'";
  const five = `SELECT * FROM (${Array.from({ length: 5 }, () => one).join(" UNION ALL ")} ORDER BY created_at, id LIMIT 3)`;
  try { console.log(JSON.stringify((await db.prepare(`EXPLAIN QUERY PLAN ${five} UNION ALL ${five} ORDER BY created_at, id LIMIT 3`).all()).results.map((r) => r["detail"]))); } catch (e) { console.log("nested", String(e)); }
});
