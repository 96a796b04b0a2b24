/** Positions of one block: a bit each. */
const blockPositions = 1_024;
const wordsPerBlock = blockPositions / 32;
/**
 * Blocks that have one. A partition has so many only in a flood of repetitions: then of eight million positions, in 1
 * MB.
 */
const blocksMax = 8_192;

/**
 * Which positions of a partition hold a report that repeats a message ID: a bit a position, and nothing for a block
 * of positions that has none.
 */
export class RepeatedPositions {
  /** Positions from here on are known. */
  from = 0;
  /** By the number of the block, oldest first. */
  readonly #blocks = new Map<number, Uint32Array>();

  /** The bytes of the bits. */
  get bytes(): number {
    return this.#blocks.size * wordsPerBlock * 4;
  }

  /** Positions before are not known from now on. What was added of them stays. */
  startAt(from: number): void {
    this.from = from;
  }

  /** Positions only grow. */
  add(seq: number): void {
    const number = Math.floor(seq / blockPositions);
    let block = this.#blocks.get(number);
    if (block === undefined) {
      block = new Uint32Array(wordsPerBlock);
      this.#blocks.set(number, block);
      if (this.#blocks.size > blocksMax) this.#forgetOldest();
    }
    const bit = seq % blockPositions;
    block[bit >> 5] = block[bit >> 5]! | (1 << (bit & 31));
  }

  has(seq: number): boolean {
    const block = this.#blocks.get(Math.floor(seq / blockPositions));
    const bit = seq % blockPositions;
    return block !== undefined && (block[bit >> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** Those in [from, until), oldest first. */
  *in(from: number, until: number): Iterable<number> {
    const last = Math.floor((until - 1) / blockPositions);
    for (const number of this.#blocks.keys()) {
      if ((number + 1) * blockPositions <= from) continue;
      if (number > last) return;
      const start = Math.max(from, number * blockPositions);
      const end = Math.min(until, (number + 1) * blockPositions);
      for (let seq = start; seq < end; seq++) if (this.has(seq)) yield seq;
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#blocks.keys() as unknown as [number];
    this.#blocks.delete(oldest);
    this.from = Math.max(this.from, (oldest + 1) * blockPositions);
  }
}
