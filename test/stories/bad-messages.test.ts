import { createExecutionContext, createMessageBatch, createScheduledController, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { automation, workflow } from "segno";
import { beforeAll, expect, test } from "vitest";
import { jsonOf, Members, placesOf, textOf } from "../fuzz/json.ts";
import { nastyJson, nastyName } from "../fuzz/nasty.ts";
import { Random } from "../fuzz/random.ts";
import { runSummary } from "../visibility/index-db.ts";
import worker from "../worker.ts";
import { clock, deploy } from "../world.ts";
import { api, eventually, run, setUpWorld, start, until } from "./story.ts";

/** Whatever lies in a queue or in the index, the handlers end well, and what is good is done. */

const seed = Date.now() % 1_000_000;

beforeAll(setUpWorld);

/** Something like the good body, or nothing like it. */
function badBody(random: Random, good: object): unknown {
  if (random.chance(0.2)) return parsed(textOf(nastyJson(random)));
  const body = jsonOf(good);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const place = random.pick(placesOf(body));
    const change = random.weighted({ replace: 6, drop: 1, add: 1 });
    if (change === "replace" || !place.owner) place.set(nastyJson(random));
    else if (change === "drop") place.owner.entries.splice(place.index, 1);
    else place.owner.entries.push([nastyName(random), nastyJson(random)]);
    if (body instanceof Members && body.entries.length === 0) break;
  }
  return parsed(textOf(body));
}

/** Queues carry what JSON can say, and what can be copied from one place to another. */
function parsed(text: string): unknown {
  try {
    return structuredClone(JSON.parse(text));
  } catch {
    return text;
  }
}

async function deliver(queue: string, bodies: readonly unknown[]) {
  const messages = bodies.map((body, nth) => ({ id: `m${nth}`, timestamp: new Date(0), attempts: 1, body }));
  const batch = createMessageBatch(queue, messages);
  const context = createExecutionContext();
  await worker.queue(batch as MessageBatch<unknown>, env as never, context);
  const { outcome, explicitAcks, retryMessages, ackAll } = await getQueueResult(batch, context);
  return {
    outcome,
    acked: new Set(ackAll ? messages.map(({ id }) => id) : explicitAcks),
    retried: new Set(retryMessages.map((message: { msgId: string }) => message.msgId)),
  };
}

/** Good bodies among bad ones, and the places of the good. */
function mixed(random: Random, goods: readonly object[], kind: () => object): { bodies: unknown[]; places: string[] } {
  const bodies: unknown[] = [];
  const places = goods.map((good) => {
    for (let bad = random.below(8); bad > 0; bad--) bodies.push(badBody(random, kind()));
    bodies.push(good);
    return `m${bodies.length - 1}`;
  });
  return { bodies, places };
}

const nothing = workflow({ name: "nothing", run: () => null });

test(`summaries of whatever kind keep no good one from the index (seed ${seed})`, async () => {
  deploy(nothing);
  const random = new Random("summaries", seed);
  for (let round = 0; round < 12; round++) {
    const ids = await Promise.all(Array.from({ length: 5 }, () => start("nothing", null)));
    for (const id of ids) await until(id, "completed");
    // News that is newer than all that the runs have told themselves.
    const good = ids.map((id) => runSummary({ namespace: "default", id, seq: 1_000_000, attributes: { tier: "gold" } }));
    const { bodies, places } = mixed(random, good, () => runSummary({ namespace: "bad", id: `bad-${random.below(50)}`, attributes: { a: 1, b: "x" } }));

    const { outcome, acked } = await deliver("segno-summaries", bodies);

    expect(outcome, `round ${round}`).toBe("ok");
    for (const place of places) expect(acked, `round ${round}`).toContain(place);
    const { results } = await env.INDEX.prepare("SELECT id FROM runs WHERE attributes LIKE '%gold%' AND id IN (SELECT value FROM json_each(?1))")
      .bind(JSON.stringify(ids))
      .all();
    expect(results.length, `round ${round}`).toBe(5);
  }
});

test("a summary of a run that nobody has does not stay in the index", async () => {
  await deliver("segno-summaries", [runSummary({ namespace: "default", id: "nobody-has-it" })]);

  expect((await env.INDEX.prepare("SELECT id FROM runs WHERE id = 'nobody-has-it'").all()).results).toEqual([]);
});

const attempts: string[] = [];
const onQueue = automation<string, string>({
  name: "on-queue",
  dispatch: "queue",
  retries: { limit: 0 },
  run: ({ input }) => {
    attempts.push(input);
    return input;
  },
});
const dispatches = workflow({ name: "dispatches", run: async ({ input, step }) => await step.run(onQueue, input as string) });

test(`step messages of whatever kind keep no good one from its work, which is done once (seed ${seed})`, async () => {
  deploy(dispatches, onQueue);
  const random = new Random("steps", seed);
  for (let round = 0; round < 15; round++) {
    const ids = await Promise.all([0, 1].map((nth) => start("dispatches", `${round}-${nth}`)));
    const message = (runId: string) => ({ namespace: "default", runId, key: "on-queue", attempt: 1 });
    const { bodies, places } = mixed(random, ids.map(message), () => message(random.pick([...ids, "nobody"])));

    const { outcome, acked, retried } = await deliver("segno-steps", bodies);

    expect(outcome, `round ${round}`).toBe("ok");
    for (const place of places) expect(acked, `round ${round}`).toContain(place);
    expect(acked.size + retried.size, `round ${round}`).toBe(bodies.length);
    for (const id of ids) expect((await until(id, "completed")).status).toBe("completed");
  }
  expect(new Set(attempts).size).toBe(attempts.length);
});

test(`dead messages of whatever kind fail the attempts that they name, and no others (seed ${seed})`, async () => {
  deploy(dispatches, onQueue);
  const random = new Random("dead", seed);
  for (let round = 0; round < 10; round++) {
    const id = await start("dispatches", `dead-${round}`);
    await until(id, "completed");
    const bodies = Array.from({ length: 12 }, () => badBody(random, { namespace: "default", runId: id, key: "on-queue", attempt: 1 }));

    const { outcome, acked, retried } = await deliver("segno-steps-dead", bodies);

    expect(outcome, `round ${round}`).toBe("ok");
    expect(acked.size + retried.size, `round ${round}`).toBe(bodies.length);
    expect((await run(id)).status).toBe("completed");
  }
});

test(`a sweep over an index that holds anything wakes what is overdue (seed ${seed})`, async () => {
  const sleeper = workflow({ name: "sleeper", run: async ({ step }) => await step.sleep("nap", "1h") });
  deploy(sleeper);
  const random = new Random("sweep", seed);
  const id = await start("sleeper", null);
  await eventually(async () => (await api("GET", "/v1/runs?workflow=sleeper")).body.runs.length > 0, "the run to be in the index");
  const insert =
    "INSERT OR REPLACE INTO runs (namespace, id, seq, workflow, version, status, attributes, trigger, created_at, updated_at, next_wake_at, search_text)";
  const text = (): string => textOf(nastyJson(random)).slice(0, 2000).toWellFormed();
  for (let row = 0; row < 60; row++) {
    const values = [text(), text(), 1, text(), text(), "waiting", "{}", text(), 0, 0, random.chance(0.5) ? 0 : null, ""];
    await env.INDEX.prepare(`${insert} VALUES (${values.map((_, at) => `?${at + 1}`).join(", ")})`)
      .bind(...values)
      .run();
  }
  // As if the index had missed what the run did since.
  await env.INDEX.prepare("UPDATE runs SET seq = 0, next_wake_at = ?1 WHERE id = ?2")
    .bind(clock.now() - 3_600_000, id)
    .run();
  const wakeAt = async () => (await env.INDEX.prepare("SELECT next_wake_at FROM runs WHERE id = ?1").bind(id).first<number>("next_wake_at")) ?? 0;

  await worker.scheduled(createScheduledController(), env as never, createExecutionContext());

  await eventually(async () => (await wakeAt()) > clock.now(), "the run to tell the index anew");
});
