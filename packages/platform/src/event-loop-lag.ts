import type { Clock, Timer } from './clock.ts';

/** Interval of the measurements, and their number: ten seconds. */
const periodMs = 500;
const samplesMax = 20;

/** The lag of the event loop, measured by how late an interval timer of half a second is called. */
export interface EventLoopLag {
  /**
   * Returns the median of the last ten seconds, ms, including a timer that is due now. The median, because one long
   * pause (a start, a garbage collection) is no reason to restart a process; constant lag is.
   */
  medianMs(): number;
  /** Returns the maximum of the last ten seconds, ms. */
  worstMs(): number;
  stop(): void;
}

/** Starts to measure; the timer keeps the process alive until `stop`. */
export function createEventLoopLag(clock: Clock): EventLoopLag {
  const samples = new Float64Array(samplesMax);
  let count = 0;
  let lastMs = clock.monotonic();
  const lagMs = () => Math.max(0, clock.monotonic() - lastMs - periodMs);
  const timer: Timer = clock.every(periodMs, () => {
    samples[count++ % samplesMax] = lagMs();
    lastMs = clock.monotonic();
  });

  function sorted(): Float64Array {
    const known = samples.slice(0, Math.min(count, samplesMax));
    return Float64Array.of(...known, lagMs()).sort();
  }

  return {
    medianMs() {
      const all = sorted();
      return all[Math.floor((all.length - 1) / 2)]!;
    },
    worstMs: () => sorted().at(-1)!,
    stop: () => timer.cancel(),
  };
}
