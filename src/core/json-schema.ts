import { z } from "zod";

/** A schema as a JSON schema, for those who show a form or document an input; null for one that JSON schema can't express. */
export function jsonSchemaOf(schema: z.ZodType): unknown {
  try {
    return z.toJSONSchema(schema, { io: "input" });
  } catch {
    return null; // A transform or custom type has no JSON form; the schema itself still checks.
  }
}
