-- The index: one row per run, the newest summary that arrived. It is a copy and may lag. The journal of the run is the truth.
-- Times are epoch ms. Every index row is a billed write, so an index is here only if its query would otherwise read the whole table.
-- No triggers: `wrangler d1 migrations apply --remote` has split their bodies at semicolons (cloudflare/workers-sdk#14991, #15178). For the
-- same reason no comment here holds a semicolon or a quote.

-- WITHOUT ROWID: the primary key is the table, so the first write of a run is not paid twice.
CREATE TABLE runs (
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  -- Grows with every change of the run. Only a greater one replaces a row.
  seq INTEGER NOT NULL,
  workflow TEXT NOT NULL,
  version TEXT NOT NULL,
  status TEXT NOT NULL,
  -- All four reason columns are null when the run has no reason, all three error columns when it has no error.
  reason_code TEXT,
  reason_message TEXT,
  reason_step TEXT,
  reason_until INTEGER,
  step TEXT,
  -- A JSON object, for returning. The table run_attributes is for searching.
  attributes TEXT NOT NULL,
  trigger TEXT NOT NULL,
  -- A JSON object, for returning. Null for a run that repeats or undoes no other.
  origin TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  next_wake_at INTEGER,
  error_name TEXT,
  error_message TEXT,
  error_code TEXT,
  -- The mark of the failure. Null unless the run is a dead letter.
  fingerprint TEXT,
  -- Lower case: id, workflow, error message and text attributes, one per line. It stays last, so that lists need not read past it.
  search_text TEXT NOT NULL,
  PRIMARY KEY (namespace, id)
) WITHOUT ROWID;

-- Lists, newest first. Both hold what never changes in a run, so they are written once per run and never again.
-- (SQLite appends the rest of the primary key, the id, to each: the tie-break of paging.)
CREATE INDEX runs_by_creation ON runs (namespace, created_at);
CREATE INDEX runs_by_workflow ON runs (namespace, workflow, created_at);

-- Lists by status, and the drain view. Completed runs are most of all runs and are found by creation quickly. Leaving them out
-- spares the run that ends at once this write, and keeps the index as small as what needs attention.
CREATE INDEX runs_by_status ON runs (namespace, status, created_at) WHERE status <> 'completed';

-- Dead letters, by what failed. Holds no other run, so parking a run costs one write here and letting it go on another.
CREATE INDEX runs_by_fingerprint ON runs (namespace, fingerprint, created_at) WHERE fingerprint IS NOT NULL;

-- The sweeper: the overdue by wake time, the ones without a wake time (null) by their last change. Empties as runs end.
CREATE INDEX runs_by_wake ON runs (next_wake_at, updated_at) WHERE status NOT IN ('completed', 'failed', 'cancelled', 'terminated');

-- One row per attribute of a run, found from the side of the value. `created_at` stands before the id of the run, so that the runs that have
-- a value are read newest first, however many they are. To delete the rows of a run, their keys are taken from runs.attributes, which spares
-- a second index. `kind` is text, number or boolean, and keeps the number 1, the text 1 and true apart.
-- `value` has no declared type, so SQLite converts nothing: texts as TEXT, numbers as REAL, booleans as 0 and 1.
CREATE TABLE run_attributes (
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  value NOT NULL,
  created_at INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (namespace, name, kind, value, created_at, run_id)
) WITHOUT ROWID;
