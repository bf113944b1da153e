import { Fault } from "#core/fault.ts";
import type { AnyAutomation } from "./automation.ts";
import type { Teller } from "./step.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** What is deployed: every workflow in every version, and every automation. */
export interface Registry {
  /** The named version, or the newest for null. Null when there is none. */
  workflow(name: string, version: string | null): AnyWorkflow | null;
  automation(name: string): AnyAutomation | null;
  /** Tells somebody on call; null: nobody is. */
  readonly alerts: AnyAutomation | null;
  /** Newest version first within a name. */
  readonly workflows: readonly AnyWorkflow[];
  readonly automations: readonly AnyAutomation[];
}

export interface Definitions {
  readonly workflows: readonly AnyWorkflow[];
  readonly automations?: readonly AnyAutomation[];
  /**
   * Tells somebody when a run is parked, held by an operator, late, or an approval is overdue: a webhook, a mail, a message. Told once for each occasion, from the queue,
   * with retries. Its input is a `Notice`.
   */
  readonly alerts?: Teller;
}

/**
 * Indexes definitions by name and version. Automations that only workflows call need no registering, except those that run on the queue.
 * @throws Fault `invalid_name` for two different definitions under one name (and version).
 */
export function createRegistry(definitions: Definitions): Registry {
  const workflows = [...definitions.workflows].sort((a, b) => a.name.localeCompare(b.name) || newestFirst(a.version, b.version));
  const alerts = definitions.alerts ?? null;
  const automations = [...new Set([...(definitions.automations ?? []), ...(alerts ? [alerts] : [])])];
  const byVersion = indexUnique(workflows, (it) => `${it.name}@${it.version}`);
  const newest = new Map<string, AnyWorkflow>();
  for (const workflow of workflows) if (!newest.has(workflow.name)) newest.set(workflow.name, workflow);
  const automationByName = indexUnique(automations, (it) => it.name);
  return {
    workflow: (name, version) => (version === null ? newest.get(name) : byVersion.get(`${name}@${version}`)) ?? null,
    automation: (name) => automationByName.get(name) ?? null,
    alerts,
    workflows,
    automations,
  };
}

/** "10" is newer than "9", "2.10" than "2.9"; dates and other texts compare as texts. */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, "en", { numeric: true });
}

function indexUnique<T extends { readonly type: string }>(items: readonly T[], keyOf: (item: T) => string): Map<string, T> {
  const index = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    if (index.has(key) && index.get(key) !== item) throw new Fault("invalid_name", `Two ${item.type}s are registered as ${key}.`);
    index.set(key, item);
  }
  return index;
}
