/** List prices in USD, beyond what a plan includes. The one place for them. */

interface Price {
  readonly usd: number;
  /** What the price is for. */
  readonly unit: string;
  readonly source: string;
  /** When the source was read. */
  readonly readOn: string;
}

const readOn = "2026-11-22";
const objects = "https://developers.cloudflare.com/durable-objects/platform/pricing/";
const d1 = "https://developers.cloudflare.com/d1/platform/pricing/";
const workers = "https://developers.cloudflare.com/workers/platform/pricing/";

export const prices = {
  objectRequests: { usd: 0.15e-6, unit: "call to an object, or its alarm", source: objects, readOn },
  objectDuration: { usd: 12.5e-6, unit: "GB-s; an object counts as 128 MB", source: objects, readOn },
  objectRowsWritten: { usd: 1e-6, unit: "row written; setting an alarm is one", source: objects, readOn },
  objectRowsRead: { usd: 0.001e-6, unit: "row read", source: objects, readOn },
  objectStorage: { usd: 0.2, unit: "GB-month", source: objects, readOn },
  workerRequests: { usd: 0.3e-6, unit: "request", source: workers, readOn },
  workerCpu: { usd: 0.02e-6, unit: "ms of CPU", source: workers, readOn },
  queueOperations: { usd: 0.4e-6, unit: "operation; a message takes 3", source: "https://developers.cloudflare.com/queues/platform/pricing/", readOn },
  indexRowsWritten: { usd: 1e-6, unit: "row written", source: d1, readOn },
  indexRowsRead: { usd: 0.001e-6, unit: "row read", source: d1, readOn },
  cloudflareWorkflowsSteps: {
    usd: 8e-6,
    unit: "step; sleeps and waits are steps",
    source: "https://developers.cloudflare.com/workflows/reference/pricing/",
    readOn,
  },
  stepFunctionsTransitions: { usd: 25e-6, unit: "state transition, Standard, US East", source: "https://aws.amazon.com/step-functions/pricing/", readOn },
  temporalActions: { usd: 50e-6, unit: "action", source: "https://docs.temporal.io/cloud/pricing", readOn },
} as const satisfies Record<string, Price>;
