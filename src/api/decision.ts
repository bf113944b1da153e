import type { DecideCommand } from "#core/approval.ts";
import type { LinkDecision } from "./approval-contract.ts";
import { acceptValue, type ValueForm } from "./values.ts";

/** The command of a decision. A form belongs to an approval: what stood in it when somebody rejected is left out. @throws Fault `invalid_request` as `acceptValue`. */
export function decideCommand(who: Pick<DecideCommand, "key" | "actor" | "via">, decided: LinkDecision, values: ValueForm): DecideCommand {
  const { decision, comment = "", form } = decided;
  const hasForm = decision === "approved" && form !== undefined;
  return { ...who, decision, comment: comment.trim() || null, form: hasForm ? acceptValue(form, values, "form") : null };
}
