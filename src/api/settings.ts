import { Fault } from "#core/fault.ts";

/** What the API reads from the Worker's environment, beside the secrets that callbacks name. */
export interface ApiEnv {
  /** A key of the namespace `default`. */
  readonly SEGNO_API_KEY?: string | undefined;
  /** Keys of other namespaces: `namespace:key`, separated by commas or lines. */
  readonly SEGNO_API_KEYS?: string | undefined;
  /** Signs callback URLs. Whoever knows it can forge them. */
  readonly SEGNO_SECRET?: string | undefined;
  /** Proves that an interaction comes from Slack. Without it they are refused. */
  readonly SLACK_SIGNING_SECRET?: string | undefined;
  /** `development` allows the well-known key and secret. Anything else, or nothing, is production. */
  readonly SEGNO_ENV?: string | undefined;
  /** Scheme and host under which this Segno is reached from outside. Default: those of the request. */
  readonly SEGNO_URL?: string | undefined;
}

/** An API key, and the one namespace that it opens. */
export interface ApiKey {
  readonly namespace: string;
  readonly key: string;
}

/** The key for `wrangler dev`. It is printed in the documentation, so it is refused anywhere else. */
export const developmentKey = "segno-dev-key";
/** As `developmentKey`. */
export const developmentSecret = "segno-dev-secret-not-for-production";

const shortestKey = 24;
const shortestSecret = 32;

/** A namespace stands in object names, before a colon, and in idempotency keys. */
const namespaceForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * The API keys of an environment that is fit to serve.
 * @throws Fault `not_configured` with one sentence for every setting to put right; keys and secrets are never quoted.
 */
export function apiKeys(env: ApiEnv): readonly ApiKey[] {
  const keys = [...keysOfDefault(env), ...keysOfNamespaces(env)];
  const wrong = [...keyProblems(env, keys), ...(env.SEGNO_ENV === "development" ? [] : secretProblems(env.SEGNO_SECRET))];
  if (wrong.length > 0) throw new Fault("not_configured", wrong.join(" "), { problems: wrong });
  return keys;
}

/**
 * The secret that signs callback URLs.
 * @throws Fault `not_configured`, as `apiKeys`, for a secret that others may know: callbacks would be forged with it.
 */
export function callbackSecret(env: ApiEnv): string {
  const wrong = env.SEGNO_ENV === "development" && env.SEGNO_SECRET ? [] : secretProblems(env.SEGNO_SECRET);
  if (wrong.length > 0 || !env.SEGNO_SECRET) throw new Fault("not_configured", wrong.join(" "), { problems: wrong });
  return env.SEGNO_SECRET;
}

/** The origin that callback URLs begin with. */
export function publicOrigin(env: ApiEnv, requestUrl: string): string {
  return env.SEGNO_URL ? env.SEGNO_URL.replace(/\/+$/, "") : new URL(requestUrl).origin;
}

function keysOfDefault(env: ApiEnv): readonly ApiKey[] {
  const key = env.SEGNO_API_KEY?.trim();
  return key ? [{ namespace: "default", key }] : [];
}

function keysOfNamespaces(env: ApiEnv): readonly ApiKey[] {
  const entries = (env.SEGNO_API_KEYS ?? "").split(/[,\r\n]+/).map((entry) => entry.trim());
  return entries.filter((entry) => entry !== "").map(namespaceKey);
}

function namespaceKey(entry: string): ApiKey {
  const colon = entry.indexOf(":");
  return { namespace: entry.slice(0, Math.max(0, colon)).trim(), key: entry.slice(colon + 1).trim() };
}

function keyProblems(env: ApiEnv, keys: readonly ApiKey[]): string[] {
  if (keys.length === 0) {
    const how = env.SEGNO_ENV === "development" ? `write SEGNO_API_KEY=${developmentKey} into .dev.vars` : "run `wrangler secret put SEGNO_API_KEY`";
    return [`There is no API key: ${how}.`];
  }
  const wrong = [];
  if (keys.some(({ namespace, key }) => !namespaceForm.test(namespace) || key === "")) {
    wrong.push("SEGNO_API_KEYS must hold entries of the form namespace:key, separated by commas or lines: run `wrangler secret put SEGNO_API_KEYS`.");
  }
  if (new Set(keys.map(({ key }) => key)).size < keys.length) wrong.push("One API key stands for several namespaces; each needs its own.");
  if (env.SEGNO_ENV !== "development" && keys.some(({ key }) => key === developmentKey || key.length < shortestKey)) {
    wrong.push(`An API key is well known or shorter than ${shortestKey} characters: run \`wrangler secret put ${weakVariable(env)}\` with a random one.`);
  }
  return wrong;
}

function weakVariable(env: ApiEnv): string {
  const ofDefault = keysOfDefault(env)[0]?.key;
  return ofDefault !== undefined && (ofDefault === developmentKey || ofDefault.length < shortestKey) ? "SEGNO_API_KEY" : "SEGNO_API_KEYS";
}

function secretProblems(secret: string | undefined): string[] {
  if (!secret) return ["There is no secret to sign callback URLs with: run `wrangler secret put SEGNO_SECRET`."];
  if (secret !== developmentSecret && secret.length >= shortestSecret) return [];
  return [`SEGNO_SECRET is well known or shorter than ${shortestSecret} characters: run \`wrangler secret put SEGNO_SECRET\` with a random one.`];
}
