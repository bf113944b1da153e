import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { saas } from "#examples/saas.ts";
import { clock, deploy } from "../world.ts";
import { type Answer, advance, api, callsTo, effectsOf, eventually, evict, hours, mock, run, setUpWorld, start, steps, until } from "./story.ts";

/** Runs that stand still in their migration, and those that may go on. They poll, so that each goes on in the context of its own object. */
const arrived = new Set<string>();
const released = new Set<string>();

async function standStill(id: string): Promise<void> {
  arrived.add(id);
  while (!released.has(id)) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Creates infrastructure, migrates while the test looks, waits an hour, and tells. What is cancelled tells that too. */
const release = workflow({
  name: "release",
  async run({ step, run: { id } }) {
    try {
      const { infraId } = await step.do<{ infraId: string }>(
        "infra",
        { compensate: ({ output, idempotencyKey, signal }) => saas(`/infra/${output?.infraId}`, { method: "DELETE", idempotencyKey, signal }) },
        ({ idempotencyKey, signal }) => saas("/infra", { body: { environment: "live" }, idempotencyKey, signal }),
      );
      await step.do("migrate", async ({ idempotencyKey, signal }) => {
        await standStill(id);
        return saas("/migrations", { body: { infraId }, idempotencyKey, signal });
      });
      await step.sleep("soak", "1h");
      await step.do("tell", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: "released" }, idempotencyKey, signal }));
    } catch (error) {
      await step.do("clean-up", ({ idempotencyKey, signal }) => saas("/notifications", { body: { text: "cleaned up" }, idempotencyKey, signal }));
      throw error;
    }
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(release);
});
beforeEach(() => mock("DELETE", "/admin/state"));

const ask = (id: string, act: string, body: unknown = {}): Promise<Answer> => api("POST", `/v1/runs/${id}/${act}`, body);

/** A run in its first migration. */
async function migrating(): Promise<string> {
  const id = await start("release", {});
  await eventually(async () => arrived.has(id), `${id} to migrate`);
  return id;
}

/** A run in its hour of soaking. */
async function soaking(): Promise<string> {
  const id = await migrating();
  released.add(id);
  await until(id, "waiting");
  return id;
}

async function told(): Promise<string[]> {
  return (await callsTo("notifications")).map((call) => JSON.parse(call.body).text);
}

// biome-ignore lint/suspicious/noExplicitAny: an answer of the API
async function audit(id: string): Promise<any[]> {
  return (await api("GET", `/v1/runs/${id}/audit`)).body.audit;
}

async function kinds(id: string): Promise<string[]> {
  return (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body.entries.map((entry: { kind: string }) => entry.kind);
}

test("R28: a pause lets the step in flight finish and be recorded, begins nothing, and a resume goes on after it", async () => {
  const id = await migrating();
  expect((await ask(id, "pause", { reason: "looking" })).body).toMatchObject({ status: "running", reason: { code: "operator" } });
  released.add(id);
  expect((await until(id, "paused")).reason).toMatchObject({ code: "operator" });
  expect((await steps(id)).map((step) => [step.key, step.status])).toEqual([
    ["infra", "completed"],
    ["migrate", "completed"],
  ]);
  await advance(hours(5));
  await evict();
  expect((await run(id)).status).toBe("paused");
  expect(await steps(id)).toHaveLength(2);

  expect((await ask(id, "resume")).status).toBe(200);
  await until(id, "waiting");
  await advance(hours(1));
  await until(id, "completed");
  expect(await effectsOf("infra")).toHaveLength(1);
  expect(await callsTo("migrations")).toHaveLength(1);
  expect(await told()).toEqual(["released"]);
});

test("R28: a pause holds a timer that is due meanwhile; it fires once after the resume", async () => {
  const id = await soaking();
  await ask(id, "pause");
  await advance(hours(30));
  await evict();
  expect(await told()).toEqual([]);
  expect(await run(id)).toMatchObject({ status: "paused", nextWakeAt: null });
  await ask(id, "resume");
  await advance(hours(1));
  await until(id, "completed");
  expect(await told()).toEqual(["released"]);
});

test("R28: a cancel runs the clean-up, and undoes nothing unless asked to", async () => {
  const id = await soaking();
  expect((await ask(id, "cancel", { reason: "not today" })).status).toBe(200);
  await until(id, "cancelled");
  expect(await told()).toEqual(["cleaned up"]);
  expect((await callsTo("infra")).map((call) => call.method)).toEqual(["POST"]);
  await advance(hours(2));
  expect(await told()).toEqual(["cleaned up"]);
});

test("R28: a cancel with compensation cleans up first and then undoes what was done", async () => {
  const id = await soaking();
  expect((await ask(id, "cancel", { compensate: true })).status).toBe(200);
  await until(id, "cancelled");
  expect(await told()).toEqual(["cleaned up"]);
  const [created, deleted] = await callsTo("infra");
  expect([created.method, deleted.method]).toEqual(["POST", "DELETE"]);
  expect(deleted.path).toBe(`/infra/${(await effectsOf("infra"))[0].resourceId}`);
  expect((await steps(id)).map((step) => [step.key, step.status])).toContainEqual(["~infra", "completed"]);
});

test("R28: a terminate ends at once, in the middle of a step: nothing cleans up, and what the step brings later changes nothing", async () => {
  const id = await migrating();
  expect((await ask(id, "terminate", { reason: "runs wild" })).body).toMatchObject({ status: "terminated" });
  const entries = await kinds(id);
  released.add(id);
  await advance(hours(2));
  expect(await run(id)).toMatchObject({ status: "terminated", reason: { code: "operator" } });
  expect(await kinds(id)).toEqual(entries);
  expect(await told()).toEqual([]);
});

test("R28: of acts that race, each answers the state that really resulted", async () => {
  const id = await soaking();
  const acts = ["pause", "cancel", "terminate", "pause", "resume", "terminate"];
  const answers = await Promise.all(acts.map((act) => ask(id, act)));
  expect((await run(id)).status).toMatch(/^(terminated|cancelled)$/);
  for (const { status, body } of answers) expect(status === 200 || ["run_ended", "not_paused"].includes(body.code), JSON.stringify(body)).toBe(true);
  const final = await run(id);
  const ends = answers.filter((answer, nth) => acts[nth] === "terminate" && answer.status === 200);
  expect(ends.map((it) => it.body.status)).toEqual(ends.map(() => final.status));
  expect((await kinds(id)).filter((kind) => kind === "run.ended")).toHaveLength(1);
  const counted = (await audit(id)).map((it) => it.action);
  expect(new Set(counted).size).toBe(counted.length);
});

test("R46: every act is in the audit, in order: who, when, what, why, before and after", async () => {
  const id = await soaking();
  const begun = clock.now();
  await ask(id, "pause", { reason: "looking" });
  await advance(hours(2));
  await ask(id, "resume", { reason: "seen" });
  await advance(hours(1));
  await until(id, "completed");
  const first = await audit(id);
  expect(first).toMatchObject([
    { actor: "api:default", action: "pause", reason: "looking", keys: [], before: "waiting", after: "paused", value: null, at: new Date(begun).toISOString() },
    { actor: "api:default", action: "resume", reason: "seen", before: "paused", after: "waiting", at: new Date(begun + hours(2)).toISOString() },
  ]);
  expect((await ask(id, "cancel")).body.code).toBe("run_ended");
  expect(await audit(id)).toEqual(first);
  for (const method of ["PUT", "POST", "DELETE", "PATCH"]) expect((await api(method, `/v1/runs/${id}/audit`)).status).toBe(405);
});

test("R46: what an operator decided on a step is in the audit, and the run goes on from there", async () => {
  const id = await soaking();
  const answer = await api("POST", `/v1/runs/${id}/steps/soak/complete`, { reason: "long enough" });
  expect(answer.status).toBe(200);
  await until(id, "completed");
  expect(await audit(id)).toMatchObject([
    { actor: "api:default", action: "complete", reason: "long enough", keys: ["soak"], before: "waiting", after: expect.any(String) },
  ]);
  expect((await steps(id)).find((step) => step.key === "soak")).toMatchObject({ status: "completed" });
  expect(await told()).toEqual(["released"]);
});

const refusals: [string, (id: string, seq: number) => Promise<Answer>, number, string][] = [
  ["a state that is stale", (id, seq) => ask(id, "pause", { expectedSeq: seq - 1 }), 409, "stale"],
  ["a stale rollback", (id, seq) => ask(id, "rollback", { expectedSeq: seq + 1 }), 409, "stale"],
  ["an unknown step", (id) => api("POST", `/v1/runs/${id}/steps/nope/retry`), 404, "step_not_found"],
  ["a rollback from an unknown step", (id) => ask(id, "rollback", { from: "nope" }), 404, "step_not_found"],
  ["a retry of a step that is done", (id) => api("POST", `/v1/runs/${id}/steps/infra/retry`), 409, "step_state"],
  ["a retry of a wait", (id) => api("POST", `/v1/runs/${id}/steps/soak/retry`), 409, "step_state"],
  ["the completion of a step that is done", (id) => api("POST", `/v1/runs/${id}/steps/migrate/complete`, { output: 1 }), 409, "step_state"],
  ["a resume of a run that is not held", (id) => ask(id, "resume"), 409, "not_paused"],
  ["a redrive of a run that is no dead letter", (id) => api("POST", `/v1/dead-letters/${id}/redrive`), 409, "not_paused"],
  ["a word that is not known", (id) => ask(id, "pause", { force: true }), 400, "invalid_request"],
  ["a run that is not there", () => ask("nobody", "pause"), 404, "run_not_found"],
  [
    "a key of another namespace",
    (id) => api("POST", `/v1/runs/${id}/terminate`, {}, { authorization: "Bearer segno-other-namespace-key" }),
    404,
    "run_not_found",
  ],
];

test("R46: a request that does not fit the run is a 4xx with a stable code, and nothing is written", async () => {
  const id = await soaking();
  const before = await run(id);
  for (const [what, send, status, code] of refusals) {
    expect(await send(id, before.seq), what).toMatchObject({ status, body: { code, type: `urn:segno:problem:${code}` } });
  }
  expect(await run(id)).toEqual(before);
  expect(await audit(id)).toEqual([]);
});
