/**
 * Where code written for Cloudflare Workflows sees something else on Segno. The list is closed: the comparison fails on a difference that is not
 * here, and on one that is here and does not show.
 */
export interface Difference {
  readonly id: string;
  readonly title: string;
  /** What Cloudflare Workflows does. */
  readonly cloudflare: string;
  /** What Segno does. */
  readonly segno: string;
  readonly why: string;
  /** `chosen`: Segno does otherwise on purpose. `local`: Segno does what is published, and Cloudflare's local engine does not. */
  readonly kind: "chosen" | "local";
}

export const differences = [
  {
    id: "process-death",
    kind: "chosen",
    title: "A run outlives the process",
    cloudflare:
      "On the local engine, an instance that slept, waited or retried when the process ended stays `running` for ever, until an event or a resume touches it.",
    segno: "The run's alarm brings it back, locally as in production.",
    why: "A durable run must not depend on anybody touching it.",
  },
  {
    id: "sleep-until-replayed",
    kind: "chosen",
    title: "sleepUntil whose time is over",
    cloudflare:
      "The time is turned into a duration at each call. A run that is replayed after that time fails with `You can't sleep until a time in the past`.",
    segno: "A sleep that was recorded is over for good. Only a new sleepUntil into the past is refused.",
    why: "A replay must give what the first execution gave.",
  },
  {
    id: "renamed-nonretryable",
    kind: "chosen",
    title: "A NonRetryableError with a name of its own",
    cloudflare: "It is recognised by its name, so `new NonRetryableError(message, name)` is retried.",
    segno: "It is recognised by its class and never retried.",
    why: "The constructor offers the name; using it must not turn the meaning round.",
  },
  {
    id: "caught-nonretryable-again",
    kind: "chosen",
    title: "A step whose NonRetryableError was caught",
    cloudflare: "The failure is not recorded: when the run is replayed, the step is executed again.",
    segno: "The failure is recorded like any other, and thrown again on replay.",
    why: "What is recorded is never executed again.",
  },
  {
    id: "error-fidelity",
    kind: "chosen",
    title: "Names and properties of errors",
    cloudflare:
      "Of an error only the message crosses, with a name that is not built in put before it: `CustomError: text`. Its own name, code and properties are lost.",
    segno: "The name stays the name, the message the message, and properties that can be encoded stay.",
    why: "Code that branches on `error.name` or `error.code` works inside and outside of steps.",
  },
  {
    id: "rollback-stops",
    kind: "chosen",
    title: "A rollback handler that keeps failing",
    cloudflare: "The rollback ends there. What was to be undone after it is skipped, and the rollback can't be resumed.",
    segno: "The run is parked at that handler: it is `paused`, a dead letter. A person retries or skips it, and the rollback goes on.",
    why: "Something that should have been undone and was not must not be forgotten in silence.",
  },
  {
    id: "rollback-after-restart",
    kind: "chosen",
    title: "Rollback of a run that was restarted from a step",
    cloudflare: "A step that was undone before is not undone again when the restarted run executes it anew and fails.",
    segno: "What was executed anew is undone anew.",
    why: "The second execution had a second effect.",
  },
  {
    id: "unserialisable-output",
    kind: "chosen",
    title: "An output that can't be recorded",
    cloudflare:
      "A function or a Response ends the instance at once: it can't be caught, and nothing is undone. An instance of a class, or a symbol, is retried until the limit.",
    segno: "The step fails once, with an error that the run may catch; a run that does not is undone like any other.",
    why: "The same value will not get better by trying again, and `catch` and rollback must hold for every failure.",
  },
  {
    id: "changed-code",
    kind: "chosen",
    title: "Code that no longer fits the history",
    cloudflare: "There is no check: a step that the history does not know is executed, in whatever place it comes.",
    segno: "The run is blocked, names the step that it expected and the one that it got, and goes on when the right code is back.",
    why: "Executing a payment twice because a step was renamed is worse than waiting.",
  },
  {
    id: "unawaited-steps",
    kind: "chosen",
    title: "Steps that nobody awaits",
    cloudflare: "A step that is under way when run returns goes on after the end: it is retried, and its end is recorded.",
    segno: "The end of the run closes what is open. The callback that is under way may finish, but its result counts for nothing, and it is not tried again.",
    why: "An ended run does not change any more.",
  },
  {
    id: "callback-not-killed",
    kind: "chosen",
    title: "A callback that is under way at a termination or a restart",
    cloudflare: "It is cut off in the middle.",
    segno: "The run is over at once, and what the callback gives counts for nothing; but the callback itself goes on to its end, as it does after a time-out.",
    why: "Its effect may have happened already. Cutting it off would not take that back, and would only hide it.",
  },
  {
    id: "nested-steps",
    kind: "chosen",
    title: "A step inside a step's callback",
    cloudflare: "The inner step is a step of its own. When the run is replayed after the outer one has ended, it is not called again.",
    segno:
      "Before the first `await` of the callback it is refused at once, with an error that says where. Later it passes, and a replay of that run blocks. Call the one after the other.",
    why: "A step that is there the first time and missing at the replay makes a history that no code fits.",
  },
  {
    id: "local-default-delay",
    kind: "local",
    title: "The default delay between attempts",
    cloudflare: "10 seconds in production, 1 second on the local engine.",
    segno: "10 seconds everywhere.",
    why: "A default that depends on the place is found out too late.",
  },
  {
    id: "local-json-log",
    kind: "local",
    title: "BigInt and cycles in values",
    cloudflare: "Structured clone is published; the local engine also writes the value as JSON into its log, and fails at a BigInt or a cycle.",
    segno: "Both are kept.",
    why: "It is what is published.",
  },
  {
    id: "local-generic-nonretryable",
    kind: "local",
    title: "The error of a run that ended with a NonRetryableError",
    cloudflare: "Production tells the error's own name and message. The local engine tells a WorkflowFatalError with a text that is always the same.",
    segno: "The error's own name and message.",
    why: "It is what production does.",
  },
  {
    id: "local-status-waiting",
    kind: "local",
    title: "The status `waiting`",
    cloudflare: "Published for a run that sleeps or waits for an event. The local engine says `running`.",
    segno: "`waiting`.",
    why: "It is what is published.",
  },
  {
    id: "local-status-rolling-back",
    kind: "local",
    title: "The status `rollingBack`",
    cloudflare: "Published for an instance that is being undone. The local engine says `running`.",
    segno: "`rollingBack`.",
    why: "It is what is published.",
  },
  {
    id: "local-event-to-ended",
    kind: "local",
    title: "An event for an instance that has ended",
    cloudflare: "Production refuses it. The local engine accepts it silently.",
    segno: "It is refused.",
    why: "Who sends it should know that nobody will take it.",
  },
  {
    id: "local-pause-after-nonretryable",
    kind: "local",
    title: "A pause after a caught NonRetryableError",
    cloudflare: "On the local engine such a pause never takes hold: the instance stays `waitingForPause`.",
    segno: "The run is paused.",
    why: "It is what is published.",
  },
  {
    id: "local-duplicate-id",
    kind: "local",
    title: "Creating an id that is taken",
    cloudflare: "Production refuses it with `instance.already_exists`. The local engine gives the instance that exists.",
    segno: "It is refused with `instance.already_exists`.",
    why: "It is what is published.",
  },
  {
    id: "local-no-batch-object",
    kind: "local",
    title: "The object form of createBatch",
    cloudflare: "Published in October 2026. The local engine compared here does not have it yet.",
    segno: "Supported.",
    why: "It is what is published.",
  },
  {
    id: "local-delete-missing",
    kind: "local",
    title: "Deleting an id that nobody has",
    cloudflare: "Production reports code 10400. The local engine reports it as deleted.",
    segno: "Code 10400.",
    why: "It is what is published.",
  },
  {
    id: "local-no-subscribe",
    kind: "local",
    title: "instance.subscribe",
    cloudflare: "Published in September 2026. The local engine compared here does not have it yet.",
    segno: "Supported.",
    why: "It is what is published.",
  },
] as const satisfies readonly Difference[];

export type DifferenceId = (typeof differences)[number]["id"];
