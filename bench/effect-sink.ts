import { createServer } from "node:http";

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

export interface Sink {
  readonly url: string;
  readonly effects: readonly Effect[];
  of(runId: string): readonly Effect[];
  stop(): void;
}

/** Answers after a moment of `thinkMs()`. The first call of a step named `flaky` is refused, though its effect is done. */
export async function startSink(thinkMs: () => number, arrived: (effect: Effect) => void): Promise<Sink> {
  const effects: Effect[] = [];
  const byRun = new Map<string, Effect[]>();
  const server = createServer((request, response) => {
    let text = "";
    request.on("error", () => {
      // The caller was killed while it spoke: it has said nothing.
    });
    request.on("data", (part) => {
      text += String(part);
    });
    request.on("end", () => {
      const effect: Effect = { ...JSON.parse(text), arrivedAt: performance.now() };
      const ofRun = byRun.get(effect.runId) ?? [];
      const refused = effect.step === "flaky" && !ofRun.some(({ step }) => step === effect.step);
      byRun.set(effect.runId, ofRun);
      ofRun.push(effect);
      effects.push(effect);
      arrived(effect);
      setTimeout(() => {
        if (!response.destroyed) response.writeHead(refused ? 503 : 200).end();
      }, thinkMs());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    effects,
    of: (runId) => byRun.get(runId) ?? [],
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
