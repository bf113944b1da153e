import type { DecideCommand } from "#core/approval.ts";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type Encoded, utf8Bytes } from "#core/value.ts";
import type { LinkDecision } from "./approval-contract.ts";
import { acceptValue, type ValueForm } from "./values.ts";

/** The command of a decision. A form belongs to an approval: what stood in it when somebody rejected is left out. @throws Fault `invalid_request` as `acceptValue`; `value_too_large`. */
export function decideCommand(who: Pick<DecideCommand, "key" | "actor" | "via">, decided: LinkDecision, values: ValueForm): DecideCommand {
  const { decision, comment = "", form } = decided;
  const hasForm = decision === "approved" && form !== undefined;
  return { ...who, decision, comment: comment.trim() || null, form: hasForm ? acceptForm(form, values) : null };
}

function acceptForm(form: unknown, values: ValueForm): Encoded {
  const encoded = acceptValue(form, values, "form");
  if (utf8Bytes(encoded) <= limits.formBytes) return encoded;
  throw new Fault("value_too_large", `The form takes more than ${limits.formBytes} bytes when encoded.`, { limitBytes: limits.formBytes });
}
