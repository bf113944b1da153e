import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";
import { utf8Bytes } from "./value.ts";

/** A searchable value on a run. A Date is stored as epoch ms and so compares as a number. */
export type AttributeInput = string | number | boolean | Date;

/** Attributes as recorded and indexed. Booleans stay booleans; dates have become numbers. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

const nameForm = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** @throws Fault `invalid_attributes` naming the attribute that is too long, of another type, or one too many. */
export function parseAttributes(input: Readonly<Record<string, AttributeInput | undefined>>): Attributes {
  const attributes: Record<string, string | number | boolean> = {};
  const given = Object.entries(input).filter(([, value]) => value !== undefined) as [string, AttributeInput][];
  if (given.length > limits.attributesPerRun) throw new Fault("invalid_attributes", `A run has at most ${limits.attributesPerRun} attributes.`);
  for (const [name, value] of given) {
    if (!nameForm.test(name))
      throw new Fault("invalid_attributes", `The attribute name ${JSON.stringify(name)} is not allowed: letters, digits, "_", "." and "-", at most 64.`);
    attributes[name] = attributeValue(name, value);
  }
  if (utf8Bytes(JSON.stringify(attributes)) > limits.attributesBytes)
    throw new Fault("invalid_attributes", `The attributes of a run take at most ${limits.attributesBytes} bytes as JSON.`);
  return attributes;
}

function attributeValue(name: string, value: AttributeInput): string | number | boolean {
  const plain = value instanceof Date ? value.getTime() : value;
  if (typeof plain === "string" && plain.length <= limits.attributeTextLength) return plain;
  if (typeof plain === "boolean" || (typeof plain === "number" && Number.isFinite(plain))) return plain;
  throw new Fault(
    "invalid_attributes",
    `The attribute ${name} must be a text of at most ${limits.attributeTextLength} characters, a finite number, a boolean or a Date.`,
  );
}
