import type { Placement } from '../src/placement/placement.ts';

/** Everything is best off where it is. */
export function noPlacement(): Placement {
  return { counts: { told: 0 }, elsewhere: () => undefined };
}
