/**
 * Named points that a run's object passes, and at which a test has it die. The test and the object share this module, for they run in one isolate. Production
 * code knows nothing of it: the points are passed by what stands around the object, see `faulty-object.ts`, and by the tests' own workflows.
 */

/** `at once`: nothing of what the object wrote in this turn is kept. `when durable`: all of it is, and nothing more. */
export type Death = "at once" | "when durable";

export interface Fault {
  readonly point: string;
  /** The how-manieth passing, from 1. */
  readonly nth: number;
  readonly death: Death;
}

const faults = new Map<string, Fault>();
const passed = new Map<string, string[]>();
const struck = new Set<string>();

/** Has the object of a run die, once, when it passes a point. */
export function arm(runId: string, fault: Fault): void {
  faults.set(runId, fault);
}

/** The points that a run has passed so far, in order. */
export function pointsPassed(runId: string): readonly string[] {
  return passed.get(runId) ?? [];
}

/** The fault of a run has come about. */
export function hasStruck(runId: string): boolean {
  return struck.has(runId);
}

/** Notes the passing. How the object dies of it; null: it does not. */
export function passing(runId: string, point: string): Death | null {
  const points = passed.get(runId) ?? [];
  passed.set(runId, points);
  points.push(point);
  const fault = faults.get(runId);
  if (!fault || fault.point !== point || points.filter((it) => it === point).length !== fault.nth) return null;
  faults.delete(runId);
  struck.add(runId);
  return fault.death;
}

const objects = new Map<string, (point: string) => void>();

/** The object that holds a run says how the run's code can tell it where it is. */
export function holds(runId: string, pass: (point: string) => void): void {
  objects.set(runId, pass);
}

/** The code of a run has come to a point. */
export function reach(runId: string, point: string): void {
  objects.get(runId)?.(point);
}
