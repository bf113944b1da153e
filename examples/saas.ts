import { env } from "cloudflare:workers";
import { NonRetryableError, RetryAfterError } from "segno";

/** How the examples call their SaaS systems: here the mock SaaS Worker, by service binding; in your project, any HTTP API. */

interface SaasCall {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly signal: AbortSignal;
}

/** What a call that failed tells; it is recorded with the step. */
class SaasError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.name = "SaasError";
    this.status = status;
  }
}

/**
 * Calls the SaaS and reads its JSON.
 * @throws RetryAfterError when it says when to come back; NonRetryableError for other 4xx answers; SaasError, which is retried, for the rest.
 */
export async function saas<T>(path: string, call: SaasCall): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (call.idempotencyKey) headers["idempotency-key"] = call.idempotencyKey;
  const init: RequestInit = { method: call.method ?? "POST", headers, signal: call.signal };
  if (call.body !== undefined) init.body = JSON.stringify(call.body);
  const response = await env.MOCK_SAAS.fetch(`http://mock-saas${path}`, init);
  if (response.ok) return response.json();
  const message = `${init.method} ${path} answered ${response.status}: ${(await response.text()).slice(0, 500)}`;
  if (response.headers.has("retry-after")) throw RetryAfterError.from(response);
  if (response.status >= 400 && response.status < 500) throw Object.assign(new NonRetryableError(message), { status: response.status });
  throw new SaasError(message, response.status);
}
