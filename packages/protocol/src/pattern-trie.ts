import { pathLimits } from './path.ts';

/**
 * Matches one path against many patterns, such as those of 100,000 subscriptions.
 *
 * A trie of path segments whose nodes are found by their whole prefix in one hash table instead of hop by hop. A path
 * has at most 8 prefixes, and only depths that some pattern has are looked up. A match costs one lookup of the exact
 * path, whose string has its hash already, and one slice and lookup for each depth in use. The number of patterns does
 * not matter. Memory is one entry per pattern.
 *
 * Patterns must be valid (`assertPattern`). A value is stored once per pattern; adding it again changes nothing.
 */
export class PatternTrie<T> {
  /** Values of patterns that are a device path, by that path. */
  private readonly exact = new Map<string, Set<T>>();
  /** Values of patterns `prefix.>`, by prefix; `''` is the prefix of `>`. */
  private readonly subtrees = new Map<string, Set<T>>();
  /** Number of entries of `subtrees` by the number of segments of their prefix. */
  private readonly depths = new Uint32Array(pathLimits.segmentsMax + 1);
  /** The greatest depth in use. */
  private deepest = 0;

  /** Number of distinct patterns. */
  get size(): number {
    return this.exact.size + this.subtrees.size;
  }

  add(pattern: string, value: T): void {
    const isSubtree = pattern.endsWith('>');
    const table = isSubtree ? this.subtrees : this.exact;
    const key = isSubtree ? pattern.slice(0, -2) : pattern;
    const values = table.get(key);
    if (values !== undefined) {
      values.add(value);
      return;
    }
    table.set(key, new Set<T>().add(value));
    if (isSubtree) this.countDepth(key, 1);
  }

  /** Returns whether the value was there. */
  delete(pattern: string, value: T): boolean {
    const isSubtree = pattern.endsWith('>');
    const table = isSubtree ? this.subtrees : this.exact;
    const key = isSubtree ? pattern.slice(0, -2) : pattern;
    const values = table.get(key);
    if (values === undefined || !values.delete(value)) return false;
    if (values.size === 0) {
      table.delete(key);
      if (isSubtree) this.countDepth(key, -1);
    }
    return true;
  }

  /**
   * Calls `visit` for each value of each pattern that matches the device: the exact path first, then subtrees from the
   * widest to the narrowest. A value under several matching patterns is visited once for each. `visit` may delete its
   * value.
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
