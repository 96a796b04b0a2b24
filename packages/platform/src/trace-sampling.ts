import type { Clock } from './clock.ts';
import { parseTraceparent } from './traceparent.ts';

/** A bound on what tracing can cost, and on what a stranger's header can make it cost. */
const tracesPerSecondMax = 100;

/** Decides which batches are traced: the share given, and those whose origin is traced, up to a hundred a second in all. */
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
