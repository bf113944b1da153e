import {
  abortAllDurableObjects,
  applyD1Migrations,
  createExecutionContext,
  evictAllDurableObjects,
  listDurableObjectIds,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect } from "vitest";
import { clock } from "../world.ts";
import "../pool-workaround.ts";

/** What stories are told with: Segno's HTTP API, the mock SaaS, and a clock that moves when told to. */

const base = "http://segno.test";

/** Prepares the databases of a test file. Call it in `beforeAll`. */
export async function setUpWorld(): Promise<void> {
  await applyD1Migrations(env.INDEX, env.TEST_MIGRATIONS);
  await applyD1Migrations(env.STATE, env.MOCK_MIGRATIONS);
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the answers of an HTTP API, looked into by tests
  readonly body: any;
  readonly headers: Headers;
}

/** A request to Segno's API with the key of the default namespace. */
export async function api(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const init: RequestInit = {
    method,
    headers: { authorization: "Bearer segno-dev-key", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
  };
  if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
  return read(await exports.default.fetch(new Request(new URL(path, base), init)));
}

/** A request from outside, without a key: what a SaaS sends to a callback. */
export async function outside(url: string, init: RequestInit): Promise<Answer> {
  return read(await exports.default.fetch(new Request(url, init)));
}

/** A request to the mock SaaS, its admin side included. */
export async function mock(method: string, path: string, body?: unknown): Promise<Answer> {
  return read(
    await exports.default.fetch(
      new Request(`http://mock-saas${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      }),
    ),
  );
}

/** The calls that the mock SaaS got for a service, in order. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function callsTo(service: string): Promise<any[]> {
  return (await mock("GET", `/admin/calls?service=${service}`)).body.calls;
}

/** What the mock SaaS really did for a service: a repeated call that it answered from memory is not there. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function effectsOf(service: string): Promise<any[]> {
  return (await mock("GET", `/admin/effects?service=${service}`)).body.effects;
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text };
}

let ids = 0;

/** Starts a run and returns its id. */
export async function start(workflow: string, input: unknown, options: Record<string, unknown> = {}): Promise<string> {
  const id = String(options["id"] ?? `run-${++ids}-${crypto.randomUUID().slice(0, 8)}`);
  const answer = await api("POST", `/v1/workflows/${workflow}/runs`, { id, input, ...options });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return id;
}

// biome-ignore lint/suspicious/noExplicitAny: as above
export async function run(id: string): Promise<any> {
  return (await api("GET", `/v1/runs/${id}`)).body;
}

// biome-ignore lint/suspicious/noExplicitAny: as above
export async function steps(id: string): Promise<any[]> {
  return (await api("GET", `/v1/runs/${id}/steps?limit=200`)).body.steps;
}

/** Waits, in real time and not for long, until the run has come to a status. Fake time does not move. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function until(id: string, ...statuses: string[]): Promise<any> {
  return eventually(
    async () => {
      const found = await run(id);
      return statuses.includes(found.status) ? found : null;
    },
    `run ${id} to be ${statuses.join(" or ")}`,
  );
}

/** Waits until `look` finds something. */
export async function eventually<T>(look: () => Promise<T | null | undefined | false>, what: string): Promise<T> {
  const giveUpAt = Date.now() + 8000;
  do {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (Date.now() < giveUpAt);
  throw new Error(`Waited in vain for ${what}.`);
}

/** Fires every alarm that is due by the fake clock, until none is. */
export async function fireAlarms(): Promise<void> {
  for (let rounds = 0; rounds < 50; rounds++) {
    let fired = 0;
    for (const [stub] of await dueAlarms()) {
      // Another run's alarm may have moved this one.
      const at = await alarmOf(stub);
      if (at !== null && at <= clock.now() && (await runDurableObjectAlarm(stub))) fired++;
    }
    if (fired === 0) return;
  }
}

type Stub = ReturnType<typeof env.RUNS.get>;

/** When the alarm of a run's object is set to; null: it has none. */
export function alarmOf(stub: Stub): Promise<number | null> {
  return runInDurableObject(stub, (_instance, state) => state.storage.getAlarm());
}

/** Reaches into the object of a run of the default namespace, past all of Segno's code: to break something, or to see that nothing is there. */
export function withRun<T>(id: string, look: (state: DurableObjectState) => T | Promise<T>): Promise<T> {
  return runInDurableObject(env.RUNS.getByName(`default:${id}`), (_instance, state) => look(state));
}

async function alarms(): Promise<(readonly [Stub, number])[]> {
  const stubs = (await listDurableObjectIds(env.RUNS)).map((id) => env.RUNS.get(id));
  const times = await Promise.all(stubs.map(alarmOf));
  return stubs.flatMap((stub, nth) => {
    const at = times[nth];
    return typeof at === "number" ? [[stub, at] as const] : [];
  });
}

async function dueAlarms(): Promise<(readonly [Stub, number])[]> {
  return (await alarms()).filter(([, at]) => at <= clock.now());
}

/** Moves the fake clock and lets everything happen that is due on the way, in order. */
export async function advance(ms: number): Promise<void> {
  const end = clock.now() + ms;
  for (;;) {
    const next = Math.min(...(await dueTimes()).filter((at) => at <= end), end);
    clock.set(Math.max(next, clock.now()));
    await clock.fired();
    await fireAlarms();
    if (next >= end) return;
  }
}

/**
 * Moves the fake clock in one step and starts what is due, without waiting for it: for stories in which something hangs, so that the alarm that
 * hosts it does not come back by itself. Wait for what must happen with `until` or `eventually`.
 */
export async function passTime(ms: number): Promise<void> {
  clock.set(clock.now() + ms);
  await clock.fired();
  for (const [stub] of await dueAlarms()) void runDurableObjectAlarm(stub).catch(() => {});
}

async function dueTimes(): Promise<number[]> {
  const timer = clock.nextTimerAt();
  const times = (await alarms()).map(([, at]) => at);
  return [...times, ...(timer === null ? [] : [timer])].filter((at) => at > clock.now());
}

export const seconds = (n: number): number => n * 1000;
export const minutes = (n: number): number => n * 60_000;
export const hours = (n: number): number => n * 3_600_000;
export const days = (n: number): number => n * 86_400_000;

/** Every run object is put out of memory, as after ten idle seconds. */
export const evict = evictAllDurableObjects;

/** Every run object dies, with what it was doing; the alarms come as they would after a restart. */
export async function crash(): Promise<void> {
  await abortAllDurableObjects();
}

/** What the cron does. */
export async function sweep(): Promise<void> {
  const worker = await import("../worker.ts");
  await worker.default.scheduled(
    { scheduledTime: clock.now(), cron: "* * * * *", noRetry() {} } as ScheduledController,
    env as never,
    createExecutionContext(),
  );
}
