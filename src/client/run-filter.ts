import type { AttributeInput } from "#core/attributes.ts";
import type { RunStatus } from "#core/run.ts";

type Time = Date | number;

/** What an attribute is compared with: a value it equals, or comparisons that must all hold. */
export type AttributeCondition = AttributeInput | { readonly [Operator in "eq" | "ne" | "gt" | "gte" | "lt" | "lte"]?: AttributeInput };

/** Which runs to list. All filters must hold. Times are Dates or epoch ms; `…After` includes its instant, `…Before` does not. */
export interface RunFilter {
  readonly workflow?: string;
  /** One, or any of several. */
  readonly status?: RunStatus | readonly RunStatus[];
  /** The code of the run's reason. */
  readonly reason?: string;
  readonly version?: string;
  /** The key of the step that the run is at or failed at; a name without count matches all of that name. */
  readonly step?: string;
  /** The mark of a dead letter's failure. */
  readonly fingerprint?: string;
  readonly createdAfter?: Time;
  readonly createdBefore?: Time;
  readonly updatedAfter?: Time;
  readonly updatedBefore?: Time;
  readonly endedAfter?: Time;
  readonly endedBefore?: Time;
  readonly attributes?: Readonly<Record<string, AttributeCondition>>;
  /** Found anywhere in the id, the workflow's name, the error's message or a text attribute, in upper or lower case. */
  readonly text?: string;
  /** Default `"-createdAt"`: newest first. */
  readonly sort?: `${"" | "-"}${"createdAt" | "updatedAt" | "endedAt"}`;
  /** Rows of a page, 1 to 200. Default 50. */
  readonly limit?: number;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string;
}

/** Which dead letters. As for runs; those have one status, and none has ended. */
export type DeadLetterFilter = Omit<RunFilter, "status" | "endedAfter" | "endedBefore" | "sort" | "limit" | "cursor">;

/** As `DeadLetterFilter`, for a list of them. */
export type DeadLetterListFilter = Omit<RunFilter, "status" | "endedAfter" | "endedBefore">;

/** The filter as the query string of `GET /v1/runs`. */
export function filterQuery(filter: RunFilter): URLSearchParams {
  const { attributes, ...others } = filter;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) query.set(name, value instanceof Date ? String(value.getTime()) : String(value));
  }
  for (const [name, condition] of Object.entries(attributes ?? {})) {
    for (const [operator, value] of comparisonsOf(condition)) query.append(`attr.${name}`, `${operator}:${operandOf(value)}`);
  }
  return query;
}

/** The filter as a bulk request has it: the same words, several of one name as a list. */
export function filterRecord(filter: DeadLetterFilter): Record<string, string[]> {
  const query = filterQuery(filter);
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)]));
}

function comparisonsOf(condition: AttributeCondition): [string, AttributeInput][] {
  if (typeof condition !== "object" || condition instanceof Date) return [["eq", condition]];
  return Object.entries(condition).filter((entry) => entry[1] !== undefined);
}

/** Texts are quoted, so that one that looks like a number or a date is still a text. Dates are recorded as epoch ms. */
function operandOf(value: AttributeInput): string {
  if (value instanceof Date) return String(value.getTime());
  return typeof value === "string" ? `"${value}"` : String(value);
}
