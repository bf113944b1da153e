import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { advance, api, callsTo, crash, effectsOf, eventually, mock, seconds, setUpWorld, start, steps, until } from "./story.ts";

beforeAll(async () => {
  await setUpWorld();
  deploy(assignment, release, diamond, mailing);
});
beforeEach(() => mock("DELETE", "/admin/state"));

/** What the CRM says of an account right now. */
const crm = new Map<string, { readonly tier: string; readonly geo: string }>();

/** Who looks after a customer follows from what the CRM says: two cases, and one for everybody else. */
const assignment = workflow({
  name: "assignment",
  input: z.object({ account: z.string() }),
  async run({ input, step }) {
    const { tier, geo } = await step.do("look-up-account", { input }, () => crm.get(input.account) ?? { tier: "unknown", geo: "unknown" });
    const ask = (pool: Record<string, string>) => (context: { readonly signal: AbortSignal }) =>
      saas<{ csmId: string }>(`/csms?${new URLSearchParams(pool)}`, { method: "GET", signal: context.signal });
    if (tier === "enterprise" && geo === "EU") return step.do("assign: enterprise in the EU", ask({ tier, region: geo }));
    if (tier === "enterprise") return step.do("assign: enterprise elsewhere", ask({ tier }));
    return step.do("assign: default", ask({}));
  },
});

async function keysOf(id: string): Promise<string[]> {
  return (await steps(id)).map((step) => step.key);
}

test.each([
  { account: "Acme", says: { tier: "enterprise", geo: "EU" }, taken: "assign: enterprise in the EU", csmId: "csm_enterprise_eu" },
  { account: "Globex", says: { tier: "enterprise", geo: "APAC" }, taken: "assign: enterprise elsewhere", csmId: "csm_enterprise" },
  { account: "Initech", says: { tier: "smb", geo: "EU" }, taken: "assign: default", csmId: "csm_pool" },
])("R6: $says.tier in $says.geo takes the case $taken, and the history shows it", async ({ account, says, taken, csmId }) => {
  crm.set(account, says);
  const id = await start("assignment", { account });
  const done = await until(id, "completed", "failed");
  expect(done.output).toMatchObject({ csmId });
  const history = await steps(id);
  expect(history.map((step) => step.key)).toEqual(["look-up-account", taken]);
  expect(history[0].output).toEqual(says);
  expect(history[1].output).toMatchObject({ csmId });
  expect(await callsTo("csms")).toHaveLength(1);
});

test("R6: a case once taken stays taken, though the run is killed and the CRM says something else by then", async () => {
  crm.set("Hooli", { tier: "enterprise", geo: "EU" });
  await mock("PUT", "/admin/faults/csms", { mode: "late", delayMs: 700, times: 1 });
  const id = await start("assignment", { account: "Hooli" });
  await eventually(async () => (await callsTo("csms")).length === 1, "the manager to be asked for");
  crm.set("Hooli", { tier: "smb", geo: "US" });
  await crash();
  await advance(seconds(16));
  expect((await until(id, "completed", "failed")).output).toMatchObject({ csmId: "csm_enterprise_eu" });
  expect(await keysOf(id)).toEqual(["look-up-account", "assign: enterprise in the EU"]);
  expect(new Set((await callsTo("csms")).map((call) => call.path))).toEqual(new Set(["/csms?tier=enterprise&region=EU"]));
});

/** Deploys a version; the database is migrated only if the plan says that the version needs it. */
const release = workflow({
  name: "release",
  input: z.object({ infraId: z.string(), needsMigration: z.boolean() }),
  async run({ input, step }) {
    const { infraId } = input;
    const plan = await step.do("plan", { input }, ({ input: version }) => ({ migrate: version.needsMigration }));
    const migration = await step.do("migrate", { input: plan }, ({ input: { migrate }, idempotencyKey, signal }) =>
      migrate ? saas<object>("/migrations", { body: { infraId }, idempotencyKey, signal }) : { skipped: "The version needs no migration." },
    );
    const { deployId } = await step.do("deploy", ({ idempotencyKey, signal }) =>
      saas<{ deployId: string }>("/deploys", { body: { infraId }, idempotencyKey, signal }),
    );
    return { deployId, migrated: !("skipped" in migration) };
  },
});

async function newInfra(): Promise<string> {
  return (await mock("POST", "/infra", { environment: "staging" })).body.infraId;
}

test("R34: a version that needs no migration skips it, the history says so, and the deployment goes on", async () => {
  const id = await start("release", { infraId: await newInfra(), needsMigration: false });
  const done = await until(id, "completed", "failed");
  expect(done).toMatchObject({ status: "completed", output: { migrated: false } });
  const [, migrate, deployment] = await steps(id);
  expect(migrate).toMatchObject({
    key: "migrate",
    status: "completed",
    input: { migrate: false },
    output: { skipped: "The version needs no migration." },
    error: null,
  });
  expect(deployment).toMatchObject({ key: "deploy", status: "completed" });
  expect(await callsTo("migrations")).toEqual([]);
  expect(await callsTo("deploys")).toHaveLength(1);
});

test("R34: a version that needs a migration is migrated, before it is deployed", async () => {
  const id = await start("release", { infraId: await newInfra(), needsMigration: true });
  expect(await until(id, "completed", "failed")).toMatchObject({ status: "completed", output: { migrated: true } });
  const [migrationCall] = await callsTo("migrations");
  const [deployCall] = await callsTo("deploys");
  expect(migrationCall.status).toBe(201);
  expect(migrationCall.id).toBeLessThan(deployCall.id);
  expect((await steps(id))[1]).toMatchObject({ key: "migrate", status: "completed", input: { migrate: true }, output: { migrationId: expect.any(String) } });
});

/** A, then B and C side by side, then D with what both brought. */
const diamond = workflow({
  name: "diamond",
  async run({ step }) {
    const { projectId } = await step.do("a", ({ idempotencyKey, signal }) =>
      saas<{ projectId: string }>("/projects", { body: { customer: "Acme" }, idempotencyKey, signal }),
    );
    const [account, infra] = await Promise.all([
      step.do("b", ({ idempotencyKey, signal }) => saas<{ accountId: string }>("/accounts", { body: { projectId, customer: "Acme" }, idempotencyKey, signal })),
      step.do("c", ({ idempotencyKey, signal }) => saas<{ infraId: string }>("/infra", { body: { environment: projectId }, idempotencyKey, signal })),
    ]);
    return step.do("d", { input: { accountId: account.accountId, infraId: infra.infraId } }, ({ input, idempotencyKey, signal }) =>
      saas("/notifications", { body: { text: `${input.accountId} ${input.infraId}` }, idempotencyKey, signal }),
    );
  },
});

interface Moment {
  readonly kind: string;
  readonly key: string;
}

async function startsAndEnds(id: string): Promise<string[]> {
  const { entries } = (await api("GET", `/v1/runs/${id}/journal?limit=200`)).body;
  const words: Record<string, string> = { "step.started": "starts", "step.completed": "ends" };
  return entries.flatMap(({ kind, key }: Moment) => (words[kind] ? [`${key} ${words[kind]}`] : []));
}

test("R29: in a diamond B and C overlap after A, and D comes after both, with what they brought", async () => {
  for (const service of ["accounts", "infra"]) await mock("PUT", `/admin/faults/${service}`, { mode: "late", delayMs: 600 });
  const id = await start("diamond", null);
  const underWay = await eventually(async () => {
    const [b, c] = [...(await callsTo("accounts")), ...(await callsTo("infra"))];
    return b && c && [b, c];
  }, "B and C to be called");
  // Neither has been answered: the services have both calls at the same time.
  expect(underWay.map(({ status }: { status: number | null }) => status)).toEqual([null, null]);
  expect(await callsTo("notifications")).toEqual([]);

  expect((await until(id, "completed", "failed")).status).toBe("completed");
  const order = await startsAndEnds(id);
  expect(order.slice(0, 4)).toEqual(["a starts", "a ends", "b starts", "c starts"]);
  expect(order.slice(4, 6).sort()).toEqual(["b ends", "c ends"]);
  expect(order.slice(6)).toEqual(["d starts", "d ends"]);
  const [account] = await effectsOf("accounts");
  const [infra] = await effectsOf("infra");
  expect((await callsTo("notifications")).map((call) => JSON.parse(call.body).text)).toEqual([`${account.resourceId} ${infra.resourceId}`]);
});

/** `work` for every item, never more than `limit` at a time: plain JavaScript, nothing of Segno's. */
async function eachAtMost<Item, Result>(limit: number, items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [nth, item] of queue) results[nth] = await work(item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}

const recipients = Array.from({ length: 12 }, (_, nth) => `customer-${nth + 1}@acme.example`);
const atOnce = { now: 0, most: 0 };

const mailing = workflow({
  name: "mailing",
  run: ({ step }) =>
    eachAtMost(3, recipients, (to) =>
      step.do(`mail ${to}`, async ({ idempotencyKey, signal }) => {
        atOnce.most = Math.max(atOnce.most, ++atOnce.now);
        const sent = await saas<{ messageId: string }>("/emails", { body: { to, template: "news", data: {} }, idempotencyKey, signal });
        atOnce.now--;
        return sent.messageId;
      }),
    ),
});

/** How many steps were open at most at the same time, as the history has it. */
function mostOpen(order: readonly string[]): number {
  let open = 0;
  return Math.max(...order.map((moment) => (moment.endsWith(" starts") ? ++open : --open)));
}

async function expectAllMailed(id: string, calls: readonly number[]): Promise<void> {
  const done = await until(id, "completed", "failed");
  const effects = await effectsOf("emails");
  const messageOf = new Map(effects.map((effect) => [JSON.parse(effect.body).to, effect.resourceId]));
  expect(effects).toHaveLength(12);
  expect(done.output).toEqual(recipients.map((to) => messageOf.get(to)));
  expect(calls).toContain((await callsTo("emails")).length);
  expect(mostOpen(await startsAndEnds(id))).toBe(3);
  expect(atOnce.most).toBe(3);
}

test("R29: a fan-out over twelve, three at a time by plain JavaScript, never has more than three under way", async () => {
  Object.assign(atOnce, { now: 0, most: 0 });
  await mock("PUT", "/admin/faults/emails", { mode: "late", delayMs: 20 });
  const id = await start("mailing", null);
  await expectAllMailed(id, [12]);
});

test("R29: a fan-out killed half-way keeps its limit and repeats at most what was under way", async () => {
  Object.assign(atOnce, { now: 0, most: 0 });
  await mock("PUT", "/admin/faults/emails", { mode: "late", delayMs: 60 });
  const id = await start("mailing", null);
  await eventually(async () => (await effectsOf("emails")).length >= 5, "some mails to be out");
  await crash();
  // What was under way died with the object.
  atOnce.now = 0;
  await advance(seconds(16));
  await expectAllMailed(id, [13, 14, 15]);
});
