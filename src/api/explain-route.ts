import { createRoute, z } from "@hono/zod-openapi";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type Api, type RouteOptions, runOf } from "./api-context.ts";
import { jsonAnswer, problemAnswer, StepView, WorkflowParams } from "./contract.ts";
import { explainSteps } from "./explain.ts";

/** Runs that are looked into: each is a call to its object. */
const mostRuns = 50;
const defaultRuns = 20;

const wrongRuns = `It must be a whole number from 1 to ${mostRuns}.`;

const ExplainQuery = z.strictObject({
  version: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "Default: the newest." }),
  runs: z
    .string()
    .regex(/^\d{1,3}$/, wrongRuns)
    .transform(Number)
    .pipe(z.number().min(1, wrongRuns).max(mostRuns, wrongRuns))
    .optional()
    .openapi({ type: "integer", minimum: 1, maximum: mostRuns, default: defaultRuns, description: "How many of the newest runs are looked into." }),
});

const ExplainedStepView = StepView.pick({ name: true, kind: true, automation: true, policy: true, onFailure: true, compensates: true, unsafeToRepeat: true })
  .extend({
    order: z.number().openapi({ description: "Its place: by the newest run, then those that only older runs had." }),
    next: z.string().openapi({ description: "What happens when it fails, in one sentence." }),
    seen: z.number(),
    failed: z.number().openapi({ description: "Of those seen, the ones that ended with an error." }),
    retried: z.number().openapi({ description: "Of those seen, the ones with more than one attempt." }),
    parked: z.number().openapi({ description: "Of those seen, the ones that wait for a person now." }),
    durationMs: z.object({ p50: z.number(), max: z.number() }).nullable().openapi({ description: "Of those that completed; null: none has." }),
  })
  .openapi("ExplainedStep");

/** What the steps of a workflow do when they fail. */
const ExplanationView = z
  .object({
    workflow: z.string(),
    version: z.string(),
    runs: z.number().openapi({ description: "How many runs were looked into; 0: none is known, so no step is." }),
    steps: z.array(ExplainedStepView),
  })
  .openapi("Explanation");

const explainRoute = createRoute({
  method: "get",
  path: "/v1/workflows/{name}/explain",
  tags: ["workflows"],
  summary: "Tell what each step does when it fails",
  description: `From what the newest runs recorded, the first ${limits.pageSize} steps of each: a workflow is a function, so which steps it has only its runs know.`,
  request: { params: WorkflowParams, query: ExplainQuery },
  responses: { 200: jsonAnswer("The steps, by name.", ExplanationView), default: problemAnswer },
});

/** The route that tells the failure plan of a workflow. */
export function addExplainRoute(api: Api, { registry }: RouteOptions): void {
  api.openapi(explainRoute, async (context) => {
    const { name: workflow } = context.req.valid("param");
    const { version: asked = null, runs: limit = defaultRuns } = context.req.valid("query");
    if (!registry.workflow(workflow, null)) throw new Fault("workflow_not_found", `No workflow ${workflow} is registered.`, { workflow });
    const version = registry.workflow(workflow, asked)?.version;
    if (version === undefined) throw new Fault("version_not_found", `${workflow} has no version ${asked}.`, { workflow, version: asked });
    const { runs } = await context.var.ports.search({ namespace: context.var.namespace, workflow, version, limit });
    const pages = await Promise.all(runs.map((run) => runOf(context, run.id).steps(0, limits.pageSize)));
    const steps = explainSteps(pages.map((page) => page.items));
    return context.json({ workflow, version, runs: runs.length, steps }, 200);
  });
}
