import { z } from "zod";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type RunStatus, runStatuses } from "#core/run.ts";
import { type AttributeFilter, parseAttributeFilter } from "./attribute-filter.ts";
import { parseTime } from "./time.ts";

export const sortFields = ["createdAt", "updatedAt", "endedAt"] as const;

export interface RunSort {
  readonly field: (typeof sortFields)[number];
  readonly direction: "asc" | "desc";
}

/**
 * Which runs of a namespace to list. All filters must hold. Times are epoch ms; `…After` includes its instant, `…Before` does not, so that
 * windows that touch neither overlap nor leave a gap. What is left out does not filter; an empty `status` matches nothing.
 */
export interface RunQuery {
  readonly namespace: string;
  readonly workflow?: string | undefined;
  readonly status?: readonly RunStatus[] | undefined;
  /** The code of the run's reason. */
  readonly reason?: string | undefined;
  readonly version?: string | undefined;
  /** The key of the step that the run is at or failed at; a name without count matches all of that name. */
  readonly step?: string | undefined;
  /** As `RunSummary.fingerprint`. */
  readonly fingerprint?: string | undefined;
  /** Dead letters only. */
  readonly deadLetter?: true | undefined;
  readonly createdAfter?: number | undefined;
  readonly createdBefore?: number | undefined;
  readonly updatedAfter?: number | undefined;
  readonly updatedBefore?: number | undefined;
  /** With either of these, runs that have not ended do not match. */
  readonly endedAfter?: number | undefined;
  readonly endedBefore?: number | undefined;
  readonly attributes?: readonly AttributeFilter[] | undefined;
  /** Found anywhere in the id, the workflow's name, the error's message or a text attribute, in upper or lower case. No wildcards. */
  readonly text?: string | undefined;
  /** Default: newest creation first. */
  readonly sort?: RunSort | undefined;
  /** Rows of the page, 1 to `limits.pageSize`; default 50. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before, of the same namespace, filters and sort. */
  readonly cursor?: string | undefined;
}

/** Attribute comparisons in one query. Each binds four values, and D1 takes 100 in one statement. Beyond: fault `invalid_request`. */
export const attributeFiltersPerQuery = 10;

/** Characters of a text to search for, as many as the longest text attribute has. Beyond: fault `invalid_request`. */
const textLength = limits.attributeTextLength;

/** Characters of a step's key: its name, what marks a compensation, and its count. */
const stepLength = limits.nameLength + 10;

const attributePrefix = "attr.";

const Text = z.string().min(1, "It must not be empty.").max(limits.nameLength, `It has at most ${limits.nameLength} characters.`);

const Time = z.string().transform((text, context) => {
  // Twelve digits or more, so that seconds and years taken for ms are refused and not believed.
  const at = /^\d{12,15}$/.test(text) ? Number(text) : parseTime(text);
  if (at === null) context.addIssue("It must be epoch ms, or ISO 8601 such as 2026-01-01 or, with its zone, 2026-01-01T00:00:00Z (write + as %2B).");
  return at ?? z.NEVER;
});

const Statuses = z
  .string()
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(runStatuses, `It must be one or several, joined by commas, of ${runStatuses.join(", ")}.`)));

const sorts = sortFields.flatMap((field) => [field, `-${field}` as const]);
const Sort = z.enum(sorts, `It must be one of ${sorts.join(", ")}.`).transform(parseSort);

const limitMessage = `It must be a whole number from 1 to ${limits.pageSize}.`;
const Limit = z
  .string()
  .regex(/^\d{1,9}$/, limitMessage)
  .transform(Number)
  .pipe(z.number().min(1, limitMessage).max(limits.pageSize, limitMessage));

/** The parameters of a list of runs as they come in a query string, without `attr.<name>`, which may carry any attribute's name. */
export const RunQueryParameters = z.object({
  workflow: Text.optional(),
  status: Statuses.optional(),
  reason: Text.optional(),
  version: Text.optional(),
  step: z.string().min(1, "It must not be empty.").max(stepLength, `It has at most ${stepLength} characters.`).optional(),
  fingerprint: Text.optional(),
  createdAfter: Time.optional(),
  createdBefore: Time.optional(),
  updatedAfter: Time.optional(),
  updatedBefore: Time.optional(),
  endedAfter: Time.optional(),
  endedBefore: Time.optional(),
  text: z.string().min(1, "It must not be empty.").max(textLength, `It has at most ${textLength} characters.`).optional(),
  sort: Sort.optional(),
  limit: Limit.optional(),
  cursor: z.string().optional(),
});

/** As `RunQueryParameters`, for dead letters: they have one status, and none has ended. */
export const DeadLetterParameters = RunQueryParameters.omit({ status: true, endedAfter: true, endedBefore: true });

/** As `DeadLetterParameters`, for all of them at once. */
export const DeadLetterFilter = DeadLetterParameters.omit({ sort: true, limit: true, cursor: true });

/** As `DeadLetterFilter`, for the list of their groups. */
export const DeadLetterGroupParameters = DeadLetterFilter.extend({ limit: RunQueryParameters.shape.limit });

/**
 * Reads a list's query string, such as `?status=failed,waiting&attr.amount=gte:1000&attr.tier=enterprise&text=acme&sort=-createdAt&limit=20`.
 * Times are epoch ms, an ISO 8601 date (midnight UTC) or date-time with its zone. `attr.<name>` may be given several times, and all of them must hold (a range); how its values
 * are typed stands at `parseAttributeFilter`. The cursor is checked by `searchRuns`.
 *
 * @throws Fault `invalid_request` whose details name the parameter as `path`: for one that is unknown, one that is given twice, and a value
 * that can't be read.
 */
export function parseRunQuery(params: Parameters, namespace: string): RunQuery {
  return { namespace, ...parseParameters(RunQueryParameters, params) };
}

/** As `parseRunQuery`, for dead letters. `allowed`: what the list has of their parameters. */
export function parseDeadLetterQuery(
  params: Parameters,
  namespace: string,
  allowed: typeof DeadLetterParameters | typeof DeadLetterFilter | typeof DeadLetterGroupParameters,
): RunQuery {
  return { namespace, status: ["paused"], deadLetter: true, ...parseParameters(allowed, params) };
}

/** Names and values, such as URLSearchParams. */
export type Parameters = Iterable<readonly [string, string]>;

function parseParameters<Schema extends z.ZodObject>(
  schema: Schema,
  params: Parameters,
): z.infer<Schema> & { readonly attributes?: readonly AttributeFilter[] } {
  const known = new Map<string, string>();
  const attributes: AttributeFilter[] = [];
  for (const [name, value] of params) {
    if (name.startsWith(attributePrefix)) addAttribute(attributes, name.slice(attributePrefix.length), value);
    else addParameter(known, Object.keys(schema.shape), name, value);
  }
  const parsed = schema.safeParse(Object.fromEntries(known));
  if (!parsed.success) throw parameterFault(parsed.error);
  return { ...parsed.data, ...(attributes.length > 0 && { attributes }) };
}

/** The number is checked with each, for a body's filter may name hundreds of thousands. */
function addAttribute(attributes: AttributeFilter[], name: string, value: string): void {
  attributes.push(parseAttributeFilter(name, value));
  if (attributes.length > attributeFiltersPerQuery) {
    throw new Fault("invalid_request", `A query compares at most ${attributeFiltersPerQuery} attributes.`, { path: "attr" });
  }
}

function addParameter(known: Map<string, string>, names: readonly string[], name: string, value: string): void {
  if (!names.includes(name)) {
    const all = [...names, `${attributePrefix}<name>`];
    throw new Fault("invalid_request", `There is no parameter ${JSON.stringify(name)}; there are ${all.join(", ")}.`, { path: name, known: all });
  }
  if (known.has(name)) throw new Fault("invalid_request", `${name}: It is given more than once.`, { path: name });
  known.set(name, value);
}

function parameterFault(error: z.ZodError): Fault {
  const [issue] = error.issues;
  const path = String(issue?.path[0] ?? "");
  return new Fault("invalid_request", `${path}: ${issue?.message ?? "It can't be read."}`, { path });
}

function parseSort(text: (typeof sorts)[number]): RunSort {
  const field = sortFields.find((name) => text.endsWith(name)) ?? "createdAt";
  return { field, direction: text.startsWith("-") ? "desc" : "asc" };
}
