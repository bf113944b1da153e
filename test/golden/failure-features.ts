import { encode } from "#core/value.ts";
import { automation } from "#sdk/automation.ts";
import { NonRetryableError, RetryAfterError } from "#sdk/errors.ts";
import type { Notice } from "#sdk/step.ts";
import { code, type Feature } from "./feature.ts";
import { failing, steady } from "./steps.ts";

/** Steps that fail, and what is made of it. */

export const failureFeatures: readonly Feature[] = [
  {
    name: "retries",
    define: (act) => ({
      workflows: code((step) =>
        step.do("a", { retries: { ...steady, limit: 5 } }, (context) =>
          act({ key: "a", ...context }, () => {
            if (context.attempt === 1) throw Object.assign(new TypeError("not yet"), { code: "E_LATER" });
            if (context.attempt === 2) throw new RetryAfterError("busy", "1m");
            return "done";
          }),
        ),
      ),
    }),
  },
  {
    name: "retries-queue",
    define: (act) => {
      const flaky = automation<void, unknown>({
        name: "flaky",
        dispatch: "queue",
        retries: { ...steady, limit: 5, backoff: "constant" },
        run: (context) =>
          act({ key: "flaky", ...context }, () => {
            if (context.attempt === 1) throw new Error("not yet");
            return "done";
          }),
      });
      return { automations: [flaky], workflows: code((step) => step.run(flaky, undefined)) };
    },
  },
  {
    name: "retry-if",
    define: (act) => ({
      workflows: code(async (step) => {
        const retryIf = (_error: unknown, { attempt }: { readonly attempt: number }) => (attempt === 1 ? "2m" : true);
        const named = await step.do("named", { retries: { ...steady, limit: 5 }, retryIf }, (context) =>
          act({ key: "named", ...context }, () => {
            if (context.attempt <= 2) throw new Error("not yet");
            return "done";
          }),
        );
        const hopeless = await failing(act, "hopeless", (name, action) =>
          step.do(name, { retries: { ...steady, limit: 5 }, retryIf: () => false }, action),
        ).catch((error: Error) => error.message);
        return [named, hopeless];
      }),
    }),
  },
  {
    name: "retry-if-queue",
    define: (act) => {
      const limited = automation<void, string>({
        name: "limited",
        dispatch: "queue",
        retries: { ...steady, limit: 5 },
        retryIf: (error) => ((error as { code?: unknown }).code === "E_LIMIT" ? 90_000 : false),
        run: (context) =>
          act({ key: "limited", ...context }, () => {
            if (context.attempt === 1) throw Object.assign(new Error("too many"), { code: "E_LIMIT" });
            return "done";
          }),
      });
      return { automations: [limited], workflows: code((step) => step.run(limited, undefined)) };
    },
  },
  {
    name: "policy-fail",
    define: (act) => ({
      workflows: code(async (step) => {
        const caught = await failing(act, "a", (name, action) => step.do(name, { retries: { ...steady, limit: 1 } }, action)).catch(
          (error: Error) => error.message,
        );
        await step.do("note", { input: caught }, (context) => act({ key: "note", ...context }, () => context.input));
        return failing(act, "b", (name, action) => step.do(name, action));
      }),
    }),
  },
  {
    name: "policy-continue",
    define: (act) => ({
      workflows: code(async (step) => [
        await failing(act, "a", (name, action) => step.do<unknown, undefined>(name, { onFailure: "continue", fallback: { plan: "b" } }, action)),
        await failing(act, "b", (name, action) => step.do<unknown, undefined>(name, { onFailure: "continue" }, action)),
      ]),
    }),
  },
  {
    name: "policy-pause",
    define: (act) => ({
      workflows: code(async (step) => [
        await step.do("fixed", { input: "bad", onFailure: "pause" }, (context) =>
          act({ key: "fixed", ...context }, () => {
            if (context.input === "bad") throw new NonRetryableError("bad input");
            return context.input;
          }),
        ),
        await failing(act, "by-hand", (name, action) => step.do<unknown, undefined>(name, { onFailure: "pause" }, action)),
        await failing(act, "skipped", (name, action) => step.do<unknown, undefined>(name, { onFailure: "pause" }, action)),
        await failing(act, "given-up", (name, action) => step.do<unknown, undefined>(name, { onFailure: "pause" }, action)).catch(
          (error: Error) => error.message,
        ),
      ]),
    }),
    outside: (world) => {
      const parked = [...world.run.engine.state.open.values()].find((step) => step.status === "parked");
      if (parked?.key === "fixed") world.operate({ action: "retry", key: "fixed", value: encode("good") });
      if (parked?.key === "by-hand") world.operate({ action: "complete", key: "by-hand", value: encode("made by hand") });
      if (parked?.key === "skipped") world.operate({ action: "skip", key: "skipped", value: null });
      if (parked?.key === "given-up") world.operate({ action: "fail", key: "given-up", value: encode(new Error("given up")) });
      return parked !== undefined;
    },
  },
  {
    name: "policy-compensate",
    define: (act) => ({
      workflows: code(async (step) => {
        const undo = (key: string) => ({
          retries: { ...steady, limit: 1 },
          run: (context: { idempotencyKey: string }) => act({ key: `~${key}`, ...context }, () => {}),
        });
        await step.do("a", { compensate: undo("a") }, (context) => act({ key: "a", ...context }, () => "a-id"));
        await Promise.all([
          step.do("b", { compensate: undo("b") }, (context) => act({ key: "b", ...context }, () => "b-id")),
          step.do("c", { compensate: undo("c") }, (context) => act({ key: "c", ...context }, () => "c-id")),
        ]);
        await failing(act, "d", (name, action) =>
          step.do<unknown, undefined>(name, { onFailure: "compensate", retries: { ...steady, limit: 1 }, compensate: undo("d") }, action),
        );
      }),
    }),
  },
  {
    name: "timeouts",
    define: (act) => ({
      workflows: code(async (step) => {
        const slow = await step
          .do("slow", { timeout: "5s", retries: { limit: 0 } }, (context) => act({ key: "slow", ...context }, () => new Promise(() => {})))
          .catch((error: { code: string }) => error.code);
        const tired = await failing(act, "tired", (name, action) =>
          step.do(name, { retries: { ...steady, limit: 100, backoff: "constant", totalTimeout: "3s" } }, action),
        ).catch((error: Error) => error.message);
        return [slow, tired];
      }),
    }),
  },
  {
    name: "run-timeout",
    define: (act) => ({
      workflows: code(
        async (step) => {
          await step.do("a", { compensate: (context) => act({ key: "~a", ...context }, () => {}) }, (context) => act({ key: "a", ...context }, () => "a-id"));
          await step.sleep("for-ever", "300d");
        },
        { timeout: "2d" },
      ),
    }),
  },
  {
    name: "notices",
    define: (act) => ({
      alerts: automation<Notice>({ name: "page", run: (context) => act({ key: `~told:${context.input.type}`, ...context }, () => {}) }),
      workflows: code(
        async (step) => {
          await failing(act, "a", (name, action) => step.do<unknown, undefined>(name, { onFailure: "pause" }, action));
          await step.sleep("long", "2h");
        },
        { expectedDuration: "1h" },
      ),
    }),
    outside: (world) => {
      const isParked = world.statusOf("a") === "parked";
      if (isParked) world.operate({ action: "skip", key: "a", value: null });
      return isParked;
    },
  },
];
