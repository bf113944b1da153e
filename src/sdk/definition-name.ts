import { Fault } from "#core/fault.ts";

/** @throws Fault `invalid_name`. Names of workflows and automations stand in URLs, messages and SQL, so their alphabet is small. */
export function checkDefinitionName(what: string, name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new Fault(
      "invalid_name",
      `The ${what} name ${JSON.stringify(name)} is not allowed: 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit.`,
    );
  }
}
