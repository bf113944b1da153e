import type { Segno, SegnoEnv } from "segno";
import { holds, passing } from "./points.ts";
import { troubledQueue } from "./trouble.ts";

/** The bindings of the Segno that is made to suffer. */
export interface FaultyEnv extends SegnoEnv {
  readonly FAULTY_RUNS: SegnoEnv["RUNS"];
  readonly FAULTY_STEPS: Queue;
  readonly FAULTY_SUMMARIES: Queue;
}

const commands = [
  ...["start", "startFrom", "sendEvent", "callbackTerms", "callback", "decide", "operate", "undoPlan", "forkPlan", "takeOver"],
  ...["claim", "renew", "settle", "indexed", "poke"],
] as const;

/** A run object that passes a named point before and after everything that it asks of the platform, and everything that is asked of it. */
export function faultyRunObject(RunObject: Segno["RunObject"]): Segno["RunObject"] {
  class FaultyRunObject extends RunObject {
    readonly pass: (point: string) => void;

    constructor(context: DurableObjectState, env: SegnoEnv) {
      const { FAULTY_STEPS, FAULTY_SUMMARIES } = env as FaultyEnv;
      const pass = passer(context);
      super(context, {
        ...env,
        STEPS: watchedQueue("steps", troubledQueue(FAULTY_STEPS), pass),
        SUMMARIES: watchedQueue("summary", troubledQueue(FAULTY_SUMMARIES), pass),
      });
      // The platform's base class takes nothing but its own context.
      Object.defineProperty(this, "ctx", { value: watchedContext(context, pass) });
      this.pass = pass;
      holds(runIdOf(context), pass);
    }

    override async alarm(): Promise<void> {
      this.pass("alarm fires");
      await super.alarm();
      this.pass("alarm is over");
    }
  }
  for (const command of commands) {
    const original = Reflect.get(RunObject.prototype, command) as (...parameters: unknown[]) => Promise<unknown>;
    Object.defineProperty(FaultyRunObject.prototype, command, {
      value: async function (this: FaultyRunObject, ...parameters: unknown[]): Promise<unknown> {
        this.pass(`${command} is asked`);
        const answer = await original.apply(this, parameters);
        this.pass(`${command} is answered`);
        return answer;
      },
    });
  }
  return FaultyRunObject;
}

function runIdOf(context: DurableObjectState): string {
  return (context.id.name ?? "").split(":")[1] ?? "";
}

function passer(context: DurableObjectState): (point: string) => void {
  const runId = runIdOf(context);
  return (point) => {
    const death = passing(runId, point);
    if (death === null) return;
    const die = (): void => context.abort(`The test kills the object: ${point}.`);
    if (death === "at once") die();
    else void context.storage.sync().then(die, () => {});
  };
}

/** Everything but what is replaced is the target's own. */
function replaced<T extends object>(target: T, replacements: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, name) => {
      if (Object.hasOwn(replacements, name)) return Reflect.get(replacements, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function watchedContext(context: DurableObjectState, pass: (point: string) => void): DurableObjectState {
  const { storage } = context;
  const exec: SqlStorage["exec"] = (query, ...bindings) => {
    const cursor = storage.sql.exec(query, ...bindings) as never;
    for (const point of pointsOf(query, bindings)) pass(point);
    return cursor;
  };
  const setAlarm: DurableObjectStorage["setAlarm"] = (...parameters) => {
    const setting = storage.setAlarm(...parameters);
    pass("the alarm is set");
    return setting;
  };
  const deleteAlarm: DurableObjectStorage["deleteAlarm"] = (...parameters) => {
    const clearing = storage.deleteAlarm(...parameters);
    pass("the alarm is cleared");
    return clearing;
  };
  return replaced(context, { storage: replaced(storage, { sql: replaced(storage.sql, { exec }), setAlarm, deleteAlarm }) });
}

/** An entry that is written, the index's confirmation that is, or the journal that is read. Of what is quoted within a value, the quotes are escaped. */
function pointsOf(query: string, bindings: readonly unknown[]): string[] {
  if (/^\s*SELECT seq, entries/.test(query)) return ["the journal is read"];
  if (!/^\s*INSERT INTO journal/.test(query)) return [];
  const written = bindings.filter((it) => typeof it === "string").join();
  if (written.includes('"indexedSeq"')) return ["the confirmation is written"];
  return [...written.matchAll(/"kind":"([a-z]+\.[a-z_]+)"/g)].map(([, kind]) => `${kind} is written`);
}

function watchedQueue(name: string, queue: Queue, pass: (point: string) => void): Queue {
  const send: Queue["send"] = async (...parameters) => {
    pass(`${name} is being sent`);
    const answer = await queue.send(...parameters);
    pass(`${name} was sent`);
    return answer;
  };
  const sendBatch: Queue["sendBatch"] = async (...parameters) => {
    pass(`${name} is being sent`);
    const answer = await queue.sendBatch(...parameters);
    pass(`${name} was sent`);
    return answer;
  };
  return { send, sendBatch } as Queue;
}
