import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { limits } from "./limits.ts";
import type { Service } from "./service.ts";

/** What the mock needs from its Worker. */
export interface MockSaasBindings {
  readonly STATE: D1Database;
  /** Standard Webhooks secret (`whsec_` + base64) that signs the kyc callbacks. Without it no callback is sent. */
  readonly KYC_SECRET?: string;
}

/** The Hono environment of the mock. */
export type MockSaasEnv = { Bindings: MockSaasBindings };

/** A call to a service, as received and recorded. */
export interface Call {
  readonly id: number;
  readonly env: MockSaasBindings;
  readonly tenant: string;
  readonly service: Service;
  readonly method: string;
  /** With the query string. */
  readonly path: string;
  readonly idempotencyKey: string | null;
  /** The text exactly as sent. */
  readonly body: string;
  /** The `:id` of the path; empty on routes without one. */
  readonly pathId: string;
  readonly query: URLSearchParams;
  readonly at: number;
  /** Aborts when the caller gives up, where the runtime tells. */
  readonly signal: AbortSignal;
}

/** The mock tenant that a request belongs to. */
export function tenantOf(c: Context<MockSaasEnv>): string {
  const tenant = c.req.header("x-mock-tenant") || "default";
  if (tenant.length > limits.tenantLength)
    throw new HTTPException(400, { message: `The header x-mock-tenant has more than ${limits.tenantLength} characters.` });
  return tenant;
}

/** Reads a request and records it, before anything else can go wrong with it. */
export async function receiveCall(c: Context<MockSaasEnv>, service: Service, at: number): Promise<Call> {
  const url = new URL(c.req.url);
  const received = {
    env: c.env,
    tenant: tenantOf(c),
    service,
    method: c.req.method,
    path: url.pathname + url.search,
    idempotencyKey: c.req.header("idempotency-key") ?? null,
    // Not `text()`: that drops a byte order mark, and retries are compared byte for byte.
    body: new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(await c.req.arrayBuffer()),
    pathId: c.req.param("id") ?? "",
    query: url.searchParams,
    at,
    signal: c.req.raw.signal,
  };
  return { id: await insertCall(received), ...received };
}

async function insertCall(call: Omit<Call, "id">): Promise<number> {
  const inserted = await call.env.STATE.prepare(
    "INSERT INTO calls (tenant, service, method, path, idempotency_key, body, at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
  )
    .bind(call.tenant, call.service, call.method, call.path, call.idempotencyKey, call.body, call.at)
    .first<{ id: number }>();
  if (inserted === null) throw new Error("D1 returned no id for a recorded call.");
  return inserted.id;
}

/** Notes how a call was answered; `status` null when its answer was dropped. */
export async function recordAnswer(call: Call, answer: { readonly status: number | null; readonly replayed: boolean }): Promise<void> {
  await call.env.STATE.prepare("UPDATE calls SET status = ?, replayed = ? WHERE id = ?")
    .bind(answer.status, answer.replayed ? 1 : 0, call.id)
    .run();
}
