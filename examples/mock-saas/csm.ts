import { z } from "zod";
import { create, newId, type Operation, refuse, refuseUnknown, withBody } from "./operation.ts";

/** Customer success managers: who looks after whom, and when they have time. Their directory is fixed; only kickoffs are stored. */

interface Csm {
  readonly csmId: string;
  readonly name: string;
  /** Null: any. */
  readonly tier: string | null;
  readonly region: string | null;
}

/** The most particular first, the one for everybody last. */
const csms: readonly Csm[] = [
  { csmId: "csm_enterprise_eu", name: "Ingrid Solberg", tier: "enterprise", region: "eu" },
  { csmId: "csm_enterprise_us", name: "Marcus Bell", tier: "enterprise", region: "us" },
  { csmId: "csm_enterprise", name: "Priya Raman", tier: "enterprise", region: null },
  { csmId: "csm_eu", name: "Luca Moretti", tier: null, region: "eu" },
  { csmId: "csm_pool", name: "Customer Success Pool", tier: null, region: null },
];

/** The CSM for `?tier=&region=`; upper and lower case are the same. Whoever fits nobody else gets the pool. */
export const assignCsm: Operation = (call) => {
  const tier = call.query.get("tier")?.toLowerCase();
  const region = call.query.get("region")?.toLowerCase();
  const csm = csms.find((one) => (one.tier === null || one.tier === tier) && (one.region === null || one.region === region));
  return csm === undefined ? refuse(404, "No CSM fits.") : { kind: "found", body: { csmId: csm.csmId, name: csm.name } };
};

/** Four slots on the next two weekdays. They are never used up, so that a thousand runs can all be given one. */
export function csmAvailability(now: () => number): Operation {
  return (call) => {
    const csmId = call.pathId;
    return isCsm(csmId) ? { kind: "found", body: { csmId, slots: slotsAfter(now()) } } : refuse(404, `There is no csmId ${csmId}.`);
  };
}

const Kickoff = z.object({ projectId: z.string(), slot: z.iso.datetime({ offset: true }).optional() });

/** Books the slot given, else the first one free. */
export function scheduleKickoff(now: () => number): Operation {
  return withBody(Kickoff, async (call, { projectId, slot }) => {
    const csmId = call.pathId;
    if (!isCsm(csmId)) return refuse(404, `There is no csmId ${csmId}.`);
    return (await refuseUnknown(call, "projects", projectId)) ?? create("meetingId", newId("mtg"), { at: slot ?? slotsAfter(now())[0] });
  });
}

function isCsm(csmId: string): boolean {
  return csms.some((csm) => csm.csmId === csmId);
}

const dayMs = 24 * 60 * 60 * 1000;

function slotsAfter(now: number): string[] {
  const today = Math.floor(now / dayMs) * dayMs;
  const days = [1, 2, 3, 4].map((offset) => new Date(today + offset * dayMs)).filter((day) => day.getUTCDay() % 6 !== 0);
  return days.slice(0, 2).flatMap((day) => [9, 14].map((hour) => new Date(day.getTime() + hour * 60 * 60 * 1000).toISOString()));
}
