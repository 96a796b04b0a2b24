import type { Clock } from './clock.ts';
import { parseTraceparent } from './traceparent.ts';

/** Limits the cost of tracing, also for `traceparent` headers of clients. */
const tracesPerSecondMax = 100;

/** Returns whether to trace a batch: for the given ratio, and if its origin is traced; at most 100 a second in all. */
export function createTraceSampling(ratio: number, clock: Clock, random: () => number): (parent?: string) => boolean {
  let secondStartedMs = Number.NEGATIVE_INFINITY;
  let thisSecond = 0;
  return (parent) => {
    const position = parent === undefined ? undefined : parseTraceparent(parent);
    if (!(position?.sampled || random() < ratio)) return false;
    const nowMs = clock.monotonic();
    if (nowMs - secondStartedMs >= 1_000) {
      secondStartedMs = nowMs;
      thisSecond = 0;
    }
    return ++thisSecond <= tracesPerSecondMax;
  };
}
