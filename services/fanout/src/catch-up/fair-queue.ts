/** One that shares a `FairQueue` with others. Its tags belong to the queue. */
export class Flow {
  /** Virtual time at which its next turn starts; of the last turn while it waits for none. */
  startTag = 0;
  /** Virtual time up to which it has used its share. */
  finishTag = 0;
  /** Equal start tags: the one that was added first goes first. */
  order = 0;
  isQueued = false;
}

/**
 * Start-time fair queueing (Goyal, Vin and Cheng, 1996), with the cost of a turn known only after it, as for processor
 * time (Goyal, Guo and Vin, "A hierarchical CPU scheduler for multimedia operating systems", 1996).
 *
 * The flow with the least start tag goes next, and virtual time is its start tag. What it uses moves its finish tag;
 * its next start tag is that, or virtual time if that is later. So a flow that waits always goes before one that has
 * used more since, a flow that was idle has saved nothing up, and one that goes away and comes back at once has not
 * lost its debt. Over any time two flows that both wait get the same, but for one turn of each.
 *
 * Worked example: a and b wait with tag 0. a goes first and uses 5: its next tag is 5. b goes three times and uses 1
 * each time: its next tag is 3, and virtual time is 2, the tag of its last turn. c comes: its tag is 2, and it goes
 * first.
 */
export class FairQueue<F extends Flow> {
  /** A binary heap: the next one is the first. */
  readonly #heap: F[] = [];
  #virtualTime = 0;
  #finishTagMax = 0;
  #orders = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The flow wants a turn. Not for one that waits already. */
  add(flow: F): void {
    flow.startTag = Math.max(this.#virtualTime, flow.finishTag);
    flow.finishTag = flow.startTag;
    flow.order = this.#orders++;
    flow.isQueued = true;
    const heap = this.#heap;
    let at = heap.push(flow) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(flow, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = flow;
  }

  /**
   * The flow whose turn it is; it waits no longer. `charge` it for what it uses, then `add` it again if it wants more.
   */
  take(): F | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return undefined;
    first.isQueued = false;
    this.#virtualTime = Math.max(this.#virtualTime, first.startTag);
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  /** The flow has used so much, in its turn or beside it. */
  charge(flow: F, cost: number): void {
    if (!flow.isQueued) flow.finishTag = Math.max(flow.finishTag, this.#virtualTime);
    flow.finishTag += cost;
    this.#finishTagMax = Math.max(this.#finishTagMax, flow.finishTag);
  }

  /** Nothing waits any more: what was used until now does not count from here on. */
  idle(): void {
    this.#virtualTime = Math.max(this.#virtualTime, this.#finishTagMax);
  }

  /** Whether the queue would treat the flow as one that it has never seen. */
  isSettled(flow: F): boolean {
    return !flow.isQueued && flow.finishTag <= this.#virtualTime;
  }

  #sink(flow: F): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!isBefore(heap[below]!, flow)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = flow;
  }
}

function isBefore(a: Flow, b: Flow): boolean {
  return a.startTag < b.startTag || (a.startTag === b.startTag && a.order < b.order);
}
