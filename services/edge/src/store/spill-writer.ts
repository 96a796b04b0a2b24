import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import { type BatchLimits, bytesOf, type Entry, entryBytes, fittingCount } from './entry.ts';
import type { LossReason } from './loss.ts';
import type { MemoryEntries } from './memory-entries.ts';
import type { StoredEntries } from './stored-entries.ts';

export interface SpillWriterOptions {
  readonly memory: MemoryEntries;
  /** Which reports are dropped at a limit. */
  readonly drops: 'oldest' | 'newest';
  readonly memoryBytesMax: number;
  readonly storeBytesMax: number;
  /** Whether what is in `spill` has to be on disk. With the link up, a little is sent from memory. */
  readonly mustWrite: () => boolean;
  /** Called with entries that were dropped, ascending. */
  readonly onLost: (reason: LossReason, gone: readonly Entry[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A transaction starts after this time or size: flash memory wears out by the number of its writes. */
export const commitMs = 250;
const commitBytes = 262_144;
const writeLimits: BatchLimits = { reportsMax: 2_000, bytesMax: commitBytes };
const fullRetryMs = 500;
const warningEveryMs = 30_000;

/**
 * Writes the spill of the memory to the disk, the lowest numbers first, one transaction at a time, and keeps the store
 * within its limit. A write that the disk refuses is tried again every half second.
 */
export class SpillWriter {
  /** Undefined: not open yet. */
  stored: StoredEntries | undefined;
  /** Entries of the transaction that runs: not in memory's queues, and not on disk. */
  writing: readonly Entry[] = [];
  /** Whether the disk has refused the last write. */
  isFull = false;
  readonly #options: SpillWriterOptions;
  readonly #fullWarning: LimitedWarning;
  #commitTimer: Timer | undefined;
  #fullTimer: Timer | undefined;
  #run: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: SpillWriterOptions) {
    this.#options = options;
    const { logger, clock } = options;
    this.#fullWarning = new LimitedWarning(
      logger.warn.bind(logger),
      'the store does not accept reports; they stay in memory',
      warningEveryMs,
      () => clock.monotonic(),
    );
  }

  get isWriting(): boolean {
    return this.#run !== undefined;
  }

  /** Starts soon, so that reports of some time are one transaction. */
  schedule(): void {
    if (this.#options.memory.spillBytes >= commitBytes) this.start();
    else this.#commitTimer ??= this.#options.clock.after(commitMs, () => this.start());
  }

  cancelSchedule(): void {
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
  }

  /** Starts to write, unless it does so already, or waits for space. */
  start(): void {
    this.cancelSchedule();
    if (this.#fullTimer !== undefined || this.stored === undefined || this.#run !== undefined) return;
    this.#run = this.#write(this.stored).finally(() => {
      this.#run = undefined;
    });
  }

  /** The next `start` does not wait for space. */
  retryNow(): void {
    this.#fullTimer?.cancel();
    this.#fullTimer = undefined;
  }

  /** Resolves when what was started is written, or refused. Nothing is tried again. */
  async stop(): Promise<void> {
    while (this.#run !== undefined) await this.#run;
    this.#isStopped = true;
    this.cancelSchedule();
    this.retryNow();
  }

  async #write(stored: StoredEntries): Promise<void> {
    const { memory, mustWrite } = this.#options;
    while (memory.spill.length > 0 && mustWrite()) {
      this.writing = memory.take('spill', fittingCount(memory.spill, Number.POSITIVE_INFINITY, writeLimits));
      try {
        await this.#makeSpace(stored);
        await stored.put(this.writing);
        memory.release(this.writing);
        this.isFull = false;
      } catch (thrown) {
        memory.putBack('spill', this.writing);
        this.#onFull(thrown);
        return;
      } finally {
        this.writing = [];
      }
    }
  }

  #onFull(thrown: unknown): void {
    this.isFull = true;
    this.#fullWarning.write(() => ({ reason: isTailraceError(thrown) ? thrown.message : String(thrown) }));
    this.#fullTimer ??= this.#options.clock.after(fullRetryMs, () => void this.#retry());
  }

  async #retry(): Promise<void> {
    const { drops, memory, memoryBytesMax, mustWrite } = this.#options;
    // The oldest are on disk: without them there is space in the file for the newest.
    if (drops === 'oldest' && memory.bytes > memoryBytesMax / 2) {
      await this.#dropStored(this.stored!, commitBytes, 'disk_full');
    }
    this.#fullTimer = undefined;
    if (this.#isStopped) return;
    if (memory.spill.length === 0 || !mustWrite()) this.isFull = false;
    this.start();
  }

  /** Drops older entries, or some of those that are being written, so that the store is within its limit. */
  async #makeSpace(stored: StoredEntries): Promise<void> {
    const { storeBytesMax, drops, memory, onLost } = this.#options;
    const bytes = bytesOf(this.writing);
    if (drops === 'oldest') {
      for (let missing = 1; missing > 0; ) {
        missing = stored.disk.bytes + bytes - storeBytesMax;
        // What is in flight is not dropped: it is in the log, or sent again.
        if (missing > 0 && !(await this.#dropStored(stored, missing, 'limit_oldest'))) return;
      }
      return;
    }
    let left = storeBytesMax - stored.disk.bytes;
    const count = this.writing.findIndex((entry) => {
      left -= entryBytes(entry);
      return left < 0;
    });
    if (count < 0) return;
    const gone = this.writing.slice(count);
    this.writing = this.writing.slice(0, count);
    memory.release(gone);
    onLost('limit_newest', gone);
  }

  /** Resolves with whether something was dropped. */
  async #dropStored(stored: StoredEntries, bytes: number, reason: LossReason): Promise<boolean> {
    const gone = await stored.dropOldest(bytes);
    if (gone.length > 0) this.#options.onLost(reason, gone);
    return gone.length > 0;
  }
}
