/** The OpenAPI document as the fuzzer reads it. */

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly schema: Schema;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface OperationObject {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** One operation of the document. */
export interface Operation {
  /** `POST /v1/runs/{id}/pause` */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Of a body in JSON; null: the document knows of none. */
  readonly body: Schema | null;
  readonly responses: OperationObject["responses"];
}

/** What the document does not tell of: itself, and addresses that are none. */
const untold: readonly Operation[] = [
  {
    name: "GET /openapi.json",
    method: "GET",
    path: "/openapi.json",
    parameters: [],
    body: null,
    responses: { 200: { content: { "application/json": { schema: {} } } } },
  },
  { name: "POST /v1/nowhere/{id}", method: "POST", path: "/v1/nowhere/{id}", parameters: [], body: null, responses: {} },
];

/** Every operation of the document, and what is beside it. */
export function operationsOf(document: Document): Operation[] {
  const told = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content["application/json"]?.schema ?? null,
      responses,
    })),
  );
  return [...told, ...untold];
}

export function resolved(document: Document, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found = document.components.schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)];
  if (!found) throw new Error(`The document has no ${schema.$ref}.`);
  return resolved(document, found);
}

/**
 * Why a value does not fit a schema; null when it does. Stricter than JSON Schema in one point: a member that the schema does not name is a misfit unless it
 * says that there may be others.
 */
export function misfit(document: Document, schema: Schema, value: unknown): string | null {
  return fits(document, schema, value, "") ?? unnamed(document, schema, value, "");
}

const formats: Readonly<Record<string, RegExp>> = { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/ };

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function fits(document: Document, reference: Schema, value: unknown, at: string): string | null {
  const schema = resolved(document, reference);
  for (const part of schema.allOf ?? []) {
    const wrong = fits(document, part, value, at);
    if (wrong) return wrong;
  }
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) {
    const wrongs = variants.map((variant) => fits(document, variant, value, at) ?? unnamed(document, variant, value, at));
    if (!wrongs.includes(null)) return `${at}: fits none of the variants (${wrongs.join("; ")})`;
  }
  if (schema.const !== undefined && schema.const !== value) return `${at}: is not ${JSON.stringify(schema.const)}`;
  if (schema.enum && !schema.enum.includes(value)) return `${at}: ${JSON.stringify(value)} is not one of ${JSON.stringify(schema.enum)}`;
  return fitsType(document, schema, value, at);
}

function fitsType(document: Document, schema: Schema, value: unknown, at: string): string | null {
  const type = typeOf(value);
  const types = schema.type === undefined ? null : [schema.type].flat();
  if (types && !types.includes(type) && !(type === "number" && types.includes("integer") && Number.isInteger(value))) {
    return `${at}: is ${type} and not ${types.join(" or ")}`;
  }
  if (typeof value === "string" && schema.format && formats[schema.format]?.test(value) === false)
    return `${at}: ${JSON.stringify(value)} is no ${schema.format}`;
  if (Array.isArray(value) && schema.items) return first(value, (item, index) => fits(document, schema.items as Schema, item, `${at}/${index}`));
  if (type !== "object") return null;
  const members = value as Readonly<Record<string, unknown>>;
  const missing = (schema.required ?? []).find((name) => !Object.hasOwn(members, name));
  if (missing !== undefined) return `${at}: has no ${missing}`;
  return first(Object.entries(members), ([name, item]) => {
    const own = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : null;
    const other = typeof schema.additionalProperties === "object" ? schema.additionalProperties : null;
    const expected = own ?? other;
    return expected ? fits(document, expected, item, `${at}/${name}`) : null;
  });
}

/** The first member that no part of a schema names. */
function unnamed(document: Document, reference: Schema, value: unknown, at: string): string | null {
  const parts = partsOf(document, reference);
  if (Array.isArray(value)) {
    const items = parts.find((part) => part.items)?.items;
    return items ? first(value, (item, index) => unnamed(document, items, item, `${at}/${index}`)) : null;
  }
  const named = parts.filter((part) => part.properties);
  if (typeOf(value) !== "object" || named.length === 0 || parts.some((part) => part.additionalProperties || part.anyOf || part.oneOf)) return null;
  return first(Object.entries(value as object), ([name, item]) => {
    const owner = named.findLast((part) => Object.hasOwn(part.properties ?? {}, name));
    return owner ? unnamed(document, owner.properties?.[name] as Schema, item, `${at}/${name}`) : `${at}/${name}: is not in the document`;
  });
}

function partsOf(document: Document, reference: Schema): Schema[] {
  const schema = resolved(document, reference);
  return [schema, ...(schema.allOf ?? []).flatMap((part) => partsOf(document, part))];
}

function first<T>(items: readonly T[], wrongOf: (item: T, index: number) => string | null): string | null {
  for (const [index, item] of items.entries()) {
    const wrong = wrongOf(item, index);
    if (wrong !== null) return wrong;
  }
  return null;
}
