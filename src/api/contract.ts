import { z } from "@hono/zod-openapi";
import { faultCodes } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { runStatuses } from "#core/run.ts";
import { valueForms } from "./values.ts";

/** The nouns of the HTTP surface as JSON. From these schemas come the checks of what is sent, the types of what is answered, and /openapi.json. */

/** A point in time. */
export const Time = z.iso.datetime().openapi({ description: "ISO 8601, UTC." });

/** A recorded value as it is shown. */
export const Value = z.unknown().openapi({
  description: "A recorded value: JSON, in which dates are ISO 8601 texts; its devalue text with `Accept-Values: devalue`.",
});

/** What goes wrong: RFC 9457. Further members depend on the code. */
export const Problem = z
  .looseObject({
    type: z.string().openapi({ example: "urn:segno:problem:run_not_found" }),
    title: z.string(),
    status: z.number(),
    code: z.enum(Object.keys(faultCodes)),
    detail: z.string(),
    instance: z.string(),
  })
  .openapi("Problem");

const Reason = z
  .object({
    code: z.string().openapi({ description: "A stable word for why the run is where it is." }),
    message: z.string(),
    step: z.string().nullable(),
    until: Time.nullable().openapi({ description: "When the run goes on by itself; null: something else must happen first." }),
  })
  .openapi("Reason");

/** An error at a glance. */
export const ErrorSummary = z.object({ name: z.string(), message: z.string(), code: z.string().nullable() }).openapi("ErrorSummary");

/** A run at a glance. */
export const RunView = z
  .object({
    namespace: z.string(),
    id: z.string(),
    workflow: z.string(),
    version: z.string(),
    status: z.enum(runStatuses),
    reason: Reason.nullable(),
    step: z.string().nullable().openapi({ description: "The key of the step the run is at, or failed at." }),
    attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    trigger: z.string(),
    createdAt: Time,
    updatedAt: Time,
    endedAt: Time.nullable(),
    nextWakeAt: Time.nullable(),
    error: ErrorSummary.nullable().openapi({ description: "Why it failed, or the error of the step that waits for a person; null otherwise." }),
    fingerprint: z.string().nullable().openapi({ description: "Set for a dead letter, and only then: the same for runs that failed the same way." }),
    origin: z
      .object({ runId: z.string(), relation: z.enum(["fork", "rollback"]), step: z.string().nullable() })
      .nullable()
      .openapi({ description: "The run that this one repeats or undoes, and from which step on; null for a run of its own." }),
    seq: z.number().openapi({ description: "The length of the journal. Send it back as `expectedSeq` to act on the run only as it was shown." }),
  })
  .openapi("Run");

/** A run with what it took and what it made. It is no run of a list with more: its error is another. */
export const RunDetailView = RunView.omit({ error: true })
  .extend({
    input: Value,
    output: Value.openapi({ description: "Null unless completed." }),
    error: Value.openapi({
      description: "As for a list; of a failed run with the error's own properties. In JSON an object with at least name, message and code.",
    }),
  })
  .openapi("RunDetail");

/** One try of a step. */
export const AttemptView = z
  .object({
    attempt: z.number(),
    startedAt: Time,
    endedAt: Time.nullable(),
    outcome: z.enum(["completed", "failed", "lost", "cancelled"]).nullable().openapi({ description: "Null while it is under way." }),
    error: Value,
  })
  .openapi("Attempt");

const Policy = z
  .object({
    limit: z.number(),
    delayMs: z.number(),
    backoff: z.enum(["constant", "linear", "exponential"]),
    maxDelayMs: z.number(),
    jitter: z.number(),
    totalTimeoutMs: z.number().nullable(),
    timeoutMs: z.number().nullable(),
  })
  .openapi("RetryPolicy");

const Decision = z.object({
  actor: z.string(),
  via: z.string(),
  decision: z.enum(["approved", "rejected"]),
  comment: z.string().nullable(),
  at: Time,
  form: Value,
});

const ApprovalView = z
  .object({
    assignees: z.array(z.string()),
    quorum: z.number(),
    form: z.unknown().openapi({ description: "JSON Schema of the form; null: there is none." }),
    escalated: z.boolean(),
    decisions: z.array(Decision),
  })
  .openapi("ApprovalState");

/** A step with its attempts. */
export const StepView = z
  .object({
    key: z.string(),
    name: z.string(),
    kind: z.string(),
    status: z.string(),
    automation: z.string().nullable(),
    startedAt: Time,
    endedAt: Time.nullable(),
    wakeAt: Time.nullable(),
    outcome: z
      .enum(["arrived", "timeout", "approved", "rejected", "skipped", "by_hand"])
      .nullable()
      .openapi({ description: "How a wait ended, or that an operator ended the step." }),
    idempotencyKey: z.string(),
    policy: Policy.nullable().openapi({ description: "Retries and time-outs; null for a step without attempts." }),
    onFailure: z.enum(["fail", "pause", "continue", "compensate"]).openapi({ description: "What happens when its retries are exhausted." }),
    compensates: z.boolean().openapi({ description: "It declares how to undo it." }),
    unsafeToRepeat: z.boolean(),
    input: Value,
    output: Value,
    error: Value,
    attempts: z.array(AttemptView).openapi({ description: `The newest ${limits.shownAttempts}; the journal has all.` }),
    callbackUrl: z.string().nullable().openapi({ description: "The address that an open callback waits to be called at." }),
    approval: ApprovalView.nullable().openapi({ description: "Null for a step that is none." }),
    seq: z.number(),
  })
  .openapi("Step");

/** A journal entry. Its other members depend on its kind. */
export const EntryView = z.looseObject({ seq: z.number(), at: Time, kind: z.string(), value: Value }).openapi("Entry");

const VersionView = z.object({
  version: z.string(),
  input: z
    .record(z.string(), z.unknown())
    .nullable()
    .openapi({ description: "JSON Schema of the input; null where anything goes, or where JSON Schema can't say it." }),
});

/** A workflow with its deployed versions, newest first. */
export const WorkflowView = z.object({ name: z.string(), versions: z.array(VersionView) }).openapi("Workflow");

/** Where the next page begins. */
export const nextCursor = z.string().nullable().openapi({ description: "Null on the last page." });

/** A page of the list of runs. */
export const RunPageView = z.object({ runs: z.array(RunView), nextCursor }).openapi("RunPage");
/** A page of a run's steps. */
export const StepPageView = z.object({ steps: z.array(StepView), nextCursor }).openapi("StepPage");
/** A page of a journal. */
export const EntryPageView = z.object({ entries: z.array(EntryView), nextCursor }).openapi("EntryPage");
/** What became of an event. */
export const EventAnswer = z
  .object({
    duplicate: z.boolean().openapi({ description: "An event of this id had arrived before; nothing was changed." }),
    step: z.string().nullable().openapi({ description: "The key of the step that took it; null: it is kept for a wait to come." }),
  })
  .openapi("EventAnswer");

/** A text, a number or a boolean, as JSON Schema. */
export const scalarSchema = { anyOf: [{ type: "string" as const }, { type: "number" as const }, { type: "boolean" as const }] };

/** As `scalarSchema`. */
export function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/**
 * An object of any members, each of one kind. Not `z.record`: that tells of every member that does not fit, breaks down where they are hundreds of
 * thousands, and lets `__proto__` pass unseen.
 */
export function membersOf<Member>(fits: (member: unknown) => boolean, rule: string) {
  return z.custom<Readonly<Record<string, Member>>>().superRefine((value: unknown, context) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return context.addIssue("It must be an object.");
    const misfit = Object.entries(value).find(([, member]) => !fits(member));
    if (misfit) context.addIssue({ code: "custom", path: [misfit[0]], message: rule });
  });
}

const duration = { description: 'Milliseconds, or a text such as "30s", "15m", "3d".' };

/** What a start may ask for. */
export const StartBody = z
  .strictObject({
    input: z.unknown().optional(),
    id: z.string().optional().openapi({ description: "The id of the run. A second start with the same id and input answers with the first run." }),
    version: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "Default: the newest." }),
    attributes: membersOf<string | number | boolean>(isScalar, "It must be a text, a number or a boolean.").optional().openapi({
      description: "Searchable values, beside those that the workflow derives from its input. These win.",
      type: "object",
      additionalProperties: scalarSchema,
    }),
    delay: z.union([z.string(), z.number()]).optional().openapi(duration),
  })
  .openapi("Start");

/** An event on its way to a run. */
export const EventBody = z
  .strictObject({
    payload: z.unknown().optional(),
    key: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "Taken only by waits for this key, and by those for any." }),
    id: z.string().min(1).max(limits.nameLength).optional().openapi({ description: "An event of this id counts once in the run." }),
  })
  .openapi("Event");

/** How long an answer may wait. */
export const WaitQuery = z.strictObject({
  wait: z
    .string()
    .optional()
    .openapi({ description: `Answer when the run has ended, or after this time. ${duration.description} At most ${limits.requestWaitMs} ms.`, example: "10s" }),
});

const wholeNumber = z.string().regex(/^\d{1,15}$/, "It must be a whole number.");

/** Where a page begins and how long it is. */
export const PageQuery = z.strictObject({
  after: wholeNumber.optional().openapi({ description: "`nextCursor` of the page before." }),
  limit: wholeNumber
    .transform(Number)
    .pipe(z.number().min(1).max(limits.pageSize, `It must be at most ${limits.pageSize}.`))
    .optional()
    .openapi({ type: "integer", minimum: 1, maximum: limits.pageSize, default: 50 }),
});

const idempotencyKey = z
  .string()
  .min(1)
  .max(255)
  .optional()
  .openapi({ description: "Requests with the same key do the same thing once. Not together with `id`." });

const acceptValues = z
  .enum(valueForms)
  .optional()
  .openapi({ description: "`devalue`: recorded values are answered as devalue texts, which keep Date, Map, Set, BigInt and Error. Default: JSON." });

const contentValues = z
  .enum(valueForms)
  .optional()
  .openapi({ description: "`devalue`: the value in the body (`input`, `output`, `payload`) is a devalue text. Default: JSON." });

/** The headers of a request that reads values. */
export const ReadHeaders = z.object({ "accept-values": acceptValues });
/** As `ReadHeaders`, for a start. */
export const StartHeaders = z.object({ "idempotency-key": idempotencyKey, "accept-values": acceptValues, "content-values": contentValues });
/** As `ReadHeaders`, for an event. */
export const EventHeaders = z.object({ "idempotency-key": idempotencyKey, "content-values": contentValues });

/** What addresses name. Their form is checked where they are used, so that the fault has a code of its own. */
export const RunParams = z.object({ id: z.string() });
/** As `RunParams`, for a step. */
export const StepParams = z.object({ id: z.string(), key: z.string() });
/** As `ReadHeaders`, for a request whose body may hold a value. */
export const ValueHeaders = z.object({ "content-values": contentValues });

/** As `RunParams`, for an event. */
export const EventParams = z.object({ id: z.string(), name: z.string() });
/** As `RunParams`, for a workflow. */
export const WorkflowParams = z.object({ name: z.string() });

/** What every route answers when it can't do what it was asked. */
export const problemAnswer = {
  description: "Nothing was changed. `code` tells why.",
  content: { "application/problem+json": { schema: Problem } },
};

/** An answer in JSON. */
export function jsonAnswer<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** A body in JSON; none counts as `{}`. */
export function jsonRequest<Schema extends z.ZodType>(schema: Schema) {
  return { content: { "application/json": { schema } } };
}
