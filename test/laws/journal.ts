import { describe, expect, test } from "vitest";
import type { Entry, Recorded } from "#core/entry.ts";
import { limits } from "#core/limits.ts";
import { utf8Bytes } from "#core/value.ts";
import type { Journal } from "#engine/ports.ts";

/** A journal in its own empty store. `reopen` gives another journal on the same store, as after an eviction. */
export interface JournalStore {
  readonly journal: Journal;
  readonly reopen: () => Journal;
  /** How many bytes or entries the store holds; it grows with every write. */
  readonly size: () => number;
}

/** Runs `use` where the store can be reached: a Durable Object's storage only inside it. */
export type WithStore = (use: (store: JournalStore) => void) => Promise<void>;

const created = (value = "[0]"): Entry => ({
  kind: "run.created",
  at: 1,
  namespace: "default",
  runId: "r",
  workflow: "w",
  version: "1",
  attributes: { a: 1, b: true, c: "ü" },
  startAt: 1,
  deadlineAt: null,
  trigger: "api",
  publicUrl: "http://x",
  redact: [],
  lateAt: null,
  origin: null,
  value,
});
const event = (value: string, id = "e"): Entry => ({ kind: "event.received", at: 2, eventId: id, name: "n", eventKey: null, value });
const blocked: Entry = { kind: "run.blocked", at: 3, reason: "stalled", message: "m" };
const ended = (value: string | null = null): Entry => ({
  kind: "run.ended",
  at: 4,
  status: "completed",
  reason: null,
  actor: null,
  failedKey: null,
  error: null,
  value,
});
const invariant = expect.objectContaining({ code: "invariant" });

/** An entry without a value may come back with `value: null`; a value that is there must come back. */
const plain = (entries: readonly Recorded[]) => entries.map((entry) => ({ value: null, ...entry }));
const numbered = (entries: readonly Entry[], from = 1) => entries.map((entry, index) => ({ value: null, ...entry, seq: from + index }));

const kib = 1024;
const mib = 1024 * kib;
const thirdOfMib = Math.floor(mib / 3);

const values: Record<string, string> = {
  "0 bytes": "",
  "4 KiB - 1": "x".repeat(4 * kib - 1),
  "4 KiB": "x".repeat(4 * kib),
  "4 KiB + 1": "x".repeat(4 * kib + 1),
  "4 KiB + 1 in few characters": `${"€".repeat(1365)}xx`,
  "1 MiB - 1": "x".repeat(mib - 1),
  "1 MiB": "x".repeat(mib),
  "1 MiB + 1": "x".repeat(mib + 1),
  "1 MiB in three-byte characters": `x${"€".repeat(thirdOfMib)}`,
  "1 MiB + 2 in three-byte characters": `xxx${"€".repeat(thirdOfMib)}`,
  "a surrogate pair over a chunk's border": `${"x".repeat(thirdOfMib - 1)}😀${"y".repeat(mib)}`,
  "nothing but surrogate pairs": "😀".repeat(mib / 2),
  "an odd character, then surrogate pairs": `x${"😀".repeat(mib / 2)}`,
  "quotes, zeros and line ends": "'\"\\;--\u0000\r\n\u2028".repeat(1000),
  "10 MB": "0123456789".repeat(mib),
};

/** The laws of `Journal`, one test each; every form of it is held to them. */
export function journalLaws(withStore: WithStore): void {
  test("entries are numbered from 1 without gaps, in the order of appending, and read as they were appended", () =>
    withStore(({ journal }) => {
      expect(journal.append([created(), blocked])).toBe(2);
      expect(journal.append([event("[1]")])).toBe(3);
      expect(journal.append([ended("[2]")])).toBe(4);
      const all = numbered([created(), blocked, event("[1]"), ended("[2]")]);
      expect(plain(journal.load())).toEqual(all);
      expect(plain(journal.page(0, 100))).toEqual(all);
    }));

  test("an append of which one entry is refused leaves nothing, the first append included", () =>
    withStore(({ journal, reopen }) => {
      expect(() => journal.append([created(), ended(), event("[1]")])).toThrow(invariant);
      expect([journal.load(), reopen().load()]).toEqual([[], []]);
      journal.append([created()]);
      expect(() => journal.append([event("[1]"), ended(), event("[2]")])).toThrow(invariant);
      expect(plain(reopen().load())).toEqual(numbered([created()]));
      expect(journal.append([event("[3]")])).toBe(2);
      expect(plain(reopen().load())).toEqual(numbered([created(), event("[3]")]));
    }));

  test("an append that is refused leaves none of its large values either", () =>
    withStore(({ journal }) => {
      journal.append([created()]);
      const large = "x".repeat(3 * mib);
      expect(() => journal.append([event(large), ended(), event("[2]")])).toThrow(invariant);
      journal.append([event("y".repeat(2 * mib))]);
      expect(journal.value(2) === "y".repeat(2 * mib)).toBe(true);
    }));

  test("a journal that holds the run's end refuses every further entry, also when it is opened again", () =>
    withStore(({ journal, reopen }) => {
      journal.append([created(), ended()]);
      for (const it of [journal, reopen()]) {
        expect(() => it.append([event("[1]")])).toThrow(invariant);
        expect(() => it.append([ended()])).toThrow(invariant);
      }
      expect(reopen().load()).toHaveLength(2);
    }));

  describe.each(Object.entries(values))("a value of %s", (_title, value) => {
    test("is read as it was appended, and loaded with the journal only when it is at most 4 KiB", () =>
      withStore(({ journal, reopen }) => {
        journal.append([created(value)]);
        journal.append([event(value), event("[small]", "f")]);
        const isOmitted = utf8Bytes(value) > limits.eagerValueBytes;
        for (const it of [journal, reopen()]) {
          // Compared with ===, for a difference of megabytes can't be printed.
          expect([it.value(1) === value, it.value(2) === value, it.value(3)]).toEqual([true, true, "[small]"]);
          expect(it.page(0, 9).map((entry) => "value" in entry && entry.value === (entry.seq === 3 ? "[small]" : value))).toEqual([true, true, true]);
          const loaded = it.load();
          expect(loaded.map((entry) => entry.valueOmitted ?? false)).toEqual([isOmitted, isOmitted, false]);
          expect(loaded.map((entry) => "value" in entry && entry.value === (isOmitted ? null : value))).toEqual([true, true, false]);
        }
      }));
  });

  test("an entry without a value says so instead of giving one", () =>
    withStore(({ journal }) => {
      expect(() => journal.value(1)).toThrow(invariant);
      journal.append([created(), blocked, ended(null)]);
      expect(() => journal.value(2)).toThrow(invariant);
      expect(() => journal.value(3)).toThrow(invariant);
      expect(() => journal.value(4)).toThrow(invariant);
      expect(journal.load().map((entry) => entry.valueOmitted ?? false)).toEqual([false, false, false]);
    }));

  test("a page holds the entries after a number, no more than asked, with all their values", () =>
    withStore(({ journal }) => {
      const large = "x".repeat(2 * mib);
      journal.append([created(), event("[1]", "a"), event(large, "b"), event("[3]", "c")]);
      expect(journal.page(1, 2).map((entry) => [entry.seq, "value" in entry && entry.value?.length])).toEqual([
        [2, 3],
        [3, large.length],
      ]);
      expect(journal.page(4, 10)).toEqual([]);
      expect(journal.page(0, 0)).toEqual([]);
    }));

  test("a journal opened again goes on where it was", () =>
    withStore(({ journal, reopen }) => {
      journal.append([created()]);
      const second = reopen();
      expect(second.append([event("[1]", "a"), event("[2]", "b")])).toBe(3);
      expect(reopen().append([ended("[3]")])).toBe(4);
      expect(plain(reopen().load())).toEqual(numbered([created(), event("[1]", "a"), event("[2]", "b"), ended("[3]")]));
    }));

  test("what was read is the reader's own: changing it changes nothing", () =>
    withStore(({ journal }) => {
      journal.append([created()]);
      for (const read of [journal.load(), journal.page(0, 9)]) Object.assign(read[0] ?? {}, { kind: "run.ended", value: "other" });
      expect(plain(journal.load())).toEqual(numbered([created()]));
    }));

  test("an entry that its owner changes after appending stays as it was appended", () =>
    withStore(({ journal }) => {
      const entry = created();
      journal.append([entry]);
      Object.assign(entry, { runId: "other", seq: 7 });
      expect(plain(journal.load())).toEqual(numbered([created()]));
    }));

  test("the index cursor is 0 at first, is kept, and does not disturb the entries", () =>
    withStore(({ journal, reopen }) => {
      expect(journal.indexedSeq()).toBe(0);
      journal.append([created()]);
      expect(journal.indexedSeq()).toBe(0);
      journal.setIndexedSeq(3);
      journal.append([ended()]);
      expect([journal.indexedSeq(), reopen().indexedSeq()]).toEqual([3, 3]);
      reopen().setIndexedSeq(5);
      expect(reopen().indexedSeq()).toBe(5);
      expect(reopen().load()).toHaveLength(2);
    }));

  test("reading a journal that does not exist writes nothing", () =>
    withStore(({ journal, reopen, size }) => {
      const before = size();
      for (const it of [journal, reopen()]) expect([it.load(), it.page(0, 10), it.indexedSeq()]).toEqual([[], [], 0]);
      expect(size()).toBe(before);
      journal.append([created()]);
      expect(size()).toBeGreaterThan(before);
    }));

  test("ten thousand entries come back in order", () =>
    withStore(({ journal, reopen }) => {
      journal.append([created()]);
      for (let i = 2; i <= 10_000; i++) journal.append([event(`[${i}]`, `e${i}`)]);
      const loaded = reopen().load();
      expect(loaded.every((entry, index) => entry.seq === index + 1)).toBe(true);
      expect(loaded.at(-1)).toMatchObject({ seq: 10_000, value: "[10000]" });
    }));
}
