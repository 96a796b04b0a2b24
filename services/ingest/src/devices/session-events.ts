import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { type RetryItem, RetryQueue } from '../intake/retry-queue.ts';
import { AliveEvents } from './alive-events.ts';
import type { CloseReason, PresenceCounts, PresenceEvents, SessionFacts } from './presence-events.ts';

const { Event } = tailrace.v1;

/** Events that wait for the log; beyond it the oldest is dropped. */
export const sessionEventsMax = 10_000;
/** Events of one call of the log. */
const batchMax = 500;
const warningEveryMs = 60_000;
/** How long a stop waits for the log. */
const drainMs = 2_000;

interface SessionEvent extends RetryItem, NewRecord {}

export interface SessionEventsOptions {
  readonly eventLog: Pick<EventLog, 'appendEach'>;
  readonly topic: string;
  readonly partitions: number;
  /** Name of this node. */
  readonly node: string;
  /** Of the telemetry topic, whose positions the events have. Called for each event. */
  readonly epoch: () => string;
  readonly counts: PresenceCounts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Writes the events of sessions to the log, from which the owner of a partition decides whether a device is offline. No
 * session waits for them. An event that the log has not taken is written again, see `RetryQueue`; at `sessionEventsMax`
 * the oldest is dropped. One that the log has taken late may be behind later ones of its device: the numbers of the
 * sessions order them.
 */
export class SessionEvents implements PresenceEvents {
  readonly #options: SessionEventsOptions;
  readonly #warning: LimitedWarning;
  readonly #alive: AliveEvents;
  readonly #queue: RetryQueue<SessionEvent>;
  /** Passed to the log at the end of this turn. */
  #added: SessionEvent[] = [];

  constructor(options: SessionEventsOptions) {
    this.#options = options;
    const { logger, clock, eventLog, topic, node, partitions } = options;
    const write = (records: readonly NewRecord[]) => eventLog.appendEach(topic, records, () => {});
    this.#alive = new AliveEvents({ node, partitions, clock, write });
    const sentence = 'events of sessions could not be written to the log; trying again';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#queue = new RetryQueue({
      append: (event) => this.#append(event),
      limits: { itemsMax: sessionEventsMax },
      clock,
    });
  }

  /** Events that are not in the log yet. */
  get size(): number {
    return this.#queue.size;
  }

  started({ device, number, protocol }: SessionFacts): void {
    const { node, clock, counts } = this.#options;
    counts.started.add();
    const { process } = this.#alive;
    this.#add(device, { sessionStarted: { session: number, node, protocol, atMs: clock.now(), process } });
    this.#alive.sessionStarted();
  }

  closed({ device, number }: SessionFacts, reason: CloseReason, graceMs: number, lastSeq: number): void {
    const { clock, counts, epoch } = this.#options;
    counts.closed[reason].add();
    const position = lastSeq >= 0 ? { lastSeq } : {};
    const facts = { session: number, atMs: clock.now(), graceMs, epoch: epoch(), reason, ...position };
    this.#add(device, { sessionClosed: facts });
  }

  conflict(
    device: string,
    addresses: readonly [string, string],
    nodes: readonly [string, string],
    count: number,
  ): void {
    const { clock, counts } = this.#options;
    counts.conflicts.add();
    const facts = { addresses: [...addresses], nodes: [...nodes], takeovers: count, atMs: clock.now() };
    this.#add(device, { sessionConflict: facts });
  }

  /** Resolves when the log has all events, at the latest after two seconds. */
  drain(): Promise<void> {
    return this.#queue.drain(drainMs);
  }

  /** Stops the timer. What the log refuses from now on is not written again. */
  close(): void {
    this.#alive.stop();
    this.#queue.stop();
  }

  #add(device: string, event: tailrace.v1.Event.$Properties): void {
    const queue = this.#queue;
    if (queue.isFull) {
      this.#options.counts.dropped.add();
      // All are on their way to the log.
      if (queue.dropOldest() === undefined) return;
    }
    const value = Event.encode(event).finish();
    queue.add({ key: device, value, bytes: value.length, order: 0 });
  }

  /** The events of one turn of the event loop are one call of the log. */
  #append(event: SessionEvent): void {
    this.#added.push(event);
    if (this.#added.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const { eventLog, topic } = this.#options;
    const added = this.#added;
    this.#added = [];
    for (let start = 0; start < added.length; start += batchMax) {
      const events = added.slice(start, start + batchMax);
      eventLog.appendEach(topic, events, (index, error) => this.#settled(events[index]!, error));
    }
  }

  #settled(event: SessionEvent, error: TailraceError | undefined): void {
    if (error === undefined) {
      this.#queue.done(event);
      return;
    }
    if (!this.#queue.isStopped) this.#warning.write(() => ({ error }));
    this.#queue.refused(event);
  }
}
