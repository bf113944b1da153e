/** Closes a test run with one plain line that any tool can read: `N passed, N failed, N skipped`. A broken file or a stray error counts as a failure. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) counts[test.result().state === "pending" ? "skipped" : test.result().state]++;
    }
    // After the default reporter's own summary, which is written later in the same turn.
    process.on("exit", () => console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`));
  }
}
