import { TextHash } from '@tailrace/platform/text-hash';

const hash = new TextHash();

/**
 * The last message IDs of one device, as hashes of 64 bits: 8 bytes each. An ID is forgotten when `size` others were
 * added after it.
 *
 * The hashes have no secret key, because another node has to find the same. A device can choose IDs that collide, but
 * only with its own; by chance one of 128 IDs does once in 2^57 messages.
 */
export class IdRing {
  /** Two words for each ID: low, high, as the words of a BigUint64Array on a little-endian machine. 0, 0: empty. */
  readonly #words: Uint32Array;
  #next = 0;

  constructor(size: number) {
    this.#words = new Uint32Array(2 * size);
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#words.byteLength;
  }

  has(id: string): boolean {
    hash.take(id, 0, 0);
    return this.#has(hash.high, hash.low);
  }

  add(id: string): void {
    hash.take(id, 0, 0);
    this.#add(hash.high, hash.low);
  }

  /** Returns the hashes, oldest first, for another node. */
  hashes(): BigUint64Array {
    const words = this.#words;
    const found: bigint[] = [];
    for (let step = 0; step < words.length; step += 2) {
      const at = (this.#next + step) % words.length;
      if ((words[at]! | words[at + 1]!) !== 0) found.push((BigInt(words[at + 1]!) << 32n) | BigInt(words[at]!));
    }
    return BigUint64Array.from(found);
  }

  /** Adds what `hashes` of another node has returned. */
  seed(hashes: BigUint64Array): void {
    for (const each of hashes) {
      const high = Number(each >> 32n);
      const low = Number(each & 0xffff_ffffn);
      if ((high | low) !== 0 && !this.#has(high, low)) this.#add(high, low);
    }
  }

  /** A scan: a few words of memory that are next to each other cost less than a table. */
  #has(high: number, low: number): boolean {
    const words = this.#words;
    for (let at = 0; at < words.length; at += 2) if (words[at] === low && words[at + 1] === high) return true;
    return false;
  }

  #add(high: number, low: number): void {
    this.#words[this.#next] = low;
    this.#words[this.#next + 1] = high;
    this.#next = (this.#next + 2) % this.#words.length;
  }
}
