import { z } from "@hono/zod-openapi";
import { Fault } from "#core/fault.ts";

/** The form of an approval as fields of a page: from its JSON schema, and back from what a browser sends. What it can't say simply is asked for as JSON. */

export interface FormField {
  /** The name under which the browser sends it. */
  readonly name: string;
  /** The property of the form; null: the field is the form. */
  readonly property: string | null;
  readonly label: string;
  readonly hint: string | null;
  readonly isRequired: boolean;
  /** An empty field means null, not absent. */
  readonly isNullable: boolean;
  /** What the field shows at first, as the browser would send it; empty: nothing. */
  readonly initial: string;
  readonly control: Control;
}

export type Control =
  | { readonly type: "text"; readonly input: "text" | "email" | "url" | "date" | "time" }
  | { readonly type: "number"; readonly isWhole: boolean; readonly min: number | null; readonly max: number | null }
  | { readonly type: "checkbox" }
  /** Options travel as JSON, which keeps the number 1 and the text 1 apart. */
  | { readonly type: "choice"; readonly options: readonly unknown[] }
  | { readonly type: "json" };

const Schema = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  format: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  anyOf: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
});
type Schema = z.infer<typeof Schema>;

/** The fields of a form, from its JSON schema; none for an approval without form. */
export function formFields(form: unknown): readonly FormField[] {
  const parsed = Schema.safeParse(form);
  if (!parsed.success) return [];
  const { type, properties, required = [] } = parsed.data;
  if (type !== "object" || !properties) return [fieldOf(parsed.data, null, true)];
  return Object.entries(properties).map(([name, property]) => fieldOf(Schema.catch({}).parse(property), name, required.includes(name)));
}

/**
 * What was filled in; undefined where there are no fields. Whether it fits, the run decides.
 * @throws Fault `invalid_payload` for a field of JSON that is none.
 */
export function formValue(fields: readonly FormField[], sent: URLSearchParams): unknown {
  const filled = fields.flatMap((field) => {
    const value = fieldValue(field, sent.get(field.name));
    return value === undefined ? [] : [[field.property, value] as const];
  });
  const whole = filled.find(([property]) => property === null);
  if (whole) return whole[1];
  return fields.some((field) => field.property !== null) ? Object.fromEntries(filled) : undefined;
}

function fieldOf(schema: Schema, property: string | null, isRequired: boolean): FormField {
  const { inner, isNullable } = unwrapped(schema);
  const control = controlOf(inner);
  const initial = schema.default === undefined ? "" : textOf(control, schema.default);
  return {
    name: property === null ? "form" : `form.${property}`,
    property,
    label: schema.title ?? inner.title ?? property ?? "Answer",
    hint: schema.description ?? inner.description ?? null,
    // A field with a default may be left out, and an empty checkbox says no.
    isRequired: isRequired && !isNullable && control.type !== "checkbox" && schema.default === undefined,
    isNullable,
    initial,
    control,
  };
}

/** A schema that allows null beside one other thing is that thing. There are three ways to write it. */
function unwrapped(schema: Schema): { readonly inner: Schema; readonly isNullable: boolean } {
  const { type, enum: options } = schema;
  if (options?.includes(null)) return { inner: { ...schema, enum: options.filter((option) => option !== null) }, isNullable: true };
  if (Array.isArray(type) && type.length === 2 && type.includes("null")) {
    return { inner: { ...schema, type: type.find((name) => name !== "null") }, isNullable: true };
  }
  const variants = (schema.anyOf ?? []).map((variant) => Schema.catch({}).parse(variant));
  const others = variants.filter((variant) => variant.type !== "null");
  const [inner] = others;
  if (inner && others.length === 1 && variants.length > 1) return { inner, isNullable: true };
  return { inner: schema, isNullable: false };
}

function controlOf(schema: Schema): Control {
  const options = optionsOf(schema);
  if (options) return { type: "choice", options };
  if (schema.type === "string") return { type: "text", input: inputOf(schema.format) };
  if (schema.type === "boolean") return { type: "checkbox" };
  if (schema.type !== "number" && schema.type !== "integer") return { type: "json" };
  return { type: "number", isWhole: schema.type === "integer", min: safeBound(schema.minimum), max: safeBound(schema.maximum) };
}

function optionsOf(schema: Schema): readonly unknown[] | null {
  if (schema.enum) return schema.enum;
  if (schema.const !== undefined) return [schema.const];
  const variants = (schema.anyOf ?? []).map((variant) => Schema.catch({}).parse(variant).const);
  return variants.length > 0 && variants.every((option) => option !== undefined) ? variants : null;
}

function inputOf(format: string | undefined): Extract<Control, { type: "text" }>["input"] {
  if (format === "email" || format === "date" || format === "time") return format;
  return format === "uri" ? "url" : "text";
}

/** Every whole number has the bounds of what is exact; nobody needs to be told. */
function safeBound(bound: number | undefined): number | null {
  return bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? null : bound;
}

function textOf(control: Control, value: unknown): string {
  if (control.type === "choice" || control.type === "json") return JSON.stringify(value);
  if (control.type === "checkbox") return value === true ? "true" : "";
  return String(value);
}

function fieldValue(field: FormField, sent: string | null): unknown {
  const { control, isNullable } = field;
  if (control.type === "checkbox") return sent !== null;
  if (sent === null || sent.trim() === "") return isNullable ? null : undefined;
  // What is no number stays a text, and the schema says so.
  if (control.type === "number") return Number.isNaN(Number(sent)) ? sent : Number(sent);
  if (control.type === "choice") return control.options.find((option) => JSON.stringify(option) === sent) ?? sent;
  return control.type === "json" ? jsonOf(field, sent) : sent;
}

function jsonOf(field: FormField, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault("invalid_payload", `${field.label}: It is not well-formed JSON.`, { issues: [`${field.label}: It is not well-formed JSON.`] });
  }
}
