import { workflow } from "segno";
import { z } from "zod";
import { saas } from "../saas.ts";

const Release = z.object({
  environment: z.string().min(1),
  release: z.string().min(1),
  /** `"undo"`: what was provisioned is taken down again by itself. `"wait"`: it stays, and the run waits until somebody has put the migration right. */
  whenMigrationFails: z.enum(["undo", "wait"]).default("undo"),
});

interface Infra {
  readonly infraId: string;
}

/** A release goes out: a database and servers, the migration, the code, and then the world is told. Nobody has to remember in which order to undo it. */
export const deployment = workflow({
  name: "deployment",
  version: "1",
  input: Release,
  attributes: ({ environment, release }) => ({ environment, release }),
  async run({ input, step }) {
    const { environment, release, whenMigrationFails } = input;
    const provision = (name: string, what: string): Promise<Infra> =>
      step.do<Infra, { environment: string }>(
        name,
        {
          input: { environment: `${environment}-${what}` },
          compensate: async ({ input: body, output, stepIdempotencyKey, idempotencyKey, signal }) => {
            // In doubt, the same request with the same key says what it made: that happens once, however often it is asked.
            const { infraId } = output ?? (await saas<Infra>("/infra", { body, idempotencyKey: stepIdempotencyKey, signal }));
            await saas(`/infra/${infraId}`, { method: "DELETE", idempotencyKey, signal });
          },
        },
        ({ input: body, idempotencyKey, signal }) => saas<Infra>("/infra", { body, idempotencyKey, signal }),
      );
    const database = await provision("provision-database", "database");
    const servers = await provision("provision-servers", "servers");

    const migration = await step.do(
      "migrate",
      { input: { infraId: database.infraId }, retries: { limit: 2, delay: "1s" }, onFailure: whenMigrationFails === "undo" ? "compensate" : "pause" },
      ({ input: body, idempotencyKey, signal }) => saas<{ migrationId: string }>("/migrations", { body, idempotencyKey, signal }),
    );
    const deployed = await step.do("deploy", { input: { infraId: servers.infraId } }, ({ input: body, idempotencyKey, signal }) =>
      saas<{ deployId: string }>("/deploys", { body, idempotencyKey, signal }),
    );
    await step.do("invalidate-cache", { input: { environment }, onFailure: "pause" }, ({ input: body, idempotencyKey, signal }) =>
      saas("/cache/invalidate", { body, idempotencyKey, signal }),
    );
    // The release is out, whether or not anybody hears of it.
    await step.do("notify", { input: { text: `${release} is on ${environment}.` }, onFailure: "continue" }, ({ input: body, idempotencyKey, signal }) =>
      saas("/notifications", { body, idempotencyKey, signal }),
    );
    return { migrationId: migration.migrationId, deployId: deployed.deployId };
  },
});
