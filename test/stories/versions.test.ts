import { workflow } from "segno";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { saas } from "#examples/saas.ts";
import { deploy, undeploy } from "../world.ts";
import { advance, api, callsTo, days, eventually, evict, hours, minutes, mock, run, setUpWorld, start, steps, until } from "./story.ts";

/** A workflow that does something, sleeps for ten days, waits for a word if it is told to, and does something else. */
function version(name: string, number: string, options: { readonly first: string; readonly second: string; readonly waits?: boolean }) {
  return workflow({
    name,
    version: number,
    async run({ step, run: { version: own } }) {
      const first = await step.do(options.first, ({ idempotencyKey, signal }) =>
        saas<{ notificationId: string }>("/notifications", { body: { text: `${options.first} of ${own}` }, idempotencyKey, signal }),
      );
      await step.sleep("cool-off", "10d");
      if (options.waits) await step.waitForEvent("word");
      await step.do(options.second, { input: first }, ({ idempotencyKey, signal }) =>
        saas("/notifications", { body: { text: `${options.second} of ${own}` }, idempotencyKey, signal }),
      );
      return own;
    },
  });
}

beforeAll(setUpWorld);
beforeEach(() => mock("DELETE", "/admin/state"));

const texts = async () => (await callsTo("notifications")).map((call) => JSON.parse(call.body).text);
const keys = async (id: string) => (await steps(id)).map((step) => step.key);

/** The ids that a query lists, once they are as expected. */
function toList(query: string, ...ids: string[]): Promise<unknown> {
  return eventually(async () => {
    const { runs } = (await api("GET", `/v1/runs?${query}`)).body;
    return JSON.stringify(runs.map((it: { id: string }) => it.id).sort()) === JSON.stringify([...ids].sort());
  }, `${query} to list ${ids}`);
}

test("R40: a run that is under way ends on the version it began on, while a new one takes the new version, and both are found", async () => {
  deploy(version("billing", "1", { first: "charge", second: "receipt" }));
  const old = await start("billing", {});
  await until(old, "waiting");
  await advance(days(1));

  deploy(version("billing", "2", { first: "invoice", second: "thank-you" }));
  await evict();
  const fresh = await start("billing", {});
  expect(await until(fresh, "waiting")).toMatchObject({ version: "2" });
  expect(await run(old)).toMatchObject({ version: "1", status: "waiting" });
  await toList("workflow=billing&version=1", old);
  await toList("workflow=billing&version=2", fresh);
  await toList("workflow=billing&status=waiting", old, fresh);
  expect((await api("GET", "/v1/workflows/billing")).body.versions.map((it: { version: string }) => it.version)).toEqual(["2", "1"]);

  await evict();
  await advance(days(9));
  expect(await until(old, "completed")).toMatchObject({ version: "1", output: "1" });
  expect((await run(fresh)).status).toBe("waiting");
  await advance(days(1));
  expect(await until(fresh, "completed")).toMatchObject({ version: "2", output: "2" });

  expect(await keys(old)).toEqual(["charge", "cool-off", "receipt"]);
  expect(await keys(fresh)).toEqual(["invoice", "cool-off", "thank-you"]);
  expect(await texts()).toEqual(["charge of 1", "invoice of 2", "receipt of 1", "thank-you of 2"]);
  const [charge, , receipt] = await steps(old);
  expect(receipt.input).toEqual(charge.output);
  await toList("workflow=billing&version=1&status=completed", old);
});

test("R40: a run whose version is gone says so, loses nothing, and goes on by itself when the version is back", async () => {
  const first = version("shipping", "1", { first: "pack", second: "send", waits: true });
  deploy(first, version("shipping", "2", { first: "wrap", second: "post" }));
  const id = await start("shipping", {}, { version: "1" });
  await until(id, "waiting");

  undeploy(first);
  await evict();
  await advance(days(10));
  const blocked = await until(id, "blocked");
  expect(blocked.reason).toEqual({
    code: "version_missing",
    message: "Version 1 of shipping is not deployed. The run goes on when it is.",
    step: null,
    until: null,
  });
  await toList("status=blocked&reason=version_missing", id);
  // What comes meanwhile is kept.
  expect((await api("POST", `/v1/runs/${id}/events/word`, { payload: "go" })).body).toEqual({ duplicate: false, step: null });
  await evict();
  await advance(hours(5));
  expect((await run(id)).status).toBe("blocked");
  expect(await texts()).toEqual(["pack of 1"]);

  deploy(version("shipping", "1", { first: "pack", second: "send", waits: true }));
  await evict();
  await advance(minutes(15));
  expect(await until(id, "completed")).toMatchObject({ version: "1", output: "1", reason: null });
  expect(await texts()).toEqual(["pack of 1", "send of 1"]);
  expect(await keys(id)).toEqual(["pack", "cool-off", "word", "send"]);
  const kinds = (await api("GET", `/v1/runs/${id}/journal`)).body.entries.map((entry: { kind: string }) => entry.kind);
  expect(kinds.filter((kind: string) => kind.startsWith("run."))).toEqual(["run.created", "run.blocked", "run.unblocked", "run.ended"]);
  await toList("status=blocked");
});

test("R40: a start may name an old version, and one that there is not is refused", async () => {
  for (const number of ["9", "10"]) deploy(version("reports", number, { first: "collect", second: "print" }));
  const old = await start("reports", {}, { version: "9" });
  const newest = await start("reports", {});
  expect((await until(old, "waiting")).version).toBe("9");
  expect((await until(newest, "waiting")).version).toBe("10");
  const refused = await api("POST", "/v1/workflows/reports/runs", { id: "no-such-version", version: "11", input: {} });
  expect([refused.status, refused.body.code, refused.body.versions]).toEqual([404, "version_not_found", ["10", "9"]]);
  expect((await api("GET", "/v1/runs/no-such-version")).status).toBe(404);
  await advance(days(10));
  expect((await until(old, "completed")).output).toBe("9");
  expect((await until(newest, "completed")).output).toBe("10");
  expect((await texts()).sort()).toEqual(["collect of 10", "collect of 9", "print of 10", "print of 9"]);
});
