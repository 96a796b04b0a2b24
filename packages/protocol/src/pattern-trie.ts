import { pathLimits } from './path.ts';

/**
 * Many patterns against one path: which of 100,000 subscriptions want this report?
 *
 * A trie of path segments whose nodes are found by their whole prefix in one hash table instead of hop by hop: a path has at
 * most 8 prefixes, and only those of a depth at which some pattern ends are looked up. So a match costs one look-up for the
 * exact path, whose string has its hash already, and one slice and look-up for each depth in use, however many patterns there
 * are. Memory is one entry a pattern, nothing for the segments between.
 *
 * Patterns are checked ones (`assertPattern`). A value is held once a pattern; adding it twice changes nothing.
 */
export class PatternTrie<T> {
  /** By device path, of patterns that are one. */
  private readonly exact = new Map<string, Set<T>>();
  /** By prefix, of patterns `prefix.>`; `''` is that of `>`. */
  private readonly subtrees = new Map<string, Set<T>>();
  /** How many entries of `subtrees` have a prefix of so many segments. */
  private readonly depths = new Uint32Array(pathLimits.segmentsMax + 1);
  /** The greatest depth in use: nothing below is looked for. */
  private deepest = 0;

  /** Distinct patterns. */
  get size(): number {
    return this.exact.size + this.subtrees.size;
  }

  add(pattern: string, value: T): void {
    const subtree = pattern.endsWith('>');
    const table = subtree ? this.subtrees : this.exact;
    const key = subtree ? pattern.slice(0, -2) : pattern;
    const values = table.get(key);
    if (values !== undefined) {
      values.add(value);
      return;
    }
    table.set(key, new Set<T>().add(value));
    if (subtree) this.countDepth(key, 1);
  }

  /** Whether it was there. */
  delete(pattern: string, value: T): boolean {
    const subtree = pattern.endsWith('>');
    const table = subtree ? this.subtrees : this.exact;
    const key = subtree ? pattern.slice(0, -2) : pattern;
    const values = table.get(key);
    if (values === undefined || !values.delete(value)) return false;
    if (values.size === 0) {
      table.delete(key);
      if (subtree) this.countDepth(key, -1);
    }
    return true;
  }

  /**
   * Calls `visit` for each value of each pattern that means the device: the device's own first, then from the widest subtree
   * to the narrowest. A value under several such patterns is visited once for each. `visit` may delete what it is given.
   */
  match(path: string, visit: (value: T) => void): void {
    this.exact.get(path)?.forEach(visit);
    if (this.depths[0] !== 0) this.subtrees.get('')?.forEach(visit);
    let depth = 1;
    for (let end = path.indexOf('.'); end !== -1 && depth <= this.deepest; end = path.indexOf('.', end + 1)) {
      if (this.depths[depth] !== 0) this.subtrees.get(path.slice(0, end))?.forEach(visit);
      depth++;
    }
  }

  private countDepth(prefix: string, change: 1 | -1): void {
    let depth = prefix === '' ? 0 : 1;
    for (let end = prefix.indexOf('.'); end !== -1; end = prefix.indexOf('.', end + 1)) depth++;
    this.depths[depth] = (this.depths[depth] ?? 0) + change;
    this.deepest = this.depths.findLastIndex((count) => count > 0);
  }
}
