/** Sparkplug has 256 sequence numbers. Of the last 64 messages no two have the same one, unless one came twice. */
const keptMax = 64;

/** The last messages of a node that were processed, to detect the same message again. */
export class RecentMessages {
  readonly #seqs: number[] = [];
  readonly #timestamps: number[] = [];
  readonly #lengths: number[] = [];
  #at = 0;

  /** A message without a timestamp is never known: it could be another with the same sequence number. */
  has(seq: number, timestamp: number | undefined, byteLength: number): boolean {
    if (timestamp === undefined) return false;
    for (let index = 0; index < this.#seqs.length; index++)
      if (this.#seqs[index] === seq && this.#timestamps[index] === timestamp && this.#lengths[index] === byteLength)
        return true;
    return false;
  }

  add(seq: number, timestamp: number | undefined, byteLength: number): void {
    if (timestamp === undefined) return;
    this.#seqs[this.#at] = seq;
    this.#timestamps[this.#at] = timestamp;
    this.#lengths[this.#at] = byteLength;
    this.#at = (this.#at + 1) % keptMax;
  }
}
