import { controlMutations } from './control-mutations.ts';
import { type Mutation, mutations } from './mutations.ts';
import { type RunResult, simulate } from './run.ts';
import type { Violation } from './violation.ts';
import { controlEvery } from './world.ts';

export interface Found {
  readonly mutation: string;
  /** Undefined: not found within the seeds. */
  readonly seed: number | undefined;
  readonly violation: Violation | undefined;
}

/** Simulates one seed without a mechanism. */
export async function simulateWithout(name: string, seed: number): Promise<RunResult> {
  const { weaken, ...without }: Mutation = mutations[name]!;
  const restore = weaken?.();
  try {
    return await simulate({ seed, ...without });
  } finally {
    restore?.();
  }
}

/** Returns the first seed at which the checker finds the lack of a mechanism. */
export async function find(mutation: string, seedsMax: number): Promise<Found> {
  // The other seeds do not have what it removes.
  const every = Object.hasOwn(controlMutations, mutation) ? controlEvery : 1;
  for (let seed = every; seed <= seedsMax; seed += every) {
    const { violations } = await simulateWithout(mutation, seed);
    if (violations.length > 0) return { mutation, seed, violation: violations[0] };
  }
  return { mutation, seed: undefined, violation: undefined };
}
