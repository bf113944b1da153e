import { createRoute } from "@hono/zod-openapi";
import { checkRunId } from "#core/run.ts";
import { parseRunQuery, RunQueryParameters } from "#visibility/query.ts";
import { type Api, runOf } from "./api-context.ts";
import {
  EntryPageView,
  jsonAnswer,
  PageQuery,
  problemAnswer,
  ReadHeaders,
  RunDetailView,
  RunPageView,
  RunParams,
  StepPageView,
  StepParams,
  StepView,
  WaitQuery,
} from "./contract.ts";
import { requestWaitMs } from "./duration-field.ts";
import { presentDetail, presentEntry, presentRun, presentStep } from "./run-view.ts";

const defaultPage = 50;

const listRoute = createRoute({
  method: "get",
  path: "/v1/runs",
  tags: ["runs"],
  summary: "Find runs",
  description:
    "From the index, which follows the runs by a moment. All filters must hold. Beside those below, `attr.<name>=<comparison>` asks for an attribute: `attr.tier=enterprise`, `attr.amount=gte:1000` (eq, ne, gt, gte, lt, lte); a text in quotes is a text whatever it looks like.",
  request: { query: RunQueryParameters },
  responses: { 200: jsonAnswer("A page of runs.", RunPageView), default: problemAnswer },
});

const getRoute = createRoute({
  method: "get",
  path: "/v1/runs/{id}",
  tags: ["runs"],
  summary: "Read a run, or wait for its end",
  request: { params: RunParams, query: WaitQuery, headers: ReadHeaders },
  responses: { 200: jsonAnswer("The run as it stands.", RunDetailView), default: problemAnswer },
});

const stepsRoute = createRoute({
  method: "get",
  path: "/v1/runs/{id}/steps",
  tags: ["runs"],
  summary: "List a run's steps in the order in which they began",
  request: { params: RunParams, query: PageQuery, headers: ReadHeaders },
  responses: { 200: jsonAnswer("A page of steps.", StepPageView), default: problemAnswer },
});

const stepRoute = createRoute({
  method: "get",
  path: "/v1/runs/{id}/steps/{key}",
  tags: ["runs"],
  summary: "Read a step",
  request: { params: StepParams, headers: ReadHeaders },
  responses: { 200: jsonAnswer("The step.", StepView), default: problemAnswer },
});

const journalRoute = createRoute({
  method: "get",
  path: "/v1/runs/{id}/journal",
  tags: ["runs"],
  summary: "Read a run's journal",
  request: { params: RunParams, query: PageQuery, headers: ReadHeaders },
  responses: { 200: jsonAnswer("A page of entries.", EntryPageView), default: problemAnswer },
});

/** The routes that read runs. */
export function addRunRoutes(api: Api): void {
  addReadRoutes(api);
  addPageRoutes(api);
}

function addReadRoutes(api: Api): void {
  api.openapi(listRoute, async (context) => {
    const query = parseRunQuery(new URL(context.req.url).searchParams, context.var.namespace);
    const { runs, nextCursor } = await context.var.ports.search(query);
    return context.json({ runs: runs.map(presentRun), nextCursor }, 200);
  });

  api.openapi(getRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const detail = await runOf(context, id).detail(requestWaitMs(context.req.valid("query").wait));
    return context.json(presentDetail(detail, context.req.valid("header")["accept-values"] ?? "json"), 200);
  });

  api.openapi(stepRoute, async (context) => {
    const { id, key } = context.req.valid("param");
    checkRunId(id);
    const step = await runOf(context, id).step(key);
    return context.json(presentStep(step, context.req.valid("header")["accept-values"] ?? "json"), 200);
  });
}

function addPageRoutes(api: Api): void {
  api.openapi(stepsRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const form = context.req.valid("header")["accept-values"] ?? "json";
    const { after, limit = defaultPage } = context.req.valid("query");
    const page = await runOf(context, id).steps(Number(after ?? 0), limit);
    return context.json({ steps: page.items.map((step) => presentStep(step, form)), nextCursor: page.next === null ? null : String(page.next) }, 200);
  });

  api.openapi(journalRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const form = context.req.valid("header")["accept-values"] ?? "json";
    const { after, limit = defaultPage } = context.req.valid("query");
    const page = await runOf(context, id).journal(Number(after ?? 0), limit);
    return context.json({ entries: page.items.map((entry) => presentEntry(entry, form)), nextCursor: page.next === null ? null : String(page.next) }, 200);
  });
}
