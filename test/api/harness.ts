import { z } from "zod";
import { createApi } from "#api/app.ts";
import type { ApiEnv } from "#api/settings.ts";
import { createRegistry } from "#sdk/registry.ts";
import { workflow } from "#sdk/workflow.ts";
import type { ApprovalPage, ApprovalQuery } from "#visibility/approvals.ts";
import type { DeadLetterGroups } from "#visibility/dead-letters.ts";
import type { RunQuery } from "#visibility/query.ts";
import type { RunPage } from "#visibility/search.ts";
import { type FakeRuns, fakeRuns } from "./fake-runs.ts";

export const echo = workflow({ name: "echo", run: ({ input }) => input });
export const broken = workflow({
  name: "broken",
  run: (): never => {
    throw new Error("Fake runs run no code.");
  },
});
export const strict = workflow({
  name: "strict",
  version: "2",
  input: z.object({ customer: z.string(), at: z.date().optional() }),
  attributes: ({ customer }) => ({ customer }),
  run: ({ input }) => ({ customer: input.customer, signedAt: new Date(0) }),
});
const strictOfOld = workflow({ name: "strict", version: "1", input: z.custom<() => void>(() => true), run: () => null });

export const key = "segno-dev-key";
export const otherKey = "other-key";
export const secret = "segno-dev-secret-not-for-production";

export const environment: ApiEnv & Record<string, string> = {
  SEGNO_ENV: "development",
  SEGNO_API_KEY: key,
  SEGNO_API_KEYS: `other:${otherKey}`,
  SEGNO_SECRET: secret,
};

export interface Ask {
  readonly method?: string;
  /** Sent as JSON, unless it is a text, bytes or a stream. */
  readonly body?: unknown;
  /** Null leaves out a header that is sent otherwise. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly env?: ApiEnv & Record<string, unknown>;
  /** The address as the server tells it, where it is none that a client could ask for. */
  readonly url?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever members it asks for
type Json = any;

export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

export interface Harness {
  readonly ask: (path: string, ask?: Ask) => Promise<Told>;
  readonly fakes: FakeRuns;
  /** What was searched for. */
  readonly queries: RunQuery[];
  /** What the next search finds; by default nothing. */
  found: RunPage;
  /** What the inbox was asked, and what it answers next. */
  readonly inboxQueries: ApprovalQuery[];
  inbox: ApprovalPage;
  /** What the index says of dead letters. */
  groups: DeadLetterGroups;
  count: number;
  readonly logged: unknown[];
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The API over fake runs. */
export function harness(): Harness {
  const registry = createRegistry({ workflows: [echo, broken, strict, strictOfOld] });
  const fakes = fakeRuns(registry);
  const logged: unknown[] = [];
  let ids = 0;
  const api = createApi({
    registry,
    newId: () => `id-${++ids}`,
    ports: () => ({
      run: (namespace, runId) => fakes.run(namespace, runId),
      search: async (query) => {
        made.queries.push(query);
        return made.found;
      },
      approvals: async (query) => {
        made.inboxQueries.push(query);
        return made.inbox;
      },
      deadLetterGroups: async (query) => {
        made.queries.push(query);
        return made.groups;
      },
      countDeadLetters: async (query) => {
        made.queries.push(query);
        return made.count;
      },
    }),
    log: { info: () => {}, warn: () => {}, error: (message, fields) => logged.push({ message, ...fields }) },
  });
  const ask = async (path: string, { method, body, headers = {}, env = environment, url }: Ask = {}): Promise<Told> => {
    const isPlain = body === undefined || typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
    const sent: [string, string | null][] = Object.entries({
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    });
    const init: RequestInit = {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: sent.flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
    };
    if (body !== undefined) init.body = isPlain ? (body as BodyInit) : JSON.stringify(body);
    const request = new Request(`https://segno.test${path}`, init);
    if (url !== undefined) Object.defineProperty(request, "url", { value: url });
    const response = await api.request(request, undefined, env);
    return { status: response.status, headers: response.headers, body: jsonOf(await response.text()) };
  };
  const made: Harness = {
    ask,
    fakes,
    queries: [],
    found: { runs: [], nextCursor: null },
    inboxQueries: [],
    inbox: { approvals: [], nextCursor: null },
    groups: { groups: [], more: false },
    count: 0,
    logged,
    fetch: async (url, init) => api.request(url, init, environment),
  };
  return made;
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
