import { z } from "zod";
import { Fault } from "#core/fault.ts";

/** The place in a list after which the next page begins: the sort value and id of the last row shown. Null: that row has no such value. */
export interface Position {
  readonly value: number | null;
  readonly id: string;
}

const CursorForm = z.tuple([z.string(), z.number().nullable(), z.string()]);

/** A short mark of a list (namespace, filters and sort). Equal lists have equal marks. */
export async function listMark(list: unknown): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(list)));
  return base64url(String.fromCharCode(...new Uint8Array(digest, 0, 12)));
}

/** The opaque text of a position in a list. It is not signed: whoever forges one only chooses where in their own list to begin. */
export function encodeCursor(mark: string, position: Position): string {
  const utf8 = new TextEncoder().encode(JSON.stringify([mark, position.value, position.id]));
  return base64url(String.fromCharCode(...utf8));
}

/** @throws Fault `invalid_cursor` for a text that is no cursor, and for the cursor of another list. */
export function decodeCursor(mark: string, cursor: string): Position {
  const parsed = CursorForm.safeParse(jsonOf(cursor));
  if (!parsed.success) throw new Fault("invalid_cursor", "The cursor can't be read. Use nextCursor of the page before as it is.");
  const [itsMark, value, id] = parsed.data;
  if (itsMark !== mark)
    throw new Fault("invalid_cursor", "The cursor belongs to a list with other filters or another sort. Keep them while paging, or begin without a cursor.");
  return { value, id };
}

function jsonOf(cursor: string): unknown {
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    // Neither base64 nor UTF-8 nor JSON: the caller names the fault.
    return null;
  }
}

function base64url(binary: string): string {
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
