import type { RunSummary } from "#core/run.ts";
import type { What } from "./plan.ts";
import { call } from "./rpc.ts";
import type { World } from "./world.ts";

/** The index: summaries come by a queue, the newest wins, and the run is told. */
export class IndexCopy {
  readonly rows = new Map<string, RunSummary>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  receive(summary: RunSummary): void {
    const world = this.#world;
    const incident = world.take("summary");
    if (incident) world.count(incident.what);
    const what: What | null = incident?.what ?? null;
    if (what === "index_loses") return;
    const delay = what === "index_late" ? (incident?.b ?? 0) * 100 : world.chance.pick([1, 5, 20]);
    world.after(delay, "summary", () => this.#write(summary, what, 0));
    if (what === "index_repeats") world.after(delay + world.chance.pick([1, 3000]), "summary again", () => this.#write(summary, null, 0));
  }

  #write(summary: RunSummary, what: What | null, tries: number): void {
    const world = this.#world;
    if (what === "index_fails" && tries < 2) return void world.after(5000, "summary again", () => this.#write(summary, what, tries + 1));
    const known = this.rows.get(summary.id);
    if (!known || summary.seq > known.seq) this.rows.set(summary.id, summary);
    if (what === "confirmation_lost") return;
    call(world.object(summary.id), { name: "indexed", command: (engine) => void (engine.exists && engine.indexed(summary.seq)), isHosted: false });
  }
}
