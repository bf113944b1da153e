import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";

/**
 * A step's identity within its run: its name, and how many times that name came before. The first `provision` has the key
 * `provision`, the second `provision#2`. A name that itself ends in `#2` keeps an explicit count, so no two steps share a key.
 */
export function stepKey(name: string, count: number): string {
  return count === 1 && !/#\d+$/.test(name) ? name : `${name}#${count}`;
}

/** @throws Fault `invalid_step` for an empty or over-long name, or one with control characters. */
export function checkStepName(name: string): void {
  const isText = typeof name === "string" && name.length > 0 && name.length <= limits.nameLength && name.isWellFormed();
  if (isText && !name.startsWith("~") && !controlCharacter.test(name)) return;
  const rule = `A step's name must be 1 to ${limits.nameLength} characters without control characters, not beginning with "~"`;
  throw new Fault("invalid_step", `${rule}; got ${JSON.stringify(name)}.`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controlCharacter = /[\u0000-\u001f]/;

/**
 * The key that every attempt of a step sends with its effect, for ever the same. ASCII, at most 200 characters, so that it
 * fits in an HTTP header and below the 255 characters that payment services accept.
 */
export function idempotencyKey(namespace: string, runId: string, key: string): string {
  const plain = `${namespace}/${runId}/${encodeURIComponent(key)}`;
  return plain.length <= 200 ? plain : `${plain.slice(0, 180)}~${fnv1a64(plain)}`;
}

/** A short digest for telling long keys apart; not for security. */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
