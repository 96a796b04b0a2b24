import { readCheckpointedAlarms } from '@tailrace/eventlog/alarm-checkpoints';
import { boundsOf, type EventLog, type LogRecord, type ReadRange, recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { EventBoard } from './event-board.ts';

const { Event } = tailrace.v1;

/** For the replies of brokers to a poll. */
const waitMs = 1_000;
const retryMs = 500;

export interface EventReaderOptions {
  readonly eventLog: Pick<EventLog, 'endOffsets' | 'bounds' | 'read'>;
  readonly topic: string;
  /** The compacted topic of the checkpoints of alarms. It may be missing: then there are none. */
  readonly alarmsTopic: string;
  readonly partitions: readonly { readonly number: number; readonly role: string }[];
  readonly boards: readonly EventBoard[];
  /** Returns the records of a range of a topic, a few in each turn of the event loop. */
  readonly range: (topic: string, partition: number, range: ReadRange) => AsyncIterable<readonly LogRecord[]>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Called when this node has read events of a partition, or has the board of it. */
  readonly onRead: (partition: number) => void;
  /** Called when this node reads the partition from now on. */
  readonly onGained: (partition: number) => void;
  /** Called when this node no longer reads the partition: its board has everything before `next`. */
  readonly onLost: (partition: number) => void;
}

/**
 * Reads the events of the partitions that this node owns into their boards.
 *
 * A poll requests the end of all partitions at once, and reads those with new events. So an idle topic costs one
 * request, and the takeover of readings never waits for the topic of events, whose partitions may have other leaders. A
 * board that this node had before as a replica continues at its position. Another one is restored: from the checkpoints
 * of alarms, which have those that are older than the topic, and from all events that the topic has.
 */
export class EventReader {
  readonly #options: EventReaderOptions;
  /** The partitions that are read, each with the number of its start; a restore of an earlier one stops. */
  readonly #reading = new Map<number, number>();
  readonly #restoring = new Set<number>();
  readonly #retryAtMs = new Map<number, number>();
  #starts = 0;
  #isPolling = false;

  constructor(options: EventReaderOptions) {
    this.#options = options;
  }

  /** Whether this node reads the partition from the log. */
  reads(partition: number): boolean {
    return this.#reading.has(partition);
  }

  /** Reads new events. Never rejects. */
  async poll(): Promise<void> {
    this.#checkRoles();
    if (this.#isPolling || this.#reading.size === 0) return;
    this.#isPolling = true;
    try {
      const { eventLog, topic } = this.#options;
      const endOffsets = await eventLog.endOffsets(topic, waitMs);
      await Promise.all(
        [...this.#reading].map(([partition, start]) => this.#follow(partition, start, endOffsets[partition])),
      );
    } catch (error) {
      // The reader of the partitions reports an unavailable log. What is not read now is read at the next poll.
      if (!isTailraceError(error)) this.#options.logger.warn({ error }, 'events were read, and could not be passed on');
    } finally {
      this.#isPolling = false;
    }
  }

  #checkRoles(): void {
    const { partitions, onLost, onGained } = this.#options;
    for (const { number, role } of partitions) {
      const isRead = this.#reading.has(number);
      if (role === 'owned' && !isRead) {
        this.#reading.set(number, ++this.#starts);
        onGained(number);
      } else if (role !== 'owned' && isRead) {
        this.#reading.delete(number);
        onLost(number);
      }
    }
  }

  async #follow(partition: number, start: number, end: number | undefined): Promise<void> {
    const { boards, topic, range, onRead } = this.#options;
    const board = boards[partition]!;
    if (!board.isReady) {
      // Not awaited: the events of other partitions do not wait for it.
      void this.#restore(board, start);
      return;
    }
    if (end === undefined || board.next >= end) return;
    for await (const records of range(topic, partition, { from: board.next, until: end })) {
      if (this.#reading.get(partition) !== start) return;
      takeRecords(board, records);
    }
    if (this.#reading.get(partition) !== start) return;
    await this.#passOver(board, end);
    onRead(partition);
  }

  /** After a read up to `end`: passes over what retention has removed. Anything else that is missing is read again. */
  async #passOver(board: EventBoard, end: number): Promise<void> {
    if (board.next >= end) return;
    const { eventLog, topic } = this.#options;
    const { first } = boundsOf(await eventLog.bounds(topic, [board.partition]), board.partition);
    if (first > board.next) board.take([], Math.min(first, end));
  }

  async #restore(board: EventBoard, start: number): Promise<void> {
    const { eventLog, topic, alarmsTopic, range, clock, logger, onRead } = this.#options;
    const { partition } = board;
    const isCurrent = () => this.#reading.get(partition) === start && !board.isReady;
    if (this.#restoring.has(partition) || clock.monotonic() < (this.#retryAtMs.get(partition) ?? 0)) return;
    this.#restoring.add(partition);
    try {
      const log = { bounds: eventLog.bounds.bind(eventLog), read: range };
      const { transitions, owner } = await readCheckpointedAlarms(log, alarmsTopic, partition);
      // After the checkpoints: alarms writes a transition before the checkpoint that has it.
      const { first, next } = boundsOf(await eventLog.bounds(topic, [partition]), partition);
      if (!isCurrent()) return;
      board.reset(first);
      // Otherwise the topic has it.
      if (owner < first) board.takenOver(owner);
      for await (const records of range(topic, partition, { from: first, until: next })) {
        if (!isCurrent()) return;
        takeRecords(board, records);
      }
      await this.#passOver(board, next);
      if (!isCurrent()) return;
      if (board.next < next)
        throw new TailraceError('unavailable', `events: expected those up to ${next}, got them up to ${board.next}`);
      for (const transition of transitions)
        board.restore(transition, Event.encode({ alarmTransition: transition }).finish());
      board.ready(next);
      onRead(partition);
    } catch (error) {
      this.#retryAtMs.set(partition, clock.monotonic() + retryMs);
      logger.warn({ partition, error }, 'the events of a partition could not be read back; trying again');
    } finally {
      this.#restoring.delete(partition);
    }
  }
}

function takeRecords(board: EventBoard, records: readonly LogRecord[]): void {
  const readable = records.filter(({ unreadable, emptyUntil }) => !unreadable && emptyUntil === undefined);
  board.take(readable, recordEnd(records.at(-1)!));
  // An alarm may have been in what cannot be read: those who follow the board start again, and get what is known.
  for (const record of records) if (record.unreadable) board.skip(recordEnd(record));
}
