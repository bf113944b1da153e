import { isFinal } from "#core/run.ts";
import { call } from "./rpc.ts";
import type { SimulatedObject } from "./simulated-object.ts";

/** The platform forgets an alarm; the sweeper finds the run by what the index says. */
export function loseAlarm(object: SimulatedObject): void {
  object.alarmAt = null;
  object.durable.alarmAt = null;
  object.isAlarmLost = true;
  sweepAfter(object, 150_000, 0);
}

function sweepAfter(object: SimulatedObject, ms: number, tries: number): void {
  const { world } = object;
  world.after(ms, "sweep", () => {
    const row = world.index.rows.get(object.run);
    if (!object.isAlarmLost || (row && isFinal(row.status))) return;
    // The platform has long let go of an object that does nothing.
    if (!object.isBusy && !object.isInAlarm) object.crash();
    sweep(object);
    sweepAfter(object, Math.min(ms * 2, 86_400_000), tries + 1);
  });
}

/** What the sweeper does for one run, by the conditions of `visibility/sweep.ts`. A run that the index has never heard of is looked at by whoever started it. */
export function sweep(object: SimulatedObject): void {
  const { world } = object;
  const row = world.index.rows.get(object.run);
  const isOverdue =
    row !== undefined && !isFinal(row.status) && (row.nextWakeAt === null ? row.updatedAt < world.time - 600_000 : row.nextWakeAt < world.time - 120_000);
  if (isOverdue) call(object, { name: "poke", command: (engine) => engine.poke(), isHosted: true });
  else if (row === undefined) call(object, { name: "touch", command: (engine) => engine.exists, isHosted: false });
}
