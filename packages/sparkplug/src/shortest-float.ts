/** Returns the shortest decimal whose nearest 32-bit float is this one: 21.3, not 21.299999237060547. */
export function shortestFloat(value: number): number {
  if (Number.isInteger(value) || !Number.isFinite(value)) return value;
  // 9 significant digits identify a 32-bit float (IEEE 754).
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(9));
}
