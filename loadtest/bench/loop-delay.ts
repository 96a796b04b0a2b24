import { DelayCounts } from '../devices/delay-counts.ts';

/** How long an event waits until its process handles it, because of the turn before or of a busy machine. */
export interface LoopDelay {
  /** Of events at any time, 99 % wait less. */
  readonly p99Ms: number;
  readonly mostMs: number;
}

const periodMs = 1;
let gaps = new DelayCounts();
let timer: NodeJS.Timeout | undefined;

/**
 * Starts a measurement: a timer of 1 ms, and the time between its calls. It takes about 1 % of a processor, so that it
 * does not run while CPU is measured.
 */
export function startLoopDelay(): void {
  gaps = new DelayCounts();
  clearInterval(timer);
  let beforeMs = performance.now();
  timer = setInterval(() => {
    const nowMs = performance.now();
    gaps.add(nowMs - beforeMs);
    beforeMs = nowMs;
  }, periodMs);
}

export function endLoopDelay(): LoopDelay {
  clearInterval(timer);
  return { p99Ms: waitOfShare(gaps, 0.01), mostMs: Math.max(0, gaps.mostMs - periodMs) };
}

export function loopDelayText({ p99Ms, mostMs }: LoopDelay): string {
  return `p99 ${p99Ms.toFixed(1)} ms, most ${mostMs.toFixed(1)} ms`;
}

/**
 * Returns the wait that a share of events exceeds. An event that comes within a gap waits for its end: a gap of 25 ms
 * is one of a thousand calls of the timer, and meets one of forty events.
 */
export function waitOfShare(delays: DelayCounts, share: number): number {
  const { counts } = delays.toJson();
  const sum = (of: (ms: number) => number) =>
    counts.reduce((total, [bucket, count]) => total + count * of(bucket / 10), 0);
  const total = sum((ms) => ms);
  let [low, high] = [0, delays.mostMs];
  while (high - low > 0.05) {
    const wait = (low + high) / 2;
    if (sum((ms) => Math.max(0, ms - wait)) > share * total) low = wait;
    else high = wait;
  }
  return high;
}
