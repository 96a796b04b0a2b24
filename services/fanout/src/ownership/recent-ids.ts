import { HashSet } from '@tailrace/platform/hash-set';
import { TextHash } from '@tailrace/platform/text-hash';

export interface IdLimits {
  /** How long a message ID is remembered, ms; see `RecentIds`. */
  readonly idWindowMs: number;
  /** Maximum of the message IDs that are remembered together. */
  readonly idsMax: number;
}

/** Time buckets of a window. */
const bucketsPerWindow = 4;
/**
 * Maximum of the buckets of one partition. Only times of records that are hours ahead, or a clock of this node that is
 * hours behind, need more: then the oldest bucket is forgotten.
 */
const bucketsMax = 256;
/** Tolerance between the clocks of the processes that append, ms. */
const skewMs = 5_000;

/**
 * Returns the time from which on records have to be read, epoch ms, to decide about records appended at `timeMs` or
 * later.
 */
export function lookbackTimeMs(timeMs: number, idWindowMs: number): number {
  const bucketMs = idWindowMs / bucketsPerWindow;
  return (Math.floor((timeMs - skewMs) / bucketMs) - bucketsPerWindow) * bucketMs;
}

/**
 * Returns the start of a lookback over at most `recordsMax` records before `until`. `at`: the position of
 * `lookbackTimeMs`, if the log has one; `first`: the first position of the log. `isShort`: the window has more records.
 */
export function lookbackStart(
  at: number | undefined,
  until: number,
  recordsMax: number,
  first = 0,
): { readonly from: number; readonly isShort: boolean } {
  const from = Math.max(first, Math.min(at ?? until, until));
  const least = until - recordsMax;
  return from >= least ? { from, isShort: false } : { from: least, isShort: true };
}

/** Returns the age beyond which a message ID is always new again, ms, wherever it is in its bucket. */
export function idExpiryMs(idWindowMs: number): number {
  return ((bucketsPerWindow + 1) * idWindowMs) / bucketsPerWindow;
}

/** Limits and counts the message IDs that a node remembers for all its partitions. */
export class IdMemory {
  /** Number of remembered IDs. */
  ids = 0;
  readonly limits: IdLimits;
  /** Time buckets that were forgotten early, because there were more IDs than `idsMax`. */
  readonly counts = { forgotten: 0 };
  /** Epoch ms. */
  readonly now: () => number;
  /** Key of the hashes, different in each process. */
  readonly keyHigh: number;
  readonly keyLow: number;
  readonly #holders = new Set<RecentIds>();

  constructor(
    limits: IdLimits,
    now: () => number,
    key: ArrayLike<number> = crypto.getRandomValues(new Uint32Array(2)),
  ) {
    this.limits = { idWindowMs: limits.idWindowMs, idsMax: limits.idsMax };
    this.now = now;
    this.keyHigh = key[0]!;
    this.keyLow = key[1]!;
  }

  /**
   * Returns an empty set of IDs for a reader of a range, or for a takeover that may be abandoned: at most `idsMax`,
   * which are not counted in this memory before `attach`.
   */
  detached(idsMax: number = this.limits.idsMax): RecentIds {
    const memory = new IdMemory({ ...this.limits, idsMax }, this.now, [this.keyHigh, this.keyLow]);
    return new RecentIds(memory, this);
  }

  /** Counts one more ID. */
  take(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids++;
    if (this.ids > this.limits.idsMax) this.#shrink();
  }

  /** Counts the IDs of a holder that was detached. */
  takeAll(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids += holder.size;
    this.#shrink();
  }

  /** Subtracts forgotten IDs. */
  release(holder: RecentIds, ids: number): void {
    this.ids -= ids;
    if (holder.size === 0) this.#holders.delete(holder);
  }

  /** Returns the shortest time for which a partition remembers IDs, at most `idWindowMs`, ms. */
  heldMs(): number {
    let heldMs = this.limits.idWindowMs;
    for (const holder of this.#holders) heldMs = Math.min(heldMs, holder.heldMs());
    return heldMs;
  }

  /** Lets the partition with most IDs forget its oldest, down to `idsMax`. */
  #shrink(): void {
    while (this.ids > this.limits.idsMax) {
      let most: RecentIds | undefined;
      for (const each of this.#holders) if (most === undefined || each.size > most.size) most = each;
      if (most === undefined) return;
      this.counts.forgotten++;
      most.forgetOldest();
    }
  }
}

/**
 * Decides which records of a partition repeat a message ID: the device sent another one with that ID, which was
 * appended at most `idWindowMs` earlier. So a report that a retry wrote twice is delivered once.
 *
 * **The rule** depends only on the records, so that every node decides the same, wherever it started to read. The
 * append times are divided into buckets of a quarter of the window. A record repeats an earlier one of its device and
 * ID if that one is in the same bucket or one of the four before. So an earlier record of at most `idWindowMs` always
 * counts, and one older than five buckets never does. A duplicate also counts as an earlier record. A reader has to
 * know five buckets.
 *
 * **Hashes.** The key for a message ID is the hash of its device path under the key of this process. A sender does not
 * know that key, so it cannot choose an ID with the hash of another device's ID.
 *
 * **Memory.** The IDs of a bucket are 64-bit hashes in a `HashSet`, about 16 bytes each. A bucket that is too old is
 * forgotten as a whole. Decisions are stored as one bit for each position (`RepeatedPositions`), so that records that
 * are read again need no IDs. If the node has more IDs than `idsMax`, the partition with most forgets its oldest
 * bucket, and its window is shorter then.
 *
 * NATS JetStream also keeps message IDs in memory, for `duplicate_window`, and reads back that far at its start
 * (`rebuildDedupe`).
 */
export class RecentIds {
  #memory: IdMemory;
  readonly #nodeMemory: IdMemory;
  readonly #bucketMs: number;
  readonly #hash = new TextHash();
  /** Oldest first. */
  readonly #buckets: Bucket[] = [];
  readonly #positions = new RepeatedPositions();
  /** Positions before it were decided by the lookback. */
  #lookbackUntil = 0;
  /** Epoch ms: all IDs appended later are remembered. */
  #wholeFromMs = Number.NEGATIVE_INFINITY;

  /** Its IDs are counted in `memory`, and in `nodeMemory` after `attach`. */
  constructor(memory: IdMemory, nodeMemory: IdMemory = memory) {
    this.#memory = memory;
    this.#nodeMemory = nodeMemory;
    this.#bucketMs = memory.limits.idWindowMs / bucketsPerWindow;
  }

  /** Number of remembered IDs. */
  get size(): number {
    let size = 0;
    for (const { ids } of this.#buckets) size += ids.size;
    return size;
  }

  /** Bytes of the tables of IDs. */
  get bytes(): number {
    let bytes = 0;
    for (const { ids } of this.#buckets) bytes += ids.bytes;
    return bytes;
  }

  /** Positions from here on are decided, up to where the partition was read. */
  get decidedFrom(): number {
    return this.#positions.from;
  }

  /** Returns the time for which it remembers IDs, at most `idWindowMs`, ms. */
  heldMs(): number {
    const { now, limits } = this.#memory;
    return Math.max(0, Math.min(limits.idWindowMs, now() - this.#wholeFromMs));
  }

  /** Completes the lookback: reading starts at `from`. Decisions about earlier records stay as they are. */
  startAt(from: number): void {
    this.#lookbackUntil = from;
    this.#positions.startAt(from);
  }

  /** Adds the ID of a record, and returns whether the record repeats one. Called in the order of positions. */
  repeats(device: string, id: string, seq: number, timeMs: number): boolean {
    if (seq < this.#lookbackUntil) return this.#positions.has(seq);
    const { keyHigh, keyLow } = this.#memory;
    const hash = this.#hash;
    hash.take(device, keyHigh, keyLow);
    hash.take(id, hash.high, hash.low);
    const { high, low } = hash;
    const number = Math.floor(timeMs / this.#bucketMs);
    let bucket = this.#buckets.at(-1);
    if (bucket?.number !== number) bucket = this.#bucketOf(number);
    let repeats = false;
    for (let i = this.#buckets.length - 1; i >= 0 && !repeats; i--) {
      const each = this.#buckets[i]!;
      if (each.number < number - bucketsPerWindow) break;
      repeats = each.ids.has(high, low);
    }
    if (repeats) this.#positions.add(seq);
    if (bucket.ids.add(high, low)) this.#memory.take(this);
    return repeats;
  }

  /** Returns whether the record at a position repeats an ID. Only for decided positions. */
  has(seq: number): boolean {
    return this.#positions.has(seq);
  }

  /**
   * Iterates over the positions in [from, until) whose records repeat an ID, oldest first. Only for decided positions.
   */
  in(from: number, until: number): Iterable<number> {
    return this.#positions.in(from, until);
  }

  /** Counts its IDs among those of the node from now on. Called once. */
  attach(): void {
    if (this.#memory === this.#nodeMemory) return;
    this.#memory = this.#nodeMemory;
    this.#nodeMemory.takeAll(this);
  }

  /** Notes that the lookback did not include IDs appended before `timeMs`. */
  wholeFrom(timeMs: number): void {
    this.#wholeFromMs = timeMs;
  }

  /** Forgets the oldest bucket: the node remembers too many IDs. */
  forgetOldest(): void {
    const bucket = this.#shift();
    if (bucket !== undefined) this.#wholeFromMs = (bucket.number + 1) * this.#bucketMs;
  }

  /** Forgets all IDs, but not the decisions. */
  clear(): void {
    while (this.#shift() !== undefined);
  }

  #shift(): Bucket | undefined {
    const bucket = this.#buckets.shift();
    if (bucket !== undefined) this.#memory.release(this, bucket.ids.size);
    return bucket;
  }

  /**
   * Returns the bucket of a record; for a late record the oldest one in the window. Forgets buckets that are too old.
   */
  #bucketOf(number: number): Bucket {
    const newest = Math.max(number, this.#buckets.at(-1)?.number ?? number);
    // A record with a time in the future must not remove others. The clock of this node decides nothing else: if it is
    // behind, more IDs are remembered than needed.
    const oldest = Math.min(newest, Math.floor(this.#memory.now() / this.#bucketMs)) - bucketsPerWindow;
    while (this.#buckets.length > 0 && this.#buckets[0]!.number < oldest) this.#shift();
    const wanted = Math.max(number, oldest);
    let at = this.#buckets.length;
    while (at > 0 && this.#buckets[at - 1]!.number > wanted) at--;
    const before = this.#buckets[at - 1];
    if (before?.number === wanted) return before;
    if (this.#buckets.length >= bucketsMax) {
      // The new bucket would be the oldest itself.
      if (at === 0) return this.#buckets[0]!;
      this.#shift();
      at--;
    }
    // As large as the previous one, so that the table does not grow while it fills.
    const bucket = { number: wanted, ids: new HashSet(before?.ids.size) };
    this.#buckets.splice(at, 0, bucket);
    return bucket;
  }
}

/** The IDs that were appended in one span of time. */
interface Bucket {
  /** Epoch ms divided by the span, rounded down. */
  readonly number: number;
  readonly ids: HashSet;
}

/** Positions of one block, of one bit each. */
const blockPositions = 1_024;
const wordsPerBlock = blockPositions / 32;
/**
 * Maximum of the blocks with a duplicate: 1 MB. Only a flood of duplicates has so many, over eight million positions.
 */
const blocksMax = 8_192;

/**
 * The positions of a partition whose reports repeat a message ID: a bit for each, and nothing for a block without any.
 */
export class RepeatedPositions {
  /** Positions from here on are decided. */
  from = 0;
  /** By the number of the block, oldest first. */
  readonly #blocks = new Map<number, Uint32Array>();

  /** Bytes of the blocks. */
  get bytes(): number {
    return this.#blocks.size * wordsPerBlock * 4;
  }

  /** Sets the first decided position. Earlier positions that were added stay. */
  startAt(from: number): void {
    this.from = from;
  }

  /** Adds a position. Called in ascending order. */
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

  /** Iterates over the positions in [from, until), oldest first. */
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
