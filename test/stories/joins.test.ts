import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { api, callsTo, crash, effectsOf, eventually, evict, minutes, mock, passTime, run, setUpWorld, start, steps, until } from "./story.ts";

const checks = ["identity", "sanctions", "credit"] as const;

/** Three providers check a customer and answer by webhook when they like; what they say together is told once. */
const screening = workflow({
  name: "screening",
  input: z.object({ customer: z.string() }),
  async run({ input, step }) {
    const answers = await Promise.all(
      checks.map((check) =>
        step.callback(
          check,
          {
            timeout: "3d",
            schema: z.object({ checkId: z.string(), result: z.string() }),
            verify: { scheme: "standard-webhooks", secret: "KYC_SECRET" },
          },
          ({ url, idempotencyKey, signal }) =>
            saas("/kyc/checks", { body: { customer: `${input.customer}, ${check}`, callbackUrl: url }, idempotencyKey, signal }),
        ),
      ),
    );
    const results = answers.map((answer) => (answer.ok ? answer.payload.result : "unanswered"));
    await step.do("tell", { input: { text: results.join(", ") } }, ({ input: body, idempotencyKey, signal }) =>
      saas("/notifications", { body, idempotencyKey, signal }),
    );
    return Object.fromEntries(checks.map((check, nth) => [check, results[nth]]));
  },
});

const billing = workflow({
  name: "billing",
  input: z.object({ email: z.string() }),
  run: ({ input, step }) =>
    step.do("create-customer", { input }, ({ input: body, idempotencyKey, signal }) =>
      saas<{ customerId: string }>("/billing/customers", { body, idempotencyKey, signal }),
    ),
});

beforeAll(async () => {
  await setUpWorld();
  deploy(screening, billing);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** The id of each check at the provider, in the order of `checks`. */
async function checkIds(): Promise<string[]> {
  const effects = await effectsOf("kyc");
  return checks.map((check) => effects.find((effect) => JSON.parse(effect.body).customer === `Acme, ${check}`)?.resourceId);
}

/** The provider answers a check; returns what Segno said to it. */
async function answer(checkId: string, result: string): Promise<number | null> {
  return (await mock("POST", `/admin/kyc/${checkId}/answer`, { result })).body.status;
}

async function statuses(id: string): Promise<Record<string, string>> {
  return Object.fromEntries((await steps(id)).map((step) => [step.key, step.status]));
}

async function startScreening(): Promise<{ readonly id: string; readonly ids: string[] }> {
  const id = await start("screening", { customer: "Acme" });
  await eventually(async () => (await effectsOf("kyc")).length === 3, "three checks to be ordered");
  await until(id, "waiting");
  return { id, ids: await checkIds() };
}

test("R9: three callbacks that arrive in reverse order are joined once, each answer with its own step", async () => {
  const { id, ids } = await startScreening();
  const [identity = "", sanctions = "", credit = ""] = ids;

  expect(await answer(credit, "good")).toBe(200);
  expect(await answer(sanctions, "clean")).toBe(200);
  expect(await statuses(id)).toEqual({ identity: "waiting", sanctions: "completed", credit: "completed" });
  expect(await callsTo("notifications")).toHaveLength(0);
  expect(await answer(identity, "known")).toBe(200);

  const done = await until(id, "completed", "failed");
  expect(done.output).toEqual({ identity: "known", sanctions: "clean", credit: "good" });
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body))).toEqual([{ text: "known, clean, good" }]);
  expect(await callsTo("kyc")).toHaveLength(3);
  const { entries } = (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body;
  // biome-ignore lint/suspicious/noExplicitAny: an entry of the API
  const ends = entries.filter((entry: any) => entry.kind === "step.completed").map((entry: any) => entry.key);
  expect(ends).toEqual(["credit", "sanctions", "identity", "tell"]);
});

test("R9: each callback answered twice, and the run put out of memory and killed in between, still joins once", async () => {
  const { id, ids } = await startScreening();
  const [identity = "", sanctions = "", credit = ""] = ids;

  expect(await answer(credit, "good")).toBe(200);
  expect(await answer(credit, "bad")).toBe(409);
  await evict();
  expect(await answer(sanctions, "clean")).toBe(200);
  await until(id, "waiting");
  await crash();
  expect(await answer(sanctions, "dirty")).toBe(409);
  expect(await answer(identity, "known")).toBe(200);

  const done = await until(id, "completed", "failed");
  expect(done.output).toEqual({ identity: "known", sanctions: "clean", credit: "good" });
  expect(await answer(identity, "unknown")).toBe(409);
  await passTime(minutes(1));
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body))).toEqual([{ text: "known, clean, good" }]);
  expect(await callsTo("kyc")).toHaveLength(3);
  expect((await run(id)).output).toEqual(done.output);
});

const delivery = { "idempotency-key": "crm-delivery-4711" };

function deliver(input: unknown) {
  return api("POST", "/v1/workflows/billing/runs", { input }, delivery);
}

test("R33: one delivery posted five times at once makes one run, and every answer names it", async () => {
  const input = { email: "ann@acme.example" };
  const answers = await Promise.all(Array.from({ length: 5 }, () => deliver(input)));
  expect(answers.map((it) => it.status).sort()).toEqual([200, 200, 200, 200, 201]);
  const ids = new Set(answers.map((it) => it.body.id));
  expect(ids.size).toBe(1);
  const [id = ""] = ids;
  expect(new Set(answers.map((it) => it.headers.get("location")))).toEqual(new Set([`/v1/runs/${id}`]));

  const done = await until(id, "completed", "failed");
  const [customer] = await effectsOf("billing");
  expect(done.output).toEqual({ customerId: customer.resourceId });
  expect(await callsTo("billing")).toHaveLength(1);

  const late = await deliver(input);
  expect([late.status, late.body.id, late.body.output]).toEqual([200, id, done.output]);
  const other = await deliver({ email: "bob@acme.example" });
  expect([other.status, other.body.code]).toEqual([409, "run_exists"]);
  expect(await callsTo("billing")).toHaveLength(1);

  const listed = await eventually(async () => {
    const { runs } = (await api("GET", "/v1/runs?workflow=billing")).body;
    return runs.length > 0 && runs;
  }, "the run to be listed");
  // biome-ignore lint/suspicious/noExplicitAny: a run of the API
  expect(listed.map((it: any) => it.id)).toEqual([id]);
});

test("R33: another delivery of the same content is another run", async () => {
  const input = { email: "ann@acme.example" };
  const [first, second] = await Promise.all(
    ["crm-delivery-1", "crm-delivery-2"].map((key) => api("POST", "/v1/workflows/billing/runs", { input }, { "idempotency-key": key })),
  );
  expect([first?.status, second?.status]).toEqual([201, 201]);
  expect(first?.body.id).not.toBe(second?.body.id);
  await until(first?.body.id, "completed");
  await until(second?.body.id, "completed");
  expect(await effectsOf("billing")).toHaveLength(2);
});
