import { createRoute } from "@hono/zod-openapi";
import type { Operation } from "#core/command.ts";
import { checkRunId } from "#core/run.ts";
import { type Api, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, problemAnswer, RunParams, RunView, ValueHeaders } from "./contract.ts";
import { CancelBody, OperatorBody, operatorOf, RetryRunBody } from "./operator-contract.ts";
import { jsonBody } from "./request-body.ts";
import { presentRun } from "./run-view.ts";
import { acceptOptional } from "./values.ts";

/** What an operator may ask of a run without further words. */
const commands = {
  pause: {
    summary: "Hold a run",
    description: "What is under way finishes and is recorded; nothing begins, and timers stand still until the run is resumed. A repeat changes nothing.",
  },
  resume: {
    summary: "Let a held run go on, and try again what waits for a person",
    description:
      "Every parked step gets another attempt, and a fresh budget of retries. `not_paused` when nothing is held or parked, so also when a repeat comes after the run went on.",
  },
  terminate: {
    summary: "End a run at once",
    description: "Nothing cleans up and nothing is undone. A repeat changes nothing.",
  },
} as const;

type Command = keyof typeof commands;

const asItStands = jsonAnswer("The run as it stands now.", RunView);

function commandRoute(command: Command) {
  return createRoute({
    method: "post",
    path: `/v1/runs/{id}/${command}`,
    tags: ["operators"],
    ...commands[command],
    middleware: jsonBody,
    request: { params: RunParams, body: jsonRequest(OperatorBody) },
    responses: { 200: asItStands, default: problemAnswer },
  });
}

const cancelRoute = createRoute({
  method: "post",
  path: "/v1/runs/{id}/cancel",
  tags: ["operators"],
  summary: "Ask a run to stop",
  description: "What is open rejects with `cancelled`, and the workflow may clean up; with `compensate`, its steps are undone then. A repeat changes nothing.",
  middleware: jsonBody,
  request: { params: RunParams, body: jsonRequest(CancelBody) },
  responses: { 200: asItStands, default: problemAnswer },
});

const retryRoute = createRoute({
  method: "post",
  path: "/v1/runs/{id}/retry",
  tags: ["operators"],
  summary: "Try a step again, and go on from there",
  description: "As `POST /v1/runs/{id}/steps/{key}/retry`.",
  middleware: jsonBody,
  request: { params: RunParams, headers: ValueHeaders, body: jsonRequest(RetryRunBody) },
  responses: { 200: asItStands, default: problemAnswer },
});

/** The routes by which operators act on runs as a whole; what they do is recorded with the namespace of their key. */
export function addOperatorRoutes(api: Api): void {
  for (const action of Object.keys(commands) as Command[]) {
    api.openapi(commandRoute(action), async (context) => {
      const { id } = context.req.valid("param");
      checkRunId(id);
      const operation: Operation = { ...operatorOf(context.var.namespace, context.req.valid("json")), action };
      return context.json(presentRun(await runOf(context, id).operate(operation)), 200);
    });
  }

  api.openapi(cancelRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const body = context.req.valid("json");
    const run = await runOf(context, id).operate({
      ...operatorOf(context.var.namespace, body),
      action: "cancel",
      compensate: body.compensate ?? false,
    });
    return context.json(presentRun(run), 200);
  });

  api.openapi(retryRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const body = context.req.valid("json");
    const value = acceptOptional(body.input, context.req.valid("header")["content-values"] ?? "json", "input");
    const run = await runOf(context, id).operate({ ...operatorOf(context.var.namespace, body), action: "retry", key: body.step, value });
    return context.json(presentRun(run), 200);
  });
}
