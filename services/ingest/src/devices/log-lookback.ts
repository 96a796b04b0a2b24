import { boundsOf, type EventLog, recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { messageIdWindowMs } from '@tailrace/protocol/message-id';
import { partitionOf } from '@tailrace/protocol/partition';
import { parseReportHeader } from '@tailrace/protocol/report-header';
import { ReportIds } from './report-ids.ts';

/** How long after the loss of a node devices that open a session are looked up in the log. */
const suspectMs = 120_000;
/** What a killed process has sent may still be written by the broker for this time. */
const settleMs = 500;
/** Records of a partition that are read back, at most. */
export const lookbackRecordsMax = 50_000;
/** Message IDs of all partitions, at most, of about 16 bytes each: those of the partition read first are forgotten. */
export const lookbackIdsMax = 500_000;
/** How long a session waits for the log. */
const lookbackMs = 30_000;
/** Devices that open a session within this time share a read. */
const collectMs = 50;
/** Between two attempts. */
const retryMs = 250;
const warningEveryMs = 60_000;

/** The message IDs that the log has, of one device or of all. */
export class LoggedIds {
  /** From then on they are not needed, monotonic ms. */
  readonly untilMs: number;
  readonly #tails: readonly Tail[];
  /** '' for all. */
  readonly #device: string;

  constructor(tails: readonly Tail[], device: string, untilMs: number) {
    this.#tails = tails;
    this.#device = device;
    this.untilMs = untilMs;
  }

  get coversAll(): boolean {
    return this.#device === '';
  }

  /** Whether messages of the device were looked up. */
  covers(device: string): boolean {
    return this.coversAll || this.#device === device;
  }

  has(device: string, id: string): boolean {
    const tail = this.#tails.length === 1 ? this.#tails[0]! : this.#tails[partitionOf(device, this.#tails.length)]!;
    return tail.ids.has(device, id);
  }
}

/** What was read of one partition. */
class Tail {
  readonly partition: number;
  readonly ids = new ReportIds();
  /** The next position; -1 before the first read. */
  next = -1;
  isForgotten = false;
  /** Of the reads, one after the other. */
  reading: Promise<void> = Promise.resolve();
  /** A read that has not started: it serves all devices that wait. */
  queued: Promise<void> | undefined;

  constructor(partition: number) {
    this.partition = partition;
  }
}

export interface LogLookbackOptions {
  readonly eventLog: Pick<EventLog, 'read' | 'bounds' | 'positionsAt'>;
  readonly topic: string;
  readonly partitions: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * The message IDs that the log has of devices whose former node cannot be requested for them: it was killed, or cannot
 * be reached. Such a device sends again what was not acknowledged, and some of it may be in the log.
 *
 * For two minutes after the loss of a node, and after the start of this one, a device without a hand-over is looked up
 * in its partition: in the records of the last two minutes, and at most `lookbackRecordsMax`. A gateway is looked up in
 * all partitions when it sends for another device, and a bridge when it starts. All devices of a partition share one
 * tail, and each read goes on where the last one stopped. So the cost is at most that of one consumer for two minutes.
 *
 * Without the right to read, and when the log does not answer in time, devices are served all the same: a repetition is
 * in the log twice then, and is delivered once.
 */
export class LogLookback {
  readonly #options: LogLookbackOptions;
  readonly #warning: LimitedWarning;
  readonly #tails = new Map<number, Tail>();
  readonly #counts: ReturnType<typeof createCounts>;
  #ids = 0;
  /** Of this process, monotonic ms. */
  #startMs = Number.NEGATIVE_INFINITY;
  /** Of the last loss, monotonic ms. */
  #lostMs = Number.NEGATIVE_INFINITY;
  /** Before it the log may not have all of a lost process. */
  #settledMs = 0;

  constructor(options: LogLookbackOptions) {
    this.#options = options;
    const { logger, clock, metrics } = options;
    const sentence =
      'the log could not be read back for devices of a lost node, or for a bridge: what they repeat may be in it twice';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#counts = createCounts(metrics);
    metrics.gauge('tailrace_ingest_lookback_ids', 'Message IDs that were read back from the log.', () => this.#ids);
    metrics.gauge(
      'tailrace_ingest_limit_lookback_ids',
      'Message IDs that were read back from the log: the limit.',
      () => lookbackIdsMax,
    );
  }

  /**
   * Called once, when the topic exists: this process may be the next one of a killed one, unless the log is empty.
   * Resolves when that is known. Never rejects.
   */
  async started(): Promise<void> {
    const { eventLog, topic, clock } = this.#options;
    this.#startMs = clock.monotonic();
    const bounds = await eventLog.bounds(topic).catch(() => undefined);
    if (bounds?.every(({ first, next }) => first === next)) this.#startMs = Number.NEGATIVE_INFINITY;
  }

  /** A node is lost, and the message IDs of its devices with it. */
  lost(): void {
    this.#lostMs = this.#options.clock.monotonic();
    this.#settledMs = this.#lostMs + settleMs;
  }

  /** Returns what the log has of a device that opens a session; undefined if no node was lost. Never rejects. */
  idsOf(device: string): Promise<LoggedIds> | undefined {
    const { partitions } = this.#options;
    if (this.isSuspect) return this.#read([partitionOf(device, partitions)], device);
    return undefined;
  }

  /** Forgets what is not needed any more. Called every second. */
  sweep(): void {
    if (this.#tails.size === 0 || this.isSuspect) return;
    for (const tail of this.#tails.values()) tail.isForgotten = true;
    this.#tails.clear();
    this.#ids = 0;
  }

  /** Returns what the log has of all devices, for a gateway or a bridge. Never rejects. */
  idsOfAll(): Promise<LoggedIds> {
    return this.#read(
      Array.from({ length: this.#options.partitions }, (_, partition) => partition),
      '',
    );
  }

  /** Whether a node was lost, or this process has started, within the last two minutes. */
  get isSuspect(): boolean {
    return this.#options.clock.monotonic() - Math.max(this.#lostMs, this.#startMs) < suspectMs;
  }

  /** `device`: '' for all. */
  async #read(partitions: readonly number[], device: string): Promise<LoggedIds> {
    const { clock } = this.#options;
    const startMs = clock.monotonic();
    if (startMs < this.#settledMs) await clock.sleep(this.#settledMs - startMs);
    const tails = partitions.map((partition) => this.#tailOf(partition));
    const timeout = Promise.withResolvers<false>();
    const timer = clock.after(lookbackMs, () => timeout.resolve(false));
    const reads = tails.map((tail) => this.#extend(tail, startMs + lookbackMs));
    const isRead = await Promise.race([Promise.all(reads).then((all) => all.every(Boolean)), timeout.promise]);
    timer.cancel();
    this.#counts[isRead ? 'read' : 'failed'].add();
    return new LoggedIds(tails, device, clock.monotonic() + suspectMs);
  }

  #tailOf(partition: number): Tail {
    const known = this.#tails.get(partition);
    if (known !== undefined) return known;
    const tail = new Tail(partition);
    this.#tails.set(partition, tail);
    return tail;
  }

  /** Reads what the log has by now, and tries again until `untilMs`. Resolves with whether it was read. */
  async #extend(tail: Tail, untilMs: number): Promise<boolean> {
    const { clock } = this.#options;
    for (;;) {
      try {
        await this.#shared(tail);
        return true;
      } catch (error) {
        this.#warning.write(() => ({ partition: tail.partition, error }));
        const isFinal = !(error instanceof Error && 'retryable' in error && error.retryable === true);
        if (isFinal || clock.monotonic() >= untilMs) return false;
        await clock.sleep(retryMs);
      }
    }
  }

  /** A read that is in progress may be without the last records: the next one serves all that wait. */
  #shared(tail: Tail): Promise<void> {
    tail.queued ??= tail.reading
      .catch(() => {})
      .then(() => this.#options.clock.sleep(collectMs))
      .then(() => {
        tail.queued = undefined;
        tail.reading = this.#readTail(tail);
        return tail.reading;
      });
    return tail.queued;
  }

  async #readTail(tail: Tail): Promise<void> {
    const { eventLog, topic, clock } = this.#options;
    const { partition } = tail;
    if (tail.next < 0) {
      const { first, next } = boundsOf(await eventLog.bounds(topic, [partition]), partition);
      const at = (await eventLog.positionsAt(topic, clock.now() - messageIdWindowMs, [partition]))[partition];
      const from = Math.max(first, at ?? first);
      if (next - from > lookbackRecordsMax) this.#counts.shortened.add();
      tail.next = Math.max(from, next - lookbackRecordsMax);
    }
    for await (const records of eventLog.read(topic, partition, { from: tail.next, background: true })) {
      for (const record of records) {
        this.#take(tail, record.key, record.value);
        tail.next = recordEnd(record);
      }
    }
  }

  #take(tail: Tail, device: string, value: Uint8Array): void {
    const id = idOf(value);
    if (id === '' || tail.isForgotten) return;
    if (tail.ids.add(device, id) && ++this.#ids > lookbackIdsMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const [partition, tail] of this.#tails) {
      this.#tails.delete(partition);
      this.#ids -= tail.ids.size;
      tail.isForgotten = true;
      return;
    }
  }
}

function idOf(value: Uint8Array): string {
  try {
    return value.length === 0 ? '' : parseReportHeader(value).id;
  } catch {
    return '';
  }
}

function createCounts(metrics: Metrics) {
  const outcomes = ['read', 'failed'] as const;
  const lookbacks = metrics.counters(
    'tailrace_ingest_lookbacks_total',
    'Devices of a lost node, and bridges at their start, that were looked up in the log. failed: what they repeat may be in it twice.',
    { values: { outcome: outcomes } },
  );
  return {
    read: lookbacks.with({ outcome: 'read' }),
    failed: lookbacks.with({ outcome: 'failed' }),
    shortened: metrics.counter(
      'tailrace_ingest_shortened_lookbacks_total',
      'Partitions with more records in two minutes than are read back.',
    ),
  };
}
