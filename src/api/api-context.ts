import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { RunHandle } from "#objects/runs.ts";
import type { Registry } from "#sdk/registry.ts";
import type { ApprovalPage, ApprovalQuery } from "#visibility/approvals.ts";
import type { DeadLetterGroups } from "#visibility/dead-letters.ts";
import type { RunQuery } from "#visibility/query.ts";
import type { RunPage } from "#visibility/search.ts";
import type { ApiEnv } from "./settings.ts";

/** What the API does its work with. It holds no state of its own. */
export interface ApiPorts {
  /** The run of that name, existing or not. */
  run(namespace: string, runId: string): RunHandle;
  /** One page of the index. @throws Fault `invalid_cursor` or `invalid_request`. */
  search(query: RunQuery): Promise<RunPage>;
  /** One page of the inbox. @throws as `search`. */
  approvals(query: ApprovalQuery): Promise<ApprovalPage>;
  /** The dead letters of the index by what failed. */
  deadLetterGroups(query: RunQuery): Promise<DeadLetterGroups>;
  /** How many dead letters of the index match, from the query's cursor on. @throws Fault `invalid_cursor`. */
  countDeadLetters(query: RunQuery): Promise<number>;
}

/** What a route's handler finds in its context: the ports of this request, and the namespace that the caller's key opened. */
export interface ApiContext {
  Bindings: ApiEnv;
  /** `hasBody`: a JSON body was read, for the contract to check. */
  Variables: { ports: ApiPorts; namespace: string; hasBody?: true };
}

/** The app that routes are added to. */
export type Api = OpenAPIHono<ApiContext>;

/** What routes need that is the same for every request. */
export interface RouteOptions {
  readonly registry: Registry;
  /** A new random id, fit for a run. */
  readonly newId: () => string;
}

/** The run that a request names, in the namespace that its key opened. */
export function runOf(context: Context<ApiContext>, runId: string): RunHandle {
  return context.var.ports.run(context.var.namespace, runId);
}
