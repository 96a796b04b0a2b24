/** However fast a tag is, a pause shorter than this is no gap. */
const gapMsMin = 3000;

/**
 * From how long on a pause between two points is a gap that a line must not bridge: four times the usual distance, which is the median of those
 * in view, at least 3 s. Infinity for fewer than three points.
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
