import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";
import type { BareObject } from "./bare-object.ts";
import { megabyte } from "./workflows.ts";

/** What a peer run is asked for. */
export interface PeerInput {
  readonly program: string;
  readonly steps: number;
  /** The bare object that is told of the end: asking for the status again and again would measure the asking. */
  readonly told: string;
}

interface PeerEnv {
  readonly BARE: DurableObjectNamespace<BareObject>;
}

/** The measured programs for Cloudflare Workflows, on the local engine that comes with workerd. */
export class PeerWorkflow extends WorkflowEntrypoint<PeerEnv, PeerInput> {
  override async run(event: Readonly<WorkflowEvent<PeerInput>>, step: WorkflowStep): Promise<void> {
    const { program, steps, told } = event.payload;
    const result = (await programs[program]?.(step, steps)) ?? 0;
    await this.env.BARE.getByName(told).tell(result);
  }
}

const programs: Readonly<Record<string, (step: WorkflowStep, steps: number) => Promise<number>>> = {
  sequential: async (step, steps) => {
    for (let i = 0; i < steps; i++) await step.do("step", () => Promise.resolve(i));
    return steps;
  },
  "fan-out": async (step, steps) => {
    const results = await Promise.all(Array.from({ length: steps }, (_, i) => step.do("step", () => Promise.resolve(i))));
    return results.length;
  },
  event: async (step) => {
    const go = await step.waitForEvent<number>("go", { type: "go" });
    return go.payload + 1;
  },
  nap: async (step, ms) => {
    const dueAt = Date.now() + ms;
    await step.sleep("nap", ms);
    return Date.now() - dueAt;
  },
  payload: async (step, steps) => {
    let length = 0;
    for (let i = 0; i < steps; i++) length += (await step.do("step", () => Promise.resolve(megabyte(i)))).length;
    return length;
  },
};
