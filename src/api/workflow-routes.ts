import { createRoute, z } from "@hono/zod-openapi";
import { Fault } from "#core/fault.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";
import type { Api, RouteOptions } from "./api-context.ts";
import { jsonAnswer, problemAnswer, WorkflowParams, WorkflowView } from "./contract.ts";

const listRoute = createRoute({
  method: "get",
  path: "/v1/workflows",
  tags: ["workflows"],
  summary: "List what is deployed",
  responses: { 200: jsonAnswer("All workflows, by name.", z.object({ workflows: z.array(WorkflowView) })), default: problemAnswer },
});

const getRoute = createRoute({
  method: "get",
  path: "/v1/workflows/{name}",
  tags: ["workflows"],
  summary: "Read a workflow",
  request: { params: WorkflowParams },
  responses: { 200: jsonAnswer("The workflow.", WorkflowView), default: problemAnswer },
});

/** The routes that tell what is deployed. */
export function addWorkflowRoutes(api: Api, { registry }: RouteOptions): void {
  api.openapi(listRoute, (context) => {
    const names = [...new Set(registry.workflows.map((it) => it.name))];
    return context.json({ workflows: names.map((name) => presentWorkflow(name, registry.workflows)) }, 200);
  });

  api.openapi(getRoute, (context) => {
    const { name } = context.req.valid("param");
    if (!registry.workflow(name, null)) throw new Fault("workflow_not_found", `No workflow ${name} is registered.`, { workflow: name });
    return context.json(presentWorkflow(name, registry.workflows), 200);
  });
}

function presentWorkflow(name: string, workflows: readonly AnyWorkflow[]): z.infer<typeof WorkflowView> {
  const versions = workflows.filter((it) => it.name === name);
  return { name, versions: versions.map((it) => ({ version: it.version, input: inputSchema(it) })) };
}

function inputSchema({ options }: AnyWorkflow): Record<string, unknown> | null {
  if (!options.input) return null;
  try {
    return { ...z.toJSONSchema(options.input, { io: "input", unrepresentable: "any" }) };
  } catch {
    // A schema of another library or with parts that JSON Schema has no word for: the workflow is told without it.
    return null;
  }
}
