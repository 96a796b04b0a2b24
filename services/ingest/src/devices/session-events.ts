import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { AliveEvents } from './alive-events.ts';
import type { CloseReason, PresenceCounts, PresenceEvents, SessionFacts } from './presence-events.ts';

const { Event } = tailrace.v1;

/** Events that wait for the log; beyond it the oldest is dropped. */
export const sessionEventsMax = 10_000;
/** Events of one call of the log. */
const batchMax = 500;
const retryMs = 1_000;
const warningEveryMs = 60_000;
/** How long a stop waits for the log. */
const drainMs = 2_000;

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
 * session waits for them. An event that the log has not taken is written again, perhaps after later ones of its device:
 * the numbers of the sessions order them.
 */
export class SessionEvents implements PresenceEvents {
  readonly #options: SessionEventsOptions;
  readonly #warning: LimitedWarning;
  readonly #alive: AliveEvents;
  /** Oldest first. */
  #waiting: NewRecord[] = [];
  /** Passed to the log, and not settled. */
  #unsettled = 0;
  #isClosed = false;
  #isScheduled = false;
  #retryTimer: Timer | undefined;
  #drained: (() => void) | undefined;

  constructor(options: SessionEventsOptions) {
    this.#options = options;
    const { logger, clock, eventLog, topic, node, partitions } = options;
    const write = (records: readonly NewRecord[]) => eventLog.appendEach(topic, records, () => {});
    this.#alive = new AliveEvents({ node, partitions, clock, write });
    const sentence = 'events of sessions could not be written to the log; trying again';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Events that are not in the log yet. */
  get size(): number {
    return this.#waiting.length + this.#unsettled;
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
  async drain(): Promise<void> {
    if (this.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    const timer = this.#options.clock.after(drainMs, resolve);
    await promise;
    timer.cancel();
  }

  /** Stops the timer. What the log refuses from now on is not written again. */
  close(): void {
    this.#isClosed = true;
    this.#alive.stop();
    this.#retryTimer?.cancel();
    this.#waiting = [];
  }

  #add(device: string, event: tailrace.v1.Event.$Properties): void {
    if (this.size >= sessionEventsMax) {
      this.#options.counts.dropped.add();
      this.#waiting.shift();
      // All are on their way to the log.
      if (this.size >= sessionEventsMax) return;
    }
    this.#waiting.push({ key: device, value: Event.encode(event).finish() });
    this.#schedule();
  }

  /** The events of one turn of the event loop are one call of the log. */
  #schedule(): void {
    if (this.#isScheduled || this.#retryTimer !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { eventLog, topic } = this.#options;
    while (this.#waiting.length > 0 && this.#retryTimer === undefined) {
      const records = this.#waiting.splice(0, batchMax);
      this.#unsettled += records.length;
      eventLog.appendEach(topic, records, (index, error) => this.#settled(records[index]!, error));
    }
  }

  #settled(record: NewRecord, error: TailraceError | undefined): void {
    this.#unsettled--;
    if (error === undefined) {
      if (this.size === 0) this.#drained?.();
      return;
    }
    if (this.#isClosed) return;
    this.#warning.write(() => ({ error }));
    this.#waiting.push(record);
    this.#retryTimer ??= this.#options.clock.after(retryMs, () => {
      this.#retryTimer = undefined;
      this.#flush();
    });
  }
}
