import type { Placement } from '../src/placement/placement.ts';

/** A placement by which every client is on the right node. */
export function noPlacement(): Placement {
  return { counts: { moved: 0 }, elsewhere: () => undefined };
}
