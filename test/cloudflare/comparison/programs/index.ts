import type { Program } from "../program.ts";
import { edges } from "./edges.ts";
import { configs, errors } from "./errors.ts";
import { events } from "./events.ts";
import { instances } from "./instances.ts";
import { lifecycle } from "./lifecycle.ts";
import { parallel } from "./parallel.ts";
import { restart } from "./restart.ts";
import { retries } from "./retries.ts";
import { rollback } from "./rollback.ts";
import { sleeps } from "./sleeps.ts";
import { steps } from "./steps.ts";
import { subscribe } from "./subscribe.ts";
import { values } from "./values.ts";

/** All programs, by subject. */
export const subjects: Readonly<Record<string, readonly Program[]>> = {
  "steps and names": steps,
  values,
  "retries and time-outs": retries,
  errors,
  "step configs": configs,
  sleeps,
  events,
  "branches and loops": parallel,
  "pause, resume, terminate, status": lifecycle,
  restart,
  rollback,
  "instances and bindings": instances,
  subscribe,
  edges,
};

export const table: readonly Program[] = Object.values(subjects).flat();
