/** Longer words are truncated before the comparison, whose cost is quadratic. */
const comparedCharactersMax = 64;

/**
 * Returns the word that was probably meant: the nearest of `known` by Levenshtein distance, ignoring case, `-` and `_`,
 * if the distance is at most a third of its length. Undefined if none is near enough.
 *
 * `suggestionFor('flsuhMs', ['flushMs', 'port'])` is `flushMs`.
 */
export function suggestionFor(word: string, known: Iterable<string>): string | undefined {
  const wanted = comparable(word);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const other = comparable(candidate);
    const distance = distanceBetween(wanted, other);
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(other.length / 3))) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function comparable(word: string): string {
  return word.slice(0, comparedCharactersMax).toLowerCase().replaceAll(/[-_]/g, '');
}

/** Levenshtein's distance by Wagner and Fischer's table, one row at a time. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
