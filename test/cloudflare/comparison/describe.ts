/** A value as text-like JSON that keeps what JSON loses, so that two observations compare deeply after they crossed HTTP. */
export function describe(value: unknown, seen: ReadonlySet<unknown> = new Set()): unknown {
  if (value === undefined) return "<undefined>";
  if (typeof value === "bigint") return `<bigint ${value}>`;
  if (typeof value === "number" && !Number.isFinite(value)) return `<number ${value}>`;
  if (typeof value === "function" || typeof value === "symbol") return `<${typeof value}>`;
  if (value === null || typeof value !== "object") return value;
  if (seen.has(value)) return "<cycle>";
  return describeObject(value, new Set([...seen, value]));
}

function describeObject(value: object, seen: ReadonlySet<unknown>): unknown {
  const list = (items: Iterable<unknown>) => Array.from(items, (item) => describe(item, seen));
  if (Array.isArray(value)) return list(value);
  if (value instanceof Date) return `<date ${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()}>`;
  if (value instanceof RegExp) return `<regexp ${value}>`;
  if (value instanceof Error) return `<error ${value.name}: ${value.message}>`;
  if (value instanceof Map) return { "<map>": list(value) };
  if (value instanceof Set) return { "<set>": list(value) };
  if (value instanceof ArrayBuffer) return { "<buffer>": list(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) return { [`<${value.constructor.name}>`]: list(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, describe(item, seen)]));
}
