import type { Coroutine } from '../src/catch-up/coroutine.ts';

/** Runs a coroutine step by step, without a scheduler. Resolves with its result. */
export async function runUnscheduled<T>(coroutine: Coroutine<T>): Promise<T> {
  for (let result = coroutine.next(); ; ) {
    if (result.done === true) return result.value;
    try {
      await result.value;
    } catch (thrown) {
      result = coroutine.throw(thrown);
      continue;
    }
    result = coroutine.next();
  }
}
