import { TailraceError } from '@tailrace/protocol/error';
import type { Transaction } from './disk-space.ts';

/** A write in one transaction, possibly together with others. */
export interface Write {
  /** Writes of one flow keep their order. Those of different flows, such as senders, take turns. */
  readonly flow: unknown;
  readonly bytes: number;
  /** Default: 1. */
  readonly records?: number;
  /** Whether it only deletes: it is tried also on a full disk, and never refused. */
  readonly frees?: boolean;
  /** Adds its operations to the open transaction. Called once. */
  apply(): void;
  /** Called when it is on disk. */
  done?(): void;
}

export interface GroupCommitOptions {
  /** Runs `apply` in one transaction. Resolves when it is flushed to disk. */
  transaction(apply: () => void, size: Transaction): Promise<void>;
  /** Called when a group has failed: none of it is on disk. */
  failed(thrown: unknown): void;
  /** Called after each group that is on disk. */
  committed(): void;
  /** Most bytes and records of one transaction. A larger write has its own transaction. */
  readonly groupBytesMax: number;
  readonly groupRecordsMax: number;
  /** Most bytes that wait. Beyond it a write is refused as `unavailable`, unless it frees space. */
  readonly pendingBytesMax: number;
}

interface Pending {
  readonly write: Write;
  resolve(): void;
  reject(thrown: unknown): void;
}

/**
 * Group commit: while one transaction is flushed, further writes are collected for the next. The flush is the linger: a
 * single writer waits for one flush, and a thousand share one.
 *
 * The flows that wait take turns, one write each: a report does not wait for the thousands of records of a checkpoint,
 * or of another sender, only for those of them in one transaction.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  /** By flow, the writes that wait; never empty. The flow whose turn it is comes first. */
  readonly #queues = new Map<unknown, Pending[]>();
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
    const refused = write.frees === true ? undefined : this.#refused(write.bytes);
    return refused === undefined ? this.#enqueue(write) : Promise.reject(refused);
  }

  /**
   * Writes in this order, in one or several transactions. Resolves when all are on disk; after a rejection the first
   * ones may be. At the limit all are refused.
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
    const why = `expected at most ${pendingBytesMax} bytes that wait for the disk, got ${this.#queueBytes + bytes}`;
    return new TailraceError('unavailable', `the log is overloaded: ${why}; retry later`);
  }

  #enqueue(write: Write): Promise<void> {
    this.#queueBytes += write.bytes;
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(write.flow);
      if (queue === undefined) this.#queues.set(write.flow, [{ write, resolve, reject }]);
      else queue.push({ write, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when the queue is empty. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Writes of the same turn of the event loop share the transaction.
    await undefined;
    while (this.#queues.size > 0) {
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
      // Readers first, then writers: a writer whose promise is resolved can read its records.
      this.#options.committed();
      for (const { write, resolve } of group) {
        write.done?.();
        resolve();
      }
    }
    this.#running = undefined;
  }

  /**
   * Rejects also the writes that wait, which would fail in the same way. Only those that free space are still tried.
   */
  #fail(group: readonly Pending[], thrown: unknown): void {
    this.#options.failed(thrown);
    const refused: Pending[] = [];
    this.#queueBytes = 0;
    for (const [flow, queue] of this.#queues) {
      const kept: Pending[] = [];
      for (const pending of queue) {
        if (pending.write.frees === true) {
          kept.push(pending);
          this.#queueBytes += pending.write.bytes;
        } else refused.push(pending);
      }
      if (kept.length > 0) this.#queues.set(flow, kept);
      else this.#queues.delete(flow);
    }
    for (const { reject } of group) reject(thrown);
    for (const { reject } of refused) reject(thrown);
  }

  #take(): Pending[] {
    const { groupBytesMax, groupRecordsMax } = this.#options;
    const group: Pending[] = [];
    let bytes = 0;
    let records = 0;
    const taken = new Map<Pending[], number>();
    // A flow that has more writes is added again, behind the others: the loop comes to it once more. One whose next
    // write does not fit stays where it is, and comes first in the next transaction.
    for (const [flow, queue] of this.#queues) {
      const at = taken.get(queue) ?? 0;
      const pending = queue[at]!;
      const more = pending.write.records ?? 1;
      if (group.length > 0 && (bytes + pending.write.bytes > groupBytesMax || records + more > groupRecordsMax))
        continue;
      bytes += pending.write.bytes;
      records += more;
      group.push(pending);
      taken.set(queue, at + 1);
      this.#queues.delete(flow);
      if (at + 1 < queue.length) this.#queues.set(flow, queue);
    }
    // Once for a flow, not for each of its writes: there may be hundreds of thousands.
    for (const [queue, count] of taken) queue.splice(0, count);
    this.#queueBytes -= bytes;
    return group;
  }
}
