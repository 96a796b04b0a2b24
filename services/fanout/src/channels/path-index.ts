/** What a `PathIndex` holds. */
export interface Indexed {
  /** Of a device: ASCII, without the character `/`. */
  readonly path: string;
}

/** Items of one block. Half of it is moved when it is split: 2 KB. */
const blockItemsMax = 512;

/**
 * Items by their device path, in the order of the paths: so all devices below a path lie side by side, and are found
 * without looking at any other.
 *
 * Sorted blocks in a sorted list, a B+ tree of two levels. An item costs 8 to 16 bytes, whatever its path is made of; a
 * trie of segments costs 30 to 200, the more the fewer devices share a segment. Adding and deleting cost a binary
 * search and the moving of half a block.
 *
 * A caller that goes through it page by page keeps nothing but the path of the last item: what is added or deleted
 * meanwhile does no harm. Every item that is there from the first page to the last comes exactly once.
 */
export class PathIndex<T extends Indexed> {
  /** Each at least one item. */
  readonly #blocks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Not for an item whose path is there already. */
  add(item: T): void {
    this.#size++;
    const blocks = this.#blocks;
    if (blocks.length === 0) {
      blocks.push([item]);
      return;
    }
    // The last block that begins at or before the path; what is before all goes into the first.
    const at = Math.max(0, this.#blockAfter(item.path) - 1);
    const block = blocks[at]!;
    block.splice(firstAfter(block, item.path), 0, item);
    if (block.length > blockItemsMax) blocks.splice(at + 1, 0, block.splice(block.length >> 1));
  }

  /** Whether it was there. */
  delete({ path }: Indexed): boolean {
    const at = this.#blockAfter(path) - 1;
    const block = this.#blocks[at];
    if (block === undefined) return false;
    const i = firstAfter(block, path) - 1;
    if (block[i]?.path !== path) return false;
    block.splice(i, 1);
    this.#size--;
    if (block.length === 0) this.#blocks.splice(at, 1);
    else this.#merge(at);
    return true;
  }

  find(path: string): T | undefined {
    const block = this.#blocks[this.#blockAfter(path) - 1];
    const item = block?.[firstAfter(block, path) - 1];
    return item?.path === path ? item : undefined;
  }

  /** How many items a valid pattern covers: costs a binary search, and one addition a block. */
  count(pattern: string): number {
    if (!pattern.endsWith('>')) return this.find(pattern) === undefined ? 0 : 1;
    if (pattern === '>') return this.#size;
    const { after, before } = rangeOf(pattern);
    return this.#rank(before) - this.#rank(after);
  }

  /**
   * Those that a valid pattern covers, in the order of their paths, from behind `after` on (default: from the first),
   * at most `max`.
   */
  page(pattern: string, after: string, max: number): T[] {
    if (!pattern.endsWith('>')) {
      const item = pattern > after ? this.find(pattern) : undefined;
      return item === undefined ? [] : [item];
    }
    const range = rangeOf(pattern);
    const from = after > range.after ? after : range.after;
    const items: T[] = [];
    const blocks = this.#blocks;
    let at = Math.max(0, this.#blockAfter(from) - 1);
    let i = at < blocks.length ? firstAfter(blocks[at]!, from) : 0;
    for (; at < blocks.length; at++, i = 0) {
      const block = blocks[at]!;
      for (; i < block.length; i++) {
        const item = block[i]!;
        if (items.length >= max || item.path >= range.before) return items;
        items.push(item);
      }
    }
    return items;
  }

  /** Those that a valid pattern covers. What is added or deleted meanwhile may come or not. */
  *in(pattern: string): Iterable<T> {
    let after = '';
    for (;;) {
      const items = this.page(pattern, after, blockItemsMax);
      yield* items;
      if (items.length < blockItemsMax) return;
      after = items.at(-1)!.path;
    }
  }

  clear(): void {
    this.#blocks.length = 0;
    this.#size = 0;
  }

  /** The first block that begins behind the path. */
  #blockAfter(path: string): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (blocks[middle]![0]!.path <= path) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Items at or before the path. */
  #rank(path: string): number {
    const at = this.#blockAfter(path) - 1;
    if (at < 0) return 0;
    let rank = firstAfter(this.#blocks[at]!, path);
    for (let i = 0; i < at; i++) rank += this.#blocks[i]!.length;
    return rank;
  }

  /** Small neighbors become one. */
  #merge(at: number): void {
    const blocks = this.#blocks;
    for (const left of [at - 1, at]) {
      const [a, b] = [blocks[left], blocks[left + 1]];
      if (a === undefined || b === undefined || a.length + b.length > blockItemsMax / 2) continue;
      a.push(...b);
      blocks.splice(left + 1, 1);
      return;
    }
  }
}

/** Exclusive bounds: `/` is the character behind `.`, and no path has it. */
function rangeOf(pattern: string): { readonly after: string; readonly before: string } {
  if (pattern === '>') return { after: '', before: '\x7f' };
  return { after: pattern.slice(0, -1), before: `${pattern.slice(0, -2)}/` };
}

/** Of the first item of a block behind the path. */
function firstAfter(block: readonly Indexed[], path: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (block[middle]!.path <= path) low = middle + 1;
    else high = middle;
  }
  return low;
}
