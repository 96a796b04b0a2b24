/**
 * Returns the first index from `from` to `to`, exclusive, that matches; `to` if none does. Every index after a match
 * must match. Calls `matches` about log2(to - from) times.
 */
export function firstIndex(from: number, to: number, matches: (index: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if (matches(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
