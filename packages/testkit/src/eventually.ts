import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';

export interface EventuallyOptions {
  /** How long the check may fail. Default 15 s, for a busy machine. */
  deadlineMs?: number;
  /** What is waited for, for the error message: "the ring has one owner per partition". */
  describe?: string;
  /** Between two checks. Default: 5 ms at first, and later a twentieth of the time so far, at most 50 ms. */
  pollMs?: number;
}

const deadlineMsDefault = 15_000;
const pollMsMin = 5;
const pollMsMax = 50;
const pollShare = 1 / 20;

/**
 * Calls `check` until it neither throws nor rejects, nor returns `false`, and resolves with what it returned. Rejects
 * with `timeout` at the deadline; the message has the last error, which is also the cause. For conditions without an
 * event; see `nextEvent` for one. A check that hangs does not extend the deadline. Checks get rarer with the time: each
 * may request a page of metrics, and hundreds of them a second would slow down what is waited for.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false>> {
  const { deadlineMs = deadlineMsDefault, describe = 'the condition', pollMs } = options;
  const startedAt = performance.now();
  const giveUpAt = startedAt + deadlineMs;
  let last: unknown = 'it was never checked';
  let checks = 0;
  const late = () => {
    const why = last instanceof Error ? last.message : String(last);
    return new TailraceError(
      'timeout',
      `${describe}: not within ${deadlineMs} ms (${checks} checks). The last one: ${why}`,
      { cause: last },
    );
  };
  for (;;) {
    checks++;
    const leftMs = giveUpAt - performance.now();
    if (leftMs <= 0 && checks > 1) throw late();
    try {
      const result = await withDeadline(
        Promise.resolve().then(check),
        Math.max(leftMs, 1),
        () => new TailraceError('timeout', 'the check did not return'),
      );
      if (result !== false) return result as Exclude<T, false>;
      last = 'it returned false';
    } catch (error) {
      last = error;
    }
    await sleep(pollMs ?? pollMsAfter(performance.now() - startedAt));
  }
}

/** Returns the default time until the next check. */
export function pollMsAfter(elapsedMs: number): number {
  return Math.min(pollMsMax, Math.max(pollMsMin, elapsedMs * pollShare));
}

/**
 * Resolves with the arguments of the emitter's next event of that name. Rejects with `timeout` and the name.
 */
export function nextEvent(
  emitter: EventEmitter,
  event: string,
  options: { deadlineMs?: number } = {},
): Promise<unknown[]> {
  const { deadlineMs = deadlineMsDefault } = options;
  let listener: (...values: unknown[]) => void;
  const came = new Promise<unknown[]>((resolve) => {
    listener = (...values) => resolve(values);
    emitter.once(event, listener);
  });
  const late = () => new TailraceError('timeout', `no event '${event}' within ${deadlineMs} ms`);
  return withDeadline(came, deadlineMs, late).finally(() => emitter.off(event, listener));
}

/**
 * Collects the arguments of callbacks, so that a test can wait for them: `const seen = createInbox<Report>();
 * subscribe(seen.put); await seen.next()`.
 */
export interface Inbox<T> {
  /** All items so far. */
  readonly all: readonly T[];
  /** Adds an item. May be passed as a callback. */
  readonly put: (item: T) => void;
  /**
   * Takes the first item not taken yet, or the first that matches; those before it count as taken. Rejects with
   * `timeout`.
   */
  next(options?: { deadlineMs?: number; where?: (item: T) => boolean; describe?: string }): Promise<T>;
  /** Resolves with all items as soon as there are `count`. */
  atLeast(count: number, options?: { deadlineMs?: number; describe?: string }): Promise<readonly T[]>;
}

export function createInbox<T>(): Inbox<T> {
  const all: T[] = [];
  let taken = 0;
  let wake: Array<() => void> = [];
  const until = async <R>(find: () => { found: R } | undefined, deadlineMs: number, describe: string): Promise<R> => {
    const giveUpAt = performance.now() + deadlineMs;
    for (;;) {
      const result = find();
      if (result) return result.found;
      const change = new Promise<void>((resolve) => wake.push(resolve));
      const late = () =>
        new TailraceError('timeout', `${describe}: not within ${deadlineMs} ms; ${all.length} items came`);
      await withDeadline(change, Math.max(giveUpAt - performance.now(), 0), late);
    }
  };
  return {
    all,
    put(item) {
      all.push(item);
      const waiting = wake;
      wake = [];
      for (const go of waiting) go();
    },
    next({ deadlineMs = deadlineMsDefault, where = () => true, describe = 'the next item' } = {}) {
      const find = () => {
        const at = all.findIndex((item, index) => index >= taken && where(item));
        if (at < 0) return undefined;
        taken = at + 1;
        return { found: all[at]! };
      };
      return until(find, deadlineMs, describe);
    },
    atLeast(count, { deadlineMs = deadlineMsDefault, describe = `${count} items` } = {}) {
      return until(() => (all.length >= count ? { found: all } : undefined), deadlineMs, describe);
    },
  };
}

/** Settles as the promise does, or rejects with the error of `late` at the deadline. Leaves no timer behind. */
export async function withDeadline<T>(promise: Promise<T>, deadlineMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), deadlineMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
