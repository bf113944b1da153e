/**
 * How an attribute looks to SQL: as `entry`, a row of `json_each(runs.attributes)`, and in the columns `kind` and `value` of `run_attributes`.
 * `kind` keeps apart what SQLite would compare: 1, '1' and true.
 */
export type AttributeKind = "text" | "number" | "boolean";

/** SQL: the kind of an entry. */
export const entryKind = "CASE entry.type WHEN 'text' THEN 'text' WHEN 'true' THEN 'boolean' WHEN 'false' THEN 'boolean' ELSE 'number' END";

/** SQL: the value of an entry. A number becomes REAL: read as an integer, JSON's shortest digits of a large one would be another number. */
export const entryValue = "CASE entry.type WHEN 'integer' THEN CAST(entry.value AS REAL) ELSE entry.value END";

/** The kind of a value. */
export function kindOf(value: string | number | boolean): AttributeKind {
  if (typeof value === "string") return "text";
  return typeof value === "number" ? "number" : "boolean";
}

/** The value as SQLite holds it: booleans as 0 and 1. */
export function storedValue(value: string | number | boolean): string | number {
  return typeof value === "boolean" ? Number(value) : value;
}
