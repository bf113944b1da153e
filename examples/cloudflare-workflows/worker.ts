import { type SegnoEnv, segno } from "segno";
import { cloudflareWorkflows } from "segno/cloudflare";
import { type Env, MyWorkflow, type Params } from "./workflow.ts";
import { MyWorkflow as MyWorkflowOnSegno } from "./workflow-on-segno.ts";

/** One program on Cloudflare Workflows and on Segno, side by side. */

interface BothEnv extends Env, SegnoEnv {
  readonly MY_WORKFLOW: Workflow<Params>;
}

const { workflows, bindings } = cloudflareWorkflows({ MY_WORKFLOW: MyWorkflowOnSegno });
const app = segno({ workflows });

export const RunObject = app.RunObject;
export { MyWorkflow };

export default {
  ...app.worker,
  async fetch(request, env, context) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/cloudflare":
        return serve(env.MY_WORKFLOW, url);
      case "/segno":
        return serve(bindings(env).MY_WORKFLOW, url);
      case "/compare":
        return Response.json(await compare(env, url.searchParams.get("approved") !== "no"));
      case "/ranges":
        return Response.json({ ranges: ["192.0.2.0/24", "198.51.100.0/24"] });
      default:
        return app.worker.fetch(request, env, context);
    }
  },
} satisfies ExportedHandler<BothEnv>;

/** Creates an instance; with `?instanceId=` gives the status of one, after telling it whether it is `approved`. */
async function serve(binding: Workflow<Params>, { searchParams }: URL): Promise<Response> {
  const id = searchParams.get("instanceId");
  const instance = id === null ? await binding.create({ params: { customer: "acme" } }) : await binding.get(id);
  const approved = searchParams.get("approved");
  if (approved !== null) await instance.sendEvent({ type: "approval", payload: { approved: approved !== "no" } });
  return Response.json({ id: instance.id, details: await instance.status() });
}

async function compare(env: BothEnv, approved: boolean) {
  const [onCloudflare, onSegno] = await Promise.all([outcome(env.MY_WORKFLOW, env.SHELF, approved), outcome(bindings(env).MY_WORKFLOW, env.SHELF, approved)]);
  return { equal: JSON.stringify(onCloudflare) === JSON.stringify(onSegno), cloudflare: onCloudflare, segno: onSegno };
}

const longestMs = 60_000;

/** How an instance ends, and what it leaves on the shelf. */
async function outcome(binding: Workflow<Params>, shelf: KVNamespace, approved: boolean) {
  const instance = await binding.create({ params: { customer: "acme" } });
  await instance.sendEvent({ type: "approval", payload: { approved } });
  for (const end = Date.now() + longestMs; ; await scheduler.wait(200)) {
    const { status, output = null, error } = await instance.status();
    if (["complete", "errored", "terminated"].includes(status) || Date.now() > end) {
      return { status, output, error: error ? `${error.name}: ${error.message}` : null, shelf: await shelf.get(instance.id) };
    }
  }
}
