import type { Steps } from '../src/catch-up/steps.ts';

/** Runs steps to their end, one after the other, without a scheduler. */
export async function runSteps<T>(steps: Steps<T>): Promise<T> {
  for (let result = steps.next(); ; ) {
    if (result.done === true) return result.value;
    try {
      await result.value;
    } catch (thrown) {
      result = steps.throw(thrown);
      continue;
    }
    result = steps.next();
  }
}
