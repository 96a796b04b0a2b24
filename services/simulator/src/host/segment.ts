/** A path segment is `[A-Za-z0-9_-]{1,64}`. */
const segmentCharactersMax = 64;

/**
 * Returns a name as a segment of a device path of at most 64 characters: each run of characters that are not allowed
 * becomes `-`, and a name without allowed characters `unnamed`.
 * `/var/lib` becomes `var-lib`, `web-1.example.org` becomes `web-1-example-org`.
 */
export function segmentFrom(name: string): string {
  const segment = name
    .slice(0, 4 * segmentCharactersMax)
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, segmentCharactersMax);
  return segment === '' ? 'unnamed' : segment;
}

/** Returns a different segment for each of the names, in their order; a duplicate gets `-2`, `-3` … */
export function uniqueSegments(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const plain = segmentFrom(name);
    let segment = plain;
    for (let number = 2; taken.has(segment); number++) {
      const suffix = `-${number}`;
      segment = plain.slice(0, segmentCharactersMax - suffix.length) + suffix;
    }
    taken.add(segment);
    return segment;
  });
}
