import { limits } from "#core/limits.ts";

/** A value from outside against a schema of the code's. */

/** What a schema finds wrong, and where. */
export interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The part of a zod schema that checks. */
interface Schema<Output> {
  safeParse(
    value: unknown,
  ): { readonly success: true; readonly data: Output } | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };
}

export type Checked<Output> = { readonly fits: true; readonly value: Output } | { readonly fits: false; readonly issues: readonly Issue[] };

/**
 * The value as the schema has parsed it, or what is wrong with it: the first hundred issues. Never throws: a value over which the schema itself fails, by a
 * refinement that did not expect it or by its sheer size, does not fit.
 */
export function checkBy<Output>(schema: Schema<Output>, value: unknown): Checked<Output> {
  try {
    const parsed = schema.safeParse(value);
    if (parsed.success) return { fits: true, value: parsed.data };
    return { fits: false, issues: parsed.error.issues.slice(0, limits.problemItems) };
  } catch (error) {
    return { fits: false, issues: [{ path: [], message: `The schema fails over it: ${String(error)}` }] };
  }
}

/** One line per issue: where, and what. */
export function issueLines(issues: readonly Issue[]): string[] {
  return issues.map((issue) => `${issue.path.length === 0 ? "(root)" : issue.path.map(String).join(".")}: ${issue.message}`);
}
