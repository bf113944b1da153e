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
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    done.set(value, copy);
    for (const item of value) copy.push(redacted(item, names, done));
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    done.set(value, copy);
    for (const [key, item] of value) copy.set(key, typeof key === "string" && names.has(key) ? redactedText : redacted(item, names, done));
    return copy;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null && !(value instanceof Error)) return value;
  // An error is changed in place: it was decoded for this, and a copy would lose its class.
  const copy: Record<string, unknown> = value instanceof Error ? (value as Error & Record<string, unknown>) : {};
  done.set(value, copy);
  for (const [key, item] of Object.entries(value)) copy[key] = names.has(key) ? redactedText : redacted(item, names, done);
  return copy;
}
