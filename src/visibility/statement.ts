/**
 * The values of a statement under construction. What a caller sent gets into SQL through `bind` only: it keeps the value and answers the
 * placeholder to write in its stead. A placeholder may be written several times and counts once against D1's 100.
 */
export interface Binder {
  readonly values: readonly (string | number)[];
  readonly bind: (value: string | number) => string;
}

/** A binder without values. */
export function newBinder(): Binder {
  const values: (string | number)[] = [];
  return { values, bind: (value) => `?${values.push(value)}` };
}

/** D1 takes five terms in one compound SELECT, fewer than SQLite does elsewhere. */
const termsPerUnion = 5;

/**
 * The first `limit` rows of several SELECTs of the same columns, in one order. SQLite merges them as it reads, if each can be read in
 * that order from an index, and stops at the limit.
 */
export function mergedSql(selects: readonly string[], order: string, limit: string): string {
  if (selects.length <= termsPerUnion) return `${selects.join(" UNION ALL ")} ORDER BY ${order} LIMIT ${limit}`;
  const nested: string[] = [];
  for (let begin = 0; begin < selects.length; begin += termsPerUnion) {
    nested.push(`SELECT * FROM (${mergedSql(selects.slice(begin, begin + termsPerUnion), order, limit)})`);
  }
  return mergedSql(nested, order, limit);
}
