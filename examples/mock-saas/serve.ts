import type { Context, Handler } from "hono";
import { type Call, type MockSaasEnv, receiveCall, recordAnswer } from "./call.ts";
import { type Effect, findStored, storeEffect } from "./effect.ts";
import { type ActiveFault, takeFault } from "./fault.ts";
import { limits } from "./limits.ts";
import type { Operation } from "./operation.ts";
import type { World } from "./options.ts";
import type { Service } from "./service.ts";

/** The way of every call: record it, meet the fault, repeat a stored answer or do the work once, note the answer. */

/** An answer on its way out. */
interface Reply {
  readonly status: number;
  /** JSON text. */
  readonly text: string;
  /** The response ends in the middle of its text. */
  readonly isDropped: boolean;
  readonly replayed: boolean;
  readonly retryAfterSeconds: number | null;
}

type Background = (work: Promise<void>) => void;

/** A route's handler: this operation, as this service. */
export function serve(world: World, service: Service, operation: Operation): Handler<MockSaasEnv> {
  return async (c) => {
    const call = await receiveCall(c, service, world.now());
    const fault = await takeFault(call);
    const reply = await replyUnder(fault, call, world, () => perform(call, operation, (work) => inBackground(c, work)));
    await recordAnswer(call, { status: reply.isDropped ? null : reply.status, replayed: reply.replayed });
    return responseOf(reply);
  };
}

async function replyUnder(fault: ActiveFault, call: Call, world: World, work: () => Promise<Reply>): Promise<Reply> {
  switch (fault.mode) {
    case "ok":
      return work();
    case "fail":
      return failure(fault, call, false);
    case "hang":
      await world.wait(fault.delayMs ?? limits.hangMs, call.signal);
      return error(call.signal.aborted ? 499 : 504, "hang", `The ${call.service} service was told to hang.`);
    case "late": {
      const reply = await work();
      await world.wait(fault.delayMs ?? 1_000, call.signal);
      return reply;
    }
    case "accept-then-fail":
      return failure(fault, call, (await work()).replayed);
    case "accept-then-drop":
      return { ...(await work()), isDropped: true };
  }
}

async function perform(call: Call, operation: Operation, background: Background): Promise<Reply> {
  const stored = await findStored(call);
  if (stored !== null) return { ...answer(stored.status, stored.response), replayed: true };
  const outcome = await operation(call);
  switch (outcome.kind) {
    case "found":
      return answer(200, JSON.stringify(outcome.body));
    case "refused":
      return error(outcome.status, outcome.status === 404 ? "not_found" : "invalid", outcome.message);
    case "effect":
      if (!(await storeEffect(call, outcome.effect))) return replyOfWinner(call, outcome.effect);
      if (outcome.afterwards !== null) background(outcome.afterwards());
      return answer(outcome.effect.status, JSON.stringify(outcome.effect.body));
  }
}

/** A racing call was first: with our key, then its answer is ours too; or, with another, it deleted what we were about to delete. */
async function replyOfWinner(call: Call, effect: Effect): Promise<Reply> {
  const stored = await findStored(call);
  if (stored === null) return error(404, "not_found", `${effect.resourceId} has just been deleted by another call.`);
  return { ...answer(stored.status, stored.response), replayed: true };
}

function failure(fault: ActiveFault, call: Call, replayed: boolean): Reply {
  const told = error(fault.status, "fault", `The ${call.service} service was told to fail.`);
  return { ...told, text: fault.body ?? told.text, replayed, retryAfterSeconds: fault.retryAfterSeconds };
}

function error(status: number, code: string, message: string): Reply {
  return answer(status, JSON.stringify({ error: { code, message } }));
}

function answer(status: number, text: string): Reply {
  return { status, text, isDropped: false, replayed: false, retryAfterSeconds: null };
}

function responseOf(reply: Reply): Response {
  const headers = new Headers({ "content-type": "application/json" });
  // Not on an error that hides a repeat: the header is part of the stored answer's delivery, and that was lost.
  if (reply.replayed && reply.status < 400) headers.set("idempotent-replay", "true");
  if (reply.retryAfterSeconds !== null) headers.set("retry-after", String(reply.retryAfterSeconds));
  // A Worker can't cut its connection, and a body stream that fails is reported as an uncaught exception; half of the JSON is the same to a caller.
  const text = reply.isDropped ? reply.text.slice(0, reply.text.length / 2) : reply.text;
  return new Response(text, { status: reply.status, headers });
}

function inBackground(c: Context<MockSaasEnv>, work: Promise<void>): void {
  try {
    c.executionCtx.waitUntil(work);
  } catch {
    // Mounted in a test without an execution context (Hono's getter throws): nobody ends us early, so the promise runs on by itself.
    void work;
  }
}
