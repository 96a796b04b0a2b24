/** A flow of a `FairQueue`. Only the queue changes its tags. */
export class Flow {
  /** Virtual time at which its next turn starts; while it does not wait, at which its last turn started. */
  startTag = 0;
  /** Virtual time up to which it has used its share. */
  finishTag = 0;
  /** Decides between equal start tags: the flow that was added first goes first. */
  order = 0;
  isQueued = false;
}

/**
 * Start-time fair queueing (Goyal, Vin and Cheng, 1996), with the cost of a turn known only after it, as for processor
 * time (Goyal, Guo and Vin, "A hierarchical CPU scheduler for multimedia operating systems", 1996).
 *
 * The flow with the least start tag is next, and virtual time is its start tag. What it uses moves its finish tag. Its
 * next start tag is the finish tag, or virtual time if that is later. So a waiting flow goes before one that has used
 * more since. An idle flow saves nothing, and a flow that leaves and returns keeps its debt. In any interval, two flows
 * that both wait get the same, except for one turn each.
 *
 * Worked example: a and b wait with tag 0. a goes first and uses 5: its next tag is 5. b goes three times and uses 1
 * each time: its next tag is 3, and virtual time is 2, the tag of its last turn. c comes: its tag is 2, and it goes
 * first.
 */
export class FairQueue<F extends Flow> {
  /** A binary heap: the next flow is the first. */
  readonly #heap: F[] = [];
  #virtualTime = 0;
  #finishTagMax = 0;
  #orders = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Adds a flow that is not in the queue. */
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

  /** Removes and returns the next flow. `charge` it for what it uses, then `add` it again if it needs more. */
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

  /** Charges a flow for what it has used, in its turn or outside it. */
  charge(flow: F, cost: number): void {
    if (!flow.isQueued) flow.finishTag = Math.max(flow.finishTag, this.#virtualTime);
    flow.finishTag += cost;
    this.#finishTagMax = Math.max(this.#finishTagMax, flow.finishTag);
  }

  /** Resets the shares while no flow waits: what was used before does not count any more. */
  idle(): void {
    this.#virtualTime = Math.max(this.#virtualTime, this.#finishTagMax);
  }

  /** Returns whether the queue treats the flow as a new one. */
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
