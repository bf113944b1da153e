import { MemoryJournal } from "#engine/memory.ts";
import { journalLaws } from "../laws/journal.ts";

journalLaws(async (use) => {
  const journal = new MemoryJournal();
  use({ journal, reopen: () => journal, size: () => journal.size });
});
