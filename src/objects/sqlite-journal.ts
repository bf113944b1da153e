import type { Entry, Recorded } from "#core/entry.ts";
import { invariant } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type Encoded, utf8Bytes } from "#core/value.ts";
import type { Journal } from "#engine/ports.ts";

/**
 * The journal in a Durable Object's SQLite. One row per entry; a value of over 1 MiB lies in chunk rows beside it. The schema is made with the
 * first entry, in its commit: a run that is only asked for writes nothing, and a new one pays for one commit, not two.
 */
const schema = `
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,   -- the entry's other fields, JSON
  chunks INTEGER,       -- how many chunk rows hold the value; null: the value is in this row, or there is none
  value TEXT            -- last, so that reading the other columns does not touch a large value's pages
);
CREATE TABLE chunk (
  seq INTEGER NOT NULL,
  part INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, part)
) WITHOUT ROWID;
CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  schema_version INTEGER NOT NULL,
  indexed_seq INTEGER NOT NULL
);
INSERT INTO head VALUES (1, 1, 0);
`;

type Row = { seq: number; at: number; kind: string; body: string; value: string | null; has_value: number };

export class SqliteJournal implements Journal {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #hasSchema: boolean;
  #lastSeq = 0;
  #closed = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#hasSchema = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'head'").toArray().length > 0;
    if (!this.#hasSchema) return;
    const last = this.#sql.exec<{ seq: number; kind: string }>("SELECT seq, kind FROM journal ORDER BY seq DESC LIMIT 1").toArray()[0];
    this.#lastSeq = last?.seq ?? 0;
    this.#closed = last?.kind === "run.ended";
  }

  load(): Recorded[] {
    if (!this.#hasSchema) return [];
    return this.#sql
      .exec<Row>(
        `SELECT seq, at, kind, body, (value IS NOT NULL OR chunks IS NOT NULL) AS has_value,
          CASE WHEN octet_length(value) <= ? THEN value END AS value FROM journal ORDER BY seq`,
        limits.eagerValueBytes,
      )
      .toArray()
      .map(entryOf);
  }

  page(after: number, limit: number): Recorded[] {
    if (!this.#hasSchema) return [];
    return this.#sql
      .exec<Row>(
        "SELECT seq, at, kind, body, (value IS NOT NULL OR chunks IS NOT NULL) AS has_value, value FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
        after,
        limit,
      )
      .toArray()
      .map((row) => entryOf({ ...row, value: row.has_value && row.value === null ? this.value(row.seq) : row.value }));
  }

  value(seq: number): Encoded {
    invariant(this.#hasSchema, `Entry ${seq} has no value: there is no journal.`);
    const row = this.#sql.exec<{ value: string | null; chunks: number | null }>("SELECT value, chunks FROM journal WHERE seq = ?", seq).toArray()[0];
    invariant(row && (row.value !== null || row.chunks !== null), `Entry ${seq} has no value.`);
    if (row.value !== null) return row.value;
    const parts = this.#sql.exec<{ value: string }>("SELECT value FROM chunk WHERE seq = ? ORDER BY part", seq).toArray();
    invariant(parts.length === row.chunks, `Entry ${seq} has ${parts.length} of ${row.chunks} chunks.`);
    return parts.map((part) => part.value).join("");
  }

  append(entries: readonly Entry[]): number {
    invariant(!this.#closed, "The journal is closed; the run has ended.");
    const first = entries[0];
    if (entries.length === 1 && this.#hasSchema && first && !isLarge(first)) this.#insert(first, this.#lastSeq + 1);
    else this.#storage.transactionSync(() => this.#appendAll(entries));
    this.#hasSchema = true;
    this.#lastSeq += entries.length;
    this.#closed = entries.some((entry) => entry.kind === "run.ended");
    return this.#lastSeq;
  }

  indexedSeq(): number {
    if (!this.#hasSchema) return 0;
    return this.#sql.exec<{ indexed_seq: number }>("SELECT indexed_seq FROM head").one().indexed_seq;
  }

  setIndexedSeq(seq: number): void {
    this.#sql.exec("UPDATE head SET indexed_seq = ? WHERE id = 1", seq);
  }

  #appendAll(entries: readonly Entry[]): void {
    if (!this.#hasSchema) this.#sql.exec(schema);
    let seq = this.#lastSeq;
    entries.forEach((entry, index) => {
      invariant(entry.kind !== "run.ended" || index === entries.length - 1, "Nothing comes after the end of a run.");
      this.#insert(entry, ++seq);
    });
  }

  #insert(entry: Entry, seq: number): void {
    const { kind, at, value, seq: _seq, ...body } = entry as Entry & { value?: Encoded | null; seq?: number };
    const text = value ?? null;
    const chunks = text !== null && isLarge(entry) ? chunksOf(text) : null;
    this.#sql.exec(
      "INSERT INTO journal (seq, at, kind, body, chunks, value) VALUES (?, ?, ?, ?, ?, ?)",
      seq,
      at,
      kind,
      JSON.stringify(body),
      chunks?.length ?? null,
      chunks ? null : text,
    );
    chunks?.forEach((chunk, part) => {
      this.#sql.exec("INSERT INTO chunk (seq, part, value) VALUES (?, ?, ?)", seq, part, chunk);
    });
  }
}

function isLarge(entry: Entry): boolean {
  const value = "value" in entry ? entry.value : null;
  if (value === null || value.length * 3 <= limits.rowValueBytes) return false;
  return value.length > limits.rowValueBytes || utf8Bytes(value) > limits.rowValueBytes;
}

/** Cuts a text into parts that each stay below the row limit in UTF-8, never through a surrogate pair. */
function chunksOf(text: string): string[] {
  const step = Math.floor(limits.rowValueBytes / 3);
  const chunks: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + step, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    chunks.push(text.slice(start, end));
    start = end;
  }
  return chunks;
}

/** Rows were written by `append` from typed entries, so their shape is trusted. */
function entryOf(row: Row): Recorded {
  const entry = { ...JSON.parse(row.body), kind: row.kind, at: row.at, seq: row.seq, value: row.value };
  return row.has_value && row.value === null ? { ...entry, valueOmitted: true } : entry;
}
