import { createRoute, z } from "@hono/zod-openapi";
import { Fault } from "#core/fault.ts";
import type { Encoded } from "#core/value.ts";
import { verifyToken } from "#objects/callback-token.ts";
import type { Api } from "./api-context.ts";
import { checkSignature } from "./callback-signature.ts";
import { jsonAnswer, problemAnswer } from "./contract.ts";
import { isJsonType, mediaTypeOf, parseJson, readBody } from "./request-body.ts";
import { callbackSecret } from "./settings.ts";
import { acceptValue } from "./values.ts";

const callbackRoute = createRoute({
  method: "post",
  path: "/callbacks/{token}",
  tags: ["callbacks"],
  summary: "Answer a callback",
  description:
    "The address is minted by a run and counts once. The body, JSON or a form, is the payload; none is null. Needs no API key; the run may ask for a signature.",
  security: [],
  request: { params: z.object({ token: z.string() }) },
  responses: { 200: jsonAnswer("The run has the payload and goes on.", z.object({ accepted: z.literal(true) })), default: problemAnswer },
});

/**
 * The route that callback URLs lead to. What is sent is read only after the token has proved itself, and believed only after its signature has, where
 * the run asks for one. A refused payload leaves the callback unused.
 */
export function addCallbackRoute(api: Api): void {
  api.openapi(callbackRoute, async (context) => {
    const claims = verifyToken(callbackSecret(context.env), "callback", context.req.valid("param").token);
    const body = await readBody(context.req.raw);
    const run = context.var.ports.run(claims.namespace, claims.runId);
    const { verify } = await run.callbackTerms(claims.key);
    if (verify) await checkSignature(verify, context.env, { headers: context.req.raw.headers, body });
    await run.callback(claims.key, payloadOf(context.req.raw, body));
    return context.json({ accepted: true as const }, 200);
  });
}

/** @throws Fault `invalid_json`, `invalid_request` or `unsupported_media_type`. */
function payloadOf(request: Request, body: Uint8Array): Encoded {
  if (body.length === 0) return acceptValue(null, "json", "body");
  const mediaType = mediaTypeOf(request);
  if (isJsonType(mediaType)) return acceptValue(parseJson(body), "json", "body");
  if (mediaType === "application/x-www-form-urlencoded") return acceptValue(formFields(body), "json", "body");
  throw new Fault("unsupported_media_type", "A callback's body must be application/json or application/x-www-form-urlencoded.");
}

/** The fields of a form; one that comes several times is a list. */
function formFields(body: Uint8Array): Record<string, string | string[]> {
  const fields = new URLSearchParams(new TextDecoder().decode(body));
  return Object.fromEntries(
    [...new Set(fields.keys())].map((name) => {
      const [first = "", ...others] = fields.getAll(name);
      return [name, others.length > 0 ? [first, ...others] : first];
    }),
  );
}
