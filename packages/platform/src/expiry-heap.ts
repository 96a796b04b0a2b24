interface Slot<E> {
  readonly at: number;
  readonly entry: E;
}

const slackMax = 64;

/**
 * Entries by their expiry, the earliest on top: a binary heap. An entry that was replaced elsewhere stays until it is
 * on top, or until most entries are replaced ones, and all of those are removed at once. So a replacement needs no
 * search.
 */
export class ExpiryHeap<E> {
  #slots: Slot<E>[] = [];
  /** The number of live entries when they were last counted. */
  #liveCounted = 0;
  readonly #isLive: (entry: E) => boolean;

  constructor(isLive: (entry: E) => boolean) {
    this.#isLive = isLive;
  }

  add(at: number, entry: E): void {
    this.#push({ at, entry });
    if (this.#slots.length > 2 * this.#liveCounted + slackMax) this.#compact();
  }

  /** Returns the next expiry; infinite without entries, and for those that never expire. */
  first(): number {
    while (this.#slots.length > 0 && !this.#isLive(this.#slots[0]!.entry)) this.#take();
    return this.#slots[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  pop(): E | undefined {
    this.first();
    return this.#slots.length > 0 ? this.#take().entry : undefined;
  }

  #compact(): void {
    const live = this.#slots.filter(({ entry }) => this.#isLive(entry));
    // A sorted array is a heap.
    this.#slots = live.sort((a, b) => (a.at === b.at ? 0 : a.at - b.at));
    this.#liveCounted = live.length;
  }

  #push(slot: Slot<E>): void {
    const slots = this.#slots;
    let index = slots.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (slots[parent]!.at <= slot.at) break;
      slots[index] = slots[parent]!;
      index = parent;
    }
    slots[index] = slot;
  }

  #take(): Slot<E> {
    const slots = this.#slots;
    const top = slots[0]!;
    const last = slots.pop()!;
    if (slots.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= slots.length) break;
      if (child + 1 < slots.length && slots[child + 1]!.at < slots[child]!.at) child++;
      if (slots[child]!.at >= last.at) break;
      slots[index] = slots[child]!;
      index = child;
    }
    slots[index] = last;
    return top;
  }
}
