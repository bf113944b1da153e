import { workflow } from "segno";
import { beforeAll, expect, test } from "vitest";
import { saas } from "#examples/saas.ts";
import { deploy } from "../world.ts";
import { advance, api, callsTo, eventually, mock, seconds, setUpWorld, start, steps, until } from "./story.ts";

/** Each of its steps has another policy. */
const launch = workflow({
  name: "launch",
  async run({ step }) {
    await step.do<{ infraId: string }>(
      "infra",
      {
        retries: { limit: 1, delay: "2s", backoff: "constant", jitter: 0 },
        timeout: "30s",
        compensate: ({ output, idempotencyKey, signal }) => saas(`/infra/${output?.infraId}`, { method: "DELETE", idempotencyKey, signal }),
      },
      ({ idempotencyKey, signal }) => saas("/infra", { body: { environment: "live" }, idempotencyKey, signal }),
    );
    await step.do("cache", { onFailure: "continue", retries: { limit: 0 } }, ({ idempotencyKey, signal }) =>
      saas("/cache/invalidate", { body: {}, idempotencyKey, signal }),
    );
    await step.do("tell", { onFailure: "pause", repeat: "unsafe", retries: { limit: 2, delay: "1s", jitter: 0 } }, ({ idempotencyKey, signal }) =>
      saas("/notifications", { body: { text: "live" }, idempotencyKey, signal }),
    );
    await step.sleep("rest", "1m");
    await step.do("bill", { onFailure: "compensate", retries: { limit: 0 } }, ({ idempotencyKey, signal }) =>
      saas("/billing/customers", { body: { email: "ann@acme.example" }, idempotencyKey, signal }),
    );
  },
});

beforeAll(async () => {
  await setUpWorld();
  deploy(launch);
});

const explain = (query = "") => api("GET", `/v1/workflows/launch/explain${query}`);

test("R17: explain tells per step order, retries, time-out, policy and compensation, and what then happens is what it said", async () => {
  expect((await explain()).body).toEqual({ workflow: "launch", version: "1", runs: 0, steps: [] });
  const well = await start("launch", {});
  await until(well, "waiting");
  await advance(seconds(60));
  await until(well, "completed");
  const { body: plan } = await eventually(async () => {
    const found = await explain();
    return found.body.steps.length === 5 && found;
  }, "the index to know the run");
  const [infra, cache, tell, rest, bill] = plan.steps;
  expect(plan).toMatchObject({ runs: 1, version: "1" });
  expect(infra).toMatchObject({ order: 1, name: "infra", kind: "do", onFailure: "fail", compensates: true, seen: 1, failed: 0, retried: 0, parked: 0 });
  expect(infra.policy).toMatchObject({ limit: 1, delayMs: 2000, timeoutMs: 30_000 });
  expect(infra.next).toBe(
    "An attempt that fails, or takes longer than 30s, is tried again once, after 2s, each time; then the error is thrown into the workflow; if it is not caught, the run fails, and the steps that declare how are undone.",
  );
  expect(cache).toMatchObject({ order: 2, onFailure: "continue", next: expect.stringMatching(/not tried again: .*fallback/) });
  expect(tell).toMatchObject({ order: 3, onFailure: "pause", unsafeToRepeat: true, next: expect.stringMatching(/up to 2 times, after 1s, doubling.* parked/) });
  expect(rest).toMatchObject({ order: 4, policy: null, durationMs: { p50: 60_000, max: 60_000 } });
  expect(bill).toMatchObject({ order: 5, onFailure: "compensate", next: expect.stringContaining("rolls back") });

  await mock("DELETE", "/admin/state");
  await mock("PUT", "/admin/faults/infra", { mode: "fail", status: 503, times: 1 });
  for (const service of ["cache", "notifications", "billing"]) await mock("PUT", `/admin/faults/${service}`, { mode: "fail", status: 503 });
  const id = await start("launch", {});
  await eventually(async () => {
    await advance(seconds(1));
    return (await api("GET", `/v1/runs/${id}`)).body.status === "paused";
  }, "the third step to be parked");
  const attempts = (await steps(id)).map((step) => [step.key, step.status, step.attempts.length]);
  expect(attempts).toEqual([
    ["infra", "completed", 1 + infra.policy.limit],
    ["cache", expect.any(String), 1 + cache.policy.limit],
    ["tell", "parked", 1 + tell.policy.limit],
  ]);
  await api("POST", `/v1/runs/${id}/steps/tell/skip`, {});
  await until(id, "waiting");
  await advance(seconds(60));
  await until(id, "failed", "cancelled");
  expect((await callsTo("billing")).length).toBe(1 + bill.policy.limit);
  expect((await callsTo("infra")).map((call) => call.method)).toEqual(["POST", "POST", "DELETE"]);

  const later = await eventually(async () => {
    const found = (await explain()).body;
    return found.runs === 2 && found.steps[4]?.seen === 2 && found;
  }, "the index to know both");
  expect(later.steps.map((step: { name: string }) => step.name)).toEqual(["infra", "cache", "tell", "rest", "bill"]);
  expect(later.steps[0]).toMatchObject({ seen: 2, retried: 1, failed: 0, durationMs: { p50: 0 } });
  expect(later.steps[4]).toMatchObject({ seen: 2, failed: 1 });
  expect((await explain("?runs=1")).body).toMatchObject({ runs: 1 });
});

test("R17: explaining what is not there, or too much of it, is a 4xx with a stable code", async () => {
  expect(await api("GET", "/v1/workflows/nope/explain")).toMatchObject({ status: 404, body: { code: "workflow_not_found" } });
  expect(await explain("?version=9")).toMatchObject({ status: 404, body: { code: "version_not_found" } });
  for (const query of ["?runs=0", "?runs=51", "?runs=x", "?run=1"])
    expect(await explain(query)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
});
