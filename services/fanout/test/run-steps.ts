import type { Steps } from '../src/catch-up/steps.ts';

/** Runs steps one after the other, without a scheduler. Resolves with their result. */
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
