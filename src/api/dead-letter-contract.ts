import { z } from "@hono/zod-openapi";
import { AttemptView, ErrorSummary, isScalar, membersOf, nextCursor, RunView, scalarSchema, Time, Value } from "./contract.ts";
import { operatorFields, reasonText } from "./operator-contract.ts";

/** Dead letters as JSON. */

/** A page of dead letters. */
export const DeadLetterPageView = z.object({ deadLetters: z.array(RunView), nextCursor }).openapi("DeadLetterPage");

/** Dead letters that failed the same way. */
export const DeadLetterGroupsView = z
  .object({
    groups: z.array(
      z
        .object({
          fingerprint: z.string(),
          workflow: z.string(),
          step: z.string().openapi({ description: "The step's name, without its count." }),
          error: ErrorSummary.openapi({ description: "Of the one that changed last." }),
          count: z.number(),
          firstSeenAt: Time,
          lastSeenAt: Time,
          runIds: z.array(z.string()).openapi({ description: "Some of them, newest first." }),
        })
        .openapi("DeadLetterGroup"),
    ),
    more: z.boolean().openapi({ description: "There are smaller groups that are not shown." }),
  })
  .openapi("DeadLetterGroups");

/** One dead letter, whole. */
export const DeadLetterView = z
  .object({
    run: RunView,
    step: z.string().openapi({ description: "The key of the step that waits for a person." }),
    input: Value.openapi({ description: "The step's input as it is recorded; null where the step declares none." }),
    error: Value.openapi({ description: "The error of the last attempt." }),
    attempts: z.array(AttemptView),
    version: z.string(),
    fingerprint: z.string(),
    seq: z.number(),
  })
  .openapi("DeadLetter");

/** How a dead letter is tried again. */
export const RedriveBody = z
  .strictObject({ ...operatorFields, input: z.unknown().optional().openapi({ description: "The step's corrected input. Default: the one that is recorded." }) })
  .openapi("Redrive");

/** Why a dead letter is given up. */
export const DiscardBody = z.strictObject({ ...operatorFields, reason: reasonText.min(1) }).openapi("Discard");

type Scalar = string | number | boolean;

const filterRule = "It must be a text, a number, a boolean, or a list of them.";

/** What is done with many dead letters. */
export const BulkBody = z
  .strictObject({
    filter: membersOf<Scalar | readonly Scalar[]>((member) => isScalar(member) || (Array.isArray(member) && member.every(isScalar)), filterRule).openapi({
      type: "object",
      additionalProperties: { anyOf: [...scalarSchema.anyOf, { type: "array", items: scalarSchema }] },
      description:
        'The parameters of `GET /v1/dead-letters` without sort, limit and cursor, with the same words: `{"workflow": "onboarding", "attr.amount": ["gte:1000", "lt:5000"]}`. `{}` is all of them.',
    }),
    action: z.enum(["redrive", "discard"]),
    reason: reasonText.min(1).optional().openapi({ description: "Recorded with every run. `discard` needs one." }),
    dryRun: z.boolean().optional().openapi({ description: "Only say how many there are." }),
    cursor: z.string().optional().openapi({ description: "`nextCursor` of the answer before, to go on where it stopped." }),
  })
  .refine(({ action, reason }) => action !== "discard" || reason !== undefined, { path: ["reason"], error: "A discard needs a reason." })
  .openapi("DeadLetterBulk");

/** How many dead letters match. */
export const BulkPlanView = z
  .object({ count: z.number(), runIds: z.array(z.string()).openapi({ description: "Some of them, oldest first." }) })
  .openapi("DeadLetterBulkPlan");

/** What became of many dead letters. */
export const BulkResultView = z
  .object({
    done: z.number(),
    skipped: z
      .array(z.object({ runId: z.string(), code: z.string() }))
      .openapi({ description: "Runs that were left as they are, and why: `not_paused` when another redrive came first." }),
    remaining: z.number().openapi({ description: "As far as the index knows. Ask again with `nextCursor` until it is null." }),
    nextCursor,
  })
  .openapi("DeadLetterBulkResult");

/** Either. */
export const BulkAnswer = z.union([BulkPlanView, BulkResultView]);

/** What the address of a dead letter names. */
export const DeadLetterParams = z.object({ runId: z.string() });
