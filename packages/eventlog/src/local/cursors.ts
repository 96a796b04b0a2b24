import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { LogBatch, StartPositions } from '../eventlog.ts';
import type { PartitionEnds, Store, StoredTopic } from './store.ts';

interface Hold {
  /** On its way to another member: nothing more is handed over. */
  withheld: boolean;
  /** Gone to another member: commits do not count any more. */
  disowned: boolean;
}

/** Where a member is in one partition of one topic. */
export interface Cursor extends Hold {
  readonly topic: StoredTopic;
  readonly partition: number;
  readonly ends: PartitionEnds;
  /** The next position to hand over. */
  seq: number;
}

/** What one member has of its topics, and where it is in each. */
export class Cursors {
  readonly #store: Store;
  readonly #topics: readonly StoredTopic[];
  readonly #group: string;
  readonly #report: (error: Error) => void;
  readonly #onBegun: () => void;
  #partitions: readonly number[] = [];
  #cursors: Cursor[] = [];
  /** Partitions whose start the subscriber does not know yet. */
  readonly #starting = new Map<number, Hold>();
  #tookAll = true;
  #turn = 0;

  /** `onBegun`: a partition whose start was not known can be read now. */
  constructor(parts: {
    readonly store: Store;
    readonly topics: readonly StoredTopic[];
    readonly group: string;
    report(error: Error): void;
    onBegun(): void;
  }) {
    this.#store = parts.store;
    this.#topics = parts.topics;
    this.#group = parts.group;
    this.#report = parts.report;
    this.#onBegun = parts.onBegun;
  }

  partitions(): readonly number[] {
    return this.#partitions;
  }

  owns(topic: string, partition: number): boolean {
    return this.#cursors.some(
      (cursor) => cursor.partition === partition && cursor.topic.info.name === topic && !cursor.disowned,
    );
  }

  /** Records that could be handed over now. */
  waiting(): number {
    let records = 0;
    for (const cursor of this.#cursors) {
      if (!cursor.withheld) records += Math.max(0, cursor.ends.next - Math.max(cursor.seq, cursor.ends.first));
    }
    return records;
  }

  /** All that has come since the last time, of all partitions, each its fair share where it does not fit. */
  take(recordsMax: number, bytesMax: number): LogBatch[] {
    const ready = this.#cursors.filter((cursor) => !cursor.withheld && cursor.seq < cursor.ends.next);
    const batches: LogBatch[] = [];
    this.#tookAll = true;
    let recordsLeft = recordsMax;
    let bytesLeft = bytesMax;
    this.#turn++;
    for (let n = 0; n < ready.length; n++) {
      if (recordsLeft <= 0) {
        this.#tookAll = false;
        break;
      }
      // Another first one each time: where there is room for few, all have their turn.
      const cursor = ready[(this.#turn + n) % ready.length]!;
      const { topic, partition, ends } = cursor;
      const share = ready.length - n;
      const records = this.#store.slice(topic, partition, {
        from: cursor.seq,
        until: ends.next,
        recordsMax: Math.ceil(recordsLeft / share),
        bytesMax: Math.ceil(bytesLeft / share),
      });
      cursor.seq = records.length === 0 ? ends.next : records[records.length - 1]!.seq + 1;
      if (records.length === 0) continue;
      recordsLeft -= records.length;
      for (const record of records) bytesLeft -= record.value.length;
      bytesLeft = Math.max(bytesLeft, 0);
      if (cursor.seq < ends.next) this.#tookAll = false;
      batches.push({ topic: topic.info.name, partition, records });
    }
    return batches;
  }

  /** Whether the last `take` left nothing behind. */
  tookAll(): boolean {
    return this.#tookAll;
  }

  /** As if the batch had not been taken. */
  rewind(batch: LogBatch): void {
    for (const cursor of this.#cursors) {
      if (cursor.partition !== batch.partition || cursor.topic.info.name !== batch.topic) continue;
      cursor.seq = batch.records[0]!.seq;
    }
  }

  withhold(partitions: readonly number[]): void {
    for (const cursor of this.#cursors) if (partitions.includes(cursor.partition)) cursor.withheld = true;
    for (const [partition, hold] of this.#starting) if (partitions.includes(partition)) hold.withheld = true;
  }

  withheld(): number[] {
    return this.#cursors.filter((cursor) => cursor.withheld).map((cursor) => cursor.partition);
  }

  disown(partitions: readonly number[]): void {
    for (const cursor of this.#cursors) if (partitions.includes(cursor.partition)) cursor.disowned = true;
    for (const [partition, hold] of this.#starting) if (partitions.includes(partition)) hold.disowned = true;
  }

  changeTo(partitions: readonly number[]): { gained: number[]; lost: number[] } {
    return {
      gained: partitions.filter((partition) => !this.#partitions.includes(partition)),
      lost: this.#partitions.filter((partition) => !partitions.includes(partition)),
    };
  }

  /** From now on these. Those that it had go on where they were. */
  move(partitions: readonly number[], starts: StartPositions | undefined): void {
    const { gained, lost } = this.changeTo(partitions);
    for (const partition of lost) this.#starting.delete(partition);
    const kept = this.#cursors.filter((cursor) => partitions.includes(cursor.partition));
    for (const held of [...kept, ...this.#starting.values()]) {
      held.withheld = false;
      held.disowned = false;
    }
    this.#cursors = kept;
    this.#partitions = partitions;
    for (const partition of gained) {
      const asked = this.#topics.map(({ info }) => starts?.[info.name]?.[partition]);
      if (asked.some((position) => typeof position === 'object')) void this.#beginLater(partition, asked);
      else this.#begin(partition, asked as (number | undefined)[], { withheld: false, disowned: false });
    }
  }

  /** `asked`: by topic. */
  #begin(partition: number, asked: readonly (number | undefined)[], { withheld, disowned }: Hold): void {
    for (const [index, topic] of this.#topics.entries()) {
      const ends = topic.partitions[partition]!;
      const seq = this.#start(topic, partition, asked[index]);
      this.#cursors.push({ topic, partition, ends, seq, withheld, disowned });
    }
  }

  /** When the subscriber knows where; unless the partition has been lost meanwhile. */
  async #beginLater(partition: number, asked: readonly (number | Promise<number> | undefined)[]): Promise<void> {
    const hold: Hold = { withheld: false, disowned: false };
    this.#starting.set(partition, hold);
    try {
      const known = await Promise.all(asked);
      if (this.#starting.get(partition) !== hold) return;
      this.#begin(partition, known, hold);
    } catch (thrown) {
      if (this.#starting.get(partition) !== hold) return;
      this.#report(thrown instanceof Error ? thrown : tailraceErrorFrom(thrown));
    }
    this.#starting.delete(partition);
    this.#onBegun();
  }

  #start(topic: StoredTopic, partition: number, asked: number | undefined): number {
    const { first, next } = topic.partitions[partition]!;
    const { name } = topic.info;
    const start = asked ?? this.#store.committed(this.#group, name, partition) ?? first;
    if (Number.isSafeInteger(start) && start >= 0 && start <= next) return Math.max(start, first);
    // A position of another epoch, or of a log that was restored from an older copy: Kafka, too, begins again at the first.
    const why = `position ${start} of ${name}/${partition} lies outside ${first} to ${next}; starting at ${first}`;
    this.#report(new TailraceError('invalid_position', why));
    return first;
  }
}
