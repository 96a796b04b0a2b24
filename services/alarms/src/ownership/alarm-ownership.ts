import {
  type Assignment,
  type EventLog,
  type LogBatch,
  recordEnd,
  type StartPositions,
  type Subscription,
} from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import { retry } from '@tailrace/platform/retry';
import type { tailrace } from '@tailrace/protocol/generated';
import type { Covered } from './alarm-checkpoints.ts';
import type { EventWriters } from './event-writer.ts';
import type { LogAnswers } from './log-answers.ts';
import type { PartitionAlarms } from './partition-alarms.ts';
import type { AlarmTopics, Recovery } from './recovery.ts';

/** How often the end offsets of the partitions are polled, ms. */
const tickMs = 500;
const endOffsetsWaitMs = 1_000;
/** A partition that another process has taken is taken back after this time, if the group still assigns it here. */
const fencedMs = 10_000;
/** A partition without progress for this time is stalled, ms. */
export const stalledMs = 30_000;
const retryBaseMs = 200;
const retryCapMs = 5_000;
/** Steps of the interval of checkpoints, each for an equal share of the partitions. */
const checkpointSteps = 10;
/** Devices whose rules are updated in one turn of the event loop: about a millisecond. */
const devicesPerTurn = 500;
/** Reports evaluated in one turn of the event loop. */
const recordsPerTurn = 250;

export interface AlarmOwnershipOptions {
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly topics: AlarmTopics;
  readonly group: string;
  readonly node: string;
  readonly flushMs: number;
  readonly checkpointMs: number;
  readonly writers: EventWriters;
  readonly recovery: Pick<Recovery, 'recover'>;
  readonly answers: LogAnswers;
  readonly onLogError: () => void;
  /** Called with the time that a takeover took, seconds. */
  readonly onRecovered: (seconds: number) => void;
  readonly defer: (call: () => void) => void;
}

/** A partition that the group has assigned to this node. */
interface AssignedPartition {
  readonly number: number;
  generation: number;
  /** Undefined while it is being recovered. */
  alarms: PartitionAlarms | undefined;
  /** Monotonic ms of the assignment, or of the last recovery. */
  sinceMs: number;
  /** Monotonic ms since when another process has it by the events; undefined: this node has it. */
  fencedAtMs: number | undefined;
  /** Positions up to which the group has delivered records. */
  readonly delivered: { telemetry: number; events: number };
  /** The recovery of a partition that is delivered meanwhile: further records wait for it. */
  recovering: Promise<void> | undefined;
}

/**
 * The partitions of this node: gained and lost with the assignments of the consumer group, as those of fanout are. One
 * member reads the telemetry and the events of a partition. A partition is recovered before its first record is
 * delivered.
 */
export class AlarmOwnership {
  readonly counts = { fenced: 0 };
  readonly assigned = new Map<number, AssignedPartition>();
  readonly #options: AlarmOwnershipOptions;
  #subscription: Subscription | undefined;
  #timers: Timer[] = [];
  #hasAssignment = false;
  #wasReady = false;
  #isPolling = false;
  #isStopping = false;
  #isSweeping = false;
  #isSweepDue = false;

  constructor(options: AlarmOwnershipOptions) {
    this.#options = options;
  }

  /** The recovered partitions of this node. */
  *owned(): Iterable<PartitionAlarms> {
    for (const { alarms } of this.assigned.values()) if (alarms !== undefined && !alarms.isFenced) yield alarms;
  }

  /** Returns the position of this node's `AlarmOwner` in a partition; undefined: it does not evaluate it. */
  ownerOf(partition: number): number | undefined {
    const alarms = this.assigned.get(partition)?.alarms;
    return alarms === undefined || alarms.isFenced ? undefined : alarms.owner;
  }

  async start(): Promise<void> {
    const { eventLog, clock, topics, group, node, flushMs, logger, onLogError, checkpointMs } = this.#options;
    this.#timers = [
      clock.every(tickMs, () => this.#tick()),
      clock.every(checkpointMs / checkpointSteps, () => this.#checkpointDue()),
    ];
    this.#subscription = await eventLog.subscribe({
      topics: [topics.telemetry, topics.events],
      group,
      member: node,
      flushMs,
      onAssigned: (assignment) => this.#take(assignment),
      onBatches: (batches) => this.#takeBatches(batches),
      onError: (error) => {
        logger.warn({ error }, 'the subscription to the log has an error; it retries');
        onLogError();
      },
    });
    if (this.#isStopping) await this.#subscription.stop();
  }

  /** Writes transitions and checkpoints within the time, and leaves the group. Idempotent. */
  async stop(drainMs: number): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { clock, writers } = this.#options;
    const endMs = clock.monotonic() + drainMs;
    const left = () => Math.max(0, endMs - clock.monotonic());
    // So that the next owner has little to evaluate again.
    await withinDeadline(clock, drainMs, async () => {
      await Promise.all(Array.from(this.owned(), (alarms) => alarms.checkpoint()));
    });
    writers.close();
    await this.#subscription?.stop();
    // What was evaluated since the checkpoint. If another process has the partition by now, it has no effect.
    await withinDeadline(clock, left(), async () => {
      await Promise.all(Array.from(this.owned(), ({ writer }) => writer.flushed()));
    });
    for (const timer of this.#timers) timer.cancel();
    for (const { alarms } of this.assigned.values()) alarms?.close();
    this.assigned.clear();
  }

  /** Returns why this node does not evaluate; undefined if it does. A node that was ready stays ready while it lags. */
  notReady(): string | undefined {
    if (!this.#hasAssignment) return 'the consumer group has not assigned partitions yet';
    const nowMs = this.#options.clock.monotonic();
    const waiting = [...this.assigned.values()].filter(({ alarms }) => alarms === undefined);
    const stalled = waiting.filter(({ sinceMs }) => nowMs - sinceMs >= stalledMs);
    if (stalled.length > 0) return `taking over ${stalled.length} partitions stands still`;
    this.#wasReady ||= waiting.length === 0;
    return this.#wasReady ? undefined : `taking over ${waiting.length} partitions`;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#subscription?.queue() ?? { records: 0, recordsMax: 0 };
  }

  /**
   * Applies changed rules to all devices, some of them in each turn of the event loop. A change during the sweep starts
   * another one: `updateRules` leaves alone what is up to date.
   */
  rulesChanged(): void {
    this.#isSweepDue = true;
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    let sweep: Generator<void> | undefined;
    const step = () => {
      if (sweep === undefined && this.#isSweepDue) {
        this.#isSweepDue = false;
        sweep = this.#sweep();
      }
      if (this.#isStopping || sweep === undefined) {
        this.#isSweeping = false;
        return;
      }
      if (sweep.next().done) sweep = undefined;
      this.#options.defer(step);
    };
    this.#options.defer(step);
  }

  *#sweep(): Generator<void> {
    for (const { alarms } of this.assigned.values()) {
      let visited = 0;
      for (const device of alarms?.devices.values() ?? []) {
        if (alarms!.isFenced) break;
        alarms!.updateRules(device);
        if (++visited % devicesPerTurn === 0) yield;
      }
    }
  }

  // Records.

  async #takeBatches(batches: readonly LogBatch[]): Promise<void> {
    const { topics, writers } = this.#options;
    for (const { topic, partition: number, records } of batches) {
      const partition = this.assigned.get(number);
      if (partition === undefined) continue;
      if (partition.recovering !== undefined) await partition.recovering;
      const { alarms, delivered } = partition;
      const next = recordEnd(records.at(-1)!);
      if (topic === topics.telemetry) {
        delivered.telemetry = Math.max(delivered.telemetry, next);
        alarms?.takeReports(records);
      } else {
        delivered.events = Math.max(delivered.events, next);
        alarms?.takeEvents(records);
      }
    }
    // Stops the delivery of further records while the log does not take transitions.
    if (writers.isFull) await writers.whenWritable();
  }

  // Assignments.

  #take({ generation, partitions, gained, lost }: Assignment): StartPositions {
    const { topics, logger, clock } = this.#options;
    this.#hasAssignment = true;
    for (const number of lost) this.#lose(number);
    const telemetry: Record<number, Promise<number>> = {};
    const events: Record<number, Promise<number>> = {};
    for (const number of partitions) {
      const known = this.assigned.get(number);
      if (known !== undefined && !gained.includes(number)) {
        known.generation = generation;
        continue;
      }
      // A member whose consumer was re-created gains partitions without a notification that it had lost them.
      if (known !== undefined) this.#lose(number);
      const partition: AssignedPartition = {
        number,
        generation,
        alarms: undefined,
        sinceMs: clock.monotonic(),
        fencedAtMs: undefined,
        delivered: { telemetry: 0, events: 0 },
        recovering: undefined,
      };
      this.assigned.set(number, partition);
      const starts = this.#recover(partition).then(
        // A new promise, which is collected together with its waiters. A shared one would keep them forever.
        (at) => at ?? new Promise<never>(() => {}),
      );
      telemetry[number] = starts.then((at) => at.telemetry);
      events[number] = starts.then((at) => at.events);
    }
    logger.info({ generation, partitions, gained, lost }, 'partitions assigned');
    return { [topics.telemetry]: telemetry, [topics.events]: events };
  }

  #lose(number: number): void {
    this.assigned.get(number)?.alarms?.close();
    this.assigned.delete(number);
  }

  /** Resolves with the positions from which records are delivered; undefined if the partition was lost. */
  async #recover(partition: AssignedPartition): Promise<Covered | undefined> {
    const { clock, random, logger, recovery, onRecovered } = this.#options;
    const { number, delivered } = partition;
    const startedMs = clock.monotonic();
    const isLost = () => this.assigned.get(number) !== partition || this.#isStopping;
    const options = {
      clock,
      random,
      baseMs: retryBaseMs,
      capMs: retryCapMs,
      isRetryable: () => !isLost(),
      onRetry: (error: unknown, _retries: number, waitMs: number) =>
        logger.warn({ partition: number, waitMs, error }, 'a partition could not be taken over; trying again'),
    };
    let alarms: PartitionAlarms | undefined;
    try {
      alarms = await retry(options, () => recovery.recover(number, partition.generation, isLost));
      if (alarms !== undefined) await retry(options, () => this.#catchUp(alarms!, delivered.telemetry, isLost));
    } catch (error) {
      if (!isLost()) throw error;
    }
    if (alarms === undefined || isLost()) {
      alarms?.close();
      return undefined;
    }
    partition.alarms = alarms;
    partition.sinceMs = clock.monotonic();
    partition.fencedAtMs = undefined;
    onRecovered((clock.monotonic() - startedMs) / 1_000);
    // They may have changed since its first device had them.
    this.rulesChanged();
    const { telemetry, events } = alarms;
    // So that an owner that fails soon leaves positions behind.
    void alarms.checkpoint();
    return { telemetry, events };
  }

  /** Evaluates the reports that the group has delivered before a partition was taken back. */
  async #catchUp(alarms: PartitionAlarms, until: number, isLost: () => boolean): Promise<void> {
    const { eventLog, topics, defer } = this.#options;
    if (alarms.telemetry >= until) return;
    const range = { from: alarms.telemetry, until };
    for await (const batch of eventLog.read(topics.telemetry, alarms.number, range)) {
      for (let from = 0; from < batch.length && !isLost(); from += recordsPerTurn) {
        alarms.takeReports(batch.slice(from, from + recordsPerTurn));
        await new Promise<void>((resolve) => defer(resolve));
      }
    }
  }

  /** Called when the events have another owner than this node. */
  fenced(number: number, { node, process, generation }: tailrace.v1.IAlarmOwner): void {
    const partition = this.assigned.get(number);
    if (partition === undefined) return;
    this.counts.fenced++;
    const { clock, logger } = this.#options;
    const isOlder = (generation ?? 0) < partition.generation;
    // A process of an older assignment was late: it does not read on, and this node takes the partition back.
    partition.fencedAtMs = isOlder ? Number.NEGATIVE_INFINITY : clock.monotonic();
    const facts = { partition: number, node, process, generation, own: partition.generation };
    logger.warn(facts, 'another process of alarms has taken over a partition of this node');
  }

  // Time.

  #tick(): void {
    const { clock, logger } = this.#options;
    const nowMs = clock.monotonic();
    for (const partition of this.assigned.values()) {
      const { fencedAtMs, recovering } = partition;
      if (fencedAtMs === undefined || recovering !== undefined || nowMs - fencedAtMs < fencedMs) continue;
      partition.alarms?.close();
      partition.alarms = undefined;
      partition.sinceMs = nowMs;
      partition.recovering = this.#recover(partition)
        .then(
          () => {},
          (error: unknown) => logger.error({ partition: partition.number, error }, 'a partition cannot be taken back'),
        )
        .finally(() => {
          partition.recovering = undefined;
        });
    }
    void this.#pollEndOffsets();
  }

  /** Polls the end offsets of the partitions, for the watermark of idle ones. One poll at a time. Never rejects. */
  async #pollEndOffsets(): Promise<void> {
    if (this.#isPolling || this.#isStopping) return;
    this.#isPolling = true;
    const { eventLog, topics, clock, answers } = this.#options;
    const monotonicMs = clock.monotonic();
    const epochMs = clock.now();
    try {
      const endOffsets = await eventLog.endOffsets(topics.telemetry, endOffsetsWaitMs);
      const answeredMs = clock.monotonic();
      for (const [partition, end] of endOffsets.entries())
        if (end !== undefined) answers.answered(partition, answeredMs);
      for (const alarms of this.owned()) {
        const end = endOffsets[alarms.number];
        if (end !== undefined) alarms.takeLogEnd(monotonicMs, epochMs, end);
      }
    } catch {
      // The reader of the partitions reports the error.
    } finally {
      this.#isPolling = false;
    }
  }

  /** Writes the checkpoints that are due, oldest first. All at once would delay reports by the time to encode them. */
  #checkpointDue(): void {
    const { clock, checkpointMs, topics } = this.#options;
    const nowMs = clock.monotonic();
    const owned = [...this.owned()].sort((a, b) => a.checkpointedMs - b.checkpointedMs);
    for (const alarms of owned.slice(0, Math.ceil(owned.length / checkpointSteps))) {
      if (nowMs - alarms.checkpointedMs < checkpointMs) break;
      const { telemetry, events } = alarms.covered;
      this.#subscription?.commit(topics.telemetry, alarms.number, telemetry);
      this.#subscription?.commit(topics.events, alarms.number, events);
      void alarms.checkpoint();
    }
  }
}
