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
