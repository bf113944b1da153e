import { createRoute } from "@hono/zod-openapi";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { checkRunId } from "#core/run.ts";
import { type Api, type RouteOptions, runOf } from "./api-context.ts";
import { EventAnswer, EventBody, EventHeaders, EventParams, jsonAnswer, jsonRequest, problemAnswer } from "./contract.ts";
import { jsonBody } from "./request-body.ts";
import { acceptValue } from "./values.ts";

const eventRoute = createRoute({
  method: "post",
  path: "/v1/runs/{id}/events/{name}",
  tags: ["runs"],
  summary: "Send an event to a run",
  description: "An event with an `id` or an `Idempotency-Key` counts once in the run; without either, every request is another event.",
  middleware: jsonBody,
  request: { params: EventParams, headers: EventHeaders, body: jsonRequest(EventBody) },
  responses: { 202: jsonAnswer("The event is recorded.", EventAnswer), default: problemAnswer },
});

/** The route that takes events for runs. */
export function addEventRoute(api: Api, options: RouteOptions): void {
  api.openapi(eventRoute, async (context) => {
    const { id: runId, name } = context.req.valid("param");
    const { id, key, payload } = context.req.valid("json");
    const headers = context.req.valid("header");
    checkRunId(runId);
    checkEventName(name);
    if (id !== undefined && headers["idempotency-key"] !== undefined) {
      throw new Fault("invalid_request", "Send either `id` or the header Idempotency-Key; each of them names the event.");
    }
    const accepted = await runOf(context, runId).sendEvent({
      eventId: id ?? headers["idempotency-key"] ?? options.newId(),
      name,
      eventKey: key ?? null,
      payload: acceptValue(payload, headers["content-values"] ?? "json", "payload"),
    });
    return context.json({ duplicate: accepted.duplicate, step: accepted.step }, 202);
  });
}

function checkEventName(name: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (name.length > limits.nameLength || /[\u0000-\u001f]/.test(name)) {
    throw new Fault("invalid_name", `An event's name is 1 to ${limits.nameLength} characters without control characters.`);
  }
}
