/**
 * Returns whether a topic exists that both filters match. A broker may send a message of such a topic once for each of
 * the two subscriptions.
 */
export function filtersOverlap(first: string, second: string): boolean {
  const a = first.split('/');
  const b = second.split('/');
  // A filter that starts with a wildcard matches no topic that starts with `$` (MQTT-4.7.2-1).
  if (startsWithWildcard(a) !== startsWithWildcard(b) && (a[0]!.startsWith('$') || b[0]!.startsWith('$'))) return false;
  for (let level = 0; ; level++) {
    const [x, y] = [a[level], b[level]];
    if (x === '#' || y === '#') return true;
    // `a/#` matches `a` too.
    if (x === undefined) return y === undefined || (y === '#' && level === b.length - 1);
    if (y === undefined) return false;
    if (x !== '+' && y !== '+' && x !== y) return false;
  }
}

function startsWithWildcard([first]: readonly string[]): boolean {
  return first === '+' || first === '#';
}
