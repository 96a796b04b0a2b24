import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';

/** Of one run. The busiest that is well has a fifth. */
const stepsMax = 1_000_000;

interface Event {
  readonly dueMs: number;
  /** Ties: the one set first runs first. */
  readonly order: number;
  readonly call: () => void;
  cancelled: boolean;
}

/** Virtual time: one event after the other, and after each one everything that it woke. */
export class Scheduler {
  nowMs = 0;
  /** Events that have run. */
  steps = 0;
  /** What an event threw: in a real process nobody would have caught it. */
  onFault: (thrown: unknown) => void = () => {};
  /** The world's own clock: right, and never paused. */
  readonly clock: Clock;
  readonly #epochMs: number;
  /** A binary heap: the next one is the first. */
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
        this.onFault(new TailraceError('limit_reached', `${stepsMax} events have run; something is busy for nothing`));
        break;
      }
      this.nowMs = event.dueMs;
      this.steps++;
      try {
        event.call();
      } catch (thrown) {
        this.onFault(thrown);
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

/** Runs all microtasks: `setImmediate` comes only when none is left, however long the chain of awaits. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
