import type { EventLog, LogRecord, NewRecord } from '@tailrace/eventlog/event-log';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';

const { AlarmCheckpoint } = tailrace.v1;

/** Devices of one append, which are encoded in one turn of the event loop: about a millisecond. */
export const devicesPerAppend = 100;
const warningEveryMs = 60_000;

/** Positions of one partition: everything before them is covered. */
export interface Covered {
  readonly telemetry: number;
  readonly events: number;
}

export interface RestoredDevice extends Covered {
  readonly state: Uint8Array;
  readonly transitions: readonly tailrace.v1.IAlarmTransition[];
}

/** The checkpoints of one partition. */
export interface RestoredPartition {
  /** By device path. */
  readonly devices: ReadonlyMap<string, RestoredDevice>;
  /** The topics are read from these positions. Undefined: there is no checkpoint. */
  readonly covered: Covered | undefined;
  /** Position of the last `AlarmOwner` that the checkpoints know; 0: none. */
  readonly owner: number;
  /** The states know of each interruption of the log before this time, epoch ms by the clock of the owner; 0: none. */
  readonly answeredMs: number;
}

export interface AlarmCheckpointsOptions {
  readonly eventLog: Pick<EventLog, 'append' | 'read'>;
  readonly topic: string;
  /** Of the telemetry topic. */
  readonly epoch: string;
  /** By partition: the key of its own checkpoint, see `partitionKeys`. */
  readonly keys: readonly string[];
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * Stores the state of alarms in a compacted topic. A checkpoint writes the changed devices of a partition, and then the
 * positions up to which all of its devices are covered. The next owner reads the states, and both topics from these
 * positions on; each state has its own positions, which may be later, after a checkpoint that was not completed.
 *
 * A process that has lost the partition, and does not know it yet, may write a state that is older than the one it
 * replaces. Its records have a lower owner than a record before them. So the topics are read from their positions.
 */
export class AlarmCheckpoints {
  readonly counts = {
    records: 0,
    failures: 0,
    /** States that the topic does not take, since they are too large: the device loses them at the next takeover. */
    refused: 0,
    unreadable: 0,
  };
  readonly #options: AlarmCheckpointsOptions;
  readonly #onRefused: LimitedWarning;
  readonly #onUnreadable: LimitedWarning;

  constructor(options: AlarmCheckpointsOptions) {
    this.#options = options;
    const { logger, now } = options;
    const limited = (sentence: string) => new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, now);
    this.#onRefused = limited('the log does not take the alarms of a device; a takeover loses them');
    this.#onUnreadable = limited('a record of the checkpoints of alarms cannot be read; skipped');
  }

  /** Reads the checkpoints of a partition. Rejects if the log cannot be read. */
  async restore(partition: number): Promise<RestoredPartition> {
    const { eventLog, topic, epoch, keys } = this.#options;
    const devices = new Map<string, RestoredDevice>();
    let covered: Covered | undefined;
    let hidden: Covered = { telemetry: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY };
    let owner = 0;
    let answeredMs = 0;
    for await (const records of eventLog.read(topic, partition, { from: 0 })) {
      for (const record of records) {
        const { key, value, timeMs, unreadable, emptyUntil } = record;
        if (emptyUntil !== undefined) continue;
        if (unreadable === undefined && value.length === 0) {
          devices.delete(key);
          continue;
        }
        const checkpoint = this.#checkpointFrom(partition, record);
        if (checkpoint === undefined || checkpoint.epoch !== epoch) continue;
        const { telemetry, events, state, transitions } = checkpoint;
        if (checkpoint.owner < owner) hidden = earlier(hidden, { telemetry, events });
        owner = Math.max(owner, checkpoint.owner);
        if (key === keys[partition]) {
          covered = { telemetry, events };
          // What a process writes that has lost the partition does not have the states of the owner.
          const isOfOwner = checkpoint.owner === owner || answeredMs === 0;
          const writtenMs = checkpoint.answeredMs || timeMs;
          answeredMs = isOfOwner ? writtenMs : Math.min(answeredMs, writtenMs);
        } else devices.set(key, { telemetry, events, state, transitions });
      }
    }
    if (covered !== undefined) covered = earlier(covered, hidden);
    return { devices, covered, owner, answeredMs };
  }

  /** Appends states of devices. Rejects if the log is unavailable; a state that is too large is counted. */
  async append(records: readonly NewRecord[]): Promise<void> {
    const { eventLog, topic } = this.#options;
    try {
      await eventLog.append(topic, records);
      this.counts.records += records.length;
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'too_large') throw error;
      if (records.length > 1) {
        const half = records.length >> 1;
        await this.append(records.slice(0, half));
        await this.append(records.slice(half));
        return;
      }
      const { key, value } = records[0]!;
      this.counts.refused++;
      this.#onRefused.write(() => ({ device: key, bytes: value.length, error }));
    }
  }

  /** Returns the record of a device. */
  deviceRecord(
    device: string,
    owner: number,
    { telemetry, events }: Covered,
    state: Uint8Array,
    transitions: tailrace.v1.IAlarmTransition[],
  ): NewRecord {
    const { epoch } = this.#options;
    const value = AlarmCheckpoint.encode({ epoch, owner, telemetry, events, state, transitions }).finish();
    return { key: device, value };
  }

  /** Returns the record of a whole partition. `answeredMs`: see `RestoredPartition`. */
  partitionRecord(partition: number, owner: number, { telemetry, events }: Covered, answeredMs: number): NewRecord {
    const { epoch, keys } = this.#options;
    const value = AlarmCheckpoint.encode({ epoch, owner, telemetry, events, answeredMs }).finish();
    return { key: keys[partition]!, value };
  }

  #checkpointFrom(
    partition: number,
    { seq, key, value, unreadable }: LogRecord,
  ): tailrace.v1.AlarmCheckpoint | undefined {
    try {
      if (unreadable === undefined) return AlarmCheckpoint.decode(value);
    } catch {
      // Counted below.
    }
    this.counts.unreadable++;
    this.#onUnreadable.write(() => ({ partition, seq, key }));
    return undefined;
  }
}

function earlier(a: Covered, b: Covered): Covered {
  return { telemetry: Math.min(a.telemetry, b.telemetry), events: Math.min(a.events, b.events) };
}
