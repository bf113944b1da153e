import { Webhook } from "standardwebhooks";
import { z } from "zod";
import type { MockSaasBindings } from "./call.ts";
import { autoAnswerMsOf } from "./fault.ts";
import { limits } from "./limits.ts";
import { Customer, newId, type Operation, withBody } from "./operation.ts";
import type { World } from "./options.ts";

/** Checks that take their time: a check is accepted with a 202, and its result is posted to the caller's URL later. */

const CheckRequest = z.object({ customer: Customer, callbackUrl: z.url({ protocol: /^https?$/ }) });

/** One sending of a result, as listed by the admin API. */
export interface Callback {
  readonly checkId: string;
  readonly webhookId: string;
  readonly url: string;
  readonly body: string;
  /** The receiver's status; null when there was none, and `error` says why. */
  readonly status: number | null;
  readonly error: string | null;
}

/** What a result is sent for. */
interface Delivery {
  readonly env: MockSaasBindings;
  readonly tenant: string;
  readonly checkId: string;
  readonly url: string;
  readonly result: string;
}

export function startCheck(world: World): Operation {
  return withBody(CheckRequest, async (call, { callbackUrl }) => {
    const checkId = newId("chk");
    const autoAnswerMs = await autoAnswerMsOf(call.env.STATE, call.tenant);
    const answer = async (delayMs: number) => {
      await world.wait(delayMs, null);
      await sendResult(world, { env: call.env, tenant: call.tenant, checkId, url: callbackUrl, result: "approved" });
    };
    return {
      kind: "effect",
      effect: { action: "create", resourceId: checkId, status: 202, body: { checkId } },
      afterwards: autoAnswerMs === null ? null : () => answer(autoAnswerMs),
    };
  });
}

/** Where the result of a check goes; null when there is no such check. */
export async function callbackUrlOf(db: D1Database, tenant: string, checkId: string): Promise<string | null> {
  const body = await db
    .prepare("SELECT body FROM effects WHERE tenant = ? AND service = 'kyc' AND resource_id = ?")
    .bind(tenant, checkId)
    .first<string>("body");
  return body === null ? null : CheckRequest.parse(JSON.parse(body)).callbackUrl;
}

/**
 * Posts the result, signed, and records how it went. It is tried once: who wants a redelivery asks for the answer again, and the receiver then
 * sees the same webhook-id. A receiver that refuses or can't be reached is recorded, not thrown.
 */
export async function sendResult(world: World, delivery: Delivery): Promise<Callback> {
  const { env, tenant, checkId, url, result } = delivery;
  const message = { checkId, webhookId: `msg_${checkId}`, url, body: JSON.stringify({ checkId, result }) };
  const at = world.now();
  const callback: Callback = { ...message, ...(await post(world, message, env.KYC_SECRET, at)) };
  await env.STATE.prepare("INSERT INTO callbacks (tenant, check_id, webhook_id, url, body, status, error, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(tenant, checkId, callback.webhookId, url, callback.body, callback.status, callback.error, at)
    .run();
  return callback;
}

type Message = Pick<Callback, "webhookId" | "url" | "body">;

async function post(world: World, message: Message, secret: string | undefined, at: number): Promise<Pick<Callback, "status" | "error">> {
  if (secret === undefined) return { status: null, error: "KYC_SECRET is not set, so nothing was sent: an unsigned callback would test nothing." };
  try {
    const response = await world.fetch(message.url, {
      method: "POST",
      headers: { "content-type": "application/json", ...signed(message, secret, new Date(at)) },
      body: message.body,
      signal: AbortSignal.timeout(limits.callbackMs),
    });
    // The body says nothing to us, but unread it would hold the connection.
    await response.body?.cancel();
    return { status: response.status, error: null };
  } catch (cause) {
    return { status: null, error: String(cause) };
  }
}

function signed(message: Message, secret: string, date: Date): Record<string, string> {
  return {
    "webhook-id": message.webhookId,
    "webhook-timestamp": String(Math.floor(date.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(message.webhookId, date, message.body),
  };
}
