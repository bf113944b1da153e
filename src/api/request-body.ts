import type { MiddlewareHandler } from "hono";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { ApiContext } from "./api-context.ts";

/**
 * The bytes of a request's body. They are counted while they are read, since a declared length may be absent or a lie.
 * @throws Fault `body_too_large`, and the rest of the body is left unread; `invalid_request` for a body that breaks off.
 */
export async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > limits.bodyBytes) throw bodyTooLarge();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const reader = request.body?.getReader();
  for (let part = await nextPart(reader); part; part = await nextPart(reader)) {
    sizeBytes += part.byteLength;
    if (sizeBytes > limits.bodyBytes) {
      await reader?.cancel();
      throw bodyTooLarge();
    }
    chunks.push(part);
  }
  return joined(chunks, sizeBytes);
}

/** Null after the last. What fails here is the caller's sending: the connection, or the framing of the body. */
async function nextPart(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<Uint8Array | null> {
  try {
    return (await reader?.read())?.value ?? null;
  } catch {
    throw new Fault("invalid_request", "The body broke off, or is not framed as HTTP asks for.", { in: "body", issues: [] });
  }
}

/** The media type of a body, without its parameters and in lower case; null when the request does not name one. */
export function mediaTypeOf(request: Request): string | null {
  const header = request.headers.get("content-type");
  return header === null ? null : (header.split(";")[0] ?? "").trim().toLowerCase();
}

/** `application/json`, or another type whose syntax is JSON. */
export function isJsonType(mediaType: string | null): boolean {
  return mediaType !== null && /^application\/([\w.-]+\+)?json$/.test(mediaType);
}

/**
 * @throws Fault `invalid_json`, also for bytes that are not UTF-8; `invalid_request` for nesting that would overflow the stack of whoever walks it: a schema
 * does, even over what it refuses.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (isNestedDeeper(bytes, limits.jsonDepth)) {
    throw new Fault("invalid_request", `The body is nested more than ${limits.jsonDepth} levels deep.`, { in: "body", issues: [] });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (error) {
    throw new Fault("invalid_json", `The body is not well-formed JSON in UTF-8: ${error instanceof Error ? error.message : "it can't be read"}`);
  }
}

const quote = 0x22;
const backslash = 0x5c;
/** What a byte does to the depth of nesting, outside of texts. */
const nesting = Int8Array.from({ length: 256 }, (_, byte) => Number(byte === 0x5b || byte === 0x7b) - Number(byte === 0x5d || byte === 0x7d));

/** Whether brackets outside of texts nest deeper than that. */
function isNestedDeeper(bytes: Uint8Array, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length && depth <= most; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfText(bytes, at + 1);
    else depth += nesting[byte] ?? 0;
  }
  return depth > most;
}

/** Where the quote stands that ends a text. */
function endOfText(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/**
 * Prepares a JSON body for the contract to check: read within the limit, parsed, and `{}` when there is none.
 * @throws Fault `body_too_large`, `unsupported_media_type` or `invalid_json`.
 */
export const jsonBody: MiddlewareHandler<ApiContext> = async (context, next) => {
  const bytes = await readBody(context.req.raw);
  if (bytes.length > 0 && !isJsonType(mediaTypeOf(context.req.raw))) throw new Fault("unsupported_media_type");
  const body: unknown = bytes.length === 0 ? {} : parseJson(bytes);
  if (context.req.raw.headers.get("content-type") !== "application/json") context.req.raw = namedJson(context.req.raw);
  // The body is read already; the validators that follow find its value here.
  context.req.json = <T>() => Promise.resolve(body as T);
  context.set("hasBody", true);
  await next();
};

/** The request without its body, of the one type that the validators know. */
function namedJson({ url, method, headers }: Request): Request {
  const named = new Headers(headers);
  named.set("content-type", "application/json");
  return new Request(url, { method, headers: named });
}

function joined(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function bodyTooLarge(): Fault {
  return new Fault("body_too_large", `The body is larger than ${limits.bodyBytes} bytes.`, { limitBytes: limits.bodyBytes });
}
