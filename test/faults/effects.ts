import { env } from "cloudflare:workers";
import type { Effect } from "../../bench/effect-sink.ts";
import { reach } from "./points.ts";

/** The outside world of the runs that suffer: it hears of each effect when the request arrives, so only of what the run's object may let out. */

const effects: (Effect & { readonly told: unknown })[] = [];

export function effectsOf(runId: string): readonly (Effect & { readonly told: unknown })[] {
  return effects.filter((effect) => effect.runId === runId);
}

/** The service behind the host `effects`. */
export async function hear(request: Request): Promise<Response> {
  effects.push({ ...(await request.json<Effect & { told: unknown }>()), arrivedAt: effects.length });
  return new Response();
}

export interface Acting {
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** A step, or what undoes it, acts within the run's object. `place` grows along the workflow. */
export async function act(place: number, context: Acting, told: unknown = null): Promise<void> {
  const runId = context.idempotencyKey.split("/")[1] ?? "";
  reach(runId, "an attempt acts");
  await actElsewhere(place, context, told);
  reach(runId, "an attempt has acted");
}

/** The same in a queue consumer, which is no part of the object. */
export async function actElsewhere(place: number, { attempt, idempotencyKey, signal }: Acting, told: unknown = null): Promise<void> {
  const [, runId = "", step = ""] = idempotencyKey.split("/").map(decodeURIComponent);
  const body = JSON.stringify({ runId, step, place, attempt, idempotencyKey, told });
  await (await env.MOCK_SAAS.fetch("http://effects/", { method: "POST", body, signal })).text();
}
