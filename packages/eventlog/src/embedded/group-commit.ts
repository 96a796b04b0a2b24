import { TailraceError } from '@tailrace/protocol/error';
import type { Transaction } from './disk-space.ts';

/** One write that is all in one transaction, with others of its time. */
export interface Write {
  readonly bytes: number;
  /** Default: 1. */
  readonly records?: number;
  /** It deletes: worth trying although the disk is full. */
  readonly frees?: boolean;
  /** Puts everything into the open transaction. Called once. */
  apply(): void;
  /** It is on disk. */
  done?(): void;
}

export interface GroupCommitOptions {
  /** Runs `apply` inside one transaction; resolves when it is flushed to disk. */
  transaction(apply: () => void, size: Transaction): Promise<void>;
  /** Nothing of the group under way is on disk. */
  failed(thrown: unknown): void;
  /** After each group that is on disk. */
  committed(): void;
  /** Most bytes in one transaction, and most records: a write over a limit has a transaction of its own. */
  readonly groupBytesMax: number;
  readonly groupRecordsMax: number;
  /** Most bytes that wait; beyond, a write is refused as `unavailable`. */
  readonly pendingBytesMax: number;
}

interface Pending {
  readonly write: Write;
  resolve(): void;
  reject(thrown: unknown): void;
}

/**
 * Group commit: while one transaction is being flushed, what arrives is gathered for the next. The wait for the disk is
 * the linger: a lone writer waits for one flush, a thousand share one.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #queue: Pending[] = [];
  #queueBytes = 0;
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Bytes that wait to be written. */
  get pendingBytes(): number {
    return this.#queueBytes;
  }

  get pendingBytesMax(): number {
    return this.#options.pendingBytesMax;
  }

  write(write: Write): Promise<void> {
    const refused = this.#refused(write.bytes);
    return refused === undefined ? this.#enqueue(write) : Promise.reject(refused);
  }

  /**
   * Writes in this order, in as many transactions as it takes. Resolves when all are on disk; after a rejection the
   * first ones may be. All of them are refused at the limit, or none is.
   */
  async writeAll(writes: readonly Write[]): Promise<void> {
    let bytes = 0;
    for (const write of writes) bytes += write.bytes;
    const refused = this.#refused(bytes);
    if (refused !== undefined) throw refused;
    await Promise.all(writes.map((write) => this.#enqueue(write)));
  }

  #refused(bytes: number): TailraceError | undefined {
    const { pendingBytesMax } = this.#options;
    if (this.#queueBytes === 0 || this.#queueBytes + bytes <= pendingBytesMax) return undefined;
    const why = `${this.#queueBytes} bytes wait to be written to disk; at most ${pendingBytesMax}`;
    return new TailraceError('unavailable', `the log is behind: ${why}; try again shortly`);
  }

  #enqueue(write: Write): Promise<void> {
    this.#queueBytes += write.bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // What is written in the same turn shares the transaction.
    await undefined;
    while (this.#queue.length > 0) {
      const group = this.#take();
      try {
        const size = { bytes: 0, frees: true };
        for (const { write } of group) {
          size.bytes += write.bytes;
          size.frees &&= write.frees === true;
        }
        await this.#options.transaction(() => {
          for (const { write } of group) write.apply();
        }, size);
      } catch (thrown) {
        this.#fail(group, thrown);
        continue;
      }
      // First what readers see, then the answers: who got one can read what it wrote.
      this.#options.committed();
      for (const { write, resolve } of group) {
        write.done?.();
        resolve();
      }
    }
    this.#running = undefined;
  }

  /** What waits would fail in the same way, one transaction after the other; only what frees space is still tried. */
  #fail(group: readonly Pending[], thrown: unknown): void {
    this.#options.failed(thrown);
    const waiting = this.#queue;
    this.#queue = waiting.filter(({ write }) => write.frees === true);
    this.#queueBytes = this.#queue.reduce((sum, { write }) => sum + write.bytes, 0);
    for (const { reject } of group) reject(thrown);
    for (const { write, reject } of waiting) if (write.frees !== true) reject(thrown);
  }

  #take(): Pending[] {
    const { groupBytesMax, groupRecordsMax } = this.#options;
    let count = 0;
    let bytes = 0;
    let records = 0;
    for (const { write } of this.#queue) {
      const more = write.records ?? 1;
      if (count > 0 && (bytes + write.bytes > groupBytesMax || records + more > groupRecordsMax)) break;
      bytes += write.bytes;
      records += more;
      count++;
    }
    this.#queueBytes -= bytes;
    return this.#queue.splice(0, count);
  }
}
