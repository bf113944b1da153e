import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";
import { type SegnoEnv, segno } from "segno";
import { cloudflareWorkflows, NonRetryableError as SegnoNonRetryableError, WorkflowEntrypoint as SegnoWorkflowEntrypoint } from "#cloudflare/index.ts";
import { EffectLog } from "./effect-log.ts";
import { bounded, logName, observe, programOf, type Side } from "./observe.ts";
import type { Binding, Io, Program } from "./program.ts";
import { table } from "./programs/index.ts";

/** Both sides of the comparison in one Worker: the real binding and Segno, over the same programs. */

interface Env extends SegnoEnv {
  readonly REAL: Workflow;
  readonly REAL_FEW_STEPS: Workflow;
  readonly LOG: DurableObjectNamespace<EffectLog>;
}

type SideName = "real" | "segno";

export { EffectLog };

const byName = new Map(table.map((program) => [program.name, program]));

/** Of an instance whose id names no program, as one without an id given: its output is its payload. */
const echo: Pick<Program, "run"> = { run: async (event) => ({ payload: event.payload }) };

function runProgram(side: SideName, env: Env, event: Readonly<WorkflowEvent<never>>, step: WorkflowStep): Promise<unknown> {
  const program = byName.get(programOf(event.instanceId)) ?? echo;
  const log = env.LOG.getByName(logName(side, event.instanceId));
  const io: Io = {
    effect: (name, detail) => log.add(name, detail),
    held: async (name) => {
      await bounded(`${name} to open`, async () => ((await log.isOpen(name)) ? true : undefined));
    },
    NonRetryableError: side === "real" ? NonRetryableError : SegnoNonRetryableError,
  };
  return program.run(event, step, io);
}

export class Real extends WorkflowEntrypoint<Env, never> {
  override run(event: Readonly<WorkflowEvent<never>>, step: WorkflowStep): Promise<unknown> {
    return runProgram("real", this.env, event, step);
  }
}

class OnSegno extends SegnoWorkflowEntrypoint<Env, never> {
  override run(event: Readonly<WorkflowEvent<never>>, step: WorkflowStep): Promise<unknown> {
    return runProgram("segno", this.env, event, step);
  }
}

const layer = cloudflareWorkflows({ comparison: OnSegno, "few-steps": { workflow: OnSegno, limits: { steps: 5 } } });
const app = segno({ workflows: layer.workflows });

export const RunObject = app.RunObject;

function bindingOf(side: SideName, env: Env, program: Program | undefined): Binding {
  const few = program?.workflow === "few-steps";
  const binding = side === "real" ? (few ? env.REAL_FEW_STEPS : env.REAL) : layer.bindings(env)[few ? "few-steps" : "comparison"];
  return binding as unknown as Binding;
}

/** What one case can't show: an instance that is created now and looked at after the process has ended. */
async function ask(what: string, instanceId: string, side: SideName, env: Env): Promise<unknown> {
  const program = byName.get(programOf(instanceId));
  const binding = bindingOf(side, env, program);
  const log = env.LOG.getByName(logName(side, instanceId));
  if (what === "effects") return log.all();
  if (what === "open") return (await log.open("held"), null);
  if (what === "create") return (await binding.create({ id: instanceId })).status();
  const instance = await binding.get(instanceId);
  if (what === "event") await instance.sendEvent({ type: "go", payload: 1 });
  return instance.status();
}

const worker = {
  /** `/<side>/<program>` runs a case; `/<side>/<what>/<id>` asks something of one instance. */
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, sideName, name = "", instanceId] = new URL(request.url).pathname.split("/");
    const side = sideName === "real" ? "real" : "segno";
    const program = byName.get(name);
    try {
      if (instanceId !== undefined) return Response.json(await ask(name, instanceId, side, env));
      if (program === undefined) return new Response(`No program ${name}.`, { status: 404 });
      return Response.json(await observe(program, { name: side, log: env.LOG, binding: bindingOf(side, env, program) } satisfies Side));
    } catch (error) {
      return new Response(`${name} on ${side}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, { status: 500 });
    }
  },
  queue: app.worker.queue,
  scheduled: app.worker.scheduled,
};
export default worker;
