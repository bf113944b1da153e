import { z } from "@hono/zod-openapi";
import { limits } from "#core/limits.ts";
import { nextCursor, PageQuery, RunView, StepView, Time } from "./contract.ts";

/** The nouns of approvals as JSON, beside those of `contract.ts`. */

const since = Time.openapi({ description: "When people were asked." });
const until = Time.nullable().openapi({ description: "When it ends by itself; null: never." });

/** An approval in the inbox. */
const InboxApprovalView = z
  .object({
    runId: z.string(),
    key: z.string().openapi({ description: "The key of its step." }),
    name: z.string(),
    workflow: z.string(),
    assignees: z.array(z.string()).openapi({ description: "Who is asked, those of the escalation too once it has come." }),
    quorum: z.number().openapi({ description: "How many must approve." }),
    decided: z.number().openapi({ description: "How many have." }),
    since,
    until,
    dueAt: Time.nullable().openapi({ description: "When it counts as overdue: when more people are asked, or when it ends by itself. Null: never." }),
  })
  .openapi("InboxApproval");

/** A page of the inbox. */
export const ApprovalPageView = z.object({ approvals: z.array(InboxApprovalView), nextCursor }).openapi("ApprovalPage");

/** An approval as its run tells it, open or over. */
const ApprovalView = StepView.shape.approval
  .unwrap()
  .extend({
    key: z.string(),
    name: z.string(),
    status: z.string(),
    outcome: StepView.shape.outcome.openapi({ description: "How it ended; null while it is open." }),
    since,
    until,
    endedAt: Time.nullable(),
  })
  .openapi("Approval");

/** An approval with its run. */
export const ApprovalAnswer = z.object({ run: RunView, approval: ApprovalView }).openapi("ApprovalAnswer");

/** Which approvals to list. */
export const ApprovalListQuery = z.strictObject({
  assignee: z.string().min(1).optional().openapi({ description: "Whom it asks, letter for letter." }),
  workflow: z.string().min(1).optional(),
  overdue: z
    .enum(["true", "false"])
    .optional()
    .openapi({ description: "`true`: those that should have been decided by now, the longest overdue first. Otherwise all, newest first." }),
  limit: PageQuery.shape.limit,
  cursor: z.string().optional().openapi({ description: "`nextCursor` of the page before, with the same filters." }),
});

/** As `StepParams`, for an approval. */
export const ApprovalParams = z.object({ runId: z.string(), key: z.string() });

const decision = z.enum(["approved", "rejected"]);
const comment = z.string().max(limits.commentLength).optional();
const form = z.unknown().optional().openapi({ description: "What was filled in. Of an approval only." });

/** A decision by whoever holds a link: the link tells who. */
export const LinkDecision = z.strictObject({ decision, comment, form });
/** As read. */
export type LinkDecision = z.infer<typeof LinkDecision>;

/** A decision by API: the holder of the key answers for who decides. */
export const DecideBody = LinkDecision.extend({
  actor: z.string().trim().min(1).max(limits.nameLength).openapi({ description: "Who decides. Each counts once.", example: "ada@acme.example" }),
}).openapi("Decide");

/** What a link answers in JSON: nothing of the run beyond its names, for a link is in many hands. */
export const LinkAnswer = z
  .object({
    runId: z.string(),
    key: z.string(),
    decision,
    decided: z.number().openapi({ description: "How many have decided, this one included." }),
    quorum: z.number(),
    open: z.boolean().openapi({ description: "Whether it waits for more." }),
  })
  .openapi("LinkAnswer");
