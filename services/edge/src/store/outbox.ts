import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { type Batch, type BatchLimits, batchOf, type Entry, entryFrom, fittingCount, sumOf } from './entry.ts';
import { Losses, type LossReason, type LostReports, type StoredLosses, unknownLoss } from './loss.ts';
import { MemoryEntries } from './memory-entries.ts';
import { batchId, type SentRange, SentRanges, sentRangeOf } from './sent-ranges.ts';
import { closeSession, newStream, openSession, type Session } from './session.ts';
import { commitMs, SpillWriter } from './spill-writer.ts';
import { type Disk, StoredEntries } from './stored-entries.ts';

/*
 * Keeps each report until it is acknowledged: in memory while the link is up, on disk while it is down.
 *
 * A report has its number when it is put in, and is sent in the order of numbers. It is at one place:
 *
 * - `live`: in memory, sent as it comes.
 * - `spill`: in memory, for the disk. Writes take the lowest first.
 * - `writing`: in the transaction that runs.
 * - the disk.
 * - a batch in flight: of `live` or `spill` (its reports stay in memory), or of the disk (they stay there).
 *
 * Disk, `writing` and `spill` are the backlog: what came before the link returned. `live` is sent beside it, so that
 * live readings are not late. Both keep their order. When the link is lost again, all in flight goes back to its place,
 * and `live` becomes part of `spill`: one ordered set again. What was in flight is sent again first, as the same
 * batches and with their IDs, also after a restart: ingest may have it, and remembers the last IDs alone.
 *
 * States, for people: `memory` (no backlog), `disk` (link down, reports go to the disk), `catching_up` (link up, with a
 * backlog), `full` (the disk refuses writes: reports stay in memory up to its limit, and writes are tried again).
 *
 * Numbers are reserved on disk in large blocks before the first is used, so that none is used twice after a crash, and
 * also not while the disk is full for days.
 */

export type OutboxState = 'memory' | 'disk' | 'catching_up' | 'full';

export interface OpenedDisk {
  readonly disk: Disk;
  /** Whether a damaged store was put aside: its reports are lost. */
  readonly isReplaced: boolean;
}

export interface OutboxOptions {
  /** Opens the store. `conflict` fails the start; after other errors it is tried again every 5 s. */
  readonly openDisk: () => Promise<OpenedDisk>;
  /** The device of the edge, which reports losses. */
  readonly device: string;
  /** Which reports are dropped at a limit. */
  readonly drops: 'oldest' | 'newest';
  readonly memoryBytesMax: number;
  readonly storeBytesMax: number;
  /** Called for each loss. */
  readonly onLost?: (reason: LossReason, reports: number) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** How long the link may be down until reports go to the disk, ms. */
const spillAfterMs = 2_000;
const openRetryMs = 5_000;

export class Outbox {
  readonly losses = new Losses();
  readonly #options: OutboxOptions;
  #stored: StoredEntries | undefined;
  #stream: string;
  #next = 1;
  readonly #memory = new MemoryEntries();
  readonly #writer: SpillWriter;
  readonly #inFlight = new Set<Batch>();
  readonly #sentBefore = new SentRanges();
  /** Reports with lower numbers are the backlog. */
  #liveFrom = 1;
  #isUp = false;
  #isSpilling = false;
  /** It could not be opened, and is tried again. */
  #isWithoutStore = false;
  #isLossInFlight = false;
  #isClosed = false;
  #spillTimer: Timer | undefined;
  #openTimer: Timer | undefined;
  #lossTimer: Timer | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#stream = newStream(options.random);
    const { drops, memoryBytesMax, storeBytesMax, clock, logger } = options;
    this.#writer = new SpillWriter({
      ...{ memory: this.#memory, drops, memoryBytesMax, storeBytesMax, clock, logger },
      mustWrite: () => this.#isSpilling || this.#memory.bytes > memoryBytesMax / 2,
      onLost: (reason, gone) => this.#lost(reason, sumOf(gone), gone.at(-1)!.number + 1),
    });
  }

  get state(): OutboxState {
    if (this.#isFull) return 'full';
    if (!this.#isUp) return this.#isSpilling ? 'disk' : 'memory';
    return this.#hasBacklog ? 'catching_up' : 'memory';
  }

  /** Reports that are not acknowledged. */
  get reports(): number {
    return this.#memory.count + this.#storedReports;
  }

  get memoryBytes(): number {
    return this.#memory.bytes;
  }

  /** Bytes on disk. The file has more. */
  get storeBytes(): number {
    return this.#stored?.disk.bytes ?? 0;
  }

  /** Reports that came before the link returned and are not acknowledged. */
  get backlogReports(): number {
    return this.#storedReports + this.#memory.spill.length + this.#writer.writing.length;
  }

  /** There is no store yet, or it refuses writes. */
  get #isFull(): boolean {
    return this.#isWithoutStore || this.#writer.isFull;
  }

  get #storedReports(): number {
    return this.#stored?.count ?? 0;
  }

  get #hasBacklog(): boolean {
    return this.backlogReports > 0;
  }

  /**
   * Opens the store. Without one it resolves as well: reports stay in memory, and the store is tried again. Rejects
   * with `conflict` if another process uses it.
   */
  async open(): Promise<void> {
    await this.#tryOpen();
    if (!this.#isUp && !this.#isSpilling) this.#spillLater();
  }

  async #tryOpen(): Promise<void> {
    try {
      await this.#openDisk();
    } catch (thrown) {
      const error = tailraceErrorFrom(thrown);
      // Only at the start: later, another process may have the folder for a while.
      if (error.code === 'conflict' && !this.#isFull) throw error;
      const { logger, clock } = this.#options;
      logger.error({ error }, 'the store cannot be opened; reports stay in memory, and it is tried again');
      this.#isWithoutStore = true;
      if (!this.#isClosed) this.#openTimer = clock.after(openRetryMs, () => void this.#tryOpen());
    }
  }

  async #openDisk(): Promise<void> {
    const { disk, isReplaced } = await this.#options.openDisk();
    let session: Session;
    try {
      session = await openSession(disk, this.#stream);
    } catch (thrown) {
      await disk.close();
      throw thrown;
    }
    if (this.#isClosed) return disk.close();
    const losses = disk.meta('losses') as StoredLosses | undefined;
    this.#stored = new StoredEntries(disk, this.#options.logger);
    this.#isWithoutStore = false;
    this.#writer.stored = this.#stored;
    this.#stream = session.stream;
    this.#shift(session.first - 1);
    if (losses !== undefined) this.losses.restore(losses);
    this.#sentBefore.remember((disk.meta('sent') as readonly SentRange[] | undefined) ?? []);
    if (session.isAfterCrash) this.#lost('crash', unknownLoss, session.first);
    if (isReplaced) this.#lost('damaged_store', unknownLoss, session.first);
    // What is on disk comes before what is in memory.
    if (this.#isUp && this.#storedReports > 0) this.#toSpill();
    else if (!this.#isUp && (this.#storedReports > 0 || this.#isSpilling)) this.#startSpilling();
  }

  /**
   * The numbers so far are `by` higher: they go on behind those of the store. Those of reports that were acknowledged
   * already count as well, since a new store has the stream of the IDs that they had.
   */
  #shift(by: number): void {
    for (const { entries } of this.#inFlight) for (const entry of entries) entry.number += by;
    this.#memory.shift(by);
    this.#sentBefore.shift(by);
    this.losses.shift(by);
    this.#next += by;
    this.#liveFrom += by;
  }

  /** Takes a report without an ID: it gets one. At the limit a report is dropped, and reported as lost. */
  put(report: Omit<Report, 'id'>): void {
    const number = this.#next++;
    const entry = entryFrom(number, { ...report, id: `${this.#stream}-${number.toString(36)}` });
    this.#memory.put(this.#isSpilling ? 'spill' : 'live', entry);
    if (this.#isSpilling) this.#writer.schedule();
    const { memoryBytesMax } = this.#options;
    if (this.#memory.bytes > memoryBytesMax / 2 && !this.#isFull && !this.#writer.isWriting) {
      this.#toSpill();
      this.#writer.start();
    }
    if (this.#memory.bytes > memoryBytesMax) this.#dropFromMemory();
  }

  /** The link accepts batches. */
  linkUp(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#isSpilling = false;
    this.#spillTimer?.cancel();
    this.#writer.cancelSchedule();
    // Only what was on its way to the disk is the backlog: a short interruption leaves everything live.
    this.#liveFrom = this.#memory.live[0]?.number ?? this.#next;
    this.#stored?.rewind();
  }

  /** The link is lost: all batches in flight are void. */
  linkDown(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#sentBefore.remember(this.#rangesInFlight);
    for (const batch of [...this.#inFlight]) this.returned(batch);
    if (this.#hasBacklog) this.#startSpilling();
    else this.#spillLater();
  }

  get #rangesInFlight(): SentRange[] {
    return [...this.#inFlight].map(sentRangeOf).filter((range) => range !== undefined);
  }

  #spillLater(): void {
    this.#spillTimer = this.#options.clock.after(spillAfterMs, () => this.#startSpilling());
  }

  #startSpilling(): void {
    this.#isSpilling = true;
    this.#toSpill();
    this.#saveSent();
    this.#writer.start();
  }

  /** What is live and not in flight becomes part of the backlog. */
  #toSpill(): void {
    this.#memory.toSpill();
    this.#liveFrom = this.#next;
  }

  /**
   * Returns the next batch of a queue, which is then in flight; undefined while the link is down or the queue has
   * nothing to send. `live` first: the caller sends the backlog only beside it. Before both come the batches that were
   * in flight when the link was lost or the process stopped, unchanged, whatever the limits.
   */
  next(queue: 'live' | 'backlog', limits: BatchLimits): Batch | undefined {
    if (!this.#isUp) return undefined;
    const batch = this.#nextAgain() ?? (queue === 'live' ? this.#nextLive(limits) : this.#nextOfBacklog(limits));
    if (batch === undefined) return undefined;
    this.#inFlight.add(batch);
    // What is in memory is lost with this process, and needs no ID of the next one.
    if (batch.isOnDisk) this.#saveSent();
    return batch;
  }

  #nextAgain(): Batch | undefined {
    for (const range of this.#sentBefore.all) {
      // At no place while it is written: then it is its turn in a moment.
      if (range.last >= this.#writingFrom) continue;
      this.#sentBefore.forget(range);
      const { lossId } = range;
      const hasLoss = lossId !== '';
      if (hasLoss && (this.#isLossInFlight || this.losses.sentId !== lossId)) continue;
      const batch = this.#takeRange(range, hasLoss);
      if (batch !== undefined) return batch;
    }
    return undefined;
  }

  /** Returns the entries of a batch that was sent before as a batch; undefined if some are gone or in another place. */
  #takeRange(range: SentRange, hasLoss: boolean): Batch | undefined {
    const stored = this.#stored?.readRange(range) ?? [];
    if (stored.length === range.count) {
      this.#stored!.takeRange(stored);
      return this.#batch('backlog', stored, hasLoss, true);
    }
    const taken = this.#memory.takeRange(range);
    return taken && this.#batch(taken.queue, taken.entries, hasLoss, false);
  }

  /** The lowest number that is being written. */
  get #writingFrom(): number {
    return this.#writer.writing[0]?.number ?? Number.POSITIVE_INFINITY;
  }

  #nextLive(limits: BatchLimits): Batch | undefined {
    const place = this.#lossPlace;
    const { live } = this.#memory;
    const first = live[0];
    const isBefore = !this.#hasBacklog || (place !== undefined && place >= this.#liveFrom);
    if (first === undefined) {
      // Nothing follows the gap yet.
      if (place === undefined || this.#hasBacklog || this.#inFlight.size > 0) return undefined;
      return this.#batch('live', [], true, false);
    }
    const isLossDue = place !== undefined && isBefore && first.number >= place;
    const until = isLossDue || place === undefined || !isBefore ? Number.POSITIVE_INFINITY : place;
    const bound = this.#sentBefore.bound(first.number, this.#writingFrom);
    const count = fittingCount(live, Math.min(until, bound), besideLoss(limits, isLossDue));
    return this.#batch('live', this.#memory.take('live', count), isLossDue, false);
  }

  #nextOfBacklog(limits: BatchLimits): Batch | undefined {
    // What is being written comes before the rest, and is on disk in a moment.
    const written = Math.min(this.#writingFrom, this.#liveFrom);
    const damaged: number[] = [];
    const stored = this.#stored?.read(written, limits, damaged) ?? [];
    if (damaged.length > 0) this.#discard(damaged);
    const place = this.#lossPlace;
    const { spill } = this.#memory;
    const [inMemory, onDisk] = [spill[0], stored[0]];
    const isOnDisk = inMemory === undefined || (onDisk !== undefined && onDisk.number < inMemory.number);
    const source = isOnDisk ? stored : spill;
    const first = source[0];
    if (first === undefined || first.number >= written) return undefined;
    const isLossDue = place !== undefined && first.number >= place;
    const other = (isOnDisk ? inMemory : onDisk)?.number ?? Number.POSITIVE_INFINITY;
    const bound = this.#sentBefore.bound(first.number, this.#writingFrom);
    if (bound <= first.number) return undefined;
    const until = Math.min(written, other, bound, isLossDue || place === undefined ? Number.POSITIVE_INFINITY : place);
    const entries = source.slice(0, fittingCount(source, until, besideLoss(limits, isLossDue)));
    if (isOnDisk) this.#stored!.take(entries);
    else this.#memory.take('spill', entries.length);
    return this.#batch('backlog', entries, isLossDue, isOnDisk);
  }

  /** Values that this program did not write. */
  #discard(numbers: readonly number[]): void {
    void this.#stored!.remove(numbers);
    this.#lost('damaged_store', { ...unknownLoss, reports: numbers.length }, numbers.at(-1)! + 1);
  }

  get #lossPlace(): number | undefined {
    return this.#isLossInFlight ? undefined : this.losses.place;
  }

  #batch(queue: Batch['queue'], entries: readonly Entry[], hasLoss: boolean, isOnDisk: boolean): Batch {
    const { device, clock } = this.#options;
    const loss = hasLoss ? encodeReport(this.losses.report(device, clock.now())) : undefined;
    if (hasLoss) {
      this.#isLossInFlight = true;
      this.#saveLosses();
    }
    const lossId = hasLoss ? this.losses.sentId : '';
    const id = batchId(this.#stream, entries, lossId);
    return batchOf({ id, queue, entries, loss, lossId, isOnDisk });
  }

  /**
   * The batch is in the log. `refused`: numbers of reports that the receiver will never accept; they are lost. Ignored
   * for a batch that was returned.
   */
  acked(batch: Batch, refused: ReadonlySet<number> = new Set()): void {
    if (!this.#inFlight.delete(batch)) return;
    if (batch.loss !== undefined) {
      this.#isLossInFlight = false;
      this.losses.acked();
      this.#saveLosses();
    }
    if (batch.isOnDisk) void this.#stored!.remove(batch.entries.map(({ number }) => number));
    else this.#memory.release(batch.entries);
    const gone = batch.entries.filter(({ number }) => refused.has(number));
    if (gone.length > 0) this.#lost('refused', sumOf(gone), batch.entries.at(-1)!.number + 1);
  }

  /** The batch was not accepted: its reports are sent again, in their places. Ignored for one that was returned. */
  returned(batch: Batch): void {
    if (!this.#inFlight.delete(batch)) return;
    if (batch.loss !== undefined) this.#isLossInFlight = false;
    const { entries, queue, isOnDisk } = batch;
    if (isOnDisk) this.#stored!.release(entries);
    else this.#memory.putBack(queue === 'live' ? 'live' : 'spill', entries);
  }

  /** Writes what is in memory to the disk, as far as it accepts it, and closes the store. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.linkDown();
    this.#writer.retryNow();
    this.#startSpilling();
    await this.#writer.stop();
    this.#isClosed = true;
    for (const timer of [this.#spillTimer, this.#openTimer, this.#lossTimer]) timer?.cancel();
    const isClean = this.#memory.count === 0;
    if (!isClean) {
      this.#options.logger.error({ reports: this.#memory.count }, 'the store is full or not open: reports are lost');
    }
    const disk = this.#stored?.disk;
    if (disk === undefined) return;
    // The next process counts on from the last number, not from the end of the block.
    try {
      await disk.putMeta('losses', this.losses.toStored());
      await disk.putMeta('sent', this.#sentBefore.all);
      await closeSession(disk, this.#stream, this.#next, isClean);
    } catch (error) {
      this.#options.logger.error({ error }, 'the store could not be closed in order');
    }
    await disk.close();
  }

  /** At the limit of memory: the disk is full, or too slow. */
  #dropFromMemory(): void {
    const { memoryBytesMax, drops } = this.#options;
    const gone = this.#memory.drop(drops, memoryBytesMax);
    if (gone.length === 0) return;
    const reason = this.#isFull ? 'disk_full' : `limit_${drops}`;
    this.#lost(reason as LossReason, sumOf(gone), Math.max(...gone.map(({ number }) => number)) + 1);
  }

  #lost(reason: LossReason, lost: LostReports, place: number): void {
    const isNewest = place >= this.#next;
    // From the numbers of reports, which are never used twice.
    const id = `${this.#stream}-L${(this.#next++).toString(36)}`;
    this.#options.onLost?.(reason, lost.reports);
    this.losses.add(reason, lost, isNewest ? this.#next : place, id);
    this.#saveLosses();
  }

  /** Stores which batches are sent first after a restart. Those that are acknowledged meanwhile are gone then. */
  #saveSent(): void {
    const ranges = [...this.#sentBefore.all, ...this.#rangesInFlight];
    // Without it they are sent again as other batches.
    void this.#stored?.disk.putMeta('sent', ranges).catch(() => {});
  }

  #saveLosses(): void {
    if (this.#isClosed) return;
    this.#lossTimer ??= this.#options.clock.after(commitMs, () => {
      this.#lossTimer = undefined;
      // Tried again with the next loss, and at the stop.
      void this.#stored?.disk.putMeta('losses', this.losses.toStored()).catch(() => {});
    });
  }
}

/** The report of a loss is one of the reports of its batch. */
function besideLoss(limits: BatchLimits, hasLoss: boolean): BatchLimits {
  return hasLoss ? { ...limits, reportsMax: Math.max(1, limits.reportsMax - 1) } : limits;
}
