import { SegnoError, type SegnoErrorCode } from "./segno-error.ts";

/** As `fetch`. A Worker that has Segno as a service binding passes `(url, init) => env.SEGNO.fetch(url, init)`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Where a Segno is, and the key that opens one of its namespaces. */
export interface ClientOptions {
  /** Scheme and host of the Segno, such as `https://segno.example.com`. */
  readonly url: string;
  readonly apiKey: string;
  /** Default: the global one. */
  readonly fetch?: Fetch;
}

/** A request to the API. It must be one that may arrive twice, since it is sent again when no answer comes. */
export interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** An answer that was not a refusal. */
export interface CallAnswer {
  readonly status: number;
  /** Parsed JSON. */
  readonly body: unknown;
}

/** Sends a call until it is answered. @throws SegnoError as `createTransport` says. */
export type Transport = (call: Call) => Promise<CallAnswer>;

const attempts = 6;
const firstPauseMs = 100;
const longestPauseMs = 5_000;

/**
 * Sends calls, and sends them again, a few times and at growing intervals, when the network fails, the run was overloaded, or something between here
 * and Segno answered in its stead.
 * @throws SegnoError with the code of the problem, `unreachable` after the last attempt, `unexpected_answer`; and the signal's reason when it aborts.
 */
export function createTransport(options: ClientOptions): Transport {
  const send = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  return async (call) => {
    for (let attempt = 1; ; attempt++) {
      const tried = await tryOnce(call, options, send);
      if ("answer" in tried) return tried.answer;
      if (attempt === attempts) throw tried.error;
      await pause(Math.max(tried.retryAfterMs, Math.min(firstPauseMs * 2 ** attempt, longestPauseMs) * (0.5 + Math.random() / 2)), call.signal);
    }
  };
}

type Tried = { readonly answer: CallAnswer } | { readonly error: SegnoError; readonly retryAfterMs: number };

async function tryOnce(call: Call, options: ClientOptions, send: Fetch): Promise<Tried> {
  let response: Response;
  let text: string;
  try {
    response = await send(addressOf(call, options), requestInit(call, options));
    text = await response.text();
  } catch (error) {
    call.signal?.throwIfAborted();
    return { error: new SegnoError("unreachable", `${options.url} gave no answer: ${String(error)}`, { cause: error }), retryAfterMs: 0 };
  }
  const body = jsonOf(text);
  if (response.ok && body !== undefined) return { answer: { status: response.status, body } };
  const error = answeredError(response.status, body);
  const isWorthRetrying = error.code === "overloaded" || (error.code === "unexpected_answer" && response.status >= 500);
  if (!isWorthRetrying) throw error;
  return { error, retryAfterMs: Math.min(Number(response.headers.get("retry-after")) * 1000 || 0, longestPauseMs) };
}

function addressOf(call: Call, options: ClientOptions): string {
  const query = call.query && call.query.size > 0 ? `?${call.query}` : "";
  return `${options.url.replace(/\/+$/, "")}${call.path}${query}`;
}

function requestInit(call: Call, options: ClientOptions): RequestInit {
  const headers: Record<string, string> = {
    authorization: `Bearer ${options.apiKey}`,
    accept: "application/json",
    "accept-values": "devalue",
    ...call.headers,
  };
  const init: RequestInit = { method: call.method, headers };
  if (call.signal) init.signal = call.signal;
  if (call.body === undefined) return init;
  headers["content-type"] = "application/json";
  return { ...init, body: JSON.stringify(call.body) };
}

/** A problem tells its code; anything else was not said by Segno. */
function answeredError(status: number, body: unknown): SegnoError {
  if (typeof body === "object" && body !== null && "code" in body && typeof body.code === "string" && "type" in body) {
    const { type: _type, title, status: _status, code, detail, instance: _instance, ...details } = body as Record<string, unknown>;
    // The table of codes may have grown since this client was built.
    return new SegnoError(code as SegnoErrorCode, String(detail ?? title), { status, details });
  }
  return new SegnoError("unexpected_answer", `The answer with status ${status} is not Segno's. Is the URL right?`, { status });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON, so not Segno's: the caller names the error.
  }
}

/** Resolves after `ms`; rejects with the signal's reason when it aborts before. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
