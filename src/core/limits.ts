/**
 * Everything has a limit. Each is stated once, with its unit, its reason and what happens beyond it.
 */
export const limits = {
  /** Steps in one run. The fold of a longer journal would outgrow the object's memory. Beyond: the run fails with `step_limit`. */
  stepsPerRun: 25_000,
  /** Characters in a step, event or workflow name. Beyond: fault `invalid_name`. */
  nameLength: 256,
  /** Characters in a run id, so that an object name and an idempotency key stay short. Beyond: fault `invalid_id`. */
  runIdLength: 200,
  /** Bytes of one HTTP request body. The platform refuses RPC messages over 32 MiB; this leaves room for encoding. Beyond: 413 `body_too_large`. */
  bodyBytes: 8 * 1024 * 1024,
  /** Levels of nesting in a JSON body, a few more than in a value that it holds. Beyond: 400 `invalid_request`. */
  jsonDepth: 250,
  /** Bytes of one encoded value (input, output, payload). A run's input and output travel in one RPC message of at most 32 MiB, at up to two bytes a character. Beyond: fault `value_too_large`. */
  valueBytes: 7 * 1024 * 1024,
  /** Bytes of one encoded value kept in its journal row. SQLite in a Durable Object refuses rows of 2 MB. Beyond: the value is spilled to chunk rows of this size. */
  rowValueBytes: 1024 * 1024,
  /** Bytes of a value that is loaded together with the journal. Larger ones are read when a replay needs them. */
  eagerValueBytes: 4 * 1024,
  /** Characters of the values on one page of steps or entries, as they travel in one RPC message of at most 32 MiB; a single item may have more. Beyond: the page ends. */
  pageLength: 4 * 1024 * 1024,
  /** Attempts of a step that are shown with their errors, the newest. A step that is tried for weeks has more than fit into one RPC message. Beyond: the oldest are left to the journal. */
  shownAttempts: 200,
  /** Bytes of the form in one decision, encoded: a step is shown with all its decisions. Beyond: fault `value_too_large`. */
  formBytes: 256 * 1024,
  /** Characters of the values that a fork or rollback takes over, as they travel in one RPC message of at most 32 MiB. Beyond: fault `value_too_large`. */
  takenOverLength: 14 * 1024 * 1024,
  /** Digits of one BigInt in a value that a caller sends: reading takes time that grows with their square. Beyond: 400 `invalid_request`. */
  bigIntDigits: 10_000,
  /** Characters kept of an error's message and of its stack. Beyond: cut. */
  errorTextLength: 8 * 1024,
  /** Characters of one text in the answer to a refused request, and items of one list, since both may say again what was sent. Beyond: cut. */
  problemTextLength: 1000,
  problemItems: 100,
  /** Events buffered in a run that no wait has taken yet. Beyond: 429 `inbox_full`. */
  bufferedEvents: 10_000,
  /** Attributes of one run, since each is an index row. Beyond: fault `invalid_attributes`. */
  attributesPerRun: 32,
  /** Characters of one text attribute. Beyond: fault `invalid_attributes`. */
  attributeTextLength: 512,
  /** Bytes of a run's attributes as JSON, of the 128 KB that a message to the index holds: control characters take six each. Beyond: fault `invalid_attributes`. */
  attributesBytes: 48 * 1024,
  /** Bytes of an error's message in a run's summary, as JSON, and a quarter of that for its name, its code and whom a reason names. Beyond: cut; the run itself keeps the error whole. */
  summaryTextBytes: 16 * 1024,
  /** Bytes of the open approvals in a run's summary: a message to the index holds 128 KB, attributes and error included. Beyond: those that do not fit come into the inbox when others are decided. */
  shownApprovalsBytes: 32 * 1024,
  /** Characters of the comment on a decision. Beyond: 400 `invalid_request`. */
  commentLength: 4000,
  /** Longest wait or delay, in ms: one year. Beyond: fault `invalid_duration`. */
  waitMs: 366 * 24 * 60 * 60 * 1000,
  /** Longest `?wait=` of an HTTP request, in ms. Beyond: cut to this. */
  requestWaitMs: 60_000,
  /** Rows of one page of a list. Beyond: 400 `invalid_request`. */
  pageSize: 200,
  /** Attempts in a row that vanished without a result (crash, lost executor). Beyond: the run is `blocked` as `crash_loop`. */
  lostAttemptsInARow: 10,
  /** Longest attempt of a dispatched automation, in ms: the platform ends a queue consumer after 15 minutes. Beyond: cut to this. */
  dispatchedAttemptMs: 14 * 60_000,
} as const;
