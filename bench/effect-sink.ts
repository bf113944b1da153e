import { type Outside, startOutside } from "./outside.ts";

/** The outside world of the kill test: a server that outlives every kill and remembers each effect in the order of arrival. */

export interface Effect {
  readonly runId: string;
  readonly step: string;
  /** Where the step stands in the workflow. */
  readonly place: number;
  readonly attempt: number;
  readonly idempotencyKey: string;
  /** ms, as `performance.now()`. */
  readonly arrivedAt: number;
}

export interface Sink extends Outside {
  readonly effects: readonly Effect[];
  of(runId: string): readonly Effect[];
}

/** Answers after a moment of `thinkMs()`. The first call of a step named `flaky` is refused, though its effect is done. */
export async function startSink(thinkMs: () => number, arrived: (effect: Effect) => void): Promise<Sink> {
  const effects: Effect[] = [];
  const byRun = new Map<string, Effect[]>();
  const outside = await startOutside((body, answer) => {
    const effect: Effect = { ...(body as Omit<Effect, "arrivedAt">), arrivedAt: performance.now() };
    const ofRun = byRun.get(effect.runId) ?? [];
    const refused = effect.step === "flaky" && !ofRun.some(({ step }) => step === effect.step);
    byRun.set(effect.runId, ofRun);
    ofRun.push(effect);
    effects.push(effect);
    arrived(effect);
    setTimeout(() => answer(refused ? 503 : 200), thinkMs());
  });
  return { ...outside, effects, of: (runId) => byRun.get(runId) ?? [] };
}
