import type { Reservation } from './memory-budget.ts';

/** Of a second attempt, at least: the IDs of a few thousand reports. */
const secondBytesMin = 64 * 1_024;

/**
 * Memory for the message IDs that one reading of the log remembers: so much of it is reserved, and more is taken where
 * there is room. A reading that was short of it has forgotten IDs, so what it returned last may hold repetitions. It
 * is not to be sent, but to be read again with `nextBytes` reserved before.
 */
export class IdRoom {
  isShort = false;
  readonly #memory: Pick<Reservation, 'grow'>;
  #reservedBytes: number;
  #grantedBytes = 0;
  #wantedBytes = 0;

  /** `reservedBytes`: the part of what `memory` holds that is for IDs. */
  constructor(reservedBytes: number, memory: Pick<Reservation, 'grow'>) {
    this.#reservedBytes = reservedBytes;
    this.#memory = memory;
  }

  /** Bytes to reserve for IDs before the next attempt. */
  get nextBytes(): number {
    return Math.max(secondBytesMin, 2 * this.#wantedBytes);
  }

  grow(bytes: number): boolean {
    this.#wantedBytes = Math.max(this.#wantedBytes, this.#grantedBytes + bytes);
    if (bytes <= this.#reservedBytes) this.#reservedBytes -= bytes;
    else if (!this.#memory.grow(bytes)) {
      this.isShort = true;
      return false;
    }
    this.#grantedBytes += bytes;
    return true;
  }
}
