/** Has `act` called once, when this turn's work is done, however often it is asked for meanwhile. */
export function oncePerTurn(act: () => void): () => void {
  let isAsked = false;
  const run = (): void => {
    isAsked = false;
    try {
      act();
    } catch {
      // What was to be written could not be: the object is dropped, and nobody here is waiting for an answer.
    }
  };
  return () => {
    if (!isAsked) queueMicrotask(run);
    isAsked = true;
  };
}
