import { ManualClock } from "#engine/memory.ts";
import type { AnyAutomation } from "#sdk/automation.ts";
import { createRegistry, type Registry } from "#sdk/registry.ts";
import type { Teller } from "#sdk/step.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";

/** What the test Worker and the tests share: they run in one isolate. */

const tenYearsMs = 10 * 365 * 86_400_000;
const pollMs = 2;

/** Stands still until a test moves it. It is far ahead of the real time, so that no alarm set by it fires by itself. */
class TestClock extends ManualClock {
  readonly #timers = new Set<{ readonly at: number }>();

  constructor() {
    super(Date.now() + tenYearsMs);
  }

  /**
   * Polls in real time, so that `fire` runs in the context of whoever set the timer: workerd lets no other touch a run object's storage, and the
   * clock is moved from the tests' own. A timer of an object that is gone is never heard of again, as on the platform.
   */
  override timer(at: number, fire: () => void): () => void {
    const timer = { at };
    const poll = (): void => {
      if (!this.#timers.has(timer)) return;
      if (at > this.now()) {
        setTimeout(poll, pollMs);
        return;
      }
      this.#timers.delete(timer);
      fire();
    };
    this.#timers.add(timer);
    setTimeout(poll, pollMs);
    return () => this.#timers.delete(timer);
  }

  override nextTimerAt(): number | null {
    const times = [...this.#timers].map((timer) => timer.at);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Resolves when every timer that is due has fired. Those that can't, since their object is gone, are forgotten. */
  async fired(): Promise<void> {
    const due = (): { at: number }[] => [...this.#timers].filter((timer) => timer.at <= this.now());
    for (let tries = 0; tries < 50 && due().length > 0; tries++) await new Promise((resolve) => setTimeout(resolve, pollMs));
    for (const timer of due()) this.#timers.delete(timer);
  }

  override idle(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 0));
  }
}

export const clock = new TestClock();

/** What is "deployed" right now. Each test file has its own isolate, so files do not see each other's. */
let workflows: AnyWorkflow[] = [];
let automations: AnyAutomation[] = [];
let alerts: Teller | null = null;
let current = createRegistry({ workflows, automations });

export const registry: Registry = {
  workflow: (name, version) => current.workflow(name, version),
  automation: (name) => current.automation(name),
  get alerts() {
    return current.alerts;
  },
  get workflows() {
    return current.workflows;
  },
  get automations() {
    return current.automations;
  },
};

function register(): void {
  current = createRegistry({ workflows, automations, ...(alerts && { alerts }) });
}

/** From now on this automation tells whoever is on call. */
export function alertBy(automation: Teller): void {
  alerts = automation;
  register();
}

export function deploy(...definitions: (AnyWorkflow | AnyAutomation)[]): void {
  for (const it of definitions) {
    if (it.type === "workflow") workflows.push(it);
    else automations.push(it);
  }
  register();
}

export function undeploy(definition: AnyWorkflow | AnyAutomation): void {
  workflows = workflows.filter((it) => it !== definition);
  automations = automations.filter((it) => it !== definition);
  register();
}
