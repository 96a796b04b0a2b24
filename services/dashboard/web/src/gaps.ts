/** A shorter pause is no gap, however fast a tag reports. */
const gapMsMin = 3000;

/**
 * Returns the pause from which a line has a gap, ms: four times the median distance of the points in view, at least
 * 3 s. Infinity for fewer than three points.
 *
 * @param times in order, epoch ms
 */
export function gapMsFrom(times: Float64Array): number {
  const count = times.length - 1;
  if (count < 2) return Number.POSITIVE_INFINITY;
  // At most 64 distances, evenly spread: enough for a median.
  const step = Math.max(1, Math.floor(count / 64));
  const distances: number[] = [];
  for (let index = 0; index < count; index += step) distances.push(times[index + 1]! - times[index]!);
  distances.sort((a, b) => a - b);
  return Math.max(gapMsMin, 4 * distances[distances.length >> 1]!);
}
