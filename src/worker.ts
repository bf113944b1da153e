import { createProject, provisionAccount, sendEmail } from "#examples/onboarding/automations.ts";
import { onboarding } from "#examples/onboarding/workflow.ts";
import { verification } from "#examples/verification/workflow.ts";
import { segno } from "./segno.ts";

/** The deployable Worker: Segno with the example workflows. Put your own in their place. */
const app = segno({
  workflows: [onboarding, verification],
  automations: [createProject, provisionAccount, sendEmail],
});

export const RunObject = app.RunObject;
export default app.worker;
