import { createServer } from "node:http";

/** The world around the runs of the builds: it outlives every deployment, remembers each effect, and decides when it answers. */

export interface Heard {
  readonly runId: string;
  readonly key: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly detail: unknown;
  /** The deployment at that time, from 0. */
  readonly deployment: number;
  /** Epoch ms. */
  readonly at: number;
}

export interface Sink {
  readonly url: string;
  readonly heard: readonly Heard[];
  /** The deployment that is heard now, from 0. */
  readonly deployment: number;
  /** What is heard from now on is heard from this deployment. */
  deployed(nth: number): void;
  /** Everything of this leg and those before it is answered. */
  open(leg: number): void;
  stop(): void;
}

/** Compensations that get no answer before a leg. */
const heldUndos: Readonly<Record<string, number>> = { "~c": 1, "~b": 2 };

/** Steps named `held` get no answer, and those named `flaky` are refused, as long as their leg is not open. */
export async function startSink(): Promise<Sink> {
  const heard: Heard[] = [];
  let deployment = 0;
  let openLeg = 0;
  const held: { readonly leg: number; readonly answer: () => void }[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("error", () => {
      // The caller is gone: it has said nothing.
    });
    request.on("data", (part) => {
      text += String(part);
    });
    request.on("end", () => {
      const effect: Heard = { ...JSON.parse(text), deployment, at: Date.now() };
      heard.push(effect);
      const answer = (status: number): void => {
        if (!response.destroyed) response.writeHead(status).end();
      };
      const { behaviour, leg } = ruleOf(effect.key);
      if (leg <= openLeg || behaviour === "answered") answer(200);
      else if (behaviour === "flaky") answer(503);
      else held.push({ leg, answer: () => answer(200) });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    heard,
    get deployment() {
      return deployment;
    },
    deployed: (nth) => {
      deployment = nth;
    },
    open: (leg) => {
      openLeg = leg;
      for (const it of held) if (it.leg <= leg) it.answer();
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function ruleOf(key: string): { readonly behaviour: "held" | "flaky" | "answered"; readonly leg: number } {
  const [, behaviour, leg] = /^(held|flaky)-(\d)$/.exec(key) ?? [];
  if (behaviour === "held" || behaviour === "flaky") return { behaviour, leg: Number(leg) };
  const undoneFrom = heldUndos[key];
  return undoneFrom === undefined ? { behaviour: "answered", leg: 0 } : { behaviour: "held", leg: undoneFrom };
}
