/**
 * The load over the time of the test: points of (part of the time, part of the full load), with straight lines between
 * them.
 */
export type Curve = readonly (readonly [at: number, part: number])[];

export const flat: Curve = [
  [0, 1],
  [1, 1],
];

/** Sums of tenths are not exact. */
const epsilon = 1e-9;

/** Returns the part of the load at a part of the time. Of two points at one time the later one applies. */
export function partAt(curve: Curve, at: number): number {
  let before = curve[0]!;
  for (let index = 1; index < curve.length; index++) {
    const point = curve[index]!;
    if (point[0] > at) return before[1] + ((point[1] - before[1]) * (at - before[0])) / (point[0] - before[0]);
    before = point;
  }
  return before[1];
}

/** Returns the mean part between two times, from the areas of the trapezoids below the lines. */
export function meanPart(curve: Curve, from: number, to: number): number {
  if (to <= from) return 0;
  let area = 0;
  for (let index = 1; index < curve.length; index++) {
    const [start, first] = curve[index - 1]!;
    const [end, last] = curve[index]!;
    const a = Math.max(from, start);
    const b = Math.min(to, end);
    if (b <= a) continue;
    const slope = (last - first) / (end - start);
    area += ((first + slope * (a - start) + first + slope * (b - start)) / 2) * (b - a);
  }
  return area / (to - from);
}

/**
 * Returns when number `index` of `count` is active: from the first time at which the curve is above it until it is
 * below again, or 1. Undefined: never.
 */
export function stayOf(
  curve: Curve,
  index: number,
  count: number,
): { readonly from: number; readonly to: number } | undefined {
  const part = (index + 1) / count - epsilon;
  let from = curve[0]![1] >= part ? 0 : undefined;
  for (let at = 1; at < curve.length; at++) {
    const [start, first] = curve[at - 1]!;
    const [end, last] = curve[at]!;
    const crossing = start + ((end - start) * (part - first)) / (last - first);
    if (from === undefined && first < part && last >= part) from = crossing;
    else if (from !== undefined && first >= part && last < part) return { from, to: crossing };
  }
  return from === undefined ? undefined : { from, to: 1 };
}
