import type { ClientHandlers, ClientSubscription, Disconnected, StopOptions } from '@tailrace/mqtt/client-options';
import { type InboundMessage, userProperty } from '@tailrace/mqtt/inbound-messages';
import { pauseReasons } from '@tailrace/mqtt/packet-connection';
import { mqttReasons } from '@tailrace/mqtt/reason';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Admission, Sender } from '../admission.ts';
import { type DeadLetter, letterOfRecord } from '../dead-letters/dead-letter.ts';
import { DeadLetterWriter } from '../dead-letters/dead-letter-writer.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { IntakeSource } from '../intake/intake-entry.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTrace, MessageTracing } from '../intake/message-tracing.ts';
import { type Grant, type RecordContext, recordFrom } from '../intake/record-from.ts';
import { RetryQueue } from '../intake/retry-queue.ts';
import { BridgeEntry, type BridgeMessage } from './bridge-entry.ts';
import { type BridgeCounts, type BridgeOutcome, type BridgeState, bridgeBytesMax } from './bridge-metrics.ts';
import type { LoggedReports } from './logged-reports.ts';
import type { MappedMessage, Mapping } from './message-mapper.ts';
import { type Rejected, rejectedFrom } from './rejected.ts';

/** The connection of a bridge: `ClientConnection`, or that of a test. */
export interface BridgeClient {
  readonly state: string;
  start(): void;
  settle(ticket: number, reason: number): void;
  flush(): void;
  pause(reason: number): void;
  resume(reason: number): void;
  stop(options: StopOptions): Promise<void>;
}

export interface BridgeOptions {
  readonly name: string;
  readonly receiveMaximum: number;
  /** Called at the start. */
  readonly createClient: (handlers: ClientHandlers) => BridgeClient;
  readonly mapper: { map(message: MappedMessage): Mapping };
  /** The devices of which the bridge may send reports. */
  readonly grant: Grant & { readonly identity: string };
  readonly admission: Pick<Admission, 'enterSession' | 'leaveSession' | 'tryHold' | 'release'>;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly tracing: Pick<MessageTracing, 'enabled' | 'start'>;
  readonly deadLetters: Pick<DeadLetters, 'write'>;
  /** What a broker sends again is not appended again. */
  readonly logged: LoggedReports;
  /** Counts the devices that have reported; `DeviceNames`. */
  readonly names: { admit(path: string): void };
  readonly counts: BridgeCounts;
  /** Called for each report that is in the log. */
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  /** Called when the connection is open, and its subscriptions are made. */
  readonly onOpened?: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly clockAheadMs: number;
}

/** When a message is tried again that waits for bytes or messages of others. */
const roomRetryMs = 100;
/** Reading resumes below this share of the bytes. */
const resumeShare = 3 / 4;
const warningEveryMs = 60_000;
/** Memory of a message beside its payload, so that many small ones of QoS 0 are limited, too. */
const overheadBytes = 512;

function bytesOf({ payload }: InboundMessage): number {
  return payload.length + overheadBytes;
}

/**
 * Messages of a broker to the log. Each is acknowledged when all of its reports are in the log, or when its dead letter
 * is: many at a time, in the order in which they came.
 *
 * What the log refuses is never acknowledged negatively, because the broker would not send it again (MQTT-4.4.0-2). It
 * stays in the window and is appended again, with what came after it in order, until the log takes it (`RetryQueue`).
 * So while the log is slow or away, the window closes, and the broker keeps its messages. The connection stays open
 * meanwhile. A report whose message ID the log has by now is not appended again (`LoggedReports`).
 *
 * | limit | at the limit |
 * | --- | --- |
 * | `receiveMaximum` messages of QoS 1 | the broker sends no more; one that does is not read |
 * | 16 MiB of messages, with 512 bytes more for each | reading pauses |
 * | `inFlightBytesMax`, `intakeUnsettledMax` of the process | reading pauses, and goes on when there is room |
 */
export class Bridge implements IntakeSource, BridgeState {
  readonly name: string;
  readonly receiveMaximum: number;
  readonly #options: BridgeOptions;
  #client: BridgeClient | undefined;
  readonly #sender: Sender;
  readonly #context: RecordContext & { receivedMs: number };
  readonly #onDeadLetter: LimitedWarning;
  readonly #refused = new Set<string>();
  #oldest: BridgeMessage | undefined;
  #newest: BridgeMessage | undefined;
  /** Messages that wait for the log. */
  unsettled = 0;
  #heldBytes = 0;
  /** Reports and dead letters that the log does not have. */
  readonly #reports: RetryQueue<BridgeEntry>;
  readonly #letters: DeadLetterWriter;
  /** What waits for room while reading is paused: one message, and one more for each connection that was lost since. */
  #waiting: InboundMessage[] = [];
  #roomTimer: Timer | undefined;
  #isStopped = false;
  #hadSession = false;
  #lastReason = '';

  constructor(options: BridgeOptions) {
    const { name, receiveMaximum, grant, admission, names, clockAheadMs, logger, clock, random } = options;
    this.name = name;
    this.receiveMaximum = receiveMaximum;
    this.#options = options;
    this.#sender = admission.enterSession(grant);
    this.#context = { grant, devices: names, clockAheadMs, receivedMs: 0 };
    const { intake, counts } = options;
    this.#reports = new RetryQueue({
      append(entry, isRetry) {
        if (isRetry) counts.retried.add();
        intake.add(entry);
      },
      isBlocked: () => intake.isFull,
      clock,
      random,
    });
    this.#letters = new DeadLetterWriter({ letters: options.deadLetters, clock, random });
    const sentence = 'a message of the broker cannot be processed: it is in the topic of dead letters';
    this.#onDeadLetter = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () =>
      clock.monotonic(),
    );
  }

  get isConnected(): boolean {
    return this.#client?.state === 'open';
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get oldestMs(): number {
    return this.#oldest === undefined ? 0 : this.#options.clock.monotonic() - this.#oldest.startedMs;
  }

  get refusedFilters(): number {
    return this.#refused.size;
  }

  get recentIds(): number {
    return this.#options.logged.size;
  }

  /** Connects, after a lookback in the log if a process before this one may have been killed. */
  start(): void {
    const read = this.#options.logged.readBack();
    if (read === undefined) this.#connect();
    else void read.then(() => this.#connect());
  }

  #connect(): void {
    if (this.#isStopped) return;
    this.#client = this.#options.createClient({
      publish: (message) => this.#receive(message),
      opened: ({ isSessionPresent }) => this.#opened(isSessionPresent),
      subscribed: (subscription, reason) => this.#subscribed(subscription, reason),
      disconnected: (disconnected) => this.#disconnected(disconnected),
    });
    this.#client.start();
  }

  /**
   * Takes no further messages, and disconnects when those in progress are acknowledged, after `drainMs` in any case.
   * The broker keeps the session, and what is published meanwhile, for the next start.
   */
  async stop(drainMs: number): Promise<void> {
    const { admission } = this.#options;
    if (this.#isStopped) return;
    await this.#client?.stop({ drainMs });
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#reports.stop();
    this.#letters.stop();
    this.#roomTimer?.cancel();
    admission.leaveSession(this.#sender);
  }

  // The broker sends a message.

  #receive(message: InboundMessage): void {
    // Retained messages come with a SUBSCRIBE, of MQTT 3.1.1 with each one: they are old.
    if (message.retain) {
      this.#options.counts.messages.retained.add();
      if (message.ticket >= 0) this.#client?.settle(message.ticket, mqttReasons.success);
      return;
    }
    if (this.#waiting.length === 0 && this.#hasRoom(message)) this.#take(message);
    else this.#wait(message);
  }

  /** Holds the bytes of a message. Returns false, and holds nothing, at a limit. */
  #hasRoom(message: InboundMessage): boolean {
    const { intake, admission } = this.#options;
    const bytes = bytesOf(message);
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > bridgeBytesMax) return false;
    if (intake.isFull || !admission.tryHold(this.#sender, bytes, false)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  #wait(message: InboundMessage): void {
    // No other message is processed until reading resumes. The payload is a view of what was received.
    this.#waiting.push({ ...message, payload: Buffer.from(message.payload) });
    this.#client?.pause(pauseReasons.bytes);
    this.#waitForRoom();
  }

  #waitForRoom(): void {
    this.#roomTimer ??= this.#options.clock.after(roomRetryMs, () => {
      this.#roomTimer = undefined;
      this.#takeWaiting();
    });
  }

  #takeWaiting(): void {
    if (this.#waiting.length === 0 || this.#isStopped) return;
    while (this.#waiting.length > 0) {
      const message = this.#waiting[0]!;
      if (this.#heldBytes > bridgeBytesMax * resumeShare || !this.#hasRoom(message)) {
        this.#waitForRoom();
        return;
      }
      this.#waiting.shift();
      this.#take(message);
    }
    this.#client?.resume(pauseReasons.bytes);
  }

  #take(inbound: InboundMessage): void {
    this.#process(inbound, this.#map(inbound), this.#messageOf(inbound.ticket, bytesOf(inbound), undefined));
  }

  /**
   * Takes a message that the broker had retained, on another connection; `done` is called when the log has it. Without
   * a time of its own its age is unknown: then it is no reading, and is left out.
   */
  takeRetained(inbound: InboundMessage, done: () => void): void {
    const { reports, rejected } = this.#map(inbound);
    const timed = reports.filter(({ time }) => time !== 0);
    if (timed.length === 0 && rejected.length === 0) {
      this.#options.counts.messages.retained.add();
      done();
      return;
    }
    this.#process(inbound, { reports: timed, rejected }, this.#messageOf(-1, 0, done));
  }

  #map(inbound: InboundMessage): Mapping {
    const { topic, payload, properties } = inbound;
    const contentType = properties?.contentType;
    return this.#options.mapper.map({ topic, payload, contentType, id: userProperty(inbound, 'id') });
  }

  #messageOf(ticket: number, bytes: number, done: (() => void) | undefined): BridgeMessage {
    const startedMs = this.#options.clock.monotonic();
    return { ticket, bytes, startedMs, unsettled: 0, hasDeadLetter: false, done, previous: undefined, next: undefined };
  }

  #process(inbound: InboundMessage, { reports, rejected }: Mapping, message: BridgeMessage): void {
    const { topic, payload, qos, properties } = inbound;
    const { logged, clock } = this.#options;
    const trace = this.#traceOf(inbound, message);
    this.#link(message);
    const refused: Rejected[] = [...rejected];
    const entries: BridgeEntry[] = [];
    this.#context.receivedMs = clock.now();
    for (const report of reports) {
      try {
        const record = recordFrom(report, this.#context);
        const { id = '' } = report;
        if (id === '' || !logged.has(record.key, id)) entries.push(new BridgeEntry(this, message, report, record));
      } catch (thrown) {
        refused.push(rejectedFrom(thrown));
      }
    }
    if (entries.length > 0) trace?.append(entries);
    else trace?.rejected();
    message.unsettled += entries.length;
    for (const entry of entries) this.#reports.add(entry);
    if (refused.length === 0) {
      if (entries.length === 0) this.#acknowledge(message, 'duplicate');
      return;
    }
    const [{ reason, message: text }] = refused as [Rejected];
    const more = refused.length === 1 ? '' : ` (and ${refused.length - 1} more)`;
    this.#writeLetter(message, {
      ...{ reason, message: `${text}${more}`, protocol: 'bridge', source: this.name },
      // A copy, because it is a view of what was received.
      ...{ payload: Buffer.from(payload), topic, contentType: properties?.contentType, qos },
    });
  }

  #traceOf(inbound: InboundMessage, { startedMs }: BridgeMessage): MessageTrace | undefined {
    const { tracing } = this.#options;
    // Without tracing no message is searched for its trace.
    if (!tracing.enabled) return undefined;
    const traceparent = userProperty(inbound, 'traceparent') ?? '';
    return tracing.start('bridge', traceparent, inbound.payload.length, startedMs);
  }

  // The log settles a report.

  settled(entry: BridgeEntry, error: TailraceError | undefined): void {
    // At the deadline of the log the message waits on: it may be there all the same.
    if (entry.state === 'late') return;
    if (error?.retryable === true) {
      this.#reports.refused(entry);
      return;
    }
    this.#reports.done(entry);
    if (error === undefined) {
      const { onAccepted, logged } = this.#options;
      onAccepted(entry.readings, entry.record.clockAhead);
      if (entry.id !== '') logged.add(entry.key, entry.id);
      this.#settledPart(entry.message);
    } else {
      const { message } = error;
      const letter = letterOfRecord(entry.record, { protocol: 'bridge', source: this.name, message });
      this.#writeLetter(entry.message, letter, entry);
    }
    entry.trace?.settled(error);
  }

  flushAcks(): void {
    this.#client?.flush();
    this.#takeWaiting();
  }

  /** `entry`: whose report the letter replaces. */
  #writeLetter(message: BridgeMessage, letter: DeadLetter, entry?: BridgeEntry): void {
    if (entry === undefined) message.unsettled++;
    message.hasDeadLetter = true;
    this.#onDeadLetter.write(() => {
      const { reason, message: reasonText, topic } = letter;
      return { bridge: this.name, reason, reasonText, topic };
    });
    this.#letters.write(letter, () => {
      this.#settledPart(message);
      this.#client?.flush();
    });
  }

  #settledPart(message: BridgeMessage): void {
    if (--message.unsettled > 0) return;
    this.#acknowledge(message, message.hasDeadLetter ? 'dead_letter' : 'accepted');
  }

  #acknowledge(message: BridgeMessage, outcome: BridgeOutcome): void {
    const { counts, admission, clock } = this.#options;
    this.#unlink(message);
    this.#heldBytes -= message.bytes;
    admission.release(this.#sender, message.bytes);
    counts.messages[outcome].add();
    counts.ackSeconds.observe((clock.monotonic() - message.startedMs) / 1_000);
    if (message.ticket >= 0) this.#client?.settle(message.ticket, mqttReasons.success);
    message.done?.();
  }

  #link(message: BridgeMessage): void {
    message.previous = this.#newest;
    if (this.#newest === undefined) this.#oldest = message;
    else this.#newest.next = message;
    this.#newest = message;
    this.unsettled++;
  }

  #unlink({ previous, next }: BridgeMessage): void {
    if (previous === undefined) this.#oldest = next;
    else previous.next = next;
    if (next === undefined) this.#newest = previous;
    else next.previous = previous;
    this.unsettled--;
  }

  // The connection.

  #opened(isSessionPresent: boolean): void {
    const { logger, onOpened } = this.#options;
    if (this.#hadSession && !isSessionPresent)
      logger.warn(
        { bridge: this.name },
        'the broker has lost the session of the bridge: messages that were published while it was away may be missing',
      );
    this.#hadSession = true;
    this.#lastReason = '';
    logger.info({ bridge: this.name, isSessionPresent }, 'connected to the broker');
    onOpened?.();
  }

  #subscribed({ filter, qos }: ClientSubscription, reason: number): void {
    const { logger } = this.#options;
    if (reason >= mqttReasons.unspecified) {
      this.#refused.add(filter);
      logger.error({ bridge: this.name, filter, code: reason }, 'the broker has refused a subscription');
      return;
    }
    this.#refused.delete(filter);
    if (reason < qos)
      logger.warn(
        { bridge: this.name, filter, granted: reason },
        'the broker grants a lower QoS: messages are lost while the bridge or the log is away',
      );
  }

  #disconnected({ reason, message, isPermanent, retryInMs }: Disconnected): void {
    const { counts, logger } = this.#options;
    counts.disconnects.add();
    const isTakeover = reason === mqttReasons.sessionTakenOver;
    if (isTakeover) counts.takeovers.add();
    // Once for each reason, until the connection is open.
    if (message === this.#lastReason) return;
    this.#lastReason = message;
    const facts = { bridge: this.name, code: reason, reason: message, retryInMs };
    if (isTakeover) logger.error(facts, 'another client uses the client ID of the bridge');
    else if (isPermanent) logger.error(facts, 'the broker refuses the bridge; its settings need a change');
    else logger.warn(facts, 'the connection to the broker is lost; connecting again');
  }
}
