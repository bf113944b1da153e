import { z } from "zod";

const isoDate = z.iso.date();
const isoDateTime = z.iso.datetime({ offset: true });

/** The epoch ms of an ISO 8601 date (midnight UTC) or date-time with its zone; null for anything else, days that do not exist included. */
export function parseTime(text: string): number | null {
  if (!isoDate.safeParse(text).success && !isoDateTime.safeParse(text).success) return null;
  const at = Date.parse(text);
  return Number.isFinite(at) ? at : null;
}
