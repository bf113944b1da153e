import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { CallbackVerification } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";

type Hmac = Extract<CallbackVerification, { scheme: "hmac" }>;

/** A callback as it came in: its headers, and its body byte for byte, for that is what was signed. */
export interface SignedRequest {
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * Checks that a callback was signed with the secret that its terms name.
 * @throws Fault `signature_invalid` for a signature that is missing, wrong, or (standard webhooks) more than five minutes off.
 * @throws Fault `not_configured` when the Worker has no such secret, or not in the form that the scheme asks for.
 */
export async function checkSignature(verify: CallbackVerification, env: unknown, request: SignedRequest): Promise<void> {
  const secret = secretOf(env, verify.secret);
  if (verify.scheme === "standard-webhooks") checkStandard(verify.secret, secret, request);
  else if (!(await hmacFits(verify, secret, request))) throw new Fault("signature_invalid");
}

function secretOf(env: unknown, name: string): string {
  // The binding's name comes from the workflow, so its type is known only here.
  const secret = (env as Readonly<Record<string, unknown>>)[name];
  if (typeof secret !== "string" || secret === "") {
    throw new Fault("not_configured", `The callback is signed with the secret ${name}, which is not set: run \`wrangler secret put ${name}\`.`);
  }
  return secret;
}

function checkStandard(name: string, secret: string, request: SignedRequest): void {
  const webhook = standardWebhook(name, secret);
  try {
    webhook.verify(new TextDecoder().decode(request.body), Object.fromEntries(request.headers), { jsonParse: false });
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    throw new Fault("signature_invalid", `The request's signature is refused: ${error.message}.`);
  }
}

function standardWebhook(name: string, secret: string): Webhook {
  try {
    return new Webhook(secret);
  } catch {
    // The cause may quote the secret.
    throw new Fault("not_configured", `The secret ${name} is not one of standard webhooks: whsec_ and base64.`);
  }
}

/** WebCrypto compares in constant time. */
async function hmacFits(verify: Hmac, secret: string, request: SignedRequest): Promise<boolean> {
  const sent = request.headers.get(verify.header);
  if (!sent?.startsWith(verify.prefix)) return false;
  const signature = signatureBytes(sent.slice(verify.prefix.length).trim(), verify.encoding);
  if (!signature) return false;
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: verify.algorithm }, false, ["verify"]);
  return crypto.subtle.verify("HMAC", key, signature, request.body);
}

function signatureBytes(text: string, encoding: Hmac["encoding"]): Uint8Array<ArrayBuffer> | null {
  try {
    const binary = encoding === "hex" ? binaryOfHex(text) : atob(text);
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    // Not of the encoding: a wrong signature like any other.
    return null;
  }
}

/** @throws RangeError for a text that is not hexadecimal. */
function binaryOfHex(text: string): string {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new RangeError("Not hexadecimal.");
  return text.replace(/../g, (digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}
