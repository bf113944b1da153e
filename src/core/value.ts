import { DevalueError, stringify, unflatten } from "devalue";
import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";

/** An encoded value: devalue's text form, which keeps Date, Map, Set, BigInt, typed arrays, URL, undefined, cycles and Error. */
export type Encoded = string;

interface ErrorForm {
  name: string;
  message: string;
  stack: string | undefined;
  cause: unknown;
  hasCause: boolean;
  errors: unknown[] | undefined;
  properties: Record<string, unknown>;
}

const builtInErrors: Record<string, new (message: string) => Error> = { TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError };

/**
 * Encodes a value for the journal.
 * @throws Fault `unrecordable_value`, with the `path` inside the value, for functions, symbols, promises and class instances.
 * @throws Fault `value_too_large` past 16 MiB.
 */
export function encode(value: unknown): Encoded {
  const encoded = isPlain(value) ? JSON.stringify([value]) : stringified(value);
  // A UTF-16 unit takes at most three bytes, so a short text can't be over the limit and need not be measured.
  if (encoded.length * 3 > limits.valueBytes && utf8Bytes(encoded) > limits.valueBytes) {
    throw new Fault("value_too_large", `The value takes more than ${limits.valueBytes} bytes when encoded. Store it elsewhere and record a reference.`, {
      limitBytes: limits.valueBytes,
    });
  }
  return encoded;
}

/** The value of an encoded text. Errors come back as Error (built-in classes as themselves) with their own properties. */
export function decode(encoded: Encoded): unknown {
  const parts: unknown = JSON.parse(encoded);
  const only: unknown = Array.isArray(parts) && parts.length === 1 ? parts[0] : undefined;
  if (typeof only === "string" || isPlain(only)) return only;
  return unflatten(parts as number | unknown[], { SegnoError: errorFrom });
}

/** A value of which devalue makes what JSON does: it takes the shorter way. Steps return many of them, and texts may be long. */
function isPlain(value: unknown): value is string | number | boolean | null {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  // What devalue escapes and JSON does not.
  if (typeof value === "string") return !value.includes("<") && !value.includes("\u2028") && !value.includes("\u2029");
  return typeof value === "boolean" || value === null;
}

function stringified(value: unknown): Encoded {
  try {
    return stringify(value, { SegnoError: errorForm });
  } catch (error) {
    if (!(error instanceof DevalueError)) throw error;
    const path = error.path === "" ? "(the value itself)" : error.path;
    throw new Fault("unrecordable_value", `${error.message} at ${path}. Return plain data: objects, arrays, Date, Map, Set, BigInt, typed arrays, Error.`, {
      path: error.path,
    });
  }
}

/** As `decode`, of a text that somebody else wrote. @throws also for what would take too long to read. */
export function decodeSent(text: string): unknown {
  const flat = JSON.parse(text) as unknown[];
  if (Array.isArray(flat) && flat.some(isLongBigInt)) throw new RangeError(`A BigInt in it has more than ${limits.bigIntDigits} digits.`);
  return unflatten(flat, { SegnoError: errorFrom });
}

/** Whether a part of devalue's form says so. */
function isLongBigInt(part: unknown): boolean {
  return Array.isArray(part) && part[0] === "BigInt" && String(part[1]).length > limits.bigIntDigits;
}

const beyondAscii = /[\u0080-\uffff]/;

/** Bytes of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  // Most texts are ASCII, which the engine sees at many times the speed of a loop.
  if (!beyondAscii.test(text)) return text.length;
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7ff) bytes += unit >= 0xd800 && unit <= 0xdfff ? 1 : 2;
    else if (unit > 0x7f) bytes += 1;
  }
  return bytes;
}

/** An encoded error, from whatever was thrown. Never throws: an error that can't be recorded whole is recorded without its properties. */
export function encodeError(thrown: unknown): Encoded {
  const error = thrown instanceof Error ? thrown : new Error(typeof thrown === "string" ? thrown : `Thrown: ${safeText(thrown)}`);
  try {
    const encoded = encode(error);
    if (encoded.length <= limits.rowValueBytes / 4) return encoded;
  } catch {
    // Falls through: an own property of the error can't be recorded, its name, message and code can.
  }
  const bare = new Error(shortText(error.message));
  bare.name = shortText(error.name);
  const stack = stackOf(error);
  if (stack !== undefined) bare.stack = stack;
  if ("code" in error && (typeof error.code === "string" || typeof error.code === "number")) Object.assign(bare, { code: error.code });
  return encode(bare);
}

/** What the API, the index and a person need to know of an error. */
export interface ErrorSummary {
  readonly name: string;
  readonly message: string;
  /** Null when the error carries none. */
  readonly code: string | null;
}

export function summarizeError(encoded: Encoded): ErrorSummary {
  const error = decode(encoded);
  if (!(error instanceof Error)) return { name: "Error", message: cutToBytes(safeText(error), limits.summaryTextBytes), code: null };
  const code = "code" in error && (typeof error.code === "string" || typeof error.code === "number") ? String(error.code) : null;
  return {
    name: cutToBytes(shortText(error.name), limits.summaryTextBytes / 4),
    message: cutToBytes(shortText(error.message), limits.summaryTextBytes),
    code: code && cutToBytes(code, limits.summaryTextBytes / 4),
  };
}

/** A text that takes no more bytes than that as JSON, which writes a control character in six. */
export function cutToBytes(text: string, bytes: number): string {
  if (text.length * 6 <= bytes || utf8Bytes(JSON.stringify(text)) <= bytes) return text;
  return `${text.slice(0, Math.floor(bytes / 6) - 10)}… (cut)`;
}

/**
 * The value as plain JSON, for people and for programs that do not speak the encoded form: Date as ISO text, BigInt as decimal text, Map and
 * Set as arrays, bytes as base64, errors as objects, undefined as null. A cycle is cut with the text "[Circular]".
 */
export function toJson(value: unknown, above: readonly object[] = []): unknown {
  if (typeof value !== "object" || value === null) return primitiveJson(value);
  if (above.includes(value)) return "[Circular]";
  const plain = plainForm(value);
  if (typeof plain !== "object" || plain === null) return plain;
  const path = [...above, value];
  if (Array.isArray(plain)) return plain.map((item) => toJson(item, path));
  return Object.fromEntries(Object.entries(plain).map(([key, field]) => [key, toJson(field, path)]));
}

function primitiveJson(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value === undefined ? null : value;
}

/** An object as a text, an array or a record, whose parts may still need it themselves. */
function plainForm(value: object): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL || value instanceof RegExp) return String(value);
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof ArrayBuffer) return base64(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  return value instanceof Error ? { ...value, name: value.name, message: value.message } : value;
}

function errorForm(value: unknown): ErrorForm | false {
  if (!(value instanceof Error)) return false;
  if (partsOf(value).some((part) => leadsTo(part, value, new Set()))) {
    throw new Fault("unrecordable_value", `The error ${value.name} refers to itself, and can't be read back. Record its message, or a plain object.`, {
      path: "",
    });
  }
  return {
    name: shortText(value.name),
    message: shortText(value.message),
    stack: stackOf(value),
    cause: value.cause,
    hasCause: "cause" in value,
    errors: value instanceof AggregateError ? [...value.errors] : undefined,
    properties: { ...value },
  };
}

function partsOf(value: object): readonly unknown[] {
  const parts = value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.values(value);
  if (value instanceof Error) parts.push(value.cause);
  if (value instanceof AggregateError) parts.push(...value.errors);
  return parts;
}

function leadsTo(value: unknown, target: object, seen: Set<object>): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (value === target) return true;
  if (seen.has(value)) return false;
  seen.add(value);
  return partsOf(value).some((part) => leadsTo(part, target, seen));
}

function errorFrom(form: ErrorForm): Error {
  const BuiltIn = Object.hasOwn(builtInErrors, form.name) ? builtInErrors[form.name] : undefined;
  const error = form.errors ? new AggregateError(form.errors, form.message) : BuiltIn ? new BuiltIn(form.message) : new Error(form.message);
  if (error.name !== form.name) Object.defineProperty(error, "name", { value: form.name, configurable: true, writable: true });
  if (form.stack !== undefined) error.stack = form.stack;
  if (form.hasCause) Object.defineProperty(error, "cause", { value: form.cause, configurable: true, writable: true });
  // `name` may stand among the own properties of a custom class; it is set above.
  const { name: _name, ...properties } = form.properties;
  return Object.assign(error, properties);
}

/** Undefined where there is none. The platform makes it of the message when it is asked for, and fails over some. */
function stackOf(error: Error): string | undefined {
  try {
    return error.stack === undefined ? undefined : shortText(error.stack);
  } catch {
    return undefined;
  }
}

/** Code may have put anything in the place of an error's texts. */
function shortText(value: unknown): string {
  const text = typeof value === "string" ? value : safeText(value);
  return text.length <= limits.errorTextLength ? text : `${text.slice(0, limits.errorTextLength)}… (cut)`;
}

function safeText(value: unknown): string {
  try {
    return JSON.stringify(toJson(value)) ?? String(value);
  } catch {
    return "a value without a text form";
  }
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
