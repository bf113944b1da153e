interface Happening {
  readonly at: number;
  readonly order: number;
  readonly label: string;
  readonly happen: () => void;
  isOff: boolean;
}

/** What is to happen, by the world's true time: a heap, first in first out at one moment. */
export class Timeline {
  readonly #heap: Happening[] = [];
  #order = 0;

  /** When the next thing happens; infinity: nothing will. */
  get nextAt(): number {
    while (this.#heap.length > 0 && (this.#heap[0] as Happening).isOff) this.#pop();
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : (this.#heap[0] as Happening).at;
  }

  /** Returns its cancellation. */
  add(at: number, label: string, happen: () => void): () => void {
    const it: Happening = { at, order: this.#order++, label, happen, isOff: false };
    const heap = this.#heap;
    let hole = heap.length;
    heap.push(it);
    while (hole > 0) {
      const up = (hole - 1) >> 1;
      const parent = heap[up] as Happening;
      if (!isBefore(it, parent)) break;
      heap[hole] = parent;
      hole = up;
    }
    heap[hole] = it;
    return () => {
      it.isOff = true;
    };
  }

  take(): { readonly label: string; readonly happen: () => void } | null {
    return this.nextAt === Number.POSITIVE_INFINITY ? null : this.#pop();
  }

  #pop(): Happening {
    const heap = this.#heap;
    const first = heap[0] as Happening;
    const last = heap.pop() as Happening;
    if (heap.length === 0) return first;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Happening, heap[child] as Happening)) child++;
      if (!isBefore(heap[child] as Happening, last)) break;
      heap[hole] = heap[child] as Happening;
      hole = child;
    }
    heap[hole] = last;
    return first;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
