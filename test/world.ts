import { ManualClock } from "#engine/memory.ts";
import type { AnyAutomation } from "#sdk/automation.ts";
import { createRegistry, type Registry } from "#sdk/registry.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";

/** What the test Worker and the tests share: they run in one isolate. */

const tenYearsMs = 10 * 365 * 86_400_000;

/** Stands still until a test moves it. It is far ahead of the real time, so that no alarm set by it fires by itself. */
class TestClock extends ManualClock {
  constructor() {
    super(Date.now() + tenYearsMs);
  }

  /** Fires in the context of whoever set the timer: workerd lets no other touch a run object's storage, and the clock is moved by the tests' own. */
  override timer(at: number, fire: () => void): () => void {
    const due = Promise.withResolvers<void>();
    let wanted = true;
    void due.promise.then(() => {
      if (wanted) fire();
    });
    const cancel = super.timer(at, due.resolve);
    return () => {
      wanted = false;
      cancel();
    };
  }

  override idle(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 0));
  }
}

export const clock = new TestClock();

/** What is "deployed" right now. Each test file has its own isolate, so files do not see each other's. */
let workflows: AnyWorkflow[] = [];
let automations: AnyAutomation[] = [];
let current = createRegistry({ workflows, automations });

export const registry: Registry = {
  workflow: (name, version) => current.workflow(name, version),
  automation: (name) => current.automation(name),
  get workflows() {
    return current.workflows;
  },
  get automations() {
    return current.automations;
  },
};

export function deploy(...definitions: (AnyWorkflow | AnyAutomation)[]): void {
  for (const it of definitions) {
    if (it.type === "workflow") workflows.push(it);
    else automations.push(it);
  }
  current = createRegistry({ workflows, automations });
}

export function undeploy(definition: AnyWorkflow | AnyAutomation): void {
  workflows = workflows.filter((it) => it !== definition);
  automations = automations.filter((it) => it !== definition);
  current = createRegistry({ workflows, automations });
}
