import { createRoute } from "@hono/zod-openapi";
import { checkRunId } from "#core/run.ts";
import { type Api, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, OperatorBody, problemAnswer, RunParams, RunView } from "./contract.ts";
import { jsonBody } from "./request-body.ts";
import { presentRun } from "./run-view.ts";

/** What an operator may ask of a run. */
const commands = {
  cancel: {
    summary: "Ask a run to stop",
    description: "What is open rejects with `cancelled`, and the workflow may clean up. A repeat changes nothing.",
  },
  resume: {
    summary: "Try again what waits for a person",
    description:
      "Every parked step gets another attempt, and a fresh budget of retries. `not_paused` when there is none, so also when a repeat comes after the run went on.",
  },
  terminate: {
    summary: "End a run at once",
    description: "Nothing cleans up. A repeat changes nothing.",
  },
} as const;

type Command = keyof typeof commands;

function operatorRoute(command: Command) {
  return createRoute({
    method: "post",
    path: `/v1/runs/{id}/${command}`,
    tags: ["runs"],
    ...commands[command],
    middleware: jsonBody,
    request: { params: RunParams, body: jsonRequest(OperatorBody) },
    responses: { 200: jsonAnswer("The run as it stands now.", RunView), default: problemAnswer },
  });
}

/** The routes by which operators act on runs; what they do is recorded with the namespace of their key. */
export function addOperatorRoutes(api: Api): void {
  for (const command of ["cancel", "resume", "terminate"] as const) {
    api.openapi(operatorRoute(command), async (context) => {
      const { id } = context.req.valid("param");
      checkRunId(id);
      const body = context.req.valid("json");
      const asked = { actor: `api:${context.var.namespace}`, reason: body.reason ?? null, expectedSeq: null };
      const run = await runOf(context, id).operate(command === "cancel" ? { ...asked, action: command, compensate: false } : { ...asked, action: command });
      return context.json(presentRun(run), 200);
    });
  }
}
