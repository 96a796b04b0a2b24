/** Distances of ticks on a time axis, ms. */
const steps = [200, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000];

/** Returns the times of ticks between two times: multiples of a step in local time, at most `ticksMax`. */
export function timeTicks(fromMs: number, toMs: number, ticksMax: number): number[] {
  const spanMs = toMs - fromMs;
  const step = steps.find((candidate) => spanMs / candidate <= ticksMax) ?? spanMs;
  // Offsets from UTC are multiples of a quarter of an hour, so steps up to that are multiples in local time, too.
  const ticks: number[] = [];
  for (let tick = Math.ceil(fromMs / step) * step; tick <= toMs; tick += step) ticks.push(tick);
  return ticks;
}

/** Returns the number of ticks that fit, each with a label `12:34:56`. */
export function ticksFitting(widthPx: number): number {
  return Math.max(2, Math.floor(widthPx / 80));
}

/** Left of every plot are the labels of its scale, right of it is a margin: all of them share one time axis. */
export const plotLeftPx = 62;
export const plotRightPx = 12;
