import { type AttributeInput, type Attributes, parseAttributes } from "#core/attributes.ts";
import type { StartCommand } from "#core/command.ts";
import { durationMs } from "#core/duration.ts";
import type { RunCreated } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { decode } from "#core/value.ts";
import type { Registry } from "#sdk/registry.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";
import { checkBy } from "./schema-check.ts";

/**
 * The first entry of a run: its version pinned, its input checked, its attributes derived. The input is recorded as it was sent, so that a
 * repeated start can be told from another one; the workflow gets it parsed.
 * @throws Fault `workflow_not_found`, `version_not_found`, `invalid_input`, `invalid_attributes`.
 */
export function newRun(registry: Registry, command: StartCommand, at: number): RunCreated {
  const definition = definitionFor(registry, command);
  const input = parseInput(definition, decode(command.input));
  const { timeout, expectedDuration } = definition.options;
  const startAt = at + Math.min(command.delayMs, limits.waitMs);
  return {
    kind: "run.created",
    at,
    namespace: command.namespace,
    runId: command.runId,
    workflow: definition.name,
    version: definition.version,
    // Each may be within the limits, and both together beyond them.
    attributes: parseAttributes({ ...derivedAttributes(definition, input), ...command.attributes }),
    startAt,
    deadlineAt: timeout === undefined ? null : startAt + durationMs(timeout),
    lateAt: expectedDuration === undefined ? null : startAt + durationMs(expectedDuration),
    trigger: command.trigger,
    publicUrl: command.publicUrl,
    origin: null,
    redact: definition.options.redact ?? [],
    value: command.input,
  };
}

/** @throws Fault `workflow_not_found` or `version_not_found`, with what there is instead. */
function definitionFor(registry: Registry, command: StartCommand): AnyWorkflow {
  const definition = registry.workflow(command.workflow, command.version);
  if (definition) return definition;
  const versions = registry.workflows.filter((it) => it.name === command.workflow).map((it) => it.version);
  if (versions.length === 0) throw new Fault("workflow_not_found", `No workflow ${command.workflow} is registered.`, { workflow: command.workflow });
  throw new Fault("version_not_found", `${command.workflow} has no version ${command.version}; it has ${versions.join(", ")}.`, {
    workflow: command.workflow,
    versions,
  });
}

/** The input as the workflow gets it. @throws Fault `invalid_input` with `issues`, each a path and a message. */
export function parseInput(definition: AnyWorkflow, input: unknown): unknown {
  const { input: schema } = definition.options;
  if (!schema) return input;
  const checked = checkBy(schema, input);
  if (checked.fits) return checked.value;
  const issues = checked.issues.map((issue) => ({ path: issue.path.map(String), message: issue.message }));
  const first = issues[0];
  throw new Fault("invalid_input", `The input of ${definition.name} does not fit at ${first?.path.join(".") || "(root)"}: ${first?.message}`, { issues });
}

function derivedAttributes(definition: AnyWorkflow, input: unknown): Attributes {
  const derive: ((input: unknown) => Readonly<Record<string, AttributeInput | undefined>>) | undefined = definition.options.attributes;
  if (!derive) return {};
  try {
    return parseAttributes(derive(input));
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("invalid_attributes", `The attributes of ${definition.name} could not be derived: ${String(error)}`, {}, { cause: error });
  }
}
