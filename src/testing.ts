/** For tests of workflows: a Segno over a clock and a registry of your own, and the engine's parts in memory. */
export { ManualClock, MemoryJournal, MemoryRun, type MemoryRunOptions, seededRandom, silentLog } from "#engine/memory.ts";
export type { Clock, EngineSettings } from "#engine/ports.ts";
export { createRegistry, type Definitions, type Registry } from "#sdk/registry.ts";
export { type Composition, compose, type Segno, type SegnoEnv } from "./segno.ts";
