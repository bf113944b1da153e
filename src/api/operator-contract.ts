import { z } from "@hono/zod-openapi";
import type { OperatorCommand } from "#core/command.ts";
import { limits } from "#core/limits.ts";
import { nextCursor, RunView, Time, Value } from "./contract.ts";

/** What operators send and what they are told, as JSON. */

/** Why an operator acts. */
export const reasonText = z.string().max(limits.attributeTextLength);

/** What may stand in every operator's request. */
export const operatorFields = {
  reason: reasonText.optional().openapi({ description: "Why; recorded with the name of the API key." }),
  expectedSeq: z
    .number()
    .int()
    .min(0)
    .optional()
    .openapi({ description: "The run's `seq` as it was shown. When the run has changed since, the request is refused as `stale`." }),
};

const input = z.unknown().optional().openapi({ description: "The corrected input. Default: the one that is recorded." });

const dryRun = z.boolean().optional().openapi({ description: "Only say what would happen." });

/** A request without anything of its own. */
export const OperatorBody = z.strictObject(operatorFields).openapi("OperatorCommand");

/** How a run is asked to stop. */
export const CancelBody = z
  .strictObject({
    ...operatorFields,
    compensate: z.boolean().optional().openapi({ description: "When the clean-up is done, undo the steps that declare how. Default: false." }),
  })
  .openapi("Cancel");

/** Which step of a run is tried again. */
export const RetryRunBody = z
  .strictObject({ ...operatorFields, step: z.string().min(1).openapi({ description: "The step's key." }), input })
  .openapi("RetryRun");

/** How a step is tried again. */
export const RetryStepBody = z.strictObject({ ...operatorFields, input }).openapi("RetryStep");

/** What a step ends with. */
export const CompleteStepBody = z
  .strictObject({ ...operatorFields, output: z.unknown().optional().openapi({ description: "What the workflow goes on with; for a wait, its payload." }) })
  .openapi("CompleteStep");

/** The error that the workflow sees. */
export const FailStepBody = z
  .strictObject({
    ...operatorFields,
    message: z.string().min(1).max(limits.errorTextLength),
    code: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "The error's `code`." }),
  })
  .openapi("FailStep");

/** What of a run is undone. */
export const RollbackBody = z
  .strictObject({
    ...operatorFields,
    from: z.string().min(1).optional().openapi({ description: "The first step that is undone, with all that began after it. Default: everything." }),
    id: z.string().optional().openapi({ description: "The id of the run that undoes a run that has ended. Default: the run's id with `.rollback`." }),
    dryRun,
  })
  .openapi("Rollback");

/** What a rollback would undo. */
export const UndoPlanView = z.object({ undo: z.array(z.string()).openapi({ description: "Keys of steps, in the order of undoing." }) }).openapi("UndoPlan");

/** From where a run is begun anew, and with what. */
export const ForkBody = z
  .strictObject({
    ...operatorFields,
    from: z.string().min(1).openapi({ description: "The first step that happens again. What was recorded before it began is kept." }),
    id: z.string().optional().openapi({ description: "The id of the new run. A repeat with the same id answers with the first one." }),
    input: z.unknown().optional().openapi({ description: "The run's corrected input. Default: that of the run." }),
    version: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "Default: that of the run." }),
    acknowledgeUnsafe: z
      .boolean()
      .optional()
      .openapi({ description: "Steps that are marked unsafe to repeat may happen again. Without it such a fork is refused as `unsafe_repeat`." }),
    dryRun,
  })
  .openapi("Fork");

const keys = z.array(z.string());

/** What a fork would keep and repeat. */
export const ForkPlanView = z
  .object({ kept: keys, repeated: keys, unsafe: keys.openapi({ description: "Of those repeated, the ones marked unsafe to repeat that had begun." }) })
  .openapi("ForkPlan");

/** What a run answers that may answer with a plan instead. */
export const RolledBack = z.union([RunView, UndoPlanView]);
/** As `RolledBack`, for a fork. */
export const Forked = z.union([RunView, ForkPlanView]);

/** What somebody did to a run. */
export const AuditRecordView = z
  .object({
    seq: z.number(),
    at: Time,
    actor: z.string(),
    action: z.string().openapi({ description: "The operator's word, or `approved` or `rejected`." }),
    reason: z.string().nullable(),
    keys: keys.openapi({ description: "The steps acted on; empty for the run as a whole." }),
    before: z.string().openapi({ description: "The run's status when it was done." }),
    after: z.string().openapi({ description: "The run's status right after it." }),
    value: Value.openapi({ description: "The corrected input, the form's data; null: none." }),
  })
  .openapi("AuditRecord");

/** A page of an audit. */
export const AuditPageView = z.object({ audit: z.array(AuditRecordView), nextCursor }).openapi("AuditPage");

/** The name under which the bearer of a namespace's key acts. */
export function actorOf(namespace: string): string {
  return `api:${namespace}`;
}

/** Who asks, why, and of which state of the run. */
export function operatorOf(namespace: string, body: { readonly reason?: string | undefined; readonly expectedSeq?: number | undefined }): OperatorCommand {
  return { actor: actorOf(namespace), reason: body.reason ?? null, expectedSeq: body.expectedSeq ?? null };
}
