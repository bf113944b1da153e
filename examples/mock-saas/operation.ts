import { z } from "zod";
import type { Call } from "./call.ts";
import { type Effect, exists } from "./effect.ts";
import type { Service } from "./service.ts";

/** What a service makes of a call that no fault has stopped. */
export type Outcome =
  | { readonly kind: "found"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: "refused"; readonly status: 404 | 422; readonly message: string }
  /** `afterwards` runs behind the answer, once: not when the call turns out to be a repeat. */
  | { readonly kind: "effect"; readonly effect: Effect; readonly afterwards: (() => Promise<void>) | null };

/** Decides the outcome; storing and answering are not its business. */
export type Operation = (call: Call) => Outcome | Promise<Outcome>;

/** A customer, by name or with whatever a CRM knows. */
export const Customer = z.union([z.string().min(1), z.record(z.string(), z.unknown())]);

/** Makes something: the answer is a 201 with `idField` and what `more` adds. */
export function create(idField: string, resourceId: string, more: Readonly<Record<string, unknown>> = {}): Outcome {
  return { kind: "effect", effect: { action: "create", resourceId, status: 201, body: { [idField]: resourceId, ...more } }, afterwards: null };
}

/** An operation that deletes the resource whose id is in the path. What doesn't exist, or no longer, is a 404. */
export function deletion(service: Service, idField: string): Operation {
  return async (call) => {
    const resourceId = call.pathId;
    if (!(await exists(call, service, resourceId))) return refuse(404, `There is no ${idField} ${resourceId}.`);
    return { kind: "effect", effect: { action: "delete", resourceId, status: 200, body: { [idField]: resourceId, deleted: true } }, afterwards: null };
  };
}

export function refuse(status: 404 | 422, message: string): Outcome {
  return { kind: "refused", status, message };
}

/** The refusal of a reference to something that this mock hasn't made or has deleted; null when it exists. */
export async function refuseUnknown(call: Call, service: Service, resourceId: string): Promise<Outcome | null> {
  return (await exists(call, service, resourceId)) ? null : refuse(422, `${service} has no ${JSON.stringify(resourceId)}.`);
}

/** An operation whose JSON body must have the schema's form, else 422. An empty body is read as `{}`. */
export function withBody<T>(schema: z.ZodType<T>, operation: (call: Call, body: T) => Outcome | Promise<Outcome>): Operation {
  return (call) => {
    const parsed = schema.safeParse(jsonOf(call.body));
    return parsed.success ? operation(call, parsed.data) : refuse(422, `The body is not what ${call.service} expects. ${z.prettifyError(parsed.error)}`);
  };
}

/** Undefined when the text is not JSON: no schema of ours accepts that. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return undefined;
  }
}

/** A fresh id such as `prj_5f0c…`. */
export function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
}
