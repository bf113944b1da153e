import { createRoute, type z } from "@hono/zod-openapi";
import type { StepRecord } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { checkRunId, journalSeq } from "#core/run.ts";
import type { DeadLetterGroup } from "#visibility/dead-letters.ts";
import { DeadLetterFilter, DeadLetterGroupParameters, DeadLetterParameters, parseDeadLetterQuery } from "#visibility/query.ts";
import { type Api, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, problemAnswer, ReadHeaders, RunView, ValueHeaders } from "./contract.ts";
import { actOnDeadLetter, type DeadLetter, deadLetterOf } from "./dead-letter.ts";
import { actOnMany, bulkPlan, bulkQuery, filterParameters } from "./dead-letter-bulk.ts";
import {
  BulkAnswer,
  BulkBody,
  DeadLetterGroupsView,
  DeadLetterPageView,
  DeadLetterParams,
  DeadLetterView,
  DiscardBody,
  RedriveBody,
} from "./dead-letter-contract.ts";
import { operatorOf } from "./operator-contract.ts";
import { jsonBody } from "./request-body.ts";
import { isoText, presentAttempt, presentRun } from "./run-view.ts";
import { acceptOptional, presentOptional, type ValueForm } from "./values.ts";

const listRoute = createRoute({
  method: "get",
  path: "/v1/dead-letters",
  tags: ["dead letters"],
  summary: "Find runs that wait for a person because a step failed",
  description: "From the index, with the filters of `GET /v1/runs`, `attr.<name>` included. `fingerprint` names one kind of failure.",
  request: { query: DeadLetterParameters },
  responses: { 200: jsonAnswer("A page of dead letters.", DeadLetterPageView), default: problemAnswer },
});

const groupsRoute = createRoute({
  method: "get",
  path: "/v1/dead-letters/groups",
  tags: ["dead letters"],
  summary: "Count dead letters by what failed",
  description: "The same filters. The largest groups come first.",
  request: { query: DeadLetterGroupParameters },
  responses: { 200: jsonAnswer("The groups.", DeadLetterGroupsView), default: problemAnswer },
});

const getRoute = createRoute({
  method: "get",
  path: "/v1/dead-letters/{runId}",
  tags: ["dead letters"],
  summary: "Read a dead letter",
  request: { params: DeadLetterParams, headers: ReadHeaders },
  responses: { 200: jsonAnswer("The run, the step that waits, and what failed.", DeadLetterView), default: problemAnswer },
});

const redriveRoute = createRoute({
  method: "post",
  path: "/v1/dead-letters/{runId}/redrive",
  tags: ["dead letters"],
  summary: "Try a dead letter again from the step that failed",
  description:
    "Every step that waits gets another attempt and a fresh budget of retries; with `input`, the step that the dead letter names does, with that input. A run that is held besides goes on as well. `not_paused` when the run is no dead letter any more, whether it goes on or has ended; so also for a repeat.",
  middleware: jsonBody,
  request: { params: DeadLetterParams, headers: ValueHeaders, body: jsonRequest(RedriveBody) },
  responses: { 200: jsonAnswer("The run as it stands now.", RunView), default: problemAnswer },
});

const discardRoute = createRoute({
  method: "post",
  path: "/v1/dead-letters/{runId}/discard",
  tags: ["dead letters"],
  summary: "Give a dead letter up",
  description: "The run ends as terminated, with the reason `discarded`. Nothing cleans up and nothing is undone. A repeat changes nothing.",
  middleware: jsonBody,
  request: { params: DeadLetterParams, body: jsonRequest(DiscardBody) },
  responses: { 200: jsonAnswer("The run as it stands now.", RunView), default: problemAnswer },
});

const bulkRoute = createRoute({
  method: "post",
  path: "/v1/dead-letters/bulk",
  tags: ["dead letters"],
  summary: "Try again, or give up, all dead letters that match",
  description:
    "Ask with `dryRun` first. A request acts on a bounded number; go on with `nextCursor`. Each run decides for itself whether it still waits, so none goes on twice, however often this is asked.",
  middleware: jsonBody,
  request: { body: jsonRequest(BulkBody) },
  responses: { 200: jsonAnswer("What was done, or with `dryRun` how many there are.", BulkAnswer), default: problemAnswer },
});

/** The routes of dead letters. */
export function addDeadLetterRoutes(api: Api): void {
  addReadRoutes(api);
  addActRoutes(api);
}

function addReadRoutes(api: Api): void {
  api.openapi(listRoute, async (context) => {
    const query = parseDeadLetterQuery(new URL(context.req.url).searchParams, context.var.namespace, DeadLetterParameters);
    const { runs, nextCursor } = await context.var.ports.search(query);
    return context.json({ deadLetters: runs.map(presentRun), nextCursor }, 200);
  });

  api.openapi(groupsRoute, async (context) => {
    const query = parseDeadLetterQuery(new URL(context.req.url).searchParams, context.var.namespace, DeadLetterGroupParameters);
    const { groups, more } = await context.var.ports.deadLetterGroups(query);
    return context.json({ groups: groups.map(presentGroup), more }, 200);
  });

  api.openapi(getRoute, async (context) => {
    const { runId } = context.req.valid("param");
    checkRunId(runId);
    const run = runOf(context, runId);
    const summary = (await run.detail(0)).run;
    const letter = deadLetterOf(summary);
    if (!letter) throw new Fault("not_found", `The run is no dead letter; it is ${summary.status}.`, { status: summary.status });
    return context.json(presentDeadLetter(letter, await run.step(letter.step), context.req.valid("header")["accept-values"] ?? "json"), 200);
  });
}

function addActRoutes(api: Api): void {
  api.openapi(bulkRoute, async (context) => {
    const { filter, action, reason, dryRun, cursor } = context.req.valid("json");
    const query = bulkQuery(parseDeadLetterQuery(filterParameters(filter), context.var.namespace, DeadLetterFilter), cursor);
    if (dryRun) return context.json(await bulkPlan(context.var.ports, query), 200);
    const act = { action, operator: operatorOf(context.var.namespace, { reason }), input: null };
    return context.json(await actOnMany(context.var.ports, query, act), 200);
  });

  api.openapi(redriveRoute, async (context) => {
    const { runId } = context.req.valid("param");
    checkRunId(runId);
    const { input: sent, ...body } = context.req.valid("json");
    const input = acceptOptional(sent, context.req.valid("header")["content-values"] ?? "json", "input");
    const run = await actOnDeadLetter(runOf(context, runId), { action: "redrive", operator: operatorOf(context.var.namespace, body), input });
    return context.json(presentRun(run), 200);
  });

  api.openapi(discardRoute, async (context) => {
    const { runId } = context.req.valid("param");
    checkRunId(runId);
    const operator = operatorOf(context.var.namespace, context.req.valid("json"));
    return context.json(presentRun(await actOnDeadLetter(runOf(context, runId), { action: "discard", operator, input: null })), 200);
  });
}

function presentGroup(group: DeadLetterGroup): z.infer<typeof DeadLetterGroupsView>["groups"][number] {
  return { ...group, runIds: [...group.runIds], firstSeenAt: isoText(group.firstSeenAt), lastSeenAt: isoText(group.lastSeenAt) };
}

function presentDeadLetter({ run, step, fingerprint }: DeadLetter, record: StepRecord, form: ValueForm): z.infer<typeof DeadLetterView> {
  const error = record.attempts.findLast((attempt) => attempt.error !== null)?.error ?? null;
  return {
    run: presentRun(run),
    step,
    input: presentOptional(record.input, form),
    error: presentOptional(error, form),
    attempts: record.attempts.map((attempt) => presentAttempt(attempt, form)),
    version: run.version,
    fingerprint,
    seq: journalSeq(run),
  };
}
