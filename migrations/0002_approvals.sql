-- The inbox: one row per approval that waits for a decision. A row goes when its approval is decided or its run has ended, so the table holds
-- what people have still to do and nothing else. It follows `runs`: the row of a run tells which summary is the newest, and only that one is heard.

-- WITHOUT ROWID, and the primary key begins with the run: its approvals are found by it when they change.
CREATE TABLE approvals (
  namespace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  -- The key of the step.
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  workflow TEXT NOT NULL,
  -- A JSON array of texts.
  assignees TEXT NOT NULL,
  quorum INTEGER NOT NULL,
  decided INTEGER NOT NULL,
  since INTEGER NOT NULL,
  -- Null: never.
  until INTEGER,
  due_at INTEGER,
  PRIMARY KEY (namespace, run_id, key)
) WITHOUT ROWID;

-- The list, newest first. `since` never changes, so this is written once and removed once.
CREATE INDEX approvals_by_start ON approvals (namespace, since);

-- The overdue, the longest overdue first.
CREATE INDEX approvals_by_due ON approvals (namespace, due_at) WHERE due_at IS NOT NULL;
