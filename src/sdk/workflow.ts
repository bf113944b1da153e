import type { z } from "zod";
import type { AttributeInput } from "#core/attributes.ts";
import { type Duration, durationMs } from "#core/duration.ts";
import { checkDefinitionName } from "./definition-name.ts";
import type { Log } from "./log.ts";
import type { Step } from "./step.ts";

/** What a workflow function gets. */
export interface WorkflowContext<Input> {
  readonly input: Input;
  readonly step: Step;
  readonly log: Log;
  readonly run: {
    readonly id: string;
    readonly namespace: string;
    readonly workflow: string;
    readonly version: string;
    /** What started it: `api`, or the id of a trigger. */
    readonly trigger: string;
    readonly createdAt: Date;
  };
}

export interface WorkflowOptions<Input, Output> {
  /** 1 to 64 letters, digits, ".", "_" or "-". */
  readonly name: string;
  /** Runs stay on the version they began on; new runs take the newest. Versions compare as numbers where they are. Default `"1"`. */
  readonly version?: string;
  /** Checked at the start; the parsed value is what the function gets. Default: anything. */
  readonly input?: z.ZodType<Input>;
  /** Searchable values of a run, derived from its input at the start. */
  readonly attributes?: (input: Input) => Readonly<Record<string, AttributeInput | undefined>>;
  /** How long a run may take as a whole. Default: for ever. */
  readonly timeout?: Duration;
  /** A run that takes longer is told of as late, once, by the `alerts` automation. Default: none does. */
  readonly expectedDuration?: Duration;
  /** Names of properties that are hidden, at any depth, wherever a run is shown: its input, output, steps and errors. The journal keeps them. */
  readonly redact?: readonly string[];
  readonly run: (context: WorkflowContext<Input>) => Output | Promise<Output>;
}

/** A named, versioned definition: a plain async function with an input schema and options. `Sent` is the input before the schema has parsed it. */
export interface Workflow<Input = unknown, Output = unknown, Sent = Input> {
  readonly type: "workflow";
  readonly name: string;
  readonly version: string;
  readonly options: WorkflowOptions<Input, Output>;
  /** For types only; it is never there. */
  readonly types?: { readonly sent: Sent; readonly output: Output };
}

// biome-ignore lint/suspicious/noExplicitAny: a workflow takes its own input; a collection of them is only ever indexed by name
export type AnyWorkflow = Workflow<any, any, any>;

/**
 * Declares a workflow. Register it with `segno({ workflows: [...] })`.
 * @throws Fault `invalid_name` or `invalid_duration` for a name, version or time-out that can't be used.
 * @example
 * export const onboard = workflow({
 *   name: "customer-onboarding",
 *   input: z.object({ customer: z.string() }),
 *   run: async ({ input, step }) => {
 *     const project = await step.run(createProject, input);
 *     await step.sleep("cool-off", "3d");
 *     return { projectId: project.id };
 *   },
 * });
 */
export function workflow<Output, Schema extends z.ZodType = z.ZodType<unknown>>(
  options: WorkflowOptions<z.output<Schema>, Output> & { readonly input?: Schema },
): Workflow<z.output<Schema>, Output, z.input<Schema>> {
  checkDefinitionName("workflow", options.name);
  const version = options.version ?? "1";
  checkDefinitionName("version", version);
  if (options.timeout !== undefined) durationMs(options.timeout);
  return { type: "workflow", name: options.name, version, options };
}

/** What a caller sends to a workflow, its schema's defaults left out, and what it returns; for typed clients: `InputOf<typeof onboard>`. */
export type InputOf<W extends { readonly types?: unknown }> = W extends { readonly types?: { readonly sent: infer Sent } } ? Sent : never;
export type OutputOf<W extends { readonly types?: unknown }> = W extends { readonly types?: { readonly output: infer Output } } ? Output : never;
