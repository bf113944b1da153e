import { createRoute } from "@hono/zod-openapi";
import { parseAttributes } from "#core/attributes.ts";
import type { StartCommand } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { checkRunId, isFinal } from "#core/run.ts";
import { type Api, type RouteOptions, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, problemAnswer, RunDetailView, StartBody, StartHeaders, WaitQuery, WorkflowParams } from "./contract.ts";
import { requestWaitMs, sentDurationMs } from "./duration-field.ts";
import { jsonBody } from "./request-body.ts";
import { presentDetail, presentRun } from "./run-view.ts";
import { publicOrigin } from "./settings.ts";
import { acceptValue } from "./values.ts";

const answer = RunDetailView.partial({ input: true, output: true }).openapi("StartedRun");

const startRoute = createRoute({
  method: "post",
  path: "/v1/workflows/{name}/runs",
  tags: ["workflows"],
  summary: "Start a run",
  description:
    "A start with an `id` or an `Idempotency-Key` may be repeated: the second time answers with the run of the first. With `wait`, answers when the run has ended or the time is over; a run that has ended comes with its input and output.",
  middleware: jsonBody,
  request: { params: WorkflowParams, query: WaitQuery, headers: StartHeaders, body: jsonRequest(StartBody) },
  responses: {
    201: jsonAnswer("The run was started.", answer),
    200: jsonAnswer("A run with this id or key, and the same input, had been started before; nothing was changed.", answer),
    default: problemAnswer,
  },
});

/** The route that starts runs. */
export function addStartRoute(api: Api, options: RouteOptions): void {
  api.openapi(startRoute, async (context) => {
    const { name } = context.req.valid("param");
    const body = context.req.valid("json");
    const headers = context.req.valid("header");
    const waitMs = requestWaitMs(context.req.valid("query").wait);
    const runId = (await chosenRunId(name, body.id, headers["idempotency-key"])) ?? options.newId();
    const command: StartCommand = {
      namespace: context.var.namespace,
      runId,
      workflow: name,
      version: body.version ?? null,
      input: acceptValue(body.input, headers["content-values"] ?? "json", "input"),
      attributes: parseAttributes(body.attributes ?? {}),
      delayMs: body.delay === undefined ? 0 : sentDurationMs(body.delay),
      trigger: "api",
      publicUrl: publicOrigin(context.env, context.req.url),
    };
    const started = await runOf(context, runId).start(command, waitMs);
    // An answer that says "completed" also says with what.
    const view = isFinal(started.run.status) ? presentDetail(started, headers["accept-values"] ?? "json") : presentRun(started.run);
    return context.json(view, started.created ? 201 : 200, { location: `/v1/runs/${runId}` });
  });
}

/**
 * The id that a start asks for; null for none. A key stands for an id that is derived from it, so that starts with one key, however many and
 * wherever they arrive, meet in one object.
 */
async function chosenRunId(workflow: string, id: string | undefined, key: string | undefined): Promise<string | null> {
  if (id !== undefined && key !== undefined) throw new Fault("invalid_request", "Send either `id` or the header Idempotency-Key; each of them names the run.");
  if (id !== undefined) checkRunId(id);
  if (key === undefined) return id ?? null;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify([workflow, key])));
  return `idem-${Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
