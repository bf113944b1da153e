import { env } from "cloudflare:workers";
import { automation, workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { advance, api, callsTo, crash, days, effectsOf, eventually, mock, passTime, run, seconds, setUpWorld, start, steps, until } from "./story.ts";

/** Runs whose object is killed. A killed run goes on when its alarm comes; by then its lease of 15 s is over. */

const afterLease = seconds(16);

/** Places in the workflows' code where a run stands still, until it is killed. Met once; the code passes by when it runs again. */
const halts = new Set<string>();
/** The places where runs stand now. */
const halted = new Set<string>();
/** How often the function of a run began: twice means that its object died in between, since nothing else makes it begin again. */
const beginnings = new Map<string, number>();

beforeAll(async () => {
  await setUpWorld();
  deploy(signup, dispatchedSignup, createCustomer, rounds, twoPaces, settlement);
});
beforeEach(async () => {
  halts.clear();
  halted.clear();
  await mock("DELETE", "/admin/state");
});

function began(runId: string): void {
  beginnings.set(runId, (beginnings.get(runId) ?? 0) + 1);
}

async function haltAt(place: string): Promise<void> {
  if (!halts.delete(place)) return;
  halted.add(place);
  await new Promise<never>(() => {});
}

interface Customer {
  readonly customerId: string;
}

/** Creates a customer at the billing provider and keeps the id. */
const signup = workflow({
  name: "signup",
  input: z.object({ email: z.string() }),
  async run({ input, step, run }) {
    began(run.id);
    const customer = await step.do("create-customer", { input, retries: { delay: "1s", jitter: 0 } }, async ({ input: body, idempotencyKey, signal }) => {
      const created = await saas<Customer>("/billing/customers", { body, idempotencyKey, signal });
      await haltAt(`${run.id}: customer created`);
      return created;
    });
    return { customerId: customer.customerId };
  },
});

const createCustomer = automation({
  name: "create-customer",
  dispatch: "queue",
  input: z.object({ email: z.string() }),
  run: ({ input, idempotencyKey, signal }) => saas<Customer>("/billing/customers", { body: input, idempotencyKey, signal }),
});

const dispatchedSignup = workflow({
  name: "dispatched-signup",
  input: z.object({ email: z.string() }),
  async run({ input, step, run }) {
    began(run.id);
    return { customerId: (await step.run(createCustomer, input)).customerId };
  },
});

/** What must be true of a sign-up, however often it was interrupted. */
async function expectOneCustomer(id: string, calls: number): Promise<void> {
  const done = await until(id, "completed", "failed");
  expect(done.status).toBe("completed");
  const received = await callsTo("billing");
  expect(received).toHaveLength(calls);
  expect(new Set(received.map((call) => call.idempotencyKey))).toEqual(new Set([`default/${id}/create-customer`]));
  expect(new Set(received.map((call) => call.body))).toEqual(new Set([JSON.stringify({ email: "ann@acme.example" })]));
  const customers = await effectsOf("billing");
  expect(customers).toHaveLength(1);
  expect(done.output).toEqual({ customerId: customers[0].resourceId });
  const { entries } = (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body;
  // biome-ignore lint/suspicious/noExplicitAny: an entry of the API
  expect(entries.filter((entry: any) => entry.kind === "step.completed").map((entry: any) => entry.key)).toEqual(["create-customer"]);
}

const ann = { email: "ann@acme.example" };

async function outcomes(id: string): Promise<unknown[]> {
  // biome-ignore lint/suspicious/noExplicitAny: an attempt of the API
  return (await steps(id))[0].attempts.map((attempt: any) => attempt.outcome);
}

test("R18: the billing provider created the customer and answered with an error: one customer, and its id is stored", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "accept-then-fail", status: 502, times: 1 });
  const id = await start("signup", ann);
  await until(id, "waiting");
  expect(await effectsOf("billing")).toHaveLength(1);
  await advance(seconds(1));
  await expectOneCustomer(id, 2);
  expect(await outcomes(id)).toEqual(["failed", "completed"]);
});

test("R18: the billing provider created the customer and the answer was cut off: one customer, and its id is stored", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "accept-then-drop", times: 1 });
  const id = await start("signup", ann);
  await until(id, "waiting");
  expect(await effectsOf("billing")).toHaveLength(1);
  await advance(seconds(1));
  await expectOneCustomer(id, 2);
  expect(await outcomes(id)).toEqual(["failed", "completed"]);
});

test("R18: killed while the billing provider, which has created the customer, is slow to answer: one customer, and its id is stored", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "late", delayMs: 700, times: 1 });
  const id = await start("signup", ann);
  await eventually(async () => (await effectsOf("billing")).length === 1, "the customer to be created");
  await crash();
  expect((await run(id)).status).toBe("running");
  expect(await outcomes(id)).toEqual([null]);
  await advance(afterLease);
  await expectOneCustomer(id, 2);
  expect(await outcomes(id)).toEqual(["lost", "completed"]);
  expect(beginnings.get(id)).toBe(2);
});

test("R18: killed when the customer's id had arrived but was not stored yet: one customer, and its id is stored", async () => {
  const id = "signup-id-arrived";
  halts.add(`${id}: customer created`);
  await start("signup", ann, { id });
  await eventually(async () => halted.size === 1, "the customer's id to arrive");
  expect((await callsTo("billing"))[0].status).toBe(201);
  await crash();
  await advance(afterLease);
  await expectOneCustomer(id, 2);
  expect(await outcomes(id)).toEqual(["lost", "completed"]);
  expect(beginnings.get(id)).toBe(2);
});

test("R18: killed while a queue consumer creates the customer: one customer, and its id is stored", async () => {
  await mock("PUT", "/admin/faults/billing", { mode: "late", delayMs: 500, times: 1 });
  const id = await start("dispatched-signup", ann);
  await eventually(async () => (await effectsOf("billing")).length === 1, "the customer to be created");
  await crash();
  expect((await run(id)).status).toBe("running");
  // The consumer may have died along with its queue, which lives in the same process here: then its lease ends, and another one takes over.
  await new Promise((resolve) => setTimeout(resolve, 600));
  if ((await run(id)).status !== "completed") await advance(seconds(60));
  const sent = (await callsTo("billing")).length;
  expect(sent).toBeLessThanOrEqual(2);
  await expectOneCustomer(id, sent);
  expect(beginnings.get(id)).toBe(2);
});

const boundaries = Array.from({ length: 20 }, (_, index) => index + 1);

/**
 * A service outside that many runs can call hundreds of times in little time, which the mock SaaS with its database is too slow for. It acts once
 * per key and remembers every call.
 */
const service = { calls: [] as string[], effects: new Map<string, number>() };

async function callService(key: string, signal: AbortSignal): Promise<number> {
  // A fetch to an address without a service behind it: it holds the call back until what the run has recorded is durable, as every real call is.
  const answer = await env.MOCK_SAAS.fetch("http://mock-saas/no-service", { signal });
  await answer.text();
  service.calls.push(key);
  const effect = service.effects.get(key) ?? service.effects.size + 1;
  service.effects.set(key, effect);
  return effect;
}

/** Twenty calls, one after the other. It can be stopped before the first, after each, and when a call is made but not recorded. */
const rounds = workflow({
  name: "rounds",
  async run({ step, run }) {
    began(run.id);
    await haltAt(`${run.id}: after 0`);
    const effects: number[] = [];
    for (const round of boundaries) {
      const effect = await step.do(`round-${round}`, async ({ idempotencyKey, signal }) => {
        const made = await callService(idempotencyKey, signal);
        await haltAt(`${run.id}: in ${round}`);
        return made;
      });
      effects.push(effect);
      await haltAt(`${run.id}: after ${round}`);
    }
    return effects;
  },
});

/** The keys of a run's twenty rounds, in order. */
function keysOf(id: string): string[] {
  return boundaries.map((round) => `default/${id}/round-${round}`);
}

/** The run ended by itself, began `beginnings` times, made these calls and no others, and each of its twenty effects once. */
async function expectTwentyRounds(id: string, expected: { readonly calls: string[]; readonly begun: number }): Promise<void> {
  const done = await until(id, "completed", "failed");
  expect(done.status).toBe("completed");
  expect(service.calls.filter((key) => key.startsWith(`default/${id}/`))).toEqual(expected.calls);
  expect([...service.effects.keys()].filter((key) => key.startsWith(`default/${id}/`))).toEqual(keysOf(id));
  expect(done.output).toEqual(keysOf(id).map((key) => service.effects.get(key)));
  expect(beginnings.get(id)).toBe(expected.begun);
  const history = await steps(id);
  expect(history.map((step) => step.key)).toEqual(boundaries.map((round) => `round-${round}`));
  expect(new Set(history.map((step) => step.status))).toEqual(new Set(["completed"]));
}

/** Starts twenty runs that halt at one place each, kills them all there, and lets their alarms come. */
async function killTwentyRuns(places: readonly { readonly id: string; readonly place: string }[]): Promise<void> {
  for (const { id, place } of places) halts.add(`${id}: ${place}`);
  await Promise.all(places.map(({ id }) => start("rounds", null, { id })));
  await eventually(async () => halted.size === places.length, "every run to stand at its place");
  await crash();
  await advance(afterLease);
}

test("R26: twenty runs, each killed at another of its twenty step boundaries, pick up exactly there: twenty calls each, none of them twice", async () => {
  const places = boundaries.map((boundary) => ({ id: `between-${boundary}`, place: `after ${boundary}` }));
  await killTwentyRuns(places);
  for (const { id } of places) await expectTwentyRounds(id, { calls: keysOf(id), begun: 2 });
});

test("R26: twenty runs, each killed with another step made but not recorded, repeat that one call with its key: twenty effects each", async () => {
  const places = boundaries.map((boundary) => ({ id: `within-${boundary}`, place: `in ${boundary}`, boundary }));
  await killTwentyRuns(places);
  for (const { id, boundary } of places) {
    const repeated = keysOf(id).slice(boundary - 1, boundary);
    await expectTwentyRounds(id, { calls: keysOf(id).toSpliced(boundary, 0, ...repeated), begun: 2 });
  }
});

test("R26: one run, killed before its first step and after each of its twenty, makes twenty calls and ends by itself", async () => {
  const id = "killed-everywhere";
  const places = [0, ...boundaries].map((boundary) => `${id}: after ${boundary}`);
  for (const place of places) halts.add(place);
  await start("rounds", null, { id });
  for (const place of places) {
    await eventually(async () => halted.has(place), `the run to stand at "${place}"`);
    await crash();
    await passTime(afterLease);
  }
  await expectTwentyRounds(id, { calls: keysOf(id), begun: 22 });
});

/** The index confirms a summary that it got before the crash: the first that the new object hears of. */
async function indexConfirms(id: string): Promise<void> {
  await env.RUNS.getByName(`default:${id}`).indexed(1);
}

test("R26: a run killed between two steps goes on although the index, confirming late, is the first to touch it", async () => {
  const id = "confirmed-late";
  halts.add(`${id}: after 7`);
  await start("rounds", null, { id });
  await eventually(async () => halted.size === 1, "the run to stand between two steps");
  await crash();
  await indexConfirms(id);
  await advance(afterLease);
  await expectTwentyRounds(id, { calls: keysOf(id), begun: 2 });
});

/** One branch acts on an event at once, the other sleeps for a day. */
const twoPaces = workflow({
  name: "two-paces",
  async run({ step, run }) {
    began(run.id);
    const quick = async () => {
      await step.waitForEvent("go");
      await haltAt(`${run.id}: event taken`);
      return step.do("quick", ({ idempotencyKey, signal }) => callService(idempotencyKey, signal));
    };
    const [effect] = await Promise.all([quick(), step.sleep("slow", "1d")]);
    return effect;
  },
});

test("R26: a branch killed after its event goes on after the crash, not when the sleep of another branch ends", async () => {
  const id = "two-paces";
  halts.add(`${id}: event taken`);
  await start("two-paces", null, { id });
  await until(id, "waiting");
  await api("POST", `/v1/runs/${id}/events/go`, { payload: null });
  await eventually(async () => halted.size === 1, "the event to be taken");
  await crash();
  await indexConfirms(id);
  await advance(afterLease);
  await eventually(async () => service.calls.includes(`default/${id}/quick`), "the quick branch to act");
  await advance(days(1));
  expect((await until(id, "completed", "failed")).output).toBe(service.effects.get(`default/${id}/quick`));
  expect(service.calls.filter((key) => key === `default/${id}/quick`)).toHaveLength(1);
});

/** Two systems, then a person's word. */
const settlement = workflow({
  name: "settlement",
  input: z.object({ customer: z.string(), email: z.string() }),
  attributes: ({ customer }) => ({ customer }),
  async run({ input, step, run }) {
    began(run.id);
    const project = await step.do("open-project", { input: { customer: input.customer } }, ({ input: body, idempotencyKey, signal }) =>
      saas<{ projectId: string }>("/projects", { body, idempotencyKey, signal }),
    );
    const { customerId } = await step.do("create-customer", { input: { email: input.email } }, ({ input: body, idempotencyKey, signal }) =>
      saas<Customer>("/billing/customers", { body, idempotencyKey, signal }),
    );
    await step.waitForEvent("settlement.approved");
    return { projectId: project.projectId, customerId };
  },
});

test("R1: after a crash the run answers with the same context and the same completed steps, and goes on with them", async () => {
  const id = await start("settlement", { customer: "Acme", email: "ann@acme.example" });
  await until(id, "waiting");
  const before = await everythingAbout(id);
  expect(before.steps.map((step) => step.status)).toEqual(["completed", "completed", "waiting"]);
  const [project] = await effectsOf("projects");
  expect(before.steps[0].output).toEqual({ projectId: project.resourceId });

  await crash();
  expect(await everythingAbout(id)).toEqual(before);
  expect(beginnings.get(id)).toBe(1);

  await api("POST", `/v1/runs/${id}/events/settlement.approved`, { payload: true });
  const done = await until(id, "completed", "failed");
  const [customer] = await effectsOf("billing");
  expect(done.output).toEqual({ projectId: project.resourceId, customerId: customer.resourceId });
  expect(beginnings.get(id)).toBe(2);
  expect(await callsTo("projects")).toHaveLength(1);
  expect(await callsTo("billing")).toHaveLength(1);
});

// biome-ignore lint/suspicious/noExplicitAny: answers of the API
async function everythingAbout(id: string): Promise<{ run: any; steps: any[]; journal: any }> {
  return { run: await run(id), steps: await steps(id), journal: (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body };
}
