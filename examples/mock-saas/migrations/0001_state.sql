-- The mock's whole memory. Every row belongs to one tenant (header x-mock-tenant), so that parallel tests don't see each other.

-- Every call received, in order of arrival, whatever became of it.
CREATE TABLE calls (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  service TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  idempotency_key TEXT,
  body TEXT NOT NULL,
  status INTEGER, -- null: no answer was given, not yet, or half of one
  replayed INTEGER NOT NULL DEFAULT 0,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX calls_by_service ON calls (tenant, service, id);

-- What really happened. The two UNIQUE constraints are what makes an effect happen once when two equal calls race.
CREATE TABLE effects (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  service TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('create', 'delete')),
  resource_id TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  idempotency_key TEXT, -- null: the caller sent none, and every such call is an effect of its own
  body TEXT NOT NULL,
  status INTEGER NOT NULL,
  response TEXT NOT NULL,
  call_id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (tenant, method, path, idempotency_key),
  UNIQUE (tenant, action, resource_id)
) STRICT;

CREATE INDEX effects_by_service ON effects (tenant, service, id);

-- How a service misbehaves; at most one row per service.
CREATE TABLE faults (
  tenant TEXT NOT NULL,
  service TEXT NOT NULL,
  mode TEXT NOT NULL,
  method TEXT, -- null: calls of any method
  status INTEGER NOT NULL,
  retry_after_seconds INTEGER,
  times_left INTEGER, -- null: until changed
  delay_ms INTEGER,
  body TEXT, -- JSON; null: a standard error
  auto_answer_ms INTEGER, -- kyc only; null: answered by the admin API alone
  PRIMARY KEY (tenant, service)
) STRICT;

-- Webhooks sent out, one row per delivery.
CREATE TABLE callbacks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  check_id TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  url TEXT NOT NULL,
  body TEXT NOT NULL,
  status INTEGER, -- null: the receiver couldn't be reached
  error TEXT,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX callbacks_by_tenant ON callbacks (tenant, id);
