import { deployment } from "#examples/deployment/workflow.ts";
import { createProject, provisionAccount, sendEmail } from "#examples/onboarding/automations.ts";
import { onboarding } from "#examples/onboarding/workflow.ts";
import { verification } from "#examples/verification/workflow.ts";
import { segno } from "./segno.ts";

/** The deployable Worker: Segno with the example workflows. Put your own in their place. */
const app = segno({
  workflows: [onboarding, verification, deployment],
  automations: [createProject, provisionAccount, sendEmail],
});

export const RunObject = app.RunObject;

export default {
  ...app.worker,
  fetch(request, env, context) {
    const url = new URL(request.url);
    // In development the mock SaaS of the examples can be looked into, and broken, through this Worker.
    if (env.SEGNO_ENV === "development" && url.pathname.startsWith("/mock-saas/")) {
      return env.MOCK_SAAS.fetch(new Request(`http://mock-saas${url.pathname.slice("/mock-saas".length)}${url.search}`, request));
    }
    return app.worker.fetch(request, env, context);
  },
} satisfies ExportedHandler<Cloudflare.Env>;
