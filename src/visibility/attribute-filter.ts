import { parseAttributes } from "#core/attributes.ts";
import { Fault } from "#core/fault.ts";
import { parseTime } from "./time.ts";

export const attributeOperators = ["eq", "ne", "gt", "gte", "lt", "lte"] as const;
export type AttributeOperator = (typeof attributeOperators)[number];

/**
 * A comparison with one attribute. Values are typed: a number is compared with numbers only, a text with texts only (exactly, by code point),
 * a boolean only with eq and ne. `ne` matches runs that have the attribute with another value, of whatever type; a run without the
 * attribute matches nothing.
 */
export interface AttributeFilter {
  readonly name: string;
  readonly op: AttributeOperator;
  readonly value: string | number | boolean;
}

const operatorForm = /^(eq|ne|gt|gte|lt|lte):(.*)$/s;
const numberForm = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const dateForm = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|$)/;

/**
 * Reads the value of an `attr.<name>=` parameter: an optional operator (`gte:`; none means `eq:`) and an operand, which is, tried in this order:
 *
 * - `"…"` text, whatever stands between the outermost quotes: `"01234"`, `"true"`, `"2026-01-01"`, `""`
 * - `true`, `false` a boolean
 * - a number as in JSON: `1000`, `-2.5`, `1e6`. `01234` is none, and so a text
 * - a date `2026-01-01` (midnight UTC) or a date-time with its zone `2026-01-01T09:00:00Z`: epoch ms, as Date attributes are stored
 * - anything else a text
 *
 * @throws Fault `invalid_request` whose details name `path`, for an empty operand, a quote left open, a number out of range, a day that does
 * not exist, a date-time without zone, a name or text that no attribute can have, and an order asked of a boolean.
 */
export function parseAttributeFilter(name: string, text: string): AttributeFilter {
  const path = `attr.${name}`;
  const [, operator, operand] = operatorForm.exec(text) ?? [text, "eq", text];
  const op = attributeOperators.find((known) => known === operator) ?? "eq";
  const value = parseOperand(path, operand ?? "");
  if (typeof value === "boolean" && op !== "eq" && op !== "ne") throw refused(path, `A boolean compares with eq and ne only, not with ${op}.`);
  checkCanBeRecorded(name, value);
  return { name, op, value };
}

function parseOperand(path: string, operand: string): string | number | boolean {
  if (operand.startsWith('"')) return unquoted(path, operand);
  if (operand === "") throw refused(path, 'The value is missing; "" is the empty text.');
  if (operand === "true" || operand === "false") return operand === "true";
  if (numberForm.test(operand)) return Number(operand);
  if (dateForm.test(operand)) return parseDate(path, operand);
  return operand;
}

function unquoted(path: string, operand: string): string {
  if (operand.length < 2 || !operand.endsWith('"')) throw refused(path, "The text begins with a quote but does not end with one.");
  return operand.slice(1, -1);
}

function parseDate(path: string, operand: string): number {
  const at = parseTime(operand);
  if (at === null)
    throw refused(path, "A date must be 2026-01-01 or, with its zone, 2026-01-01T09:00:00Z (write + as %2B). To compare it as text, put it in quotes.");
  return at;
}

/** What no run can carry would match nothing; saying so helps more. */
function checkCanBeRecorded(name: string, value: string | number | boolean): void {
  try {
    parseAttributes({ [name]: value });
  } catch (error) {
    throw refused(`attr.${name}`, error instanceof Error ? error.message : String(error));
  }
}

function refused(path: string, message: string): Fault {
  return new Fault("invalid_request", `${path}: ${message}`, { path });
}
