import { IdHash } from './id-hash.ts';
import { IdSet } from './id-set.ts';

export interface IdLimits {
  /** How long a message ID is remembered, ms; see `RecentIds`. */
  readonly idWindowMs: number;
  /** Message IDs that are remembered together. */
  readonly idsMax: number;
}

/** Time buckets in a window. */
const bucketsPerWindow = 4;
/**
 * Buckets of one partition. More only where times of records lie hours ahead, or where this node's clock is hours
 * behind: then the oldest one is forgotten.
 */
const bucketsMax = 256;
/** How much the clocks of the processes that append may differ, ms. */
const skewMs = 5_000;

/**
 * Returns the time, epoch ms, from which on records have to be read to decide about those that were appended at
 * `timeMs` or later.
 */
export function lookbackTimeMs(timeMs: number, idWindowMs: number): number {
  const bucketMs = idWindowMs / bucketsPerWindow;
  return (Math.floor((timeMs - skewMs) / bucketMs) - bucketsPerWindow) * bucketMs;
}

/**
 * Returns where a lookback over at most `recordsMax` records before `until` starts. `at`: the position of
 * `lookbackTimeMs`, where the log knows one; `first`: the first position of the log. Short: the window has more.
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

/** Returns the age, ms, beyond which a message ID is new again, wherever in its bucket it lies. */
export function idExpiryMs(idWindowMs: number): number {
  return ((bucketsPerWindow + 1) * idWindowMs) / bucketsPerWindow;
}

/** The message IDs that a node remembers, of all its partitions together. */
export class IdMemory {
  /** Remembered now. */
  ids = 0;
  readonly limits: IdLimits;
  /** Time buckets forgotten before their time, because there were more IDs than `idsMax`. */
  readonly counts = { forgotten: 0 };
  /** Epoch ms. */
  readonly now: () => number;
  /** Of the hashes. Each process has its own key. */
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
   * Returns IDs for a reader of a range, or for what may not be used: at most `idsMax`, which do not count among those
   * of the node before `attach`.
   */
  detached(idsMax: number = this.limits.idsMax): RecentIds {
    const memory = new IdMemory({ ...this.limits, idsMax }, this.now, [this.keyHigh, this.keyLow]);
    return new RecentIds(memory, this);
  }

  /** One more is remembered. */
  take(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids++;
    if (this.ids > this.limits.idsMax) this.#shrink();
  }

  /** Counts what was remembered apart. */
  takeAll(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids += holder.size;
    this.#shrink();
  }

  /** So many are forgotten. */
  release(holder: RecentIds, ids: number): void {
    this.ids -= ids;
    if (holder.size === 0) this.#holders.delete(holder);
  }

  /** Returns how far back the partition remembers that remembers least, at most `idWindowMs`; ms. */
  heldMs(): number {
    let heldMs = this.limits.idWindowMs;
    for (const holder of this.#holders) heldMs = Math.min(heldMs, holder.heldMs());
    return heldMs;
  }

  /** The partition with most forgets its oldest. */
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
 * Decides which records of a partition repeat a message ID: the device sent one with that ID before, which was
 * appended at most `idWindowMs` earlier. So a report that a sender's retry wrote twice is delivered once.
 *
 * **The rule** depends on nothing but the records, so that every node decides the same, wherever it started to read.
 * The times at which records were appended fall into buckets of a quarter of the window. A record repeats an earlier
 * one of its device and ID if that one lies in the same bucket or one of the four before. So one that is at most
 * `idWindowMs` old always counts, and one that is older than five buckets never does. A repetition counts as an
 * earlier one, too: what a reader has to know lies within five buckets.
 *
 * **Memory.** The IDs of a bucket are 64-bit hashes in an `IdSet`, about 16 bytes each; a bucket that is too old is
 * forgotten as a whole. Of the decisions there is a bit for each position (`RepeatedPositions`), so that records that
 * are read again need no IDs. Where the node has more IDs than `idsMax`, the partition with most forgets its oldest
 * bucket: its window is shorter then.
 *
 * NATS JetStream keeps its duplicates in memory likewise, for `duplicate_window`, and reads back as far when it
 * starts (`rebuildDedupe`).
 */
export class RecentIds {
  #memory: IdMemory;
  readonly #nodeMemory: IdMemory;
  readonly #bucketMs: number;
  readonly #hash = new IdHash();
  /** Oldest first. */
  readonly #buckets: Bucket[] = [];
  readonly #positions = new RepeatedPositions();
  /** What lies before was decided by the lookback. */
  #lookbackUntil = 0;
  /** Epoch ms: no ID that was appended later is forgotten. */
  #wholeFromMs = Number.NEGATIVE_INFINITY;

  /** What it remembers counts in `memory`, and in `nodeMemory` after `attach`. */
  constructor(memory: IdMemory, nodeMemory: IdMemory = memory) {
    this.#memory = memory;
    this.#nodeMemory = nodeMemory;
    this.#bucketMs = memory.limits.idWindowMs / bucketsPerWindow;
  }

  /** IDs remembered. */
  get size(): number {
    let size = 0;
    for (const { ids } of this.#buckets) size += ids.size;
    return size;
  }

  /** Of the tables of IDs. */
  get bytes(): number {
    let bytes = 0;
    for (const { ids } of this.#buckets) bytes += ids.bytes;
    return bytes;
  }

  /** Positions from here on have been decided, as far as the partition was read. */
  get decidedFrom(): number {
    return this.#positions.from;
  }

  /** Returns how far back it remembers, at most `idWindowMs`; ms. */
  heldMs(): number {
    const { now, limits } = this.#memory;
    return Math.max(0, Math.min(limits.idWindowMs, now() - this.#wholeFromMs));
  }

  /**
   * Completes the lookback: reading starts at `from`. A record of before that is read again is decided as it was.
   */
  startAt(from: number): void {
    this.#lookbackUntil = from;
    this.#positions.startAt(from);
  }

  /** Notes the ID of a record, and returns whether the record repeats one. In the order of positions. */
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

  /** Whether the record at a position repeats one. Only for what has been decided. */
  has(seq: number): boolean {
    return this.#positions.has(seq);
  }

  /** The positions in [from, until) whose records repeat one, oldest first. Only for what has been decided. */
  in(from: number, until: number): Iterable<number> {
    return this.#positions.in(from, until);
  }

  /** What was remembered apart counts among the IDs of the node from now on. Called once. */
  attach(): void {
    if (this.#memory === this.#nodeMemory) return;
    this.#memory = this.#nodeMemory;
    this.#nodeMemory.takeAll(this);
  }

  /** The lookback did not reach what was appended before `timeMs`. */
  wholeFrom(timeMs: number): void {
    this.#wholeFromMs = timeMs;
  }

  /** The node remembers too many. */
  forgetOldest(): void {
    const bucket = this.#shift();
    if (bucket !== undefined) this.#wholeFromMs = (bucket.number + 1) * this.#bucketMs;
  }

  /** Forgets all IDs. The decisions stay. */
  clear(): void {
    while (this.#shift() !== undefined);
  }

  #shift(): Bucket | undefined {
    const bucket = this.#buckets.shift();
    if (bucket !== undefined) this.#memory.release(this, bucket.ids.size);
    return bucket;
  }

  /** Returns the bucket of a record: of a late one the oldest that counts. Buckets that are too old are forgotten. */
  #bucketOf(number: number): Bucket {
    const newest = Math.max(number, this.#buckets.at(-1)?.number ?? number);
    // A record with a time of the future removes none of the others. This node's clock decides nothing else: where it
    // is behind, more is remembered than is needed.
    const oldest = Math.min(newest, Math.floor(this.#memory.now() / this.#bucketMs)) - bucketsPerWindow;
    while (this.#buckets.length > 0 && this.#buckets[0]!.number < oldest) this.#shift();
    const wanted = Math.max(number, oldest);
    let at = this.#buckets.length;
    while (at > 0 && this.#buckets[at - 1]!.number > wanted) at--;
    const before = this.#buckets[at - 1];
    if (before?.number === wanted) return before;
    if (this.#buckets.length >= bucketsMax) {
      // It would be the oldest itself.
      if (at === 0) return this.#buckets[0]!;
      this.#shift();
      at--;
    }
    // As large as the one before: nothing has to be moved while it fills.
    const bucket = { number: wanted, ids: new IdSet(before?.ids.size) };
    this.#buckets.splice(at, 0, bucket);
    return bucket;
  }
}

/** What was appended in one span of time. */
interface Bucket {
  /** Epoch ms divided by the span. */
  readonly number: number;
  readonly ids: IdSet;
}

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
