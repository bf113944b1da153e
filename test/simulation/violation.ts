/** A promise that was not kept. `oracle` names it: O1 to O13 as in the README, or a word for the further ones. */
export class Violation extends Error {
  readonly oracle: string;

  constructor(oracle: string, message: string) {
    super(`${oracle}: ${message}`);
    this.oracle = oracle;
  }
}

/** @throws Violation, always. What it says is put together only when it is needed. */
export function broken(oracle: string, message: string): never {
  throw new Violation(oracle, message);
}
