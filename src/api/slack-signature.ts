import { Fault } from "#core/fault.ts";
import type { SignedRequest } from "./callback-signature.ts";
import type { ApiEnv } from "./settings.ts";

/** How old, or how far ahead, a request may be, in seconds: what Slack advises against replays. */
const toleranceSeconds = 5 * 60;

/**
 * Checks Slack's signature, version v0: `v0=` and the HMAC-SHA-256, in hex, of `v0:<timestamp>:<body>`.
 * @throws Fault `signature_invalid` for one that is missing, wrong, or more than five minutes off; `not_configured` without the secret.
 */
export async function checkSlackSignature(env: ApiEnv, { headers, body }: SignedRequest, now: number): Promise<void> {
  const secret = env.SLACK_SIGNING_SECRET;
  if (!secret) throw new Fault("not_configured", "Slack's signing secret is not set: run `wrangler secret put SLACK_SIGNING_SECRET`.");
  const timestamp = headers.get("x-slack-request-timestamp") ?? "";
  const [, hex] = /^v0=([0-9a-f]{64})$/.exec(headers.get("x-slack-signature") ?? "") ?? [];
  if (hex === undefined || !/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > toleranceSeconds) throw new Fault("signature_invalid");
  const signature = Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  // WebCrypto compares in constant time.
  if (!(await crypto.subtle.verify("HMAC", key, signature, signedBytes(timestamp, body)))) throw new Fault("signature_invalid");
}

/** The body counts byte for byte, so it is not read as text. */
function signedBytes(timestamp: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = new TextEncoder().encode(`v0:${timestamp}:`);
  const bytes = new Uint8Array(prefix.length + body.length);
  bytes.set(prefix);
  bytes.set(body, prefix.length);
  return bytes;
}
