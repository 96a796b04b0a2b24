import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';

/** A clock that stands still until the test moves it. */
export interface FakeClock extends Clock {
  /**
   * Advances by `ms`: runs the timers that fall due, in the order of their times, ties in the order in which they were
   * set. All microtasks run before the first timer and after each one, so that code that awaits continues; timers that
   * it sets and that fall due in the same span run too. A timer that throws rejects the call, at the time of that
   * timer.
   */
  advance(ms: number): Promise<void>;
  /**
   * Lets `ms` pass at once, as for a process that was suspended: each timer that fell due meanwhile runs once, at the
   * end, and an interval continues from there. A day costs no more than a second.
   */
  suspend(ms: number): Promise<void>;
  /**
   * Advances to the next timer and runs it with those of the same instant. Resolves with the ms that passed;
   * `not_found` where no timer waits.
   */
  advanceToNext(): Promise<number>;
  /** The number of pending timers, sleeps included. */
  pending(): number;
  /** Ms until the next timer is due; undefined without one. */
  nextInMs(): number | undefined;
  /** Sets the wall clock alone, as an operator or NTP does: `now` jumps, `monotonic` and timers do not. */
  setWallClock(nowMs: number): void;
}

interface Entry {
  dueMs: number;
  /** Ties: the one set first runs first. */
  order: number;
  readonly periodMs: number | undefined;
  readonly call: () => void;
  /** How many timers, each set by the one before with no delay, led to this one. */
  readonly depth: number;
}

/** A timer that sets itself again with no delay would run without end. */
const depthMax = 1000;

/** `nowMs`: where the wall clock starts, epoch ms. `monotonic` starts at 0. */
export function createFakeClock(options: { nowMs?: number } = {}): FakeClock {
  let elapsedMs = 0;
  let wallMs = options.nowMs ?? Date.UTC(2024, 0, 1);
  let isAdvancing = false;
  let depth = 0;
  const queue = createTimerQueue();

  const set = (waitMs: number, periodMs: number | undefined, call: () => void): Timer =>
    queue.add({ dueMs: elapsedMs + waitMs, periodMs, call, depth: waitMs === 0 ? depth + 1 : 0 });
  const moveTo = (targetMs: number) => {
    wallMs += targetMs - elapsedMs;
    elapsedMs = targetMs;
  };
  const runUntil = async (targetMs: number) => {
    for (let next = queue.first(); next !== undefined && next.dueMs <= targetMs; next = queue.first()) {
      if (next.depth > depthMax) {
        throw new TailraceError(
          'limit_reached',
          `at ${elapsedMs} ms ${depthMax} timers ran of which each set the next with no delay; time cannot go on`,
        );
      }
      // Timers set by it, and by the code that it wakes, are one deeper.
      depth = next.depth;
      moveTo(Math.max(elapsedMs, next.dueMs));
      queue.runFirst(elapsedMs);
      await settle();
    }
    moveTo(targetMs);
  };
  const alone = async <T>(task: () => Promise<T>): Promise<T> => {
    if (isAdvancing) throw new TailraceError('conflict', 'the clock is being advanced already; await the first call');
    isAdvancing = true;
    try {
      await settle();
      return await task();
    } finally {
      isAdvancing = false;
      depth = 0;
    }
  };

  return {
    now: () => wallMs,
    monotonic: () => elapsedMs,
    after: (delayMs, call) => set(bounded(delayMs), undefined, call),
    every(periodMs, call) {
      // As in Node: a period under 1 ms is 1 ms.
      const period = Math.max(1, bounded(periodMs));
      return set(period, period, call);
    },
    sleep: (delayMs) => new Promise((resolve) => void set(bounded(delayMs), undefined, resolve)),
    advance: (ms) => alone(() => runUntil(elapsedMs + bounded(ms))),
    suspend: (ms) =>
      alone(async () => {
        moveTo(elapsedMs + bounded(ms));
        await runUntil(elapsedMs);
      }),
    advanceToNext: () =>
      alone(async () => {
        const next = queue.first();
        if (!next) throw new TailraceError('not_found', 'no timer waits: there is nothing to advance to');
        const passedMs = next.dueMs - elapsedMs;
        await runUntil(next.dueMs);
        return passedMs;
      }),
    pending: queue.size,
    nextInMs() {
      const next = queue.first();
      return next && next.dueMs - elapsedMs;
    },
    setWallClock(nowMs) {
      wallMs = nowMs;
    },
  };
}

/** Timers in the order in which they will run. Tests have few: a heap would be more code and no faster. */
function createTimerQueue() {
  const queue: Entry[] = [];
  let sourcesOf = 0;
  const insert = (entry: Entry) => {
    let at = queue.length;
    while (at > 0 && isBefore(entry, queue[at - 1]!)) at--;
    queue.splice(at, 0, entry);
  };
  return {
    first: (): Entry | undefined => queue[0],
    size: () => queue.length,
    add(timer: Omit<Entry, 'order'>): Timer {
      const entry: Entry = { ...timer, order: sourcesOf++ };
      insert(entry);
      return {
        cancel() {
          const at = queue.indexOf(entry);
          if (at >= 0) queue.splice(at, 1);
        },
      };
    },
    /** An interval is queued for its next time before it is called, so that the call may cancel it. */
    runFirst(nowMs: number) {
      const entry = queue.shift()!;
      if (entry.periodMs !== undefined) {
        entry.dueMs = nowMs + entry.periodMs;
        entry.order = sourcesOf++;
        insert(entry);
      }
      entry.call();
    },
  };
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** As Node's timers take it: what is not a positive number is 0. */
function bounded(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}

/** Runs all microtasks: `setImmediate` comes only when none is left, after any number of awaits. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
