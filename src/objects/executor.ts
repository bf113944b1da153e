import { type AttemptOutcome, type Claim, StepMessage } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { decode, encode, encodeError } from "#core/value.ts";
import type { Clock } from "#engine/ports.ts";
import { verdictOf } from "#sdk/errors.ts";
import type { Registry } from "#sdk/registry.ts";
import { consoleLog } from "./console-log.ts";
import type { RunHandle } from "./runs.ts";

/** What the queue consumers need. */
export interface ExecutorOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly run: (namespace: string, runId: string) => RunHandle;
}

/**
 * Consumes step messages: claims the attempt, runs its automation, and brings the result back to the run. Every message is acknowledged by itself;
 * one whose run can't be reached is delivered again. A message for an attempt that is over, or taken, is simply dropped.
 */
export async function executeSteps(batch: MessageBatch<unknown>, options: ExecutorOptions): Promise<void> {
  await Promise.all(batch.messages.map((message) => handle(message, (it) => execute(it, options))));
}

/** Consumes the dead-letter queue: an attempt that the platform gave up delivering, and nobody took, counts as failed, and the step's policy decides. */
export async function failDeadSteps(batch: MessageBatch<unknown>, options: ExecutorOptions): Promise<void> {
  await Promise.all(batch.messages.map((message) => handle(message, (it) => failDead(it, options))));
}

async function handle(message: Message<unknown>, work: (step: StepMessage) => Promise<void>): Promise<void> {
  const parsed = StepMessage.safeParse(message.body);
  try {
    if (parsed.success) await work(parsed.data);
    else consoleLog({ message: message.id }).error("A message that is no step message was dropped.");
    message.ack();
  } catch (error) {
    consoleLog({ message: message.id }).warn("A step message could not be handled; it is delivered again.", { error: String(error) });
    message.retry({ delaySeconds: Math.min(60, 2 ** message.attempts) });
  }
}

async function failDead(step: StepMessage, options: ExecutorOptions): Promise<void> {
  const error = encodeError(new Fault("dispatch_failed", `Attempt ${step.attempt} of ${step.key} could not be delivered to an executor.`));
  await options.run(step.namespace, step.runId).settle(step, { ok: false, error, retryable: true, retryAfterMs: null, undelivered: true });
}

async function execute(step: StepMessage, options: ExecutorOptions): Promise<void> {
  const run = options.run(step.namespace, step.runId);
  const claim = await run.claim(step);
  if (!claim.granted) return;
  const controller = new AbortController();
  const stopRenewing = renewWhileRunning(run, { step, leaseMs: claim.leaseMs, controller });
  try {
    const outcome = await runAutomation(claim, { step, options, controller });
    if (!claim.recorded && !outcome.ok) throw decode(outcome.error);
    await run.settle(step, outcome);
  } finally {
    stopRenewing();
  }
}

/** Renews the lease a few times per lease. When the run has no use for the attempt any more, its signal aborts. */
function renewWhileRunning(
  run: RunHandle,
  attempt: { readonly step: StepMessage; readonly leaseMs: number; readonly controller: AbortController },
): () => void {
  const timer = setInterval(() => {
    run.renew(attempt.step).then(
      (wanted) => {
        if (!wanted) attempt.controller.abort(new Fault("cancelled", "The run has no use for this attempt any more."));
      },
      () => {
        // Unreached for now; the next renewal tries again, and the lease outlives a few of them.
      },
    );
  }, attempt.leaseMs / 3);
  return () => clearInterval(timer);
}

type Granted = Extract<Claim, { granted: true }>;

async function runAutomation(
  claim: Granted,
  attempt: { readonly step: StepMessage; readonly options: ExecutorOptions; readonly controller: AbortController },
): Promise<AttemptOutcome> {
  const { step, options, controller } = attempt;
  const automation = options.registry.automation(claim.automation);
  try {
    if (!automation)
      throw new Fault("automation_not_found", `The automation ${claim.automation} is not registered, so the queue can't run it. Add it to \`automations\`.`);
    const context = {
      input: decode(claim.input),
      attempt: step.attempt,
      idempotencyKey: claim.idempotencyKey,
      signal: controller.signal,
      log: consoleLog({ run: step.runId, namespace: step.namespace, step: step.key }),
    };
    const value = await withDeadline(() => automation.options.run(context), {
      timeoutMs: timeoutOf(claim, options),
      clock: options.clock,
      controller,
      key: step.key,
    });
    return { ok: true, value: encode(value) };
  } catch (error) {
    return { ok: false, error: encodeError(error), ...verdictOf(error, step.attempt, options.clock.now(), automation?.options.retryIf) };
  }
}

/** While a deployment spreads, the object may be of 0.1.0, which tells the end of the time alone. */
function timeoutOf(claim: Granted, { clock }: ExecutorOptions): number {
  return claim.timeoutMs ?? claim.deadlineAt - clock.now();
}

interface Deadline {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly controller: AbortController;
  readonly key: string;
}

async function withDeadline(action: () => unknown, limit: Deadline): Promise<unknown> {
  const expired = Promise.withResolvers<never>();
  const cancel = limit.clock.timer(limit.clock.now() + limit.timeoutMs, () => {
    const error = new Fault("timeout", `The attempt of ${limit.key} took longer than its time-out.`);
    expired.reject(error);
    limit.controller.abort(error);
  });
  try {
    return await Promise.race([action(), expired.promise]);
  } finally {
    cancel();
  }
}
