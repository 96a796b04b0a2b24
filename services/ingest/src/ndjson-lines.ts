/** Most bytes of a line: the size of a report in the log. A longer one is not kept. */
export const lineBytesMax = 262_144;

const lineFeed = 0x0a;
const firstCapacityBytes = 131_072;

/**
 * Divides a text that arrives in parts into lines. All parts are copied into one buffer, so that a text in parts of
 * a byte takes no more memory than one in large parts: `lineBytesMax`, and what is added before the lines are read.
 */
export class NdjsonLines {
  /** Number of the line that `next` has returned last, from 1; 0 before the first. */
  line = 0;
  /** Offset in the text of the first byte behind that line. */
  offset = 0;
  /** What waits: `#bytes` from `#from` to `#until`. There is no line feed before `#searched`. */
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #searched = 0;
  #until = 0;
  /** The start of the current line was too long, and is dropped. */
  #isTooLong = false;
  #isComplete = false;

  /** Bytes that are not returned yet. */
  get waitingBytes(): number {
    return this.#until - this.#from;
  }

  add(part: Uint8Array): void {
    if (this.#bytes.length - this.#until < part.length) this.#makeSpace(part.length);
    this.#bytes.set(part, this.#until);
    this.#until += part.length;
  }

  /** The text is complete: the last line may have no line feed. */
  end(): void {
    this.#isComplete = true;
  }

  /**
   * Returns the next line without its line feed; valid until the next call of `add`. `too_long`: it has more than
   * `lineBytesMax` bytes. Undefined: the rest of the line has not arrived yet, or there is no further line.
   */
  next(): Buffer | 'too_long' | undefined {
    const found = this.#bytes.subarray(this.#searched, this.#until).indexOf(lineFeed);
    if (found !== -1) return this.#take(this.#searched + found, 1);
    this.#searched = this.#until;
    if (this.#until - this.#from > lineBytesMax) this.#dropStart();
    const hasRest = this.#until > this.#from || this.#isTooLong;
    return this.#isComplete && hasRest ? this.#take(this.#until, 0) : undefined;
  }

  #take(end: number, feedBytes: number): Buffer | 'too_long' {
    const line = this.#bytes.subarray(this.#from, end);
    const isTooLong = this.#isTooLong || line.length > lineBytesMax;
    this.#advance(end + feedBytes);
    this.#isTooLong = false;
    this.line++;
    return isTooLong ? 'too_long' : line;
  }

  /** Drops what has arrived of a line that is too long. */
  #dropStart(): void {
    this.#isTooLong = true;
    this.#advance(this.#until);
  }

  #advance(until: number): void {
    this.offset += until - this.#from;
    this.#from = until;
    this.#searched = until;
  }

  #makeSpace(bytes: number): void {
    const waiting = this.waitingBytes;
    const needed = waiting + bytes;
    const target =
      needed <= this.#bytes.length
        ? this.#bytes
        : Buffer.allocUnsafeSlow(Math.max(firstCapacityBytes, needed, Math.min(2 * needed, 2 * lineBytesMax)));
    this.#bytes.copy(target, 0, this.#from, this.#until);
    this.#searched -= this.#from;
    this.#bytes = target;
    this.#from = 0;
    this.#until = waiting;
  }
}
