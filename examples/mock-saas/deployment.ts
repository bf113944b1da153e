import { z } from "zod";
import { create, newId, type Operation, refuseUnknown, withBody } from "./operation.ts";

/** The services that a deployment calls: infra, migrations, deploys, cache, notifications. */

export const createInfra: Operation = withBody(z.object({ environment: z.string().min(1) }), () => create("infraId", newId("inf")));

const OnInfra = z.object({ infraId: z.string() });

export const runMigration: Operation = withBody(OnInfra, async (call, { infraId }) => {
  return (await refuseUnknown(call, "infra", infraId)) ?? create("migrationId", newId("mig"));
});

export const deploy: Operation = withBody(OnInfra, async (call, { infraId }) => {
  return (await refuseUnknown(call, "infra", infraId)) ?? create("deployId", newId("dep"));
});

export const invalidateCache: Operation = withBody(z.object({}), () => create("invalidationId", newId("inv")));

export const notify: Operation = withBody(z.object({ text: z.string().min(1) }), () => create("notificationId", newId("ntf")));
