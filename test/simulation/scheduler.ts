import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';

/** Limit of one run. The busiest correct run needs a fifth. */
const stepsMax = 1_000_000;

interface Event {
  readonly dueMs: number;
  /** Of two with the same time, the one scheduled first runs first. */
  readonly order: number;
  readonly call: () => void;
  cancelled: boolean;
}

/** Virtual time: one event after the other, and after each one all microtasks. */
export class Scheduler {
  nowMs = 0;
  /** Events that have run. */
  steps = 0;
  /** Called with what an event threw: an uncaught error in a real process. */
  onError: (thrown: unknown) => void = () => {};
  /** The world's own clock: exact, and never suspended. */
  readonly clock: Clock;
  readonly #epochMs: number;
  /** A binary heap: the next event is the first. */
  readonly #heap: Event[] = [];
  #orders = 0;

  constructor(epochMs: number) {
    this.#epochMs = epochMs;
    this.clock = {
      now: () => this.#epochMs + this.nowMs,
      monotonic: () => this.nowMs,
      after: (delayMs, call) => this.at(delayMs, call),
      every: (periodMs, call) => this.#every(Math.max(1, periodMs), call),
      sleep: (delayMs) => new Promise((resolve) => void this.at(delayMs, resolve)),
    };
  }

  at(delayMs: number, call: () => void): Timer {
    const event: Event = { dueMs: this.nowMs + Math.max(0, delayMs), order: this.#orders++, call, cancelled: false };
    this.#push(event);
    return {
      cancel() {
        event.cancelled = true;
      },
    };
  }

  /** Runs all events of the next `ms`, `afterEach` after each one. */
  async run(ms: number, afterEach: () => void): Promise<void> {
    const untilMs = this.nowMs + ms;
    await settle();
    while (this.#heap.length > 0 && this.#heap[0]!.dueMs <= untilMs) {
      const event = this.#pop();
      if (event.cancelled) continue;
      if (this.steps >= stepsMax) {
        this.onError(new TailraceError('limit_reached', `${stepsMax} events have run: there may be an endless loop`));
        break;
      }
      this.nowMs = event.dueMs;
      this.steps++;
      try {
        event.call();
      } catch (thrown) {
        this.onError(thrown);
      }
      await settle();
      afterEach();
    }
    this.nowMs = untilMs;
  }

  #every(periodMs: number, call: () => void): Timer {
    let timer: Timer;
    const again = () => {
      timer = this.at(periodMs, again);
      call();
    };
    timer = this.at(periodMs, again);
    return { cancel: () => timer.cancel() };
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(event, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Runs all microtasks: `setImmediate` runs when none is left. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
