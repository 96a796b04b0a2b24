import { TailraceError } from '@tailrace/protocol/error';
import type { Reservation } from './memory-budget.ts';
import type { WorkQueue } from './work-scheduler.ts';

/**
 * Work that is interrupted and continued. It yields after each step: nothing, where it may continue at once, or a
 * promise that it waits for. Each step runs in a slice of the scheduler; what lies between two yields happens in one
 * turn of the event loop. What it holds it releases in `finally`.
 */
export type Steps<T = void> = Generator<Promise<unknown> | undefined, T, void>;

/**
 * Runs steps to their end, in slices of a queue, the first ones in this turn where the scheduler has time. Rejects with
 * what they throw, and with `rate_limited`.
 *
 * Before each step `isWanted` is asked. Once it answers false, no step runs any more and what the work holds is
 * released; rejects with `closed`. A node with much to do must not spend its time on results that are thrown away.
 */
export async function drive<T>(queue: WorkQueue, steps: Steps<T>, isWanted: () => boolean = always): Promise<T> {
  let failure: { readonly thrown: unknown } | undefined;
  for (;;) {
    let result: IteratorResult<Promise<unknown> | undefined, T> | undefined;
    const step = () => {
      if (!isWanted()) {
        steps.return(undefined as never);
        throw new TailraceError('closed', 'the result of this work is no longer wanted');
      }
      const before = failure;
      failure = undefined;
      result = before === undefined ? steps.next() : steps.throw(before.thrown);
      return result.done === true || result.value !== undefined;
    };
    const turn = queue.run(step);
    if (turn !== undefined) {
      try {
        await turn;
      } catch (thrown) {
        // Refused: what it holds goes. Where it has thrown itself, this does nothing.
        steps.return(undefined as never);
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

/** What a promise resolves with, within steps. */
export function* awaited<T>(promise: Promise<T>): Steps<T> {
  let result: { readonly value: T } | undefined;
  yield promise.then((value) => {
    result = { value };
  });
  return result!.value;
}

/** Memory to work with, within steps. `release` it. */
export function* reserved(queue: WorkQueue, bytes: number): Steps<Reservation> {
  const granted = queue.reserve(bytes);
  if (!(granted instanceof Promise)) return granted;
  let memory: Reservation | undefined;
  try {
    memory = yield* awaited(granted);
    return memory;
  } finally {
    // The steps were stopped while they waited.
    if (memory === undefined) void granted.then((late) => late.release());
  }
}

function always(): boolean {
  return true;
}
