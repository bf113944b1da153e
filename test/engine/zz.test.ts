import { test } from "vitest";
import { begin, broken, teller } from "./steps.ts";
test("x", async () => {
  const world = begin(() => ({ step }) => step.do("s", { onFailure: "pause", retries: { limit: 0 } }, ({ attempt }) => (attempt === 1 ? broken() : "well")), {}, (at) => ({ alerts: teller(at, "page") }));
  world.executorsDie = true;
  await world.pass(86_400_000);
  console.log(world.entries.map((e) => `${(e.at - world.entries[0]!.at)/1000} ${e.kind} ${"key" in e ? e.key : ""} ${"attempt" in e ? e.attempt : ""}`).join("\n"), world.run.alarmAt);
});
