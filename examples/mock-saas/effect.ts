import type { Call } from "./call.ts";
import type { Service } from "./service.ts";

/** Something that a service did: it made a resource, or removed one. */
export interface Effect {
  readonly action: "create" | "delete";
  readonly resourceId: string;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The response stored with an effect, sent again for every call with the same key. */
export interface StoredResponse {
  readonly status: number;
  /** JSON text. */
  readonly response: string;
}

/** The effect that an earlier call with this key had; null when there was none, or the call has no key. A key counts per method and path. */
export async function findStored(call: Call): Promise<StoredResponse | null> {
  if (call.idempotencyKey === null) return null;
  return call.env.STATE.prepare("SELECT status, response FROM effects WHERE tenant = ? AND method = ? AND path = ? AND idempotency_key = ?")
    .bind(call.tenant, call.method, call.path, call.idempotencyKey)
    .first<StoredResponse>();
}

/** Stores an effect unless its key is taken or its resource is already deleted. False: nothing was stored, because another call was first. */
export async function storeEffect(call: Call, effect: Effect): Promise<boolean> {
  const stored = await call.env.STATE.prepare(
    `INSERT INTO effects (tenant, service, action, resource_id, method, path, idempotency_key, body, status, response, call_id, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
  )
    .bind(
      call.tenant,
      call.service,
      effect.action,
      effect.resourceId,
      call.method,
      call.path,
      call.idempotencyKey,
      call.body,
      effect.status,
      JSON.stringify(effect.body),
      call.id,
      call.at,
    )
    .first();
  return stored !== null;
}

/** Whether the service made this resource and hasn't deleted it since. */
export async function exists(call: Call, service: Service, resourceId: string): Promise<boolean> {
  const { results } = await call.env.STATE.prepare("SELECT action FROM effects WHERE tenant = ? AND service = ? AND resource_id = ?")
    .bind(call.tenant, service, resourceId)
    .all<{ action: string }>();
  return results.length > 0 && results.every((row) => row.action === "create");
}
