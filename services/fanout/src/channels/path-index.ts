import { firstIndex } from '@tailrace/platform/first-index';

/** An item of a `PathIndex`. */
export interface Indexed {
  /** Device path: ASCII, without the character `/`. */
  readonly path: string;
}

/** Items of one block. A split moves half of it: 2 KB. */
const blockItemsMax = 512;

/**
 * Items sorted by device path. All devices below a path are adjacent, and are found without a visit to any other.
 *
 * Sorted blocks in a sorted list: a B+ tree of two levels. An item costs 8 to 16 bytes for any path; a trie of segments
 * costs 30 to 200, more if few devices share a segment. Adding and deleting cost a binary search and the move of half a
 * block.
 *
 * A caller that pages through it keeps only the path of the last item, so items may be added and deleted meanwhile.
 * Every item that is present from the first page to the last is returned exactly once.
 */
export class PathIndex<T extends Indexed> {
  /** Each has at least one item. */
  readonly #blocks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an item whose path is not in the index. */
  add(item: T): void {
    this.#size++;
    const blocks = this.#blocks;
    if (blocks.length === 0) {
      blocks.push([item]);
      return;
    }
    // The last block whose first path is at or before the path; a path before all blocks goes into the first one.
    const at = Math.max(0, this.#blockAfter(item.path) - 1);
    const block = blocks[at]!;
    block.splice(firstAfter(block, item.path), 0, item);
    if (block.length > blockItemsMax) blocks.splice(at + 1, 0, block.splice(block.length >> 1));
  }

  /** Returns whether the item was in the index. */
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

  /** Returns the number of items that a valid pattern covers. Costs a binary search, and one addition a block. */
  count(pattern: string): number {
    if (!pattern.endsWith('>')) return this.find(pattern) === undefined ? 0 : 1;
    if (pattern === '>') return this.#size;
    const { after, before } = rangeOf(pattern);
    return this.#rank(before) - this.#rank(after);
  }

  /**
   * Returns at most `max` items that a valid pattern covers, in the order of their paths, from the first after `after`.
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

  /** Iterates over the items that a valid pattern covers. Items added or deleted meanwhile may be included or not. */
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

  /** Returns the index of the first block whose first path is after the path. */
  #blockAfter(path: string): number {
    const blocks = this.#blocks;
    return firstIndex(0, blocks.length, (i) => blocks[i]![0]!.path > path);
  }

  /** Returns the number of items at or before the path. */
  #rank(path: string): number {
    const at = this.#blockAfter(path) - 1;
    if (at < 0) return 0;
    let rank = firstAfter(this.#blocks[at]!, path);
    for (let i = 0; i < at; i++) rank += this.#blocks[i]!.length;
    return rank;
  }

  /** Merges a block with a neighbor if both are small. */
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

/** Returns exclusive bounds: `/` is the character after `.`, and no path has it. */
function rangeOf(pattern: string): { readonly after: string; readonly before: string } {
  if (pattern === '>') return { after: '', before: '\x7f' };
  return { after: pattern.slice(0, -1), before: `${pattern.slice(0, -2)}/` };
}

/** Returns the index of the first item of a block after the path. */
function firstAfter(block: readonly Indexed[], path: string): number {
  return firstIndex(0, block.length, (i) => block[i]!.path > path);
}
