import { type Outside, startOutside } from "../../bench/outside.ts";

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

export interface Sink extends Outside {
  readonly heard: readonly Heard[];
  /** The deployment that is heard now, from 0. */
  readonly deployment: number;
  /** What is heard from now on is heard from this deployment. */
  deployed(nth: number): void;
  /** Everything of this leg and those before it is answered. */
  open(leg: number): void;
}

/** Compensations that get no answer before a leg. */
const heldUndos: Readonly<Record<string, number>> = { "~c": 1, "~b": 2 };

/** Steps named `held` get no answer, and those named `flaky` are refused, as long as their leg is not open. */
export async function startSink(): Promise<Sink> {
  const heard: Heard[] = [];
  let deployment = 0;
  let openLeg = 0;
  const held: { readonly leg: number; readonly answer: () => void }[] = [];
  const outside = await startOutside((body, answer) => {
    const effect: Heard = { ...(body as Omit<Heard, "deployment" | "at">), deployment, at: Date.now() };
    heard.push(effect);
    const { behaviour, leg } = ruleOf(effect.key);
    if (leg <= openLeg || behaviour === "answered") answer(200);
    else if (behaviour === "flaky") answer(503);
    else held.push({ leg, answer: () => answer(200) });
  });
  return {
    ...outside,
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
  };
}

function ruleOf(key: string): { readonly behaviour: "held" | "flaky" | "answered"; readonly leg: number } {
  const [, behaviour, leg] = /^(held|flaky)-(\d)$/.exec(key) ?? [];
  if (behaviour === "held" || behaviour === "flaky") return { behaviour, leg: Number(leg) };
  const undoneFrom = heldUndos[key];
  return undoneFrom === undefined ? { behaviour: "answered", leg: 0 } : { behaviour: "held", leg: undoneFrom };
}
