/** Messages that did not come: the number of the first, and how many. */
export interface Gap {
  readonly first: number;
  readonly count: number;
}

const numberMax = 0xffff_ffff;
/** Of a subscription (Part 4, 7.26). */
const firstNumber = 1;
/** A first message above it is one of a server that counts otherwise. */
const firstMax = 100;

/** Returns the number after this one. They wrap from 2^32 - 1 to 1 (Part 4, 5.14.1.1). */
export function nextNumber(number: number): number {
  return number >= numberMax ? 1 : number + 1;
}

/**
 * Finds missing messages of one subscription by their numbers. A keep-alive has the number of the next message, so that
 * it too shows a gap.
 */
export class NotificationSequence {
  #expected = firstNumber;
  #isFirst = true;

  /** The number of the next message. */
  get expected(): number {
    return this.#expected;
  }

  /** Returns what is missing before the message; undefined: nothing, or it is a repetition (`isRepeated`). */
  missingBefore(number: number): Gap | undefined {
    const expected = this.#expected;
    if (number === expected || this.isRepeated(number)) return undefined;
    // A server that does not start at 1 starts anywhere.
    if (this.#isFirst && (number < expected || number > firstMax)) return undefined;
    const count = number > expected ? number - expected : number + numberMax - expected;
    return { first: expected, count };
  }

  /** Whether the message came before. */
  isRepeated(number: number): boolean {
    if (this.#isFirst) return false;
    const behind = this.#expected - number;
    return behind > 0 ? behind < numberMax / 2 : behind < -numberMax / 2;
  }

  received(number: number, isKeepAlive: boolean): void {
    this.#isFirst = false;
    this.#expected = isKeepAlive ? number : nextNumber(number);
  }

  /** Of a new subscription. */
  restart(): void {
    this.#expected = firstNumber;
    this.#isFirst = true;
  }
}
