import type { EventCommand, Operation } from "#core/command.ts";
import { eventArrived } from "#core/decision.ts";
import { Fault, faultCodeOf } from "#core/fault.ts";
import type { RunState } from "#core/run-state.ts";
import type { StepState } from "#core/step-state.ts";
import { decode, type Encoded, encode } from "#core/value.ts";
import type { AnyAutomation } from "#sdk/automation.ts";
import type { Registry } from "#sdk/registry.ts";
import { parseAutomationInput } from "./step-calls.ts";

/** What comes from outside is checked against the code's schemas before it is recorded, wherever the code is at hand. */

/** The open wait that an event would end; null when it would be buffered, or is a repeat. @throws Fault `inbox_full`. */
export function takerOf(state: RunState, command: EventCommand, now: number): StepState | null {
  if (state.ended || state.eventIds.has(command.eventId)) return null;
  const ended = eventArrived(state, command, now)[1];
  return ended?.kind === "step.completed" ? (state.open.get(ended.key) ?? null) : null;
}

/** @throws Fault `invalid_payload` when there are issues. */
export function refuseUnfit(step: StepState, issues: readonly string[]): void {
  if (issues.length > 0) throw new Fault("invalid_payload", `The payload does not fit step ${step.key}: ${issues.join("; ")}`, { step: step.key, issues });
}

/** A corrected input must fit the automation's schema, where that is registered. @throws Fault `invalid_input`. */
export function withCheckedInput(registry: Registry, state: RunState, operation: Operation): Operation {
  if (operation.action !== "retry" || operation.value === null) return operation;
  const automation = registry.automation(state.steps.get(operation.key)?.automation ?? "");
  return automation ? { ...operation, value: recordable(automation, parseAutomationInput(automation, decode(operation.value))) } : operation;
}

/** A schema may make of what was sent something that can't be recorded; that is the sender's to hear, not a failure of ours. */
function recordable(automation: AnyAutomation, input: unknown): Encoded {
  try {
    return encode(input);
  } catch (error) {
    if (faultCodeOf(error) !== "unrecordable_value") throw error;
    const issues = [`(root): ${error instanceof Error ? error.message : "It can't be recorded."}`];
    throw new Fault("invalid_input", `The input of ${automation.name} does not fit: ${issues[0]}`, { automation: automation.name, issues });
  }
}
