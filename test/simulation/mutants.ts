/** A planted bug: one change of one line of the engine. */
export interface Mutant {
  readonly name: string;
  /** Below `src/`. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Bugs as somebody might make them. The simulation must find every one; one that it can't find shows a promise that nobody holds the engine to. */
export const mutants: readonly Mutant[] = [
  // What comes from outside
  {
    name: "an event that comes twice counts twice",
    file: "core/decision.ts",
    find: "if (state.eventIds.has(command.eventId)) return [];",
    replace: "",
  },
  {
    name: "an event that comes before its wait is lost",
    file: "engine/execution-entries.ts",
    find: "const buffered = bufferedFor(state, fields.wait.event, fields.wait.eventKey);",
    replace: "const buffered = null as ReturnType<typeof bufferedFor>;",
  },
  {
    name: "the newest buffered event is taken first",
    file: "core/decision.ts",
    find: "for (const buffered of state.inbox.values()) {",
    replace: "for (const buffered of [...state.inbox.values()].reverse()) {",
  },
  {
    name: "an event of another key is taken",
    file: "core/decision.ts",
    find: "if (step.wait.eventKey !== null && step.wait.eventKey !== eventKey) continue;",
    replace: "",
  },
  {
    name: "the wait begun last takes an event",
    file: "core/decision.ts",
    find: 'for (const step of state.open.values()) {\n    if (step.wait?.for !== "event"',
    replace: 'for (const step of [...state.open.values()].reverse()) {\n    if (step.wait?.for !== "event"',
  },
  {
    name: "a wait whose time is over still takes an event",
    file: "core/decision.ts",
    find: "if (state.paused !== null || step.wakeAt === null || step.wakeAt > at) return step;",
    replace: "return step;",
  },
  {
    name: "an event that was taken stays in the inbox",
    file: "core/run-state.ts",
    find: "if (entry.eventSeq !== null) invariant(state.inbox.delete(entry.eventSeq),",
    replace: "if (entry.eventSeq !== null) invariant(state.inbox.has(entry.eventSeq),",
  },
  {
    name: "a callback counts after its time",
    file: "core/decision.ts",
    find: 'if (step.endSeq !== null || isOver) throw new Fault("callback_expired"',
    replace: 'if (step.endSeq !== null) throw new Fault("callback_expired"',
  },
  {
    name: "one approval too few is enough",
    file: "core/approval.ts",
    find: "else if (step.decisions.length + 1 >= spec.quorum)",
    replace: "else if (step.decisions.length + 2 >= spec.quorum)",
  },
  {
    name: "one person's approval counts twice",
    file: "core/approval.ts",
    find: "const earlier = step.decisions.find((it) => it.actor === actor);",
    replace: "const earlier = step.decisions.find((it) => it.actor === actor && step.endSeq !== null);",
  },
  {
    name: "a rejection does not end an approval",
    file: "core/approval.ts",
    find: 'if (decision === "rejected") entries.push',
    replace: 'if (decision === "rejected" && spec.quorum > 1) entries.push',
  },
  {
    name: "the same start again is refused",
    file: "core/decision.ts",
    find: "if (same && created.origin === null) return;",
    replace: "if (same && created.origin !== null) return;",
  },
  {
    name: "another start under the same id is taken for the same",
    file: "core/decision.ts",
    find: "&& storedInput === command.input;",
    replace: ";",
  },
  // Attempts and retries
  {
    name: "one retry too many",
    file: "core/retry-policy.ts",
    find: "if (!verdict.retryable || failures > policy.limit) return null;",
    replace: "if (!verdict.retryable || failures > policy.limit + 1) return null;",
  },
  {
    name: "one retry too few",
    file: "core/retry-policy.ts",
    find: "if (!verdict.retryable || failures > policy.limit) return null;",
    replace: "if (!verdict.retryable || failures >= policy.limit) return null;",
  },
  {
    name: "what forbids a retry is retried",
    file: "core/retry-policy.ts",
    find: "if (!verdict.retryable || failures > policy.limit) return null;",
    replace: "if (failures > policy.limit) return null;",
  },
  {
    name: "the remote's Retry-After is not heeded",
    file: "core/retry-policy.ts",
    find: "const at = now + (verdict.retryAfterMs ?? retryDelayMs(policy, failures, random));",
    replace: "const at = now + retryDelayMs(policy, failures, random);",
  },
  {
    name: "a retry comes a little early",
    file: "core/retry-policy.ts",
    find: "return Math.round(capped * (1 + policy.jitter * (2 * random - 1)));",
    replace: "return Math.round(capped * (0.9 + policy.jitter * (2 * random - 1)));",
  },
  {
    name: "pauses do not grow",
    file: "core/retry-policy.ts",
    find: ": 2 ** Math.min(failures - 1, 40);",
    replace: ": 1;",
  },
  {
    name: "the budget of a step is not kept",
    file: "core/retry-policy.ts",
    find: "if (policy.totalTimeoutMs !== null && at >= budgetStartedAt + policy.totalTimeoutMs) return null;",
    replace: "",
  },
  {
    name: "a lost attempt counts as a failed one",
    file: "core/step-state.ts",
    find: "step.failures += entry.lost ? 0 : 1;",
    replace: "step.failures += 1;",
  },
  {
    name: "a retry by hand gets no new budget",
    file: "core/step-state.ts",
    find: "  step.failures = 0;\n  step.lostInARow = 0;\n  step.budgetStartedAt = at;",
    replace: "  step.lostInARow = 0;\n  step.budgetStartedAt = at;",
  },
  {
    name: "the corrected input is not used",
    file: "core/step-state.ts",
    find: "step.inputSeq = correctedInputSeq ?? step.inputSeq;",
    replace: "",
  },
  {
    name: "a stale attempt's result is accepted",
    file: "core/decision.ts",
    find: "return step !== undefined && step.attempt === ref.attempt && isUnderWay(step);",
    replace: "return step !== undefined && isUnderWay(step);",
  },
  {
    name: "a result is accepted when the step is over",
    file: "core/decision.ts",
    find: "return step !== undefined && step.attempt === ref.attempt && isUnderWay(step);",
    replace: "return step !== undefined && step.attempt === ref.attempt;",
  },
  {
    name: "an attempt is given to two executors",
    file: "engine/dispatch.ts",
    find: 'if (step.status !== "dispatched") return { granted: false, why: "taken" };',
    replace: 'if (step.status !== "dispatched") return this.#granted(step, { recorded: true });',
  },
  {
    name: "an old message claims the new attempt",
    file: "engine/dispatch.ts",
    find: 'if (step.attempt !== ref.attempt) return { granted: false, why: "other_attempt" };',
    replace: "",
  },
  {
    name: "what the queue could not deliver fails an attempt that somebody took by another message",
    file: "engine/dispatch.ts",
    find: 'if (!outcome.ok && outcome.undelivered && step?.status !== "dispatched") return "ignored";',
    replace: "",
  },
  {
    name: "an executor that went silent is never given up",
    file: "engine/dispatch.ts",
    find: '    this.#dueAt.delete(step.key);\n    if (step.status !== "claimed") return;',
    replace: '    this.#dueAt.delete(step.key);\n    if (step.status === "claimed") return;',
  },
  {
    name: "an executor has no lease after a crash of the object",
    file: "engine/dispatch.ts",
    find: 'if (step.status === "claimed") this.#dueAt',
    replace: "if (step.attempt === 0) this.#dueAt",
  },
  {
    name: "a message that nobody took is not sent again after a crash",
    file: "engine/dispatch.ts",
    find: 'if (step.status === "dispatched") this.#dueAt',
    replace: "if (step.attempt === 0) this.#dueAt",
  },
  {
    name: "renewing does not extend the lease",
    file: "engine/dispatch.ts",
    find: "    this.#lease(step.key, this.#ledger.now());\n    return true;",
    replace: "    return true;",
  },
  {
    name: "an attempt that was cut off is never made again",
    file: "engine/execution.ts",
    find: 'if (step.status === "running" && !this.#attempts.has(step.key)) this.#recover(step);',
    replace: 'if (step.status === "running" && this.#attempts.has(step.key)) this.#recover(step);',
  },
  {
    name: "a step's time-out is that of its budget",
    file: "core/retry-policy.ts",
    find: "const deadline = Math.min(byAttempt, byBudget);",
    replace: "const deadline = Math.max(byAttempt, byBudget);",
  },
  // Time
  {
    name: "a timer fires a millisecond early",
    file: "engine/run-engine.ts",
    find: "if (step.wakeAt !== null && step.wakeAt <= now) return",
    replace: "if (step.wakeAt !== null && step.wakeAt <= now + 1000) return",
  },
  {
    name: "a hold does not move the end of a wait",
    file: "core/step-state.ts",
    find: "if (step.wakeAt !== null) step.wakeAt += heldMs;",
    replace: "",
  },
  {
    name: "a hold does not move a retry",
    file: "core/step-state.ts",
    find: "if (step.retryAt !== null) step.retryAt += held.to - Math.max(held.from, step.retrySetAt);",
    replace: "",
  },
  {
    name: "a hold uses up the time that a step may take in all",
    file: "core/step-state.ts",
    find: "  step.budgetStartedAt += held.to - Math.max(held.from, step.budgetStartedAt);\n",
    replace: "",
  },
  {
    name: "what fails while its run is held has used up the time of the hold",
    file: "core/decision.ts",
    find: "budgetStartedAt: step.budgetStartedAt + heldMs(state, step, at),",
    replace: "budgetStartedAt: step.budgetStartedAt,",
  },
  {
    name: "a hold does not move the run's time-out",
    file: "core/run-state.ts",
    find: "if (state.deadlineAt !== null) state.deadlineAt += held.to - held.from;",
    replace: "",
  },
  {
    name: "a held run's timers fire",
    file: "engine/run-engine.ts",
    find: "if (state.paused) return this.#noticesDue(now);",
    replace: "",
  },
  {
    name: "a run's time goes back with the clock",
    file: "engine/ledger.ts",
    find: "return Math.max(this.#ports.clock.now(), this.state.lastAt);",
    replace: "return this.#ports.clock.now();",
  },
  {
    name: "a delayed run begins at once",
    file: "core/run-state.ts",
    find: "state.started = entry.startAt <= entry.at;",
    replace: "state.started = true;",
  },
  {
    name: "an alarm that comes early is taken for the last one",
    file: "engine/alarm-keeper.ts",
    find: "if (!isFine || (standing ?? 0) <= options.now) this.set(at);",
    replace: "if (!isFine && standing === undefined) this.set(at);",
  },
  {
    name: "a blocked run never looks again",
    file: "engine/next-wake.ts",
    find: "if (state.blocked) return leaseAt === null ? Math.min(standing, blockedPollAt) : standing;",
    replace: "if (state.blocked) return standing;",
  },
  {
    name: "while code executes there is no lease",
    file: "engine/run-engine.ts",
    find: "leaseAt: this.busy ? now + this.#ports.settings.leaseMs : null,",
    replace: "leaseAt: null,",
  },
  {
    name: "the end of a wait is forgotten when the run is folded",
    file: "core/run-view.ts",
    find: "if (step.retryAt === null) return step.wakeAt;",
    replace: 'if (step.retryAt === null) return step.kind === "sleep" ? step.wakeAt : null;',
  },
  {
    name: "the run's time-out is never looked at",
    file: "core/run-view.ts",
    find: "return rollback ? Number.POSITIVE_INFINITY : (deadlineAt ?? Number.POSITIVE_INFINITY);",
    replace: "return deadlineAt === null || rollback ? Number.POSITIVE_INFINITY : deadlineAt + 60_000;",
  },
  {
    name: "code that was running when its object died is not woken by the first touch",
    file: "engine/run-engine.ts",
    find: "if (!this.exists || this.#isCodeUnknown) return;",
    replace: "if (!this.exists) return;",
  },
  // Replay
  {
    name: "results are delivered as they come, not in the journal's order",
    file: "engine/pass.ts",
    find: 'if (moment.type === "start" && !this.#calls.has(moment.key)) {',
    replace: 'if (moment.type === "start" && !this.#calls.has(moment.key) && this.#cursor + 1 >= this.#historyEnd) {',
  },
  {
    name: "a result is delivered while the code still reacts to the last one",
    file: "engine/pass.ts",
    find: "const reactionHops = 40;",
    replace: "const reactionHops = 1;",
  },
  {
    name: "the second step of a name gets the key of the first",
    file: "engine/pass.ts",
    find: "this.#counts.set(name, count);",
    replace: "if (count !== 2) this.#counts.set(name, count);",
  },
  {
    name: "code that has changed goes on",
    file: "engine/pass.ts",
    find: "} else if (!this.#announced || this.#isHeld) {",
    replace: "} else if (this.#isHeld) {",
  },
  {
    name: "a held run begins new steps",
    file: "engine/pass.ts",
    find: "return this.#state.paused !== null || this.#state.rollback !== null;",
    replace: "return this.#state.rollback !== null;",
  },
  {
    name: "a held run ends",
    file: "engine/execution.ts",
    find: "if (this.state.paused) return this.#holdEnd(outcome);",
    replace: "",
  },
  {
    name: "a wait that is replayed ends anew",
    file: "engine/execution.ts",
    find: "at: step.endedAt ?? 0,",
    replace: "at: this.#ledger.now(),",
  },
  // Rollback
  {
    name: "undone in order of start",
    file: "core/rollback.ts",
    find: "return found.reverse();",
    replace: "return found;",
  },
  {
    name: "a step in doubt is not undone",
    file: "core/rollback.ts",
    find: 'return step.status === "completed" ? step.outcome !== "skipped" : step.attempt > 0;',
    replace: 'return step.status === "completed" && step.outcome !== "skipped";',
  },
  {
    name: "a compensation that failed is passed over",
    file: "core/decision.ts",
    find: 'if (step.onFailure === "pause" || step.kind === "compensation") {',
    replace: 'if (step.onFailure === "pause" && step.kind !== "compensation") {',
  },
  {
    name: "a failed run is not rolled back",
    file: "engine/execution-entries.ts",
    find: "return codeEnded(state, { at, end, value }, true);",
    replace: "return codeEnded(state, { at, end, value }, cancel !== null);",
  },
  {
    name: "the first compensation is skipped",
    file: "core/rollback.ts",
    find: "return state.rollback?.keys.find((key) => !isUndone(state, key)) ?? null;",
    replace: "return state.rollback?.keys.slice(state.rollback.keys.length > 1 ? 1 : 0).find((key) => !isUndone(state, key)) ?? null;",
  },
  {
    name: "what was undone is undone again",
    file: "core/rollback.ts",
    find: 'return state.steps.get(compensationKey(key))?.status === "completed";',
    replace: 'return state.steps.get(compensationKey(key))?.status === "completed" && state.rollback !== null;',
  },
  {
    name: "an undo is told that it is sure when it is not",
    file: "core/rollback.ts",
    find: 'return step.status !== "completed";',
    replace: 'return step.status === "failed";',
  },
  {
    name: "a cancellation with compensation undoes nothing",
    file: "engine/execution-entries.ts",
    find: "return codeEnded(state, { at, end, value: null }, cancel.compensate);",
    replace: "return codeEnded(state, { at, end, value: null }, false);",
  },
  {
    name: "a rollback does not wait for an executor",
    file: "engine/dispatch.ts",
    find: "    if (!isStopping(state)) return until;",
    replace: "    return until;",
  },
  {
    name: "a rollback does not wait for an action in its object",
    file: "engine/stopping.ts",
    find: "    this.#actions.set(end, this.#ledger.now() + this.#ports.settings.leaseMs);\n",
    replace: "",
  },
  {
    name: "after a crash a rollback does not wait for an executor",
    file: "engine/dispatch.ts",
    find: "      if (!this.#dueAt.has(step.key)) this.#lease(step.key, this.#ledger.now());\n",
    replace: "",
  },
  {
    name: "a rollback does not wait for an executor that renews",
    file: "engine/dispatch.ts",
    find: "    if (this.#isStopping(step)) this.#extend(step);\n",
    replace: "",
  },
  {
    name: "a rollback does not wait for an action whose time is over",
    file: "engine/attempts.ts",
    find: "      this.#stop(attempt, error);",
    replace: "      attempt.abort(error);",
  },
  {
    name: "a run that undoes another does not wait for the actions of that one",
    file: "engine/dispatch.ts",
    find: 'closedFrom === "claimed" || (closedFrom === "running" && keyRunId !== null);',
    replace: 'closedFrom === "claimed";',
  },
  {
    name: "a rollback waits for ever for an executor that went silent",
    file: "engine/next-wake.ts",
    find: "Math.min(nextDeadline(state) ?? Number.POSITIVE_INFINITY, stopAt())",
    replace: "(nextDeadline(state) ?? Number.POSITIVE_INFINITY)",
  },
  {
    name: "an action that a rollback waits for is not told to stop",
    file: "engine/attempts.ts",
    find: "    attempt.abort(reason);\n",
    replace: "",
  },
  {
    name: "steps begun before a cancellation stay open",
    file: "core/run-state.ts",
    find: '    case "run.cancel_requested":\n      state.cancel = entry;\n      closeOpenSteps(state, entry);',
    replace: '    case "run.cancel_requested":\n      state.cancel = entry;',
  },
  // Forks
  {
    name: "a fork sends new keys for what it took over",
    file: "core/fork.ts",
    find: 'return whole.kind === "step.started" ? { ...whole, keyRunId: whole.keyRunId ?? from.runId } : whole;',
    replace: "return whole;",
  },
  {
    name: "a fork keeps what was not there when its first step began",
    file: "core/fork.ts",
    find: "&& step.endSeq !== null && step.endSeq < first.startSeq;",
    replace: "&& step.endSeq !== null && step.startSeq < first.startSeq;",
  },
  // Operators
  {
    name: "an operator who has looked a while ago is not stopped",
    file: "core/operator-decision.ts",
    find: "if (command.expectedSeq !== null && command.expectedSeq !== state.lastSeq) {",
    replace: "if (command.expectedSeq !== null && command.expectedSeq > state.lastSeq) {",
  },
  {
    name: "a step that is skipped leaves no trace of who did it",
    file: "core/operator-decision.ts",
    find: 'return [acted(state, "skip", command, { at, keys: [step.key] }), stepEnded',
    replace: "return [stepEnded",
  },
  // The index
  {
    name: "an older confirmation counts for the newest summary",
    file: "engine/publication.ts",
    find: "if (seq < Math.max(this.#requestedSeq, this.#loadedSeq)) return;",
    replace: "",
  },
  {
    name: "what the index was not told before a crash it is never told",
    file: "engine/publication.ts",
    find: "if (loadedSeq > this.#indexedSeq) this.#dueAt = now + ports.settings.resendMs;",
    replace: "",
  },
  {
    name: "a summary is sent once",
    file: "engine/publication.ts",
    find: "this.#dueAt = now + (summary.seq < this.#requestedSeq ? publishEveryMs : resendMs);",
    replace: "this.#dueAt = summary.seq < this.#requestedSeq ? now + publishEveryMs : null;",
  },
  {
    name: "a run that comes to rest is not shown so",
    file: "core/run-view.ts",
    find: "return state.lastSeq * 2 + (busy && !state.ended ? 0 : 1);",
    replace: "return state.lastSeq * 2;",
  },
  // Storage and turns
  {
    name: "an object that storage refused goes on",
    file: "engine/turn-journal.ts",
    find: "      this.#isOver = true;\n      this.#ports.abort(error);",
    replace: "      this.#gathered = entries;",
  },
  {
    name: "an action is called before its start is recorded",
    file: "engine/attempts.ts",
    find: "      this.#beforeActing();\n",
    replace: "",
  },
  {
    name: "a caller is answered before what it asked is recorded",
    file: "engine/ledger.ts",
    find: "    this.#ports.journal.write();\n",
    replace: "",
  },
  // Bugs that the simulation has found, back again
  {
    name: "a rollback undoes before it is unblocked",
    file: "engine/execution.ts",
    find: "    this.#unblock();\n    this.#undoing = true;",
    replace: "    this.#undoing = true;",
  },
  {
    name: "a held rollback is never at rest",
    file: "engine/execution.ts",
    find: "if (paused) return this.parked();",
    replace: "if (paused) return;",
  },
  {
    name: "code that is woken to check a payload has no lease",
    file: "engine/run-engine.ts",
    find: "    this.#proceed(true);\n    this.#arm();",
    replace: "    this.#proceed(true);",
  },
  {
    name: "a queued run tells nobody again before its start",
    file: "core/run-view.ts",
    find: "const next = Math.min(runDeadline(state), earliestDue(state, isStill));",
    replace: "const next = state.started || state.paused ? Math.min(runDeadline(state), earliestDue(state, isStill)) : runDeadline(state);",
  },
  {
    name: "an object that is gone goes on acting",
    file: "engine/turn-journal.ts",
    find: 'if (this.#isOver) throw new Error("The object is gone.");',
    replace: "",
  },
  {
    name: "a run that timed out before its start begins all the same",
    file: "engine/run-engine.ts",
    find: "if (!state.started && !state.ended && state.created.startAt <= now)",
    replace: "if (!state.started && state.created.startAt <= now)",
  },
  {
    name: "a result that is there at once overtakes what other branches do",
    file: "engine/pass.ts",
    find: "    this.#parked = false;\n    this.#cool();",
    replace: "    this.#parked = false;",
  },
  {
    name: "what happens to a loaded run whose code does not execute is not shown",
    file: "engine/run-engine.ts",
    find: "if (!this.busy) this.#publication.request(summarySeq(this.state, false), now);",
    replace: "",
  },
  {
    name: "an ended run whose alarm was lost is not repaired",
    file: "engine/run-engine.ts",
    find: "if (this.state.ended && armedAt === null) return this.#showEndAgain();",
    replace: "if (this.state.ended && armedAt === null) return;",
  },
  {
    name: "a second cancellation decides anew whether to undo",
    file: "core/operator-decision.ts",
    find: "const { compensate } = state.cancel ?? command;",
    replace: "const { compensate } = command;",
  },
  // Who waits, and what the code waits for
  {
    name: "who waits for the end of a run is told when it only rests",
    file: "engine/run-engine.ts",
    find: "return this.state.ended ? Promise.resolve() : this.#endWaiters.wait(maxMs);",
    replace: "return this.state.ended ? Promise.resolve() : this.#quietWaiters.wait(maxMs);",
  },
  {
    name: "who waits for the end of a run is not told of it",
    file: "engine/run-engine.ts",
    find: "    this.#endWaiters.release();\n",
    replace: "",
  },
  {
    name: "who waits is let go late",
    file: "engine/waiters.ts",
    find: "this.#clock.now() + maxMs",
    replace: "this.#clock.now() + maxMs + 1000",
  },
  {
    name: "an alarm goes on hosting a run that is at rest",
    file: "engine/run-engine.ts",
    find: "    this.#quietWaiters.release();\n",
    replace: "",
  },
  {
    name: "nobody hears of code that waits for ever for what is no step",
    file: "engine/stall-watch.ts",
    find: "if (this.#silentWakes < stalledAfterWakes) return false;",
    replace: "if (this.#silentWakes >= 0) return false;",
  },
  {
    name: "a run with a long step counts as stalled",
    file: "engine/execution.ts",
    find: "return this.busy && this.#attempts.size === 0;",
    replace: "return this.busy;",
  },
  // Notices
  {
    name: "a reminder comes early",
    file: "core/notice.ts",
    find: "const due = reminders(step).findLast((reminder) => reminder.at <= now);",
    replace: "const due = reminders(step).findLast((reminder) => reminder.at <= now + 20_000);",
  },
  {
    name: "an approval is escalated early",
    file: "core/asked.ts",
    find: "return step.startedAt + step.heldMs + step.wait.escalation.afterMs;",
    replace: "return step.startedAt + step.wait.escalation.afterMs;",
  },
];
