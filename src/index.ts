/** Segno's authoring package: define workflows and automations, compose a Worker. */
export type { AttributeInput, Attributes } from "#core/attributes.ts";
export type { Duration } from "#core/duration.ts";
export type { FailurePolicy } from "#core/entry.ts";
export { Fault, type FaultCode, faultCodeOf } from "#core/fault.ts";
export type { RetryOptions } from "#core/retry-policy.ts";
export type { RunStatus } from "#core/run.ts";
export type { EngineSettings } from "#engine/ports.ts";
export { type AttemptContext, type Automation, type AutomationOptions, automation } from "#sdk/automation.ts";
export type { Compensation, CompensationContext } from "#sdk/compensation.ts";
export { isCancelled, NonRetryableError, RetryAfterError, type RetryIf } from "#sdk/errors.ts";
export type { Log } from "#sdk/log.ts";
export { type SlackBlock, slackApprovalBlocks } from "#sdk/slack-blocks.ts";
export type {
  ApprovalOptions,
  ApprovalResult,
  CallbackOptions,
  CallbackRequest,
  Decision,
  DoOptions,
  EventOptions,
  Notice,
  RunOptions,
  Step,
  Teller,
  VerifyOptions,
  WaitResult,
} from "#sdk/step.ts";
export { type InputOf, type OutputOf, type Workflow, type WorkflowContext, type WorkflowOptions, workflow } from "#sdk/workflow.ts";
export { type Segno, type SegnoEnv, type SegnoOptions, segno } from "./segno.ts";
