/** Errors of the layer, with the texts that code written for Cloudflare may look for. */

/** Thrown in a step: another attempt is of no use. It is recognised by its class, so a name of its own changes nothing. */
export class NonRetryableError extends Error {
  constructor(message: string, name = "NonRetryableError") {
    super(message);
    this.name = name;
  }
}

/** Also of a class that another copy of the library made: by its name, or at the beginning of its message. */
export function isNonRetryable(error: unknown): boolean {
  if (error instanceof NonRetryableError) return true;
  return (
    error instanceof Error &&
    (error.name === "NonRetryableError" || error.constructor.name === "NonRetryableError" || error.message.startsWith("NonRetryableError"))
  );
}

/** An error of the binding. Cloudflare flattens its class and code into the message. */
export function bindingError(code: string, text: string): Error {
  return new Error(`WorkflowError: (${code}) ${text}`);
}

export const timedOut = (ms: number): Error => new Error(`Execution timed out after ${ms}ms`);

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
