import type { ErrorSummary } from "./value.ts";

/** Where and how a run came to a halt. */
export interface Failure {
  readonly workflow: string;
  /** The step's name, without its count: the failures of a loop are one kind of failure. */
  readonly step: string;
  readonly error: ErrorSummary;
}

/** Characters of the message that count: enough for its first sentences, and few enough to be read with every summary. */
const messageLength = 1000;

/**
 * The mark of a failure: the same for runs whose same step failed for the same reason, whatever customer, id or amount the message names. 16 hexadecimal digits;
 * for grouping, not for security.
 */
export function failureFingerprint({ workflow, step, error }: Failure): string {
  return hash64(JSON.stringify([workflow, step, error.name, error.code, messagePattern(error.message)]));
}

/** A message without what differs from one failure to the next: quoted values, ids and numbers. */
export function messagePattern(message: string): string {
  return (
    message
      .slice(0, messageLength)
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, "#")
      .replace(/"[^"\n]*"|`[^`\n]*`|“[^”\n]*”/g, "#")
      // An apostrophe within a word opens no quotation.
      .replace(/(?<![\p{L}\p{N}])'[^'\n]*'(?![\p{L}\p{N}])/gu, "#")
      // A part of a word with a digit in it is an id, a number with its unit, or a code that has its own place in the error.
      .replace(/[\p{L}\p{N}]+/gu, (part) => (/\p{N}/u.test(part) ? "#" : part))
      .replace(/\b[a-f]{8,}\b/gi, "#")
      .replace(/#([.,:/+-]#)+/g, "#")
      .replace(/\s+/g, " ")
      .trim()
  );
}

/** Two multiplicative hashes side by side: spread well enough that a store of dead letters sees no two kinds under one mark. */
function hash64(text: string): string {
  let left = 0xdeadbeef;
  let right = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    left = Math.imul(left ^ text.charCodeAt(i), 0x9e3779b1);
    right = Math.imul(right ^ text.charCodeAt(i), 0x5f356495);
  }
  left = Math.imul(left ^ (left >>> 16), 0x85ebca6b) ^ Math.imul(right ^ (right >>> 13), 0xc2b2ae35);
  right = Math.imul(right ^ (right >>> 16), 0x85ebca6b) ^ Math.imul(left ^ (left >>> 13), 0xc2b2ae35);
  return hex32(left) + hex32(right);
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
