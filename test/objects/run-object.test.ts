import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { decode, encode } from "#core/value.ts";
import { runHandle } from "#objects/runs.ts";
import { workflow } from "#sdk/workflow.ts";
import { deploy } from "../world.ts";

const command = { namespace: "default", version: null, attributes: {}, delayMs: 0, trigger: "api", publicUrl: "http://localhost" };

test("a run in its object completes and its steps are there", async () => {
  deploy(
    workflow({
      name: "three",
      run: async ({ step }) => {
        const a = await step.do("a", () => 1);
        const b = await step.do("b", async () => a + 1);
        return step.do("c", { input: { a, b } }, ({ input }) => input.a + input.b);
      },
    }),
  );
  const run = runHandle(env.RUNS, "default", "r-1");
  const started = await run.start({ ...command, runId: "r-1", workflow: "three", input: encode(null) }, 1000);
  expect(started).toMatchObject({ created: true, run: { status: "completed" } });
  const detail = await run.detail(0);
  expect(decode(detail.output ?? "")).toBe(3);
  const { items: steps } = await run.steps(0, 100);
  expect(steps.map((step) => [step.key, step.status, step.attempts.length])).toEqual([
    ["a", "completed", 1],
    ["b", "completed", 1],
    ["c", "completed", 1],
  ]);
});
