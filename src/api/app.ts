import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { Fault } from "#core/fault.ts";
import { consoleLog } from "#objects/console-log.ts";
import type { Log } from "#sdk/log.ts";
import type { Api, ApiContext, ApiPorts, RouteOptions } from "./api-context.ts";
import { addApprovalLinkRoutes } from "./approval-link-routes.ts";
import { addApprovalRoutes } from "./approval-routes.ts";
import { addAuditRoute } from "./audit-route.ts";
import { authenticate } from "./authentication.ts";
import { addCallbackRoute } from "./callback-route.ts";
import { jsonAnswer } from "./contract.ts";
import { addDeadLetterRoutes } from "./dead-letter-routes.ts";
import { addEventRoute } from "./event-route.ts";
import { addExplainRoute } from "./explain-route.ts";
import { addLinkedRunRoutes } from "./linked-run-routes.ts";
import { addOperatorRoutes } from "./operator-routes.ts";
import { problemResponse } from "./problem.ts";
import { addRunRoutes } from "./run-routes.ts";
import { type ApiEnv, apiKeys } from "./settings.ts";
import { addSlackRoute } from "./slack-route.ts";
import { addStartRoute } from "./start-route.ts";
import { addStepOperatorRoutes } from "./step-operator-routes.ts";
import { addWorkflowRoutes } from "./workflow-routes.ts";

/** The HTTP surface, stateless: who may ask, in what words, and what is answered. What is true, the runs tell. */

/** What the API is made from. */
export interface ApiOptions<Env extends ApiEnv> extends RouteOptions {
  /** What one request works with, of the Worker's environment. */
  readonly ports: (env: Env) => ApiPorts;
  /** Default: the console. */
  readonly log?: Log;
}

/**
 * The API as a Hono app, to be served as it is: `fetch: (request, env, ctx) => api.fetch(request, env, ctx)`. Every failure leaves as problem
 * details (RFC 9457) with a code of the closed table; a request that is refused has written nothing.
 * @example
 * const api = createApi<Env>({
 *   registry,
 *   newId: () => crypto.randomUUID(),
 *   ports: (env) => ({ run: (namespace, id) => runHandle(env.RUNS, namespace, id), search: (query) => searchRuns(env.INDEX, query) }),
 * });
 */
export function createApi<Env extends ApiEnv>(options: ApiOptions<Env>): Api {
  const log = options.log ?? consoleLog({ layer: "api" });
  const failed = { newId: options.newId, log };
  const api: Api = new OpenAPIHono<ApiContext>({ defaultHook: refuseUnfit });
  api.onError((error, context) => problemResponse(context, asFault(error, context), failed));
  api.notFound((context) => problemResponse(context, new Fault("not_found"), failed));
  api.use(methodNotAllowed({ app: api, onMethodNotAllowed: (context, allow) => problemResponse(context, methodFault(allow), failed) }));
  api.use(async (context, next) => {
    checkAddress(context.req.url);
    // The Worker hands its own environment to `fetch`; Hono knows only the part that the API reads itself.
    context.set("ports", options.ports(context.env as Env));
    // Set before there is a response, for afterwards it would be made anew.
    context.header("cache-control", "no-store");
    await next();
  });
  api.use("/v1/*", guard);
  addStartRoute(api, options);
  addRunRoutes(api);
  addOperatorRoutes(api);
  addStepOperatorRoutes(api);
  addLinkedRunRoutes(api, options);
  addAuditRoute(api);
  addDeadLetterRoutes(api);
  addEventRoute(api, options);
  addWorkflowRoutes(api, options);
  addExplainRoute(api, options);
  addCallbackRoute(api);
  addApprovalRoutes(api);
  addApprovalLinkRoutes(api);
  addSlackRoute(api);
  addPublicRoutes(api);
  return api;
}

const guard: MiddlewareHandler<ApiContext> = async (context, next) => {
  context.set("namespace", await authenticate(context.req.raw.headers, apiKeys(context.env)));
  await next();
};

const healthRoute = createRoute({
  method: "get",
  path: "/healthz",
  tags: ["operation"],
  summary: "Whether the Worker answers",
  security: [],
  responses: { 200: jsonAnswer("It does.", z.object({ status: z.literal("ok") })) },
});

function addPublicRoutes(api: Api): void {
  api.openapi(healthRoute, (context) => context.json({ status: "ok" as const }, 200));
  api.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  api.openAPIRegistry.registerComponent("securitySchemes", "apiKey", { type: "apiKey", in: "header", name: "X-API-Key" });
  let contract: object | null = null;
  // Made once: it takes a hundred times as long as any other answer, and anybody may ask for it.
  api.get("/openapi.json", (context) => {
    contract ??= api.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "Segno", version: "1" }, security: [{ bearer: [] }, { apiKey: [] }] });
    return context.json(contract);
  });
}

type Checked = { readonly success: true } | { readonly success: false; readonly error: z.ZodError; readonly target: string };

/** Called with the outcome of every check of the contract. */
function refuseUnfit(checked: Checked): void {
  if (checked.success) return;
  const issues = checked.error.issues.map((issue) => ({ path: issue.path.map(String), message: issue.message }));
  const [first] = issues;
  const where = checked.target === "json" ? "body" : checked.target;
  const at = first && first.path.length > 0 ? ` at ${first.path.join(".")}` : "";
  throw new Fault("invalid_request", `The ${where} does not fit${at}: ${first?.message ?? "it can't be read"}`, { in: where, issues });
}

/** Hono's own refusals, in our words; and a body that the contract could not even look at: zod compares the length of whatever has one. */
function asFault(error: unknown, context: Context<ApiContext>): unknown {
  if (error instanceof TypeError && isUnchecked(context)) return new Fault("invalid_request", "The body does not fit.", { in: "body", issues: [] });
  if (!(error instanceof HTTPException)) return error;
  if (error.status === 415) return new Fault("unsupported_media_type");
  return error.status === 400 ? new Fault("invalid_request", error.message) : error;
}

/** A body was read, and the contract has not accepted it yet: no route has run. */
function isUnchecked(context: Context<ApiContext>): boolean {
  return context.get("hasBody") === true && context.req.valid("json" as never) === undefined;
}

function methodFault(allow: readonly string[]): Fault {
  return new Fault("method_not_allowed", `This address takes ${allow.join(", ")}.`, { allow });
}

function checkAddress(text: string): void {
  const url = URL.parse(text);
  if (!url) throw new Fault("invalid_request", "The header Host does not name a host.");
  try {
    decodeURIComponent(url.pathname);
    decodeURIComponent(url.search);
  } catch {
    throw new Fault("invalid_request", "The address has a % that does not stand before two hexadecimal digits of UTF-8; write a literal % as %25.");
  }
}
