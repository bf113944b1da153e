import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { OperatorCommand, StepCommand } from "#core/command.ts";
import { checkRunId } from "#core/run.ts";
import { encodeError } from "#core/value.ts";
import { type Api, type ApiContext, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, problemAnswer, RunView, StepParams, ValueHeaders } from "./contract.ts";
import { CompleteStepBody, FailStepBody, OperatorBody, operatorOf, RetryStepBody } from "./operator-contract.ts";
import { jsonBody } from "./request-body.ts";
import { plainError, presentRun } from "./run-view.ts";
import { acceptOptional } from "./values.ts";

const common = {
  method: "post" as const,
  tags: ["operators"],
  middleware: jsonBody,
  responses: { 200: jsonAnswer("The run as it stands now.", RunView), default: problemAnswer },
};

const retryRoute = createRoute({
  ...common,
  path: "/v1/runs/{id}/steps/{key}/retry",
  summary: "Try a step again",
  description:
    "For a step that is parked or waits for its next attempt. It gets a fresh budget of retries and, where it records its input, may be given a corrected one. Steps that are done are not called again.",
  request: { params: StepParams, headers: ValueHeaders, body: jsonRequest(RetryStepBody) },
});

const completeRoute = createRoute({
  ...common,
  path: "/v1/runs/{id}/steps/{key}/complete",
  summary: "End a step with an output given by hand",
  description: "For a step that is parked, waits for its next attempt, or waits for something outside.",
  request: { params: StepParams, headers: ValueHeaders, body: jsonRequest(CompleteStepBody) },
});

const skipRoute = createRoute({
  ...common,
  path: "/v1/runs/{id}/steps/{key}/skip",
  summary: "End a step without an output",
  description: "As `complete`. What is skipped is not undone later.",
  request: { params: StepParams, body: jsonRequest(OperatorBody) },
});

const failRoute = createRoute({
  ...common,
  path: "/v1/runs/{id}/steps/{key}/fail",
  summary: "End a step with an error that the workflow sees",
  description: "As `complete`, but not for a compensation.",
  request: { params: StepParams, body: jsonRequest(FailStepBody) },
});

/** The routes by which operators act on the steps of runs. */
export function addStepOperatorRoutes(api: Api): void {
  api.openapi(retryRoute, async (context) => {
    const body = context.req.valid("json");
    const value = acceptOptional(body.input, context.req.valid("header")["content-values"] ?? "json", "input");
    return context.json(await operate(context, context.req.valid("param"), { ...operatorOf(context.var.namespace, body), action: "retry", value }), 200);
  });

  api.openapi(completeRoute, async (context) => {
    const body = context.req.valid("json");
    const value = acceptOptional(body.output, context.req.valid("header")["content-values"] ?? "json", "output");
    return context.json(await operate(context, context.req.valid("param"), { ...operatorOf(context.var.namespace, body), action: "complete", value }), 200);
  });

  api.openapi(skipRoute, async (context) => {
    const operator = operatorOf(context.var.namespace, context.req.valid("json"));
    return context.json(await operate(context, context.req.valid("param"), { ...operator, action: "skip", value: null }), 200);
  });

  api.openapi(failRoute, async (context) => {
    const { message, code, ...body } = context.req.valid("json");
    const error = plainError(Object.assign(new Error(message), code !== undefined && { code }));
    const operator = operatorOf(context.var.namespace, body);
    return context.json(await operate(context, context.req.valid("param"), { ...operator, action: "fail", value: encodeError(error) }), 200);
  });
}

type StepAct = OperatorCommand & Pick<StepCommand, "value"> & { readonly action: "retry" | "complete" | "skip" | "fail" };

async function operate(context: Context<ApiContext>, at: { readonly id: string; readonly key: string }, act: StepAct): Promise<ReturnType<typeof presentRun>> {
  checkRunId(at.id);
  return presentRun(await runOf(context, at.id).operate({ ...act, key: at.key }));
}
