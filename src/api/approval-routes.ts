import { createRoute, type z } from "@hono/zod-openapi";

import type { StepRecord } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { checkRunId, type RunSummary } from "#core/run.ts";
import type { InboxApproval } from "#visibility/approvals.ts";
import { type Api, runOf } from "./api-context.ts";
import { ApprovalAnswer, ApprovalListQuery, ApprovalPageView, ApprovalParams, DecideBody } from "./approval-contract.ts";
import { jsonAnswer, jsonRequest, problemAnswer, ReadHeaders, StartHeaders } from "./contract.ts";
import { decideCommand } from "./decision.ts";
import { jsonBody } from "./request-body.ts";
import { isoText, presentRun, presentStep } from "./run-view.ts";
import type { ValueForm } from "./values.ts";

const tags = ["approvals"];

const listRoute = createRoute({
  method: "get",
  path: "/v1/approvals",
  tags,
  summary: "List what waits for somebody's decision",
  description: "From the index, which follows the runs by a moment.",
  request: { query: ApprovalListQuery },
  responses: { 200: jsonAnswer("A page of open approvals.", ApprovalPageView), default: problemAnswer },
});

const getRoute = createRoute({
  method: "get",
  path: "/v1/approvals/{runId}/{key}",
  tags,
  summary: "Read an approval, open or over, with its form and its decisions",
  request: { params: ApprovalParams, headers: ReadHeaders },
  responses: { 200: jsonAnswer("The approval and its run.", ApprovalAnswer), default: problemAnswer },
});

const decideRoute = createRoute({
  method: "post",
  path: "/v1/approvals/{runId}/{key}/decide",
  tags,
  summary: "Approve or reject",
  description: "Counts once an actor: the same decision again changes nothing, another one is refused with `already_decided`.",
  middleware: jsonBody,
  request: { params: ApprovalParams, headers: StartHeaders.omit({ "idempotency-key": true }), body: jsonRequest(DecideBody) },
  responses: { 200: jsonAnswer("The run and the approval as they stand now.", ApprovalAnswer), default: problemAnswer },
});

/** The inbox, and decisions by API. */
export function addApprovalRoutes(api: Api): void {
  api.openapi(listRoute, async (context) => {
    const { overdue, ...filters } = context.req.valid("query");
    const page = await context.var.ports.approvals({ ...filters, namespace: context.var.namespace, overdue: overdue === "true" });
    return context.json({ approvals: page.approvals.map(presentInboxApproval), nextCursor: page.nextCursor }, 200);
  });

  api.openapi(getRoute, async (context) => {
    const { runId, key } = context.req.valid("param");
    checkRunId(runId);
    const run = runOf(context, runId);
    const [step, detail] = await Promise.all([run.step(key), run.detail(0)]);
    return context.json(presentApproval(detail.run, step, context.req.valid("header")["accept-values"] ?? "json"), 200);
  });

  api.openapi(decideRoute, async (context) => {
    const { runId, key } = context.req.valid("param");
    checkRunId(runId);
    const { actor, ...decision } = context.req.valid("json");
    const headers = context.req.valid("header");
    if (decision.decision === "rejected" && decision.form !== undefined) {
      throw new Fault("invalid_request", "form: Only whoever approves fills in the form.", {
        in: "body",
        issues: [{ path: ["form"], message: "Not allowed." }],
      });
    }
    const run = runOf(context, runId);
    const decided = await run.decide(decideCommand({ key, actor, via: "api" }, decision, headers["content-values"] ?? "json"));
    return context.json(presentApproval(decided, await run.step(key), headers["accept-values"] ?? "json"), 200);
  });
}

function presentInboxApproval(approval: InboxApproval): z.infer<typeof ApprovalPageView>["approvals"][number] {
  const { assignees, since, until, dueAt, ...others } = approval;
  return {
    ...others,
    assignees: [...assignees],
    since: isoText(since),
    until: until === null ? null : isoText(until),
    dueAt: dueAt === null ? null : isoText(dueAt),
  };
}

/** @throws Fault `step_not_found` for a step that is no approval. */
function presentApproval(run: RunSummary, step: StepRecord, form: ValueForm): z.infer<typeof ApprovalAnswer> {
  const { key, name, status, outcome, startedAt: since, wakeAt: until, endedAt, approval } = presentStep(step, form);
  if (!approval) throw new Fault("step_not_found", `The run has no approval ${key}.`, { step: key });
  return { run: presentRun(run), approval: { ...approval, key, name, status, outcome, since, until, endedAt } };
}
