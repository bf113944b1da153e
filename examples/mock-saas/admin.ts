import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { type MockSaasEnv, tenantOf } from "./call.ts";
import { clearFaults, FaultSetting, setFault } from "./fault.ts";
import { callbackUrlOf, sendResult } from "./kyc.ts";
import { limits } from "./limits.ts";
import type { World } from "./options.ts";
import { Service } from "./service.ts";

const ListQuery = z.object({ service: Service.optional(), key: z.string().optional(), after: z.coerce.number().int().optional() });
type ListQuery = z.infer<typeof ListQuery>;

const KycAnswer = z.strictObject({ result: z.string().min(1).default("approved") });

/** What tests ask and command. None of it is a call to a service: it meets no fault and isn't listed. */
export function adminRoutes(world: World): Hono<MockSaasEnv> {
  const admin = new Hono<MockSaasEnv>();
  admin.put("/faults/:service", async (c) => {
    const setting = parse(FaultSetting, await json(c.req.raw));
    await setFault(c.env.STATE, tenantOf(c), parse(Service, c.req.param("service")), setting);
    return c.json(setting);
  });
  admin.delete("/faults", async (c) => {
    await clearFaults(c.env.STATE, tenantOf(c));
    return c.json({ cleared: true });
  });
  admin.get("/calls", async (c) => c.json({ calls: await listCalls(c.env.STATE, tenantOf(c), parse(ListQuery, c.req.query())) }));
  admin.get("/effects", async (c) => c.json({ effects: await listEffects(c.env.STATE, tenantOf(c), parse(ListQuery, c.req.query())) }));
  admin.get("/callbacks", async (c) => c.json({ callbacks: await listCallbacks(c.env.STATE, tenantOf(c), parse(ListQuery, c.req.query())) }));
  admin.post("/kyc/:checkId/answer", async (c) => {
    const { result } = parse(KycAnswer, await json(c.req.raw));
    const [tenant, checkId] = [tenantOf(c), c.req.param("checkId")];
    const url = await callbackUrlOf(c.env.STATE, tenant, checkId);
    if (url === null) throw new HTTPException(404, { message: `The tenant ${tenant} has no check ${checkId}.` });
    return c.json(await sendResult(world, { env: c.env, tenant, checkId, url, result }));
  });
  admin.delete("/state", async (c) => {
    await clearState(c.env.STATE, tenantOf(c));
    return c.json({ cleared: true });
  });
  return admin;
}

async function clearState(db: D1Database, tenant: string): Promise<void> {
  await db.batch(["calls", "effects", "faults", "callbacks"].map((table) => db.prepare(`DELETE FROM ${table} WHERE tenant = ?`).bind(tenant)));
}

async function listCalls(db: D1Database, tenant: string, query: ListQuery): Promise<unknown[]> {
  const columns = "id, service, method, path, idempotency_key AS idempotencyKey, body, status, replayed, at";
  const rows = await select<{ replayed: number }>(db, `SELECT ${columns} FROM calls`, tenant, query);
  return rows.map((row) => ({ ...row, replayed: row.replayed === 1 }));
}

async function listEffects(db: D1Database, tenant: string, query: ListQuery): Promise<unknown[]> {
  const columns = `id, service, action, resource_id AS resourceId, method, path, idempotency_key AS idempotencyKey, body, status, response,
    call_id AS callId, at`;
  const rows = await select<{ response: string }>(db, `SELECT ${columns} FROM effects`, tenant, query);
  return rows.map((row) => ({ ...row, response: JSON.parse(row.response) as unknown }));
}

async function select<Row>(db: D1Database, from: string, tenant: string, query: ListQuery): Promise<Row[]> {
  // The same bound value may be tested for null and compared: an absent filter then lets every row through.
  const where = "WHERE tenant = ?1 AND (?2 IS NULL OR service = ?2) AND (?3 IS NULL OR idempotency_key = ?3) AND id > ?4";
  const { results } = await db
    .prepare(`${from} ${where} ORDER BY id LIMIT ${limits.rowsPerPage}`)
    .bind(tenant, query.service ?? null, query.key ?? null, query.after ?? 0)
    .all<Row>();
  return results;
}

async function listCallbacks(db: D1Database, tenant: string, query: ListQuery): Promise<unknown[]> {
  const columns = "id, check_id AS checkId, webhook_id AS webhookId, url, body, status, error, at";
  const { results } = await db
    .prepare(`SELECT ${columns} FROM callbacks WHERE tenant = ? AND id > ? ORDER BY id LIMIT ${limits.rowsPerPage}`)
    .bind(tenant, query.after ?? 0)
    .all();
  return results;
}

/** @throws HTTPException 400 that names what is wrong. */
function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new HTTPException(400, { message: z.prettifyError(parsed.error) });
  return parsed.data;
}

async function json(request: Request): Promise<unknown> {
  const text = await request.text();
  try {
    return JSON.parse(text || "{}");
  } catch {
    throw new HTTPException(400, { message: "The body is not JSON." });
  }
}
