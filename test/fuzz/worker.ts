import { type SegnoEnv, segno } from "segno";
import { z } from "zod";
import { automation } from "#sdk/automation.ts";
import { workflow } from "#sdk/workflow.ts";

/** The Worker that is fuzzed: Segno with a workflow for each state that a run can stand in. None of them does anything by time. */

/** Never to be seen from outside. */
const redact = ["password"];

const echo = workflow({ name: "echo", run: async ({ input, step }) => await step.do("echo", { input }, (context) => context.input) });

const strict = workflow({
  name: "strict",
  version: "2",
  input: z.strictObject({ customer: z.string().min(1).max(100), seats: z.number().int().min(1).optional(), at: z.date().optional() }),
  attributes: ({ customer, seats }) => ({ customer, seats }),
  run: ({ input }) => input,
});
const strictOfOld = workflow({ name: "strict", version: "1", input: z.looseObject({ customer: z.string() }), run: ({ input }) => input });

/** Fails with whatever it was given, as code does that throws what it got from elsewhere. */
const thrower = workflow({
  name: "thrower",
  run: ({ input }): never => {
    throw input;
  },
});

const waits = workflow({
  name: "waits",
  redact,
  run: async ({ input, step }) => {
    await step.do("first", { input, compensate: () => undefined }, () => ({ password: "hidden-in-output" }));
    const go = await step.waitForEvent("go", { schema: z.object({ n: z.number() }) });
    return { input, go };
  },
});

const calledBack = workflow({
  name: "called-back",
  redact,
  run: async ({ step }) =>
    await Promise.all([
      step.callback("plain", {}),
      step.callback("checked", { schema: z.object({ n: z.number() }) }),
      step.callback("signed", { verify: { scheme: "hmac", secret: "HMAC_SECRET" } }),
      step.callback("standard", { verify: { scheme: "standard-webhooks", secret: "STANDARD_SECRET" } }),
      step.callback("unset", { verify: { scheme: "hmac", secret: "NOT_SET" } }),
    ]),
});

const Form = z.object({
  plan: z.enum(["small", "large"]),
  seats: z.number().int().min(1).max(500),
  note: z.string().max(50).nullable(),
  ok: z.boolean(),
  share: z.number().optional(),
  more: z.array(z.string()).optional(),
});

const approved = workflow({
  name: "approved",
  redact,
  run: async ({ step }) =>
    await Promise.all([
      step.approval("simple", { assignees: ["ada", "bob", "cy"], quorum: 2 }),
      step.approval("form <b>&\"'", { assignees: ["ada"], form: Form }),
      step.approval("number", { assignees: ["ada"], form: z.number() }),
    ]),
});

const remote = automation<{ ok?: boolean | undefined }, string>({
  name: "remote",
  dispatch: "queue",
  retries: { limit: 0 },
  onFailure: "pause",
  input: z.looseObject({ ok: z.boolean().optional() }),
  run: ({ input }) => {
    if (input.ok !== true) throw Object.assign(new Error("The remote said no."), { code: "no", asked: input });
    return "done";
  },
});

const parks = workflow({
  name: "parks",
  redact,
  attributes: (input) => ({ kind: String((input as { kind?: unknown }).kind) }),
  run: async ({ input, step }) => {
    await step.do("prepare", { compensate: () => undefined, repeat: "unsafe" }, () => 1);
    return await step.run(remote, input as { ok?: boolean }, { dispatch: "inline" });
  },
});

const sleeps = workflow({ name: "sleeps", redact, run: async ({ step }) => await step.sleep("long", "300d") });

const many = workflow({
  name: "many",
  redact,
  run: async ({ step }) => {
    for (let i = 0; i < 30; i++) await step.do("one", () => i);
  },
});

const app = segno({ workflows: [echo, strict, strictOfOld, thrower, waits, calledBack, approved, parks, sleeps, many], automations: [remote] });

export const RunObject = app.RunObject;

const worker = {
  ...app.worker,
  fetch: async (request: Request<unknown, IncomingRequestCfProperties>, env: SegnoEnv, context: ExecutionContext): Promise<Response> => {
    // The index as it is, past the API. The mark keeps inputs from coming here by accident.
    if (request.headers.get("x-fuzz-look") !== "index") return app.worker.fetch(request, env, context);
    const { results } = await env.INDEX.prepare("SELECT namespace, id, status FROM runs").all();
    return Response.json(results);
  },
};
export default worker;
