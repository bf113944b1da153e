import { z } from "zod";
import type { Call } from "./call.ts";
import { limits } from "./limits.ts";
import type { Service } from "./service.ts";

/**
 * How a service treats a call. `fail` and `hang` do nothing; `late` does the work at once and answers after a delay; `accept-then-fail` and
 * `accept-then-drop` do the work and lose the answer, the one behind an error status, the other by ending the response halfway.
 */
export const FaultMode = z.enum(["ok", "fail", "hang", "late", "accept-then-fail", "accept-then-drop"]);
export type FaultMode = z.infer<typeof FaultMode>;

/** Body of `PUT /admin/faults/:service`. */
export const FaultSetting = z.strictObject({
  mode: FaultMode,
  /** Only calls of this method; absent: all. */
  method: z.enum(["GET", "POST", "DELETE"]).nullable().default(null),
  status: z.number().int().min(400).max(599).default(500),
  /** Seconds, sent as `Retry-After` with the error. */
  retryAfter: z.number().int().min(0).nullable().default(null),
  /** The fault meets the next so many calls; absent: until changed. */
  times: z.number().int().min(1).nullable().default(null),
  /** How late `late` is (default 1 s), or how long `hang` hangs (default 60 s). */
  delayMs: z.number().int().min(0).max(limits.lateMs).nullable().default(null),
  /** JSON to answer an error with. */
  body: z.unknown().optional(),
  /** Service `kyc` only: each new check is answered `approved` after so many ms. */
  autoAnswerMs: z.number().int().min(0).max(limits.autoAnswerMs).nullable().default(null),
});
export type FaultSetting = z.infer<typeof FaultSetting>;

/** The fault that one call meets. */
export interface ActiveFault {
  readonly mode: FaultMode;
  readonly status: number;
  readonly retryAfterSeconds: number | null;
  readonly delayMs: number | null;
  /** JSON text. */
  readonly body: string | null;
}

const noFault: ActiveFault = { mode: "ok", status: 500, retryAfterSeconds: null, delayMs: null, body: null };

/** Replaces the service's fault. */
export async function setFault(db: D1Database, tenant: string, service: Service, setting: FaultSetting): Promise<void> {
  const body = setting.body === undefined ? null : JSON.stringify(setting.body);
  await db
    .prepare(
      `INSERT OR REPLACE INTO faults (tenant, service, mode, method, status, retry_after_seconds, times_left, delay_ms, body, auto_answer_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(tenant, service, setting.mode, setting.method, setting.status, setting.retryAfter, setting.times, setting.delayMs, body, setting.autoAnswerMs)
    .run();
}

/** Removes every fault of the tenant. */
export async function clearFaults(db: D1Database, tenant: string): Promise<void> {
  await db.prepare("DELETE FROM faults WHERE tenant = ?").bind(tenant).run();
}

/** The fault for this call, counted down in the same statement, so that concurrent calls can't share the last one. */
export async function takeFault(call: Call): Promise<ActiveFault> {
  const taken = await call.env.STATE.prepare(
    `UPDATE faults SET times_left = times_left - 1
     WHERE tenant = ? AND service = ? AND (method IS NULL OR method = ?) AND (times_left IS NULL OR times_left > 0)
     RETURNING mode, status, retry_after_seconds AS retryAfterSeconds, delay_ms AS delayMs, body`,
  )
    .bind(call.tenant, call.service, call.method)
    .first<ActiveFault>();
  return taken ?? noFault;
}

/** When new kyc checks are answered by themselves; null: never. It outlasts the `times` of the fault that it was set with. */
export async function autoAnswerMsOf(db: D1Database, tenant: string): Promise<number | null> {
  return db.prepare("SELECT auto_answer_ms FROM faults WHERE tenant = ? AND service = 'kyc'").bind(tenant).first<number>("auto_answer_ms");
}
