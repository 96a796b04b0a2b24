import type { Clock, Timer } from './clock.ts';

/** How often the loop is timed, and over how many of these times it is judged: ten seconds. */
const periodMs = 500;
const samplesMax = 20;

/** Whether the event loop still turns, measured by how late a timer of every half second is served. */
export interface EventLoopLag {
  /**
   * Median lateness of the last ten seconds, ms, with the timer that is due now counted in. The median, since one long pause (a start,
   * a collection of garbage) is no reason to restart a process; being late all the time is.
   */
  medianMs(): number;
  /** The worst of the last ten seconds, ms. */
  worstMs(): number;
  stop(): void;
}

/** Measures from now on; the timer keeps the process alive until `stop`. */
export function createEventLoopLag(clock: Clock): EventLoopLag {
  const samples = new Float64Array(samplesMax);
  let count = 0;
  let lastMs = clock.monotonic();
  const lateness = () => Math.max(0, clock.monotonic() - lastMs - periodMs);
  const timer: Timer = clock.every(periodMs, () => {
    samples[count++ % samplesMax] = lateness();
    lastMs = clock.monotonic();
  });

  function sorted(): Float64Array {
    const known = samples.slice(0, Math.min(count, samplesMax));
    return Float64Array.of(...known, lateness()).sort();
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
