/** Holds bytes of a `MemoryBudget`. */
export interface MemoryHolder {
  heldBytes: number;
}

/** Bytes that one task holds. */
export interface Reservation {
  readonly bytes: number;
  /** Whether others wait for memory. A task that does not use its memory now should release it. */
  readonly isWanted: boolean;
  /** Takes further bytes. Returns false, at once, if none are free or the rest is for others. */
  grow(bytes: number): boolean;
  /** Returns some of it to the budget. */
  shrink(bytes: number): void;
  /** Returns all of it to the budget. Idempotent. */
  release(): void;
}

interface WaitingRequest {
  readonly bytes: number;
  readonly grant: (reservation: Reservation) => void;
}

/** One holder may have this many times the free bytes. */
const freeFactor = 2;

/**
 * Bytes that all background work of a node may hold together, shared fairly among holders. When some become free, the
 * waiting holder with least gets them (max-min fairness, one request at a time). Held bytes cannot be taken back, and
 * slow clients hold them long. So a holder may have at most `freeFactor` times what is free (the dynamic threshold of
 * Choudhury and Hahne, 1998): one alone has two thirds, ten together have all but a twentieth, and some are always left
 * for one more.
 *
 * A task takes what it needs before it starts, and holds nothing while it waits. So no two tasks wait for each other. A
 * task that needs more later calls `grow`, which never waits, and continues without it if that fails. A request above
 * `bytesMax` is granted when nothing else is held.
 */
export class MemoryBudget {
  readonly bytesMax: number;
  /** Requests that had to wait. */
  readonly counts = { waits: 0 };
  #heldBytes = 0;
  readonly #holding = new Set<MemoryHolder>();
  /** By holder, in the order of their oldest request: one holder may have thousands. */
  readonly #waiting = new Map<MemoryHolder, WaitingRequest[]>();
  #requests = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#requests;
  }

  /** Reserves bytes, at once or as soon as they are free. */
  reserve(holder: MemoryHolder, bytes: number): Reservation | Promise<Reservation> {
    if (this.#isNext(holder) && this.#fits(holder, bytes)) return this.#grant(holder, bytes);
    this.counts.waits++;
    return new Promise((grant) => {
      this.#requests++;
      const requests = this.#waiting.get(holder);
      if (requests === undefined) this.#waiting.set(holder, [{ bytes, grant }]);
      else requests.push({ bytes, grant });
    });
  }

  /** Returns whether no holder with as little waits. A holder with more may wait long for what it holds itself. */
  #isNext({ heldBytes }: MemoryHolder): boolean {
    for (const holder of this.#waiting.keys()) if (holder.heldBytes <= heldBytes) return false;
    return true;
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
    if (this.#requests > 0 && holder.heldBytes + bytes > this.bytesMax / (this.#holding.size + 1)) return false;
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
      let least: MemoryHolder | undefined;
      for (const holder of this.#waiting.keys()) {
        if (least === undefined || holder.heldBytes < least.heldBytes) least = holder;
        // Nothing is less. This is the usual case, so that a thousand waiting holders are not visited each time.
        if (holder.heldBytes === 0) break;
      }
      if (least === undefined) return;
      const requests = this.#waiting.get(least)!;
      const { bytes, grant } = requests[0]!;
      // The next one waits until its request fits: smaller requests must not overtake it without end.
      if (!this.#fits(least, bytes)) return;
      requests.shift();
      this.#requests--;
      // Behind the other holders: those that hold as much take turns.
      this.#waiting.delete(least);
      if (requests.length > 0) this.#waiting.set(least, requests);
      grant(this.#grant(least, bytes));
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
