import { automation } from "segno";
import { z } from "zod";
import { saas } from "../saas.ts";

/** The single actions of the onboarding. Each passes its idempotency key on, so that an attempt that runs again creates nothing twice. */

export const createProject = automation({
  name: "create-project",
  input: z.object({ customer: z.string() }),
  timeout: "10s",
  run: ({ input, idempotencyKey, signal }) => saas<{ projectId: string }>("/projects", { body: input, idempotencyKey, signal }),
});

/** Takes its time, so it runs on the queue and does not hold the run. When it keeps failing, the run is parked until somebody has put things right. */
export const provisionAccount = automation({
  name: "provision-account",
  input: z.object({ projectId: z.string(), customer: z.string() }),
  dispatch: "queue",
  timeout: "30s",
  retries: { limit: 2, delay: "1s", backoff: "exponential" },
  onFailure: "pause",
  redact: ["password"],
  run: ({ input, idempotencyKey, signal }) =>
    saas<{ accountId: string; loginUrl: string; password: string }>("/accounts", { body: input, idempotencyKey, signal }),
});

export const sendEmail = automation({
  name: "send-email",
  input: z.object({ to: z.string(), template: z.string(), data: z.record(z.string(), z.string()) }),
  timeout: "10s",
  run: ({ input, idempotencyKey, signal }) => saas<{ messageId: string }>("/emails", { body: input, idempotencyKey, signal }),
});
