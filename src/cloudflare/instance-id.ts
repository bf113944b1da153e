/** An instance is a chain of runs: a restart is a new run. Instance ids have no dot, so the parts of a run's id are told apart by it. */

/** Instances live in the API's namespace `default`, so that they are seen there like any run. */
export const instanceNamespace = "default";

const pattern = /^[a-zA-Z0-9_][a-zA-Z0-9-_]*$/;

export function isInstanceId(id: unknown): id is string {
  return typeof id === "string" && id.length <= 100 && pattern.test(id);
}

export function runIdOf(workflow: string, instanceId: string, generation: number): string {
  return `${workflow}.${instanceId}.${generation}`;
}

export function generationOf(runId: string): { readonly instanceId: string; readonly generation: number } {
  const parts = runId.split(".");
  return { instanceId: parts.at(-2) ?? "", generation: Number(parts.at(-1)) };
}

const restarted = "restart:";

/** What starts the run of a restart. It carries the time at which the instance was created, for that is what the instance is told. */
export function restartTrigger(run: { readonly trigger: string; readonly createdAt: number }): string {
  return run.trigger.startsWith(restarted) ? run.trigger : `${restarted}${run.createdAt}`;
}

/** When the instance of a run was created, whichever of its runs this is. */
export function createdAtOf(run: { readonly trigger: string; readonly createdAt: Date }): Date {
  return run.trigger.startsWith(restarted) ? new Date(Number(run.trigger.slice(restarted.length))) : run.createdAt;
}
