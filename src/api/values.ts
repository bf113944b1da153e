import { Fault, faultCodeOf } from "#core/fault.ts";
import { decode, decodeSent, type Encoded, encode, toJson } from "#core/value.ts";

/** How recorded values travel: as plain JSON for everybody, or as the text in which they are recorded, which keeps Date, Map, BigInt and Error. */
export const valueForms = ["json", "devalue"] as const;
/** `json` or `devalue`. */
export type ValueForm = (typeof valueForms)[number];

/** Nesting of a value that is taken in. Deeper ones would overflow the stack of whoever walks them. Beyond: fault `invalid_request`. */
const deepest = 200;

/** A recorded value as the caller asked for it: its projection to JSON, or its devalue text. */
export function presentValue(value: Encoded, form: ValueForm): unknown {
  return form === "devalue" ? value : toJson(decode(value));
}

/** As `presentValue`; null where nothing is recorded. */
export function presentOptional(value: Encoded | null, form: ValueForm): unknown {
  return value === null ? null : presentValue(value, form);
}

/**
 * A value that a caller sent, encoded. Equal values give equal texts: the fields of objects are sorted, so that a start repeated with its fields in
 * another order is the same start.
 * @throws Fault `invalid_request` naming the field, for a text that is not devalue's, for nesting that is too deep, and for what can't be recorded.
 */
export function acceptValue(sent: unknown, form: ValueForm, field: string): Encoded {
  try {
    return encode(canonical(form === "devalue" ? plainData(sent) : sent, new Map(), 0));
  } catch (error) {
    if (faultCodeOf(error) === "value_too_large") throw error;
    const message = error instanceof Error ? error.message : "It can't be recorded.";
    throw new Fault("invalid_request", `${field}: ${message}`, { issues: [{ path: [field], message }] });
  }
}

/** As `acceptValue`; null where nothing was sent. */
export function acceptOptional(sent: unknown, form: ValueForm, field: string): Encoded | null {
  return sent === undefined ? null : acceptValue(sent, form, field);
}

function plainData(sent: unknown): unknown {
  if (sent === undefined) return undefined;
  if (typeof sent !== "string") throw new Error("With Content-Values: devalue it must be a devalue text.");
  try {
    return decodeSent(sent);
  } catch {
    // Whatever the decoder stumbled over, the caller's text is to blame.
    throw new Error("It is not a devalue text of plain data, or holds an overlong BigInt.");
  }
}

/** A copy whose objects have their fields in order. `copies` keeps shared parts shared, and so ends cycles. */
function canonical(value: unknown, copies: Map<object, unknown>, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > deepest) throw new Error(`It is nested more than ${deepest} levels deep.`);
  if (copies.has(value)) return copies.get(value);
  if (value instanceof Error) return canonicalError(value, copies, depth);
  const copy = emptyCopy(value);
  if (copy === null) return value;
  // Known before it is filled, so that a part that refers to the whole finds it.
  copies.set(value, copy);
  fill(copy, value, (part) => canonical(part, copies, depth + 1));
  return copy;
}

/** An error stays the one it is, for a copy would lose its class; what hangs on it is looked into. */
function canonicalError(error: Error, copies: Map<object, unknown>, depth: number): Error {
  copies.set(error, error);
  const parts = [error.cause, ...(error instanceof AggregateError ? error.errors : []), ...Object.values(error)];
  for (const part of parts) canonical(part, copies, depth + 1);
  return error;
}

type Composite = unknown[] | Map<unknown, unknown> | Set<unknown> | Record<string, unknown>;

/** Null for what has no parts to copy: Date, URL, typed arrays, Error. */
function emptyCopy(value: object): Composite | null {
  if (Array.isArray(value)) return [];
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? Object.create(prototype) : null;
}

function fill(copy: Composite, value: object, inner: (part: unknown) => unknown): void {
  if (Array.isArray(copy)) for (const item of withoutHoles(value as unknown[])) copy.push(inner(item));
  else if (copy instanceof Map) for (const [key, item] of value as Map<unknown, unknown>) copy.set(inner(key), inner(item));
  else if (copy instanceof Set) for (const item of value as Set<unknown>) copy.add(inner(item));
  else for (const [key, item] of sortedFields(value)) copy[key] = inner(item);
}

/** A few bytes of devalue make an array of four thousand million holes, and whoever walks it never comes back. */
function withoutHoles(items: unknown[]): unknown[] {
  if (Object.keys(items).length < items.length) throw new Error("An array in it has holes.");
  return items;
}

function sortedFields(value: object): [string, unknown][] {
  if (Object.hasOwn(value, "__proto__")) throw new Error("The field name __proto__ is not allowed.");
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
