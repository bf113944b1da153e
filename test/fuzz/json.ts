/** JSON as it is written, which is more than a value can be: repeated and forbidden names, numbers out of range, and what is no JSON at all. */

/** Stands in the text as it is. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** An object by its members in order; a name may come twice. */
export class Members {
  readonly entries: [string, Json][];
  constructor(entries: [string, Json][]) {
    this.entries = entries;
  }
}

export type Json = null | boolean | number | string | Json[] | Members | Raw;

export function jsonOf(value: unknown): Json {
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value === "object" && value !== null) return new Members(Object.entries(value).map(([name, item]) => [name, jsonOf(item)]));
  return value === undefined ? null : (value as Json);
}

export function textOf(json: Json): string {
  if (json instanceof Raw) return json.text;
  if (json instanceof Members) return `{${json.entries.map(([name, item]) => `${JSON.stringify(name)}:${textOf(item)}`).join(",")}}`;
  return Array.isArray(json) ? `[${json.map(textOf).join(",")}]` : JSON.stringify(json);
}

/** A place in a JSON text whose content can be replaced. */
export interface Place {
  readonly get: () => Json;
  readonly set: (json: Json) => void;
  /** Null for an item of a list. */
  readonly owner: Members | null;
  readonly index: number;
}

/** Every place below the root. */
export function placesOf(json: Json): Place[] {
  if (json instanceof Members) return json.entries.flatMap((entry, index) => [placeIn(entry, 1, { owner: json, index }), ...placesOf(entry[1])]);
  return Array.isArray(json) ? json.flatMap((item, index) => [placeIn(json, index, { owner: null, index }), ...placesOf(item)]) : [];
}

function placeIn(holder: Json[] | [string, Json], at: number, belongs: Pick<Place, "owner" | "index">): Place {
  const set = (json: Json): void => {
    holder[at] = json;
  };
  return { ...belongs, get: () => holder[at] ?? null, set };
}
