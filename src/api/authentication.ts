import { Fault } from "#core/fault.ts";
import type { ApiKey } from "./settings.ts";

/**
 * The namespace that a request's API key opens. Keys are compared by their digests, all of them and each in constant time, so that the time of an
 * answer tells nothing of a key.
 * @throws Fault `unauthorized` for a key that is missing or not one of ours.
 */
export async function authenticate(headers: Headers, keys: readonly ApiKey[]): Promise<string> {
  const given = keyOf(headers);
  if (given === null) throw new Fault("unauthorized", "Send an API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.");
  const digest = await digestOf(given);
  let namespace: string | null = null;
  for (const known of keys) {
    if (crypto.subtle.timingSafeEqual(digest, await knownDigest(known.key))) namespace = known.namespace;
  }
  if (namespace === null) throw new Fault("unauthorized", "The API key is not one of ours.");
  return namespace;
}

function keyOf(headers: Headers): string | null {
  const authorization = headers.get("authorization");
  if (authorization === null) return headers.get("x-api-key");
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? null;
}

/** The digests of our own keys, which are few and the same for every request. */
const knownDigests = new Map<string, ArrayBuffer>();

async function knownDigest(key: string): Promise<ArrayBuffer> {
  const digest = knownDigests.get(key) ?? (await digestOf(key));
  knownDigests.set(key, digest);
  return digest;
}

function digestOf(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
