/** Runs code that was written for Cloudflare Workflows on Segno: its imports change, and its classes are registered. */
export type {
  WorkflowBackoff,
  WorkflowDelayDuration,
  WorkflowDelayFunction,
  WorkflowDurationLabel,
  WorkflowDynamicDelayContext,
  WorkflowEvent,
  WorkflowRollbackContext,
  WorkflowRollbackHandler,
  WorkflowSleepDuration,
  WorkflowStep,
  WorkflowStepConfig,
  WorkflowStepContext,
  WorkflowStepEvent,
  WorkflowStepRollbackConfig,
  WorkflowStepRollbackOptions,
  WorkflowTimeoutDuration,
} from "cloudflare:workers";
// biome-ignore lint/performance/noBarrelFile: this is the package's door
export { WorkflowEntrypoint } from "./entrypoint.ts";
export { NonRetryableError } from "./errors.ts";
export { type CloudflareWorkflows, cloudflareWorkflows, type LayerEnv, type RegisteredWorkflow } from "./workflows.ts";
