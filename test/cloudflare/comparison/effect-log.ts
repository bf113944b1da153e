import { DurableObject } from "cloudflare:workers";
import type { Effect } from "./program.ts";

/** The effects of one case on one side, in the order in which they arrived. */
export class EffectLog extends DurableObject {
  async add(name: string, detail: unknown): Promise<number> {
    const effects = this.#effects();
    this.ctx.storage.kv.put("effects", [...effects, { name, detail, at: Date.now() }]);
    return effects.filter((effect) => effect.name === name).length + 1;
  }

  async all(): Promise<readonly Effect[]> {
    return this.#effects();
  }

  async open(name: string): Promise<void> {
    this.ctx.storage.kv.put(`open ${name}`, true);
  }

  async isOpen(name: string): Promise<boolean> {
    return this.ctx.storage.kv.get<boolean>(`open ${name}`) ?? false;
  }

  #effects(): readonly Effect[] {
    return this.ctx.storage.kv.get<readonly Effect[]>("effects") ?? [];
  }
}
