import { decode, type Encoded, encode } from "./value.ts";

/** What stands in place of a redacted value. */
export const redactedText = "[redacted]";

/**
 * The value with every property and Map entry of these names replaced, at any depth. The journal keeps what it hides, since a replay needs it; only
 * what is shown is redacted.
 */
export function redact(encoded: Encoded, names: ReadonlySet<string>): Encoded {
  return names.size === 0 ? encoded : encode(redacted(decode(encoded), names, new Map()));
}

function redacted(value: unknown, names: ReadonlySet<string>, done: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = done.get(value);
  if (known !== undefined) return known;
  const hide = (name: unknown, item: unknown): unknown => (typeof name === "string" && names.has(name) ? redactedText : redacted(item, names, done));
  if (Array.isArray(value)) return fill<unknown[]>(value, [], done, (copy) => value.forEach((item) => void copy.push(hide(null, item))));
  if (value instanceof Map) return fill(value, new Map<unknown, unknown>(), done, (copy) => value.forEach((item, key) => void copy.set(key, hide(key, item))));
  if (value instanceof Set) return fill(value, new Set<unknown>(), done, (copy) => value.forEach((item) => void copy.add(hide(null, item))));
  if (!isRecord(value)) return value;
  if (value instanceof Error) return redactedError(value, hide, done);
  return fill<Record<string, unknown>>(value, {}, done, (copy) => {
    for (const [key, item] of Object.entries(value)) copy[key] = hide(key, item);
  });
}

/** An error is changed in place: it was decoded for this, and a copy would lose its class. Its cause and its parts are no properties to be listed. */
function redactedError(error: Error, hide: (name: unknown, item: unknown) => unknown, done: Map<object, unknown>): unknown {
  return fill(error, error, done, () => {
    for (const [key, item] of Object.entries(error)) Reflect.set(error, key, hide(key, item));
    if ("cause" in error) Object.defineProperty(error, "cause", { value: hide("cause", error.cause), configurable: true, writable: true });
    if (error instanceof AggregateError) error.errors = error.errors.map((item) => hide(null, item));
  });
}

/** Remembers a copy before it is filled, so that cycles end. */
function fill<T>(value: object, copy: T, done: Map<object, unknown>, fillIn: (copy: T) => void): T {
  done.set(value, copy);
  fillIn(copy);
  return copy;
}

function isRecord(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || value instanceof Error;
}
