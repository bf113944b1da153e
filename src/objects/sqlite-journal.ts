import type { Entry, Recorded } from "#core/entry.ts";
import { Fault, invariant } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { type Encoded, utf8Bytes } from "#core/value.ts";
import type { Journal } from "#engine/ports.ts";

/**
 * The journal in a Durable Object's SQLite. Entries that were appended together share a row, for a row is what the platform bills and what takes time; only
 * an entry with a large value has a row of its own. A value of over 1 MiB lies in chunk rows beside it. The table is made with the first entry, in its
 * commit: a run that is only asked for writes nothing, and a new one pays for one commit, not two.
 */
const schema = `
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,  -- of the row's first entry; row 0 holds the index cursor
  entries TEXT NOT NULL,    -- JSON: the entries, in order
  chunks INTEGER,           -- how many chunk rows hold the large value of the row's one entry; null: none do
  value TEXT                -- that value where it needs no chunks; last, so that reading the other columns does not touch its pages
)`;

const chunkSchema = `
CREATE TABLE IF NOT EXISTS chunk (
  seq INTEGER NOT NULL,
  part INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, part)
) WITHOUT ROWID`;

/** Of a journal as 0.1.0 laid it out: a row for each entry, its value beside it whatever its size, and the index cursor in a table of its own. */
const conversion = `
ALTER TABLE journal RENAME TO journal_of_1;
${schema};
INSERT INTO journal
  SELECT seq, '[' || json_set(body, '$.at', at, '$.kind', kind, '$.value', CASE WHEN octet_length(value) <= ${limits.eagerValueBytes} THEN value END) || ']',
    chunks, CASE WHEN octet_length(value) > ${limits.eagerValueBytes} THEN value END
  FROM journal_of_1;
INSERT INTO journal (seq, entries) SELECT 0, json_object('indexedSeq', indexed_seq) FROM head;
DROP TABLE journal_of_1;
DROP TABLE head`;

/** @throws Fault `newer_version`: a table of this name says that code of this version can't read the others. The layout above has none, which spares each run a write. */
function refuseLayout(sql: SqlStorage): never {
  const { version } = sql.exec<{ version: number }>("SELECT version FROM layout").one();
  throw new Fault("newer_version", `The run's journal has layout ${version}, which this version of Segno can't read.`, { layout: version });
}

/** Characters of entries after which a row is full: at three bytes each it stays below the row limit. */
const rowLength = limits.rowValueBytes / 4;

type Row = { seq: number; entries: string; is_large: number };
const rowColumns = "seq, entries, (value IS NOT NULL OR chunks IS NOT NULL) AS is_large";

export class SqliteJournal implements Journal {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #hasSchema: boolean;
  #lastSeq = 0;
  #closed = false;
  /** The row read last: values are asked for one by one, and mostly in order. */
  #read: { readonly seq: number; readonly entries: readonly Recorded[] } | null = null;

  /** @throws Fault `newer_version` for a journal of a later layout. */
  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    const tables = this.#sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name IN ('journal', 'head', 'layout')").toArray();
    const has = (table: string): boolean => tables.some(({ name }) => name === table);
    if (has("layout")) refuseLayout(this.#sql);
    if (has("head")) storage.transactionSync(() => this.#sql.exec(conversion));
    this.#hasSchema = has("journal");
    const last = this.#hasSchema ? this.#rows("ORDER BY seq DESC LIMIT 1").at(-1) : undefined;
    this.#lastSeq = last?.seq ?? 0;
    this.#closed = last?.kind === "run.ended";
  }

  load(): Recorded[] {
    return this.#hasSchema ? this.#rows("ORDER BY seq") : [];
  }

  page(after: number, limit: number): Recorded[] {
    if (!this.#hasSchema) return [];
    // A row holds at least one entry, so `limit` rows from that of the first entry on are enough.
    return this.#rows("AND seq >= (SELECT max(seq) FROM journal WHERE seq <= ?) ORDER BY seq LIMIT ?", after + 1, limit)
      .filter((entry) => entry.seq > after)
      .slice(0, limit)
      .map((entry) => (entry.valueOmitted ? withValue(entry, this.value(entry.seq)) : entry));
  }

  value(seq: number): Encoded {
    const entry = this.#entry(seq);
    if (entry?.valueOmitted) return this.#largeValue(seq);
    invariant(entry && "value" in entry && entry.value !== null, `Entry ${seq} has no value.`);
    return entry.value;
  }

  append(entries: readonly Entry[]): number {
    invariant(!this.#closed, "The journal is closed; the run has ended.");
    const early = entries.slice(0, -1).some((entry) => entry.kind === "run.ended");
    invariant(!early, "Nothing comes after the end of a run.");
    const rows = rowsOf(entries, this.#lastSeq + 1);
    const [first] = rows;
    if (rows.length === 1 && first && this.#hasSchema && first.chunks === null) this.#insert(first);
    else this.#storage.transactionSync(() => this.#insertAll(rows));
    this.#hasSchema = true;
    this.#lastSeq += entries.length;
    this.#closed = entries.at(-1)?.kind === "run.ended";
    return this.#lastSeq;
  }

  indexedSeq(): number {
    if (!this.#hasSchema) return 0;
    const head = this.#sql.exec<{ entries: string }>("SELECT entries FROM journal WHERE seq = 0").toArray()[0];
    return head ? JSON.parse(head.entries).indexedSeq : 0;
  }

  setIndexedSeq(seq: number): void {
    this.#sql.exec(
      "INSERT INTO journal (seq, entries) VALUES (0, ?) ON CONFLICT DO UPDATE SET entries = excluded.entries",
      JSON.stringify({ indexedSeq: seq }),
    );
  }

  #rows(where: string, ...bindings: number[]): Recorded[] {
    return this.#sql
      .exec<Row>(`SELECT ${rowColumns} FROM journal WHERE seq > 0 ${where}`, ...bindings)
      .toArray()
      .flatMap(entriesOf);
  }

  #entry(seq: number): Recorded | undefined {
    invariant(this.#hasSchema, `Entry ${seq} has no value: there is no journal.`);
    const known = this.#read;
    if (known && seq >= known.seq && seq < known.seq + known.entries.length) return known.entries[seq - known.seq];
    const row = this.#sql.exec<Row>(`SELECT ${rowColumns} FROM journal WHERE seq > 0 AND seq <= ? ORDER BY seq DESC LIMIT 1`, seq).toArray()[0];
    this.#read = row ? { seq: row.seq, entries: entriesOf(row) } : null;
    return this.#read?.entries[seq - this.#read.seq];
  }

  #largeValue(seq: number): Encoded {
    const row = this.#sql.exec<{ value: string | null; chunks: number | null }>("SELECT value, chunks FROM journal WHERE seq = ?", seq).one();
    if (row.value !== null) return row.value;
    const parts = this.#sql.exec<{ value: string }>("SELECT value FROM chunk WHERE seq = ? ORDER BY part", seq).toArray();
    invariant(parts.length === row.chunks, `Entry ${seq} has ${parts.length} of ${row.chunks} chunks.`);
    return parts.map((part) => part.value).join("");
  }

  #insertAll(rows: readonly NewRow[]): void {
    if (!this.#hasSchema) this.#sql.exec(schema);
    if (rows.some(({ chunks }) => chunks !== null)) this.#sql.exec(chunkSchema);
    for (const row of rows) this.#insert(row);
  }

  #insert({ seq, entries, value, chunks }: NewRow): void {
    const text = `[${entries.join(",")}]`;
    this.#sql.exec("INSERT INTO journal (seq, entries, chunks, value) VALUES (?, ?, ?, ?)", seq, text, chunks?.length ?? null, value);
    chunks?.forEach((chunk, part) => {
      this.#sql.exec("INSERT INTO chunk (seq, part, value) VALUES (?, ?, ?)", seq, part, chunk);
    });
  }
}

interface NewRow {
  readonly seq: number;
  /** As JSON. */
  readonly entries: string[];
  /** The large value of the row's one entry, whole or in chunks; both null: it has none. */
  readonly value: Encoded | null;
  readonly chunks: readonly string[] | null;
}

/** Lays entries out in rows, the first of them numbered `seq`. */
function rowsOf(entries: readonly Entry[], seq: number): NewRow[] {
  const rows: NewRow[] = [];
  // Nothing joins an entry with a large value.
  let roomLeft = 0;
  entries.forEach((entry, index) => {
    const large = largeValueOf(entry);
    const text = JSON.stringify(large === null ? entry : { ...entry, value: null });
    if (large === null && text.length <= roomLeft) rows.at(-1)?.entries.push(text);
    else rows.push({ seq: seq + index, entries: [text], ...placed(large) });
    roomLeft = large === null ? (text.length <= roomLeft ? roomLeft : rowLength) - text.length : 0;
  });
  return rows;
}

function largeValueOf(entry: Entry): Encoded | null {
  const value = "value" in entry ? entry.value : null;
  return value !== null && isLargerThan(limits.eagerValueBytes, value) ? value : null;
}

function placed(large: Encoded | null): Pick<NewRow, "value" | "chunks"> {
  if (large === null || !isLargerThan(limits.rowValueBytes, large)) return { value: large, chunks: null };
  return { value: null, chunks: chunksOf(large) };
}

function isLargerThan(limitBytes: number, value: Encoded): boolean {
  // A UTF-16 unit takes one to three bytes, so most values need not be measured.
  if (value.length * 3 <= limitBytes) return false;
  return value.length > limitBytes || utf8Bytes(value) > limitBytes;
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
function entriesOf(row: Row): Recorded[] {
  const entries: Recorded[] = JSON.parse(row.entries);
  return entries.map((entry, index) => Object.assign(entry, { seq: row.seq + index }, row.is_large ? { valueOmitted: true } : null));
}

function withValue(entry: Recorded, value: Encoded): Recorded {
  const { valueOmitted: _omitted, ...fields } = entry;
  return { ...fields, value } as Recorded;
}
