/** Holds bytes of a `MemoryBudget`. */
export interface MemoryHolder {
  heldBytes: number;
}

/** Bytes that one task holds. */
export interface Reservation {
  readonly bytes: number;
  /** Whether others wait for memory: who does nothing with it now should release it. */
  readonly isWanted: boolean;
  /** So many more, now or not at all. False: none is free, or the rest is for others. */
  grow(bytes: number): boolean;
  /** Returns some of it to the budget. */
  shrink(bytes: number): void;
  /** Returns all of it to the budget. Idempotent. */
  release(): void;
}

interface WaitingRequest {
  readonly holder: MemoryHolder;
  readonly bytes: number;
  readonly grant: (reservation: Reservation) => void;
}

/** How much more than what is free one holder may have. */
const freeFactor = 2;

/**
 * Bytes that all work of one kind on a node may hold together, shared fairly among holders: when some become free, the
 * waiting holder that has least gets them (max-min fairness, one request at a time). What one holds cannot be taken
 * back, and slow clients hold it long. So a holder may have at most `freeFactor` times what is free (the dynamic
 * threshold of Choudhury and Hahne, 1998): one alone two thirds, ten together all but a twentieth, and there is always
 * some left for one more.
 *
 * Work takes what it needs before it starts, and holds nothing while it waits for that: so no two can wait for each
 * other. Work that needs more later asks with `grow`, which never waits, and gets along without it where that fails. A
 * request above `bytesMax` is granted when nothing else is held.
 */
export class MemoryBudget {
  readonly bytesMax: number;
  /** Requests that had to wait. */
  readonly counts = { waits: 0 };
  #heldBytes = 0;
  readonly #holding = new Set<MemoryHolder>();
  readonly #waiting: WaitingRequest[] = [];

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** At once, or when it is free. */
  reserve(holder: MemoryHolder, bytes: number): Reservation | Promise<Reservation> {
    if (this.#isNext(holder) && this.#fits(holder, bytes)) return this.#grant(holder, bytes);
    this.counts.waits++;
    return new Promise((grant) => this.#waiting.push({ holder, bytes, grant }));
  }

  /** Whether no holder waits that has as little. One that has more may wait long for what it holds itself. */
  #isNext({ heldBytes }: MemoryHolder): boolean {
    return !this.#waiting.some(({ holder }) => holder.heldBytes <= heldBytes);
  }

  #fits(holder: MemoryHolder, bytes: number): boolean {
    if (this.#heldBytes === 0) return true;
    const free = this.bytesMax - this.#heldBytes;
    return bytes <= free && (holder.heldBytes === 0 || holder.heldBytes + bytes <= freeFactor * free);
  }

  #grant(holder: MemoryHolder, bytes: number): Reservation {
    this.#add(holder, bytes);
    return new MemoryReservation(
      bytes,
      (more) => this.#grow(holder, more),
      (less) => {
        this.#add(holder, -less);
        this.#grantWaiting();
      },
      () => this.waiting > 0,
    );
  }

  #grow(holder: MemoryHolder, bytes: number): boolean {
    if (!this.#fits(holder, bytes)) return false;
    // While others wait, no holder grows beyond an equal share.
    if (this.#waiting.length > 0 && holder.heldBytes + bytes > this.bytesMax / (this.#holding.size + 1)) return false;
    this.#add(holder, bytes);
    return true;
  }

  #add(holder: MemoryHolder, bytes: number): void {
    this.#heldBytes += bytes;
    holder.heldBytes += bytes;
    if (holder.heldBytes > 0) this.#holding.add(holder);
    else this.#holding.delete(holder);
  }

  #grantWaiting(): void {
    for (;;) {
      let least = -1;
      for (const [i, { holder }] of this.#waiting.entries()) {
        if (least < 0 || holder.heldBytes < this.#waiting[least]!.holder.heldBytes) least = i;
        // Nothing is less: the usual case, so that a thousand that wait are not visited each time.
        if (holder.heldBytes === 0) break;
      }
      // The one whose turn it is waits until its request fits: smaller requests do not overtake it for ever.
      if (least < 0 || !this.#fits(this.#waiting[least]!.holder, this.#waiting[least]!.bytes)) return;
      const [{ holder, bytes, grant }] = this.#waiting.splice(least, 1) as [WaitingRequest];
      grant(this.#grant(holder, bytes));
    }
  }
}

class MemoryReservation implements Reservation {
  bytes: number;
  readonly #grow: (bytes: number) => boolean;
  readonly #returnBytes: (bytes: number) => void;
  readonly #isWanted: () => boolean;

  constructor(
    bytes: number,
    grow: (bytes: number) => boolean,
    returnBytes: (bytes: number) => void,
    isWanted: () => boolean,
  ) {
    this.bytes = bytes;
    this.#grow = grow;
    this.#returnBytes = returnBytes;
    this.#isWanted = isWanted;
  }

  get isWanted(): boolean {
    return this.#isWanted();
  }

  grow(bytes: number): boolean {
    if (!this.#grow(bytes)) return false;
    this.bytes += bytes;
    return true;
  }

  shrink(bytes: number): void {
    const less = Math.min(bytes, this.bytes);
    this.bytes -= less;
    if (less > 0) this.#returnBytes(less);
  }

  release(): void {
    this.shrink(this.bytes);
  }
}
