import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { RunDetail, StartCommand, Started } from "#core/command.ts";
import type { RunOrigin } from "#core/entry.ts";
import { Fault, faultCodeOf } from "#core/fault.ts";
import { checkRunId, journalSeq, type RunSummary } from "#core/run.ts";
import type { Encoded } from "#core/value.ts";
import type { RunHandle } from "#objects/runs.ts";
import { type Api, type ApiContext, type RouteOptions, runOf } from "./api-context.ts";
import { jsonAnswer, jsonRequest, problemAnswer, RunParams, RunView, ValueHeaders } from "./contract.ts";
import { actorOf, ForkBody, Forked, operatorOf, RollbackBody, RolledBack } from "./operator-contract.ts";
import { jsonBody } from "./request-body.ts";
import { presentRun } from "./run-view.ts";
import { publicOrigin } from "./settings.ts";
import { acceptOptional } from "./values.ts";

const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/runs/{id}/rollback",
  tags: ["operators"],
  summary: "Undo what a run did",
  description:
    "The steps that declare how are undone in reverse order of start, and the run ends as cancelled. A run that has ended is left as it is: a new run, linked to it, undoes its steps, and a repeat answers with that run. With `dryRun`, only says which steps would be undone.",
  middleware: jsonBody,
  request: { params: RunParams, body: jsonRequest(RollbackBody) },
  responses: {
    200: jsonAnswer("The run as it stands now, or with `dryRun` the plan.", RolledBack),
    201: jsonAnswer("The run had ended; this is the one that undoes it.", RunView),
    default: problemAnswer,
  },
});

const forkRoute = createRoute({
  method: "post",
  path: "/v1/runs/{id}/fork",
  tags: ["operators"],
  summary: "Begin anew from a step, in a new run",
  description:
    "The new run keeps what was recorded before the step began, and is linked to the old one, which is left as it is. With `dryRun`, only says what would be kept and repeated.",
  middleware: jsonBody,
  request: { params: RunParams, headers: ValueHeaders, body: jsonRequest(ForkBody) },
  responses: {
    200: jsonAnswer("With `dryRun` the plan; otherwise the run that the same fork had made before.", Forked),
    201: jsonAnswer("The new run.", RunView),
    default: problemAnswer,
  },
});

/** The routes that make runs out of runs. */
export function addLinkedRunRoutes(api: Api, options: RouteOptions): void {
  api.openapi(rollbackRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const body = context.req.valid("json");
    const run = runOf(context, id);
    const from = body.from ?? null;
    if (body.dryRun) return context.json({ undo: [...(await run.undoPlan(from))] }, 200);
    const operator = operatorOf(context.var.namespace, body);
    const rolledBack = await unlessEnded(run.operate({ ...operator, action: "rollback", from }));
    if (rolledBack) return context.json(presentRun(rolledBack), 200);
    const source = await sourceOf(run, operator.expectedSeq);
    // Asked before the new run is made: one without anything to do would be of no use to anybody.
    if ((await run.undoPlan(from)).length === 0) throw new Fault("nothing_to_undo");
    const origin: RunOrigin = { runId: id, relation: "rollback", step: from };
    return answer(context, await startLinked(context, { run, source, origin, runId: body.id ?? `${id}.rollback`, input: null, version: null }));
  });

  api.openapi(forkRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const body = context.req.valid("json");
    const run = runOf(context, id);
    const input = acceptOptional(body.input, context.req.valid("header")["content-values"] ?? "json", "input");
    const plan = await run.forkPlan(body.from);
    if (body.dryRun) return context.json({ kept: [...plan.kept], repeated: [...plan.repeated], unsafe: [...plan.unsafe] }, 200);
    if (plan.unsafe.length > 0 && !body.acknowledgeUnsafe) {
      const which = plan.unsafe.join(", ");
      throw new Fault(
        "unsafe_repeat",
        `These steps are marked unsafe to repeat and would happen again: ${which}. Send \`acknowledgeUnsafe: true\` if they may.`,
        {
          unsafe: plan.unsafe,
        },
      );
    }
    const source = await sourceOf(run, body.expectedSeq ?? null);
    const origin: RunOrigin = { runId: id, relation: "fork", step: body.from };
    return answer(context, await startLinked(context, { run, source, origin, runId: body.id ?? options.newId(), input, version: body.version ?? null }));
  });
}

/** Null when the run has ended. */
async function unlessEnded(acting: Promise<RunSummary>): Promise<RunSummary | null> {
  try {
    return await acting;
  } catch (error) {
    if (faultCodeOf(error) === "run_ended") return null;
    throw error;
  }
}

/** The run that another is made from. @throws Fault `stale` when it is not the one that the operator looked at. */
async function sourceOf(run: RunHandle, expectedSeq: number | null): Promise<RunDetail> {
  const source = await run.detail(0);
  const seq = journalSeq(source.run);
  if (expectedSeq !== null && expectedSeq !== seq) {
    throw new Fault("stale", `The run has changed since entry ${expectedSeq}; it is at ${seq}. Look again.`, { seq });
  }
  return source;
}

interface Link {
  readonly run: RunHandle;
  readonly source: RunDetail;
  readonly origin: RunOrigin;
  readonly runId: string;
  /** Null: that of the source. */
  readonly input: Encoded | null;
  /** Null: that of the source. */
  readonly version: string | null;
}

async function startLinked(context: Context<ApiContext>, link: Link): Promise<Started> {
  checkRunId(link.runId);
  const { source } = link;
  const taken = await link.run.takeOver(link.origin);
  const command: StartCommand = {
    namespace: context.var.namespace,
    runId: link.runId,
    workflow: source.run.workflow,
    version: link.version ?? source.run.version,
    input: link.input ?? taken.input,
    // Those of another input would be wrong; the workflow derives its own.
    attributes: link.input === null ? source.run.attributes : {},
    delayMs: 0,
    trigger: actorOf(context.var.namespace),
    publicUrl: publicOrigin(context.env, context.req.url),
  };
  return runOf(context, link.runId).startFrom(command, taken);
}

function answer(context: Context<ApiContext>, { run, created }: Started) {
  return context.json(presentRun(run), created ? 201 : 200, { location: `/v1/runs/${run.id}` });
}
