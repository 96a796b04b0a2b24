import { TailraceError } from '@tailrace/protocol/error';
import type { Reservation } from './memory-budget.ts';
import type { WorkQueue } from './work-scheduler.ts';

/**
 * A task that can be interrupted: a generator that yields after each step. It yields undefined if it may continue at
 * once, or a promise that it waits for. Each step runs in a slice of the scheduler; everything between two yields
 * happens in one turn of the event loop. It releases what it holds in `finally`.
 */
export type Coroutine<T = void> = Generator<Promise<unknown> | undefined, T, void>;

/**
 * Runs a coroutine in slices of a queue; the first steps in this turn if the scheduler has time. Rejects with what it
 * throws, and with `rate_limited`.
 *
 * Calls `isWanted` before each step. Once it returns false, no further step runs, what the task holds is released, and
 * this rejects with `closed`. An overloaded node must not spend time on results that are discarded.
 */
export async function runCoroutine<T>(
  queue: WorkQueue,
  coroutine: Coroutine<T>,
  isWanted: () => boolean = always,
): Promise<T> {
  let failure: { readonly thrown: unknown } | undefined;
  for (;;) {
    let result: IteratorResult<Promise<unknown> | undefined, T> | undefined;
    const step = () => {
      if (!isWanted()) {
        coroutine.return(undefined as never);
        throw new TailraceError('closed', 'the result of this work is no longer wanted');
      }
      const before = failure;
      failure = undefined;
      result = before === undefined ? coroutine.next() : coroutine.throw(before.thrown);
      return result.done === true || result.value !== undefined;
    };
    const turn = queue.run(step);
    if (turn !== undefined) {
      try {
        await turn;
      } catch (thrown) {
        // The task was refused: this releases what it holds. If it has thrown itself, this does nothing.
        coroutine.return(undefined as never);
        throw thrown;
      }
    }
    const { done, value } = result!;
    if (done === true) return value;
    try {
      await value;
    } catch (thrown) {
      failure = { thrown };
    }
  }
}

/** Waits for a promise within a coroutine, and returns its value. */
export function* awaited<T>(promise: Promise<T>): Coroutine<T> {
  let result: { readonly value: T } | undefined;
  yield promise.then((value) => {
    result = { value };
  });
  return result!.value;
}

/** Waits for a reservation of memory within a coroutine. To be released. */
export function* reserved(queue: WorkQueue, bytes: number): Coroutine<Reservation> {
  const granted = queue.reserve(bytes);
  if (!(granted instanceof Promise)) return granted;
  let memory: Reservation | undefined;
  try {
    memory = yield* awaited(granted);
    return memory;
  } finally {
    // The task was stopped while it waited.
    if (memory === undefined) void granted.then((late) => late.release());
  }
}

function always(): boolean {
  return true;
}
