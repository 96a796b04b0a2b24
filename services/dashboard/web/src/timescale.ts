/** Distances of marks on a time axis, ms. */
const steps = [200, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000];

/** Times for marks between two times, on round local times, at most `marksMax`. */
export function timeMarks(fromMs: number, toMs: number, marksMax: number): number[] {
  const spanMs = toMs - fromMs;
  const step = steps.find((candidate) => spanMs / candidate <= marksMax) ?? spanMs;
  // Offsets from UTC are whole quarters of an hour, so steps up to that are round in local time, too.
  const marks: number[] = [];
  for (let mark = Math.ceil(fromMs / step) * step; mark <= toMs; mark += step) marks.push(mark);
  return marks;
}

/** How many marks fit: each needs room for `12:34:56`. */
export function marksFitting(widthPx: number): number {
  return Math.max(2, Math.floor(widthPx / 80));
}

/** Left of every trace is room for labels of the scale, right of it a margin: all of them share one time axis. */
export const plotLeftPx = 62;
export const plotRightPx = 12;
