import { describe } from "./describe.ts";
import type { EffectLog } from "./effect-log.ts";
import type { Binding, Effect, Instance, Observation, Program, Status, Tools } from "./program.ts";

/** Runs one program on one side and tells what was seen from outside. */

export interface Side {
  readonly name: string;
  readonly binding: Binding;
  readonly log: DurableObjectNamespace<EffectLog>;
}

/** What a case gives: the observation, and the times of its effects, which are compared apart. */
export interface Case {
  readonly observation: Observation;
  readonly times: readonly { readonly name: string; readonly at: number }[];
}

const waitMs = 20_000;
const pollMs = 25;
const finite = ["complete", "errored", "terminated"];

/** Program, then the case's nonce: the instance's id alone tells a Worker what to run and where its effects go. */
export const caseId = (program: Program): string => `${program.name}--${crypto.randomUUID().slice(0, 8)}`;
export const programOf = (id: string): string => id.split("--")[0] ?? "";
/** An instance made by a script writes into the log of its case. */
export const logName = (side: string, id: string): string => `${side}:${id.split("--").slice(0, 2).join("--")}`;

export async function observe(program: Program, side: Side): Promise<Case> {
  const id = caseId(program);
  const log = side.log.getByName(logName(side.name, id));
  const effects = async (): Promise<readonly Effect[]> => (await log.all()) as readonly Effect[];
  const notes: Record<string, unknown> = {};
  const instance = await firstInstance(program, side, id);
  const tools = toolsOf({ side, id, instance, notes, effects, open: (name) => log.open(name) });
  await script(program, tools, notes);
  const last = await ending(program, tools, notes);
  if (program.settleMs) await scheduler.wait(program.settleMs);
  const all = await effects();
  const shown = all.map(({ name, detail }) => (detail === undefined || detail === null ? name : `${name}(${text(detail)})`));
  return {
    observation: {
      status: last.status,
      output: describe(last.output ?? null),
      error: last.error ? { name: last.error.name, message: last.error.message } : null,
      effects: program.anyOrder ? shown.sort() : shown,
      notes,
    },
    times: all.map(({ name, at }) => ({ name, at })),
  };
}

/** A script that fails is an observation too: it shows as a difference. */
async function script(program: Program, tools: Tools, notes: Record<string, unknown>): Promise<void> {
  try {
    await program.drive?.(tools);
  } catch (error) {
    notes["the script failed"] = String(error);
  }
}

const text = (detail: unknown): string => (typeof detail === "string" ? detail : JSON.stringify(describe(detail)));

async function firstInstance(program: Program, side: Side, id: string): Promise<Instance> {
  if (program.starts === false) return lateInstance(side.binding, id);
  return side.binding.create(program.params === undefined ? { id } : { id, params: program.params });
}

/** An instance that the script creates later. */
function lateInstance(binding: Binding, id: string): Instance {
  const get = () => binding.get(id);
  return {
    id,
    status: async () => (await get()).status(),
    pause: async () => (await get()).pause(),
    resume: async () => (await get()).resume(),
    terminate: async (options) => (await get()).terminate(options),
    restart: async (options) => (await get()).restart(options),
    sendEvent: async (event) => (await get()).sendEvent(event),
    delete: async () => (await get()).delete(),
  };
}

async function ending(program: Program, tools: Tools, notes: Record<string, unknown>): Promise<Status> {
  try {
    return await tools.until(...(program.ends ?? finite));
  } catch (error) {
    // A case without an end is an observation too: it shows as a difference, with its last status.
    notes["never ended"] = String(error);
    return { status: "no end" };
  }
}

interface Hands {
  readonly side: Side;
  readonly id: string;
  readonly instance: Instance;
  readonly notes: Record<string, unknown>;
  readonly effects: () => Promise<readonly Effect[]>;
  readonly open: (name: string) => Promise<void>;
}

function toolsOf({ side, id, instance, notes, effects, open }: Hands): Tools {
  const note = (label: string, value: unknown) => {
    notes[label] = describe(value);
  };
  const untilOf = (one: Instance, statuses: readonly string[]) =>
    bounded(`status ${statuses.join(" or ")}`, async () => {
      const now = await one.status();
      return statuses.includes(now.status) ? now : undefined;
    });
  let others = 0;
  return {
    binding: side.binding,
    instance,
    id,
    note,
    newId: (label) => `${id}--${label}${++others}`,
    attempt: async (label, action) => {
      try {
        note(label, await action());
      } catch (error) {
        note(label, error);
      }
    },
    until: (...statuses) => untilOf(instance, statuses),
    finished: (one) => untilOf(one, finite),
    seen: async (effect, times = 1) => {
      await bounded(`effect ${effect} ${times} times`, async () => {
        const found = (await effects()).filter(({ name }) => name === effect).length;
        return found >= times ? true : undefined;
      });
    },
    open,
    pause: (ms) => scheduler.wait(ms),
  };
}

/** Polls, with a bound. */
export async function bounded<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`Waited ${waitMs} ms in vain for ${what}.`);
    await scheduler.wait(pollMs);
  }
}
