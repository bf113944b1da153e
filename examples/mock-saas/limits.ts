/** What the mock accepts at most. Ms and bytes. */
export const limits = {
  /** A body is stored twice (call and effect); a D1 row ends at 2 MB. Beyond: 413. */
  bodyBytes: 1_000_000,
  /** A hanging call gives up here with a 504, so that no test leaves a request open for ever. */
  hangMs: 60_000,
  /** A late answer is at most as late as a hanging one. */
  lateMs: 60_000,
  /** Cloudflare ends background work 30 s after the answer; the delivery itself must fit in as well. */
  autoAnswerMs: 20_000,
  /** A webhook receiver that takes longer counts as unreachable. */
  callbackMs: 8_000,
  /** Rows in one answer of the admin lists. Beyond: page on with `?after=<id>`. */
  rowsPerPage: 5_000,
  /** Length of the name of a mock tenant. Beyond: 400. */
  tenantLength: 100,
} as const;
