import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { Fault } from "#core/fault.ts";
import type { ApprovalClaims, CallbackClaims, CallbackMint } from "#engine/ports.ts";

/** Callback tokens: the claims, readable, and an HMAC-SHA-256 over them. Making one needs no state, so the same step always has the same URL. */

const context = "segno-v1";

/** A mint that signs with `secret`; without one it refuses. */
export function callbackMint(secret: string | undefined): CallbackMint {
  const signed = (purpose: Purpose, claims: CallbackClaims | ApprovalClaims): string => {
    if (!secret) throw new Fault("callback_not_configured", "Set the secret SEGNO_SECRET; callback URLs are signed with it.");
    return signToken(secret, purpose, claims);
  };
  return {
    url: (origin, claims) => `${origin}/callbacks/${signed("callback", claims)}`,
    approvalUrl: (origin, claims) => `${origin}/approvals/${signed("approval", claims)}`,
  };
}

/** What a token is good for. One made for one purpose is none of ours for the other. */
export type Purpose = "callback" | "approval";

export function signToken(secret: string, purpose: Purpose, claims: CallbackClaims & { readonly assignee?: string }): string {
  const { namespace, runId, key, expiresAt, assignee } = claims;
  const body = toBase64Url(new TextEncoder().encode(JSON.stringify([namespace, runId, key, expiresAt, ...(assignee === undefined ? [] : [assignee])])));
  return `${body}.${signature(secret, `${purpose}.${body}`)}`;
}

/** The claims of a token. Says nothing of its expiry: the run knows. @throws Fault `callback_invalid` for anything that we did not sign for this purpose. */
export function verifyToken(secret: string, purpose: Purpose, token: string): ApprovalClaims {
  const [body, given, ...more] = token.split(".");
  if (!body || !given || more.length > 0 || !equal(given, signature(secret, `${purpose}.${body}`))) throw new Fault("callback_invalid");
  const [namespace, runId, key, expiresAt, assignee = ""] = JSON.parse(new TextDecoder().decode(fromBase64Url(body) ?? new Uint8Array()));
  return { namespace, runId, key, expiresAt, assignee };
}

function signature(secret: string, body: string): string {
  const encoder = new TextEncoder();
  return toBase64Url(hmac(sha256, encoder.encode(secret), encoder.encode(`${context}.${body}`)));
}

/** Compares without telling by its time where the difference is. As texts, for several texts of base64 stand for the same bytes, and a token is one text only. */
function equal(given: string, signature: string): boolean {
  if (given.length !== signature.length) return false;
  let difference = 0;
  for (let at = 0; at < signature.length; at++) difference |= given.charCodeAt(at) ^ signature.charCodeAt(at);
  return difference === 0;
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  } catch {
    return null; // Not base64: no token of ours.
  }
}
