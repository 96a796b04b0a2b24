import { HashSet } from '@tailrace/platform/hash-set';
import { TextHash } from '@tailrace/platform/text-hash';

const hash = new TextHash();
/** Key of the hashes, different in each process: a sender cannot choose an ID with the hash of another device's ID. */
const [keyHigh = 0, keyLow = 0] = crypto.getRandomValues(new Uint32Array(2));

/** Message IDs of devices, as hashes of 64 bits: 11 to 23 bytes each. */
export class ReportIds {
  readonly #hashes = new HashSet();

  get size(): number {
    return this.#hashes.size;
  }

  has(device: string, id: string): boolean {
    take(device, id);
    return this.#hashes.has(hash.high, hash.low);
  }

  /** Returns false if the set has the ID already. */
  add(device: string, id: string): boolean {
    take(device, id);
    return this.#hashes.add(hash.high, hash.low);
  }
}

function take(device: string, id: string): void {
  hash.take(device, keyHigh, keyLow);
  hash.take(id, hash.high, hash.low);
}
