import { runObjectClass } from "#objects/run-object.ts";
import { clock, registry } from "./world.ts";

export const RunObject = runObjectClass({ registry, clock });
export default { fetch: () => new Response("x"), queue: async () => {} };
