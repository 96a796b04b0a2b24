import type { Clock, Timer } from '@tailrace/platform/clock';
import type { CloseName } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, Sender, TokenGrant } from '../admission.ts';
import type { DeviceRates } from '../intake/device-rates.ts';
import type { IntakeEntry, IntakeSource } from '../intake/intake-entry.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import { type RecordContext, recordFrom } from '../intake/record-from.ts';
import { RetryQueue, type RetryQueueOptions } from '../intake/retry-queue.ts';
import { BatchEntry, DeviceEntry, type WindowItem } from './device-entry.ts';
import { type DeviceBatch, type DeviceMessage, isBatch, type MessageToken } from './device-message.ts';
import type { DeviceCounts, ProtocolCounts, SessionProtocol } from './device-metrics.ts';
import type { DeviceRecord, DeviceRecords, PendingMessage, PendingWaiter } from './device-record.ts';
import type { BatchOutcome, ProtocolPort, RefusedRecord } from './protocol-port.ts';
import { ReadingPauses } from './reading-pauses.ts';
import { SessionLimits } from './session-limits.ts';

/** How long the log may take to confirm a message; then it is refused, and the device sends it again. */
export const ackDeadlineMs = 5_000;
/** Messages that the window has for events alone. */
export const eventSlots = 8;
/** What is received after reading was paused: at most the rest of a chunk, and the message that it completes. */
const chunkBytesMax = 65_536;
/** The longest pause after the log has refused a message. */
const pauseMsMax = 5_000;
/** Messages that count against rates alone, and are taken in one turn of the event loop. */
const pacedPerTurn = 64;
/** When a session tries again that waits for the bytes of others. */
const bytesRetryMs = 100;

export interface SessionMessageLimits {
  /** Messages that wait for the log. */
  readonly window: number;
  readonly windowBytes: number;
  readonly messageBytesMax: number;
  readonly socketBytesMax: number;
  readonly retryAfterMs: number;
  readonly clockAheadMs: number;
}

/** What the messages of all sessions of a process share. */
export interface SessionMessageOptions {
  readonly records: DeviceRecords;
  readonly admission: Pick<Admission, 'tryHold' | 'release'>;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  /** Of the queue of each session whose protocol cannot delay a message. */
  readonly retries: RetryQueueOptions<IntakeEntry>;
  readonly rates: DeviceRates;
  readonly tracing: MessageTracing;
  /** Counts the devices that have reported; `DeviceNames`. */
  readonly names: { admit(path: string): void };
  readonly counts: Pick<DeviceCounts, 'paused' | 'rateLimited'>;
  /** Called for each report that is in the log. */
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: SessionMessageLimits;
}

/** The session whose messages these are. */
export interface MessageOwner {
  readonly protocol: SessionProtocol;
  /** Closes the session for a limit that its device does not obey. */
  violated(name: CloseName, error: TailraceError): void;
  /** Called when messages were settled. */
  onSettled(): void;
  /** Called when a device behind a gateway has to be looked up in the log. Calls `open` again when it is. */
  onForeignDevice(): void;
  /** Called when no message waits in the inbox any more. */
  onInboxEmpty(): void;
}

/** Whose messages these are, once it is verified. */
export interface MessageSender {
  readonly device: string;
  readonly record: DeviceRecord;
  readonly grant: TokenGrant;
  readonly sender: Sender;
}

/**
 * The messages of a session, from their receipt to their answer. The path: `add` lets a message wait in the inbox while
 * the window is full, `#take` checks its rights and rates (`SessionLimits`) and whether the device has sent it before,
 * `#takeMessage` or `#takeBatch` encodes its report and adds it to the intake, `settled` answers it.
 *
 * Nothing that was received is dropped without an answer, except for messages of quality 0, which are counted. When a
 * limit is reached reading is paused, so that TCP stops the device. What waits is bounded: the window, and an inbox of
 * what was received with the message that filled it.
 *
 * A device whose protocol cannot delay a message (`ProtocolPort.canDelay`) gets no refusal that is not final: a message
 * beyond its rate waits in the inbox, and one that the log refuses for now stays in the window and is added to the
 * intake again, see `RetryQueue`. Further ones wait until the log takes it. That goes on when the session is closed,
 * because a repetition on the next connection may be waiting for the outcome.
 */
export class SessionMessages implements IntakeSource, PendingWaiter {
  readonly #options: SessionMessageOptions;
  readonly #port: ProtocolPort;
  readonly #counts: ProtocolCounts;
  readonly #owner: MessageOwner;
  readonly #limits: SessionLimits;
  readonly #pauses: ReadingPauses;
  #from: MessageSender | undefined;
  #context: MutableContext | undefined;
  #isOpen = true;
  /** Messages wait for the next `open`. */
  #isWaiting = false;
  /** Messages are refused until `open`, because they have waited for it too long. */
  #isRefusing = false;
  #inbox: (DeviceMessage | DeviceBatch)[] = [];
  #inboxBytes = 0;
  #pauseTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #rateTimer: Timer | undefined;
  #paceTimer: Timer | undefined;
  /** Messages that `pace` has counted. */
  #paced = 0;
  #windowBytes = 0;
  /** Undefined if the protocol can delay a message: its device sends it again. */
  readonly #retries: RetryQueue<IntakeEntry> | undefined;
  /** When the message was received that the log takes no longer, monotonic ms; undefined if it takes all. */
  #stalledFromMs: number | undefined;
  /** Messages and batches in the window: received, and not answered. */
  unanswered = 0;
  /** Messages and batches that the log has not settled, also those that were refused at the deadline. */
  unsettled = 0;

  constructor(options: SessionMessageOptions, port: ProtocolPort, counts: ProtocolCounts, owner: MessageOwner) {
    this.#options = options;
    this.#port = port;
    this.#counts = counts;
    this.#owner = owner;
    this.#pauses = new ReadingPauses(port, options.counts.paused);
    this.#retries = port.canDelay ? undefined : new RetryQueue(options.retries);
    const { records, rates, counts: all, clock, limits } = options;
    const { socketBytesMax } = limits;
    const violated = (name: CloseName, error: TailraceError) => owner.violated(name, error);
    this.#limits = new SessionLimits({ records, rates, counts: all, clock, socketBytesMax }, port, counts, violated);
  }

  get isPaused(): boolean {
    return this.#pauses.isPaused;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  get hasInbox(): boolean {
    return this.#inbox.length > 0;
  }

  /** Returns the age of what the log has refused for now, ms; 0 if it has not. For a protocol that cannot delay it. */
  stalledMs(nowMs: number): number {
    return this.#stalledFromMs === undefined ? 0 : nowMs - this.#stalledFromMs;
  }

  /** Waits for `open`: what is received meanwhile stays in the inbox. */
  wait(): void {
    this.#pauses.add('auth');
  }

  /** Takes what was received, and reads on. Called again for renewed claims. */
  open(from: MessageSender): void {
    const { names, limits } = this.#options;
    this.#from = from;
    this.#isWaiting = false;
    this.#isRefusing = false;
    this.#context = { grant: from.grant, devices: names, clockAheadMs: limits.clockAheadMs, receivedMs: 0 };
    this.#pauses.delete('auth');
    this.#takeInbox();
  }

  /**
   * Refuses what waits for `open`, and what comes before it: the device sends it again. Without effect if the protocol
   * cannot delay a message.
   */
  refuseInbox(): void {
    if (!this.#isOpen || !this.#port.canDelay) return;
    this.#isRefusing = true;
    const inbox = this.#inbox;
    this.#inbox = [];
    this.#inboxBytes = 0;
    for (const message of inbox) this.#refuseEarly(message);
    this.#pauses.delete('auth');
    this.#port.flush();
  }

  /** Takes no further messages, and forgets those in the inbox: they were not answered. Those in the log still are. */
  close(): void {
    this.#isOpen = false;
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#pauseTimer?.cancel();
    this.#retryTimer?.cancel();
    this.#rateTimer?.cancel();
    this.#paceTimer?.cancel();
    this.#pauses.stop();
  }

  add(message: DeviceMessage | DeviceBatch): void {
    if (!this.#isOpen) return;
    this.#counts.messageBytes.observe(message.bytes);
    if (this.#isRefusing) {
      this.#refuseEarly(message);
      return;
    }
    const mustWait = this.#isUnopened || this.#inbox.length > 0 || this.#pauses.has('unavailable');
    if (mustWait || !this.#take(message)) this.#enqueue(message);
  }

  /** Refuses a frame that its protocol could not read. `token` undefined: it has none. */
  reject(token: MessageToken | undefined, error: TailraceError): void {
    if (this.#isOpen) this.#limits.rejectFrame(token, error);
  }

  /**
   * Counts a message that does not come by `add`, such as presence, against the rates of its device. Beyond them
   * nothing is read until they allow it.
   */
  pace(device: string, isEvent: boolean): void {
    // One that waits already is the last that was read.
    if (!this.#isOpen || this.#from === undefined || this.#paceTimer !== undefined) return;
    const waitMs = this.#limits.waitMs({ ...noReport, device, isEvent }, this.#from);
    if (waitMs === 0) {
      if (++this.#paced % pacedPerTurn === 0) this.#waitForTurn();
      else this.#pauses.delete('pace');
      return;
    }
    this.#pauses.add('pace');
    this.#paceTimer = this.#options.clock.after(Math.ceil(waitMs), () => {
      this.#paceTimer = undefined;
      this.pace(device, isEvent);
    });
  }

  /** Thousands of small messages are in one chunk: other sessions have their turn between them. */
  #waitForTurn(): void {
    this.#pauses.add('pace');
    setImmediate(() => {
      if (this.#paceTimer === undefined) this.#pauses.delete('pace');
    });
  }

  /** Counts an answer that is not to a message, so that a device cannot request any number of them. */
  countAnswer(): void {
    if (this.#isOpen) this.#limits.check();
  }

  // The intake settles a message.

  settled(entry: DeviceEntry, error: TailraceError | undefined): void {
    const item = entry.batch ?? entry;
    const retries = this.#retries;
    if (retries !== undefined) {
      if (error?.retryable === true && error.code !== 'closed') {
        this.#keep(entry, retries);
        return;
      }
      retries.done(entry);
      if (!retries.isRetrying && this.#stalledFromMs !== undefined) {
        this.#stalledFromMs = undefined;
        this.#pauses.delete('unavailable');
      }
    }
    if (entry.state === 'late') {
      this.#late(item, error!);
      return;
    }
    entry.trace?.settled(error);
    if (entry.batch === undefined) {
      this.#done(entry, entry.device!);
      if (error === undefined) this.#confirmed(entry, entry.device!);
      // Not again, if it was answered at the deadline and not sent again.
      else if (!entry.isLate || entry.waiter !== undefined) this.#answerError(entry, error, entry);
    } else this.#settledOfBatch(entry.batch, entry, error);
    this.#takeInbox();
    this.#owner.onSettled();
  }

  flushAcks(): void {
    this.#port.flush();
    if (this.#isOpen) this.#limits.checkBuffered();
  }

  // Answers, also to a message that another session of the device has sent first.

  acknowledge(token: MessageToken, outcome: 'accepted' | 'duplicate'): void {
    this.#port.acknowledge(token, outcome);
  }

  refuse(token: MessageToken, error: TailraceError, record?: RefusedRecord): void {
    this.#port.refuse(token, error, error.retryable ? this.#options.limits.retryAfterMs : 0, record);
  }

  acknowledgeBatch(token: MessageToken, outcome: BatchOutcome): void {
    const { retryAfterMs } = this.#options.limits;
    this.#port.acknowledgeBatch(token, outcome, outcome.error?.retryable ? retryAfterMs : 0);
  }

  get #isUnopened(): boolean {
    return this.#from === undefined || this.#isWaiting;
  }

  #refuseEarly(message: DeviceMessage | DeviceBatch): void {
    if (!this.#isOpen) return;
    const text = 'the former server of this device has messages of it that the log has not settled: send it again';
    const error = new TailraceError('unavailable', text, { retryable: true });
    const { retryAfterMs } = this.#options.limits;
    if (message.qos === 0) this.#limits.dropped(error, isBatch(message) ? message.count : 1);
    else {
      this.#counts.messages.unavailable.add();
      this.#port.refuse(message.token, error, retryAfterMs);
    }
    this.#limits.check();
  }

  #enqueue(message: DeviceMessage | DeviceBatch): void {
    const bytesMax = chunkBytesMax + this.#options.limits.messageBytesMax;
    if (this.#inbox.length > 0 && this.#inboxBytes + message.bytes > bytesMax) {
      if (!this.#port.canDelay) {
        // Its device cannot be refused for now, and what it sends again on another connection is not lost.
        const busy = `expected at most ${bytesMax} bytes that wait, got more: the server is busy, try again`;
        this.#owner.violated('tryAgain', new TailraceError('unavailable', busy));
        return;
      }
      const text = `expected at most ${bytesMax} bytes that wait, got more: await answers before sending more`;
      this.#limits.delay(message, new TailraceError('rate_limited', text), this.#options.limits.retryAfterMs);
      return;
    }
    this.#inbox.push(message);
    this.#inboxBytes += message.bytes;
  }

  #takeInbox(): void {
    if (this.#isUnopened || this.#pauses.has('unavailable')) return;
    const inbox = this.#inbox;
    while (inbox.length > 0) {
      const message = inbox[0]!;
      if (!this.#take(message)) return;
      // Closed within the call.
      if (inbox !== this.#inbox) return;
      inbox.shift();
      this.#inboxBytes -= message.bytes;
    }
    // Reading resumes at three quarters, so that it does not stop again with the next message.
    if (this.unanswered <= 0.75 * this.#options.limits.window) {
      this.#pauses.delete('window');
      this.#pauses.delete('bytes');
    }
    this.#owner.onInboxEmpty();
  }

  /** Takes a message that is next. Returns false if there is no room for it: it has to wait. */
  #take(message: DeviceMessage | DeviceBatch): boolean {
    const from = this.#from!;
    const { admission } = this.#options;
    if (this.#needsLookback(message, from.record)) return false;
    if (!this.#hasRoom(message)) return false;
    if (!admission.tryHold(from.sender, message.bytes, message.isEvent)) {
      this.#waitForBytes();
      return false;
    }
    if (!this.#port.canDelay) {
      const waitMs = this.#limits.waitMs(message, from);
      if (waitMs > 0) {
        admission.release(from.sender, message.bytes);
        this.#waitForRate(waitMs);
        return false;
      }
    }
    // Neither costs any parsing of its report.
    const isRefused = this.#port.canDelay
      ? this.#limits.refuses(message, from)
      : this.#limits.refusesDevice(message, from);
    if (isRefused || this.#isRepeated(message, from)) admission.release(from.sender, message.bytes);
    else if (isBatch(message)) this.#takeBatch(message, from);
    else this.#takeMessage(message, from);
    return true;
  }

  /** Whether what the log has of a device behind a gateway has to be looked up first, as for the gateway itself. */
  #needsLookback(message: DeviceMessage | DeviceBatch, { logged }: DeviceRecord): boolean {
    if (logged === undefined || logged.coversAll || message.qos === 0) return false;
    const isOwn = logged.covers(message.device) && !(isBatch(message) && message.devices() !== undefined);
    if (isOwn) return false;
    this.#isWaiting = true;
    this.#pauses.add('auth');
    this.#owner.onForeignDevice();
    return true;
  }

  /** Whether there is room in the window and in the intake; pauses if not. */
  #hasRoom({ isEvent, bytes }: DeviceMessage | DeviceBatch): boolean {
    const { limits, intake } = this.#options;
    const isFull = this.unanswered >= limits.window + (isEvent ? eventSlots : 0);
    if (isFull || (this.unanswered > 0 && this.#windowBytes + bytes > limits.windowBytes)) {
      this.#pauses.add('window');
      return false;
    }
    if (!intake.isFull) return true;
    this.#waitForBytes();
    return false;
  }

  #waitForBytes(): void {
    this.#pauses.add('bytes');
    this.#retryTimer ??= this.#options.clock.after(bytesRetryMs, () => {
      this.#retryTimer = undefined;
      this.#takeInbox();
    });
  }

  #waitForRate(waitMs: number): void {
    this.#pauses.add('rate');
    this.#rateTimer ??= this.#options.clock.after(Math.ceil(waitMs), () => {
      this.#rateTimer = undefined;
      this.#pauses.delete('rate');
      this.#takeInbox();
    });
  }

  /** Answers a message that the device has sent before, now or when the log has settled it. */
  #isRepeated(message: DeviceMessage | DeviceBatch, { record }: MessageSender): boolean {
    const { id, token, qos, device } = message;
    if (id === '' || qos === 0) return false;
    const pending = record.pending.get(id);
    if (pending !== undefined) {
      if (pending.waiter === this && pending.ackToken !== token) {
        // Over MQTT the first one would have no answer, and those behind it none either.
        const text = `id: expected one that no other message of this session has, got ${shown(id)} again`;
        this.#limits.reject(message, new TailraceError('conflict', text));
        return true;
      }
      pending.waiter = this;
      pending.ackToken = token;
      this.#counts.resent.add();
      return true;
    }
    if (!record.recent?.has(id) && !record.logged?.has(device, id)) return false;
    this.#duplicate(token);
    return true;
  }

  #duplicate(token: MessageToken): void {
    this.#counts.resent.add();
    this.#counts.messages.duplicate.add();
    this.#port.acknowledge(token, 'duplicate');
  }

  #takeMessage(message: DeviceMessage, { record, sender }: MessageSender): void {
    const { admission, tracing } = this.#options;
    const trace = tracing.start(this.#owner.protocol, message.traceparent, message.bytes, message.receivedMs);
    let entry: DeviceEntry;
    try {
      entry = this.#entryOf(message, record, message.bytes, message.receivedMs);
    } catch (thrown) {
      trace?.rejected();
      admission.release(sender, message.bytes);
      this.#limits.reject(message, tailraceErrorFrom(thrown));
      return;
    }
    // Of MQTT, where the ID is in the report.
    if (message.qos > 0 && isLogged(record, entry, message)) {
      trace?.rejected();
      admission.release(sender, message.bytes);
      this.#duplicate(message.token);
      return;
    }
    trace?.append([entry]);
    this.#enter(entry, message, record);
    this.#append(entry);
  }

  #takeBatch(batch: DeviceBatch, { record, sender }: MessageSender): void {
    const { admission, tracing } = this.#options;
    const trace = tracing.start(this.#owner.protocol, batch.traceparent, batch.bytes, batch.receivedMs);
    const item = new BatchEntry(batch);
    const entries: DeviceEntry[] = [];
    const messages = batch.messages();
    for (let index = 0; index < messages.length; index++) {
      const message = messages[index]!;
      if ('error' in message) {
        this.#rejectInner(item, index, message.id, message.error);
        continue;
      }
      try {
        // The bytes of the frame count once.
        const bytes = entries.length === 0 ? batch.bytes : 0;
        const entry = this.#entryOf(message, record, bytes, batch.receivedMs);
        if (batch.qos > 0 && isLogged(record, entry, batch)) {
          this.#counts.resent.add();
          item.accepted++;
          continue;
        }
        entry.batch = item;
        entry.index = index;
        entries.push(entry);
      } catch (thrown) {
        this.#rejectInner(item, index, message.id, tailraceErrorFrom(thrown));
      }
    }
    item.unsettled = entries.length;
    if (entries.length === 0) {
      trace?.rejected();
      admission.release(sender, batch.bytes);
      if (batch.qos > 0) this.acknowledgeBatch(batch.token, item.outcome());
      this.#limits.check();
      return;
    }
    trace?.append(entries);
    item.trace = trace;
    this.#enter(item, batch, record);
    for (const entry of entries) this.#append(entry);
  }

  #append(entry: DeviceEntry): void {
    if (this.#retries === undefined) this.#options.intake.add(entry);
    else this.#retries.add(entry);
  }

  #entryOf(message: DeviceMessage, record: DeviceRecord, bytes: number, receivedMs: number): DeviceEntry {
    const context = this.#context!;
    context.receivedMs = this.#options.clock.now();
    const report = message.report();
    const encoded = recordFrom(report, context);
    const entry = new DeviceEntry(this, message.token, report.id ?? '', encoded, bytes, receivedMs);
    entry.device = record;
    entry.readings = report.readings.length;
    entry.isClockAhead = encoded.clockAhead;
    return entry;
  }

  /** Counts a message or batch in the window. */
  #enter(item: WindowItem, { id, token, qos, bytes }: DeviceMessage | DeviceBatch, record: DeviceRecord): void {
    item.isInWindow = true;
    this.unanswered++;
    this.unsettled++;
    record.unsettled++;
    this.#windowBytes += bytes;
    if (qos === 0) return;
    item.waiter = this;
    item.ackToken = token;
    if (id !== '') record.pending.set(id, item);
  }

  #leaveWindow(item: WindowItem): void {
    if (!item.isInWindow) return;
    item.isInWindow = false;
    this.unanswered--;
    this.#windowBytes -= item.bytes;
  }

  /** The log has not confirmed a message in time. It still may: until then its bytes count, and its ID is pending. */
  #late(item: WindowItem, error: TailraceError): void {
    if (!item.isInWindow) return;
    this.#leaveWindow(item);
    this.#answerError(item, error);
    this.#takeInbox();
    this.#owner.onSettled();
  }

  /** The log has settled a message, or all of a batch. */
  #done(item: WindowItem, record: DeviceRecord): void {
    this.#leaveWindow(item);
    this.unsettled--;
    record.unsettled--;
    this.#options.admission.release(this.#from!.sender, item.bytes);
    if (record.pending.get(item.id) === (item as PendingMessage)) record.pending.delete(item.id);
  }

  #confirmed(entry: DeviceEntry, record: DeviceRecord): void {
    this.#remember(entry, record);
    this.#inLog(entry, record);
    const { waiter } = entry;
    if (waiter === undefined) return;
    entry.waiter = undefined;
    this.#observeAck(entry);
    waiter.acknowledge(entry.ackToken, 'accepted');
    if (waiter !== this) waiter.flushAcks();
  }

  /** Of MQTT, a message of another device has the ID of its report, which is unique for that device alone. */
  #remember({ id, key, token }: DeviceEntry, record: DeviceRecord): void {
    if (id !== '' && (token === id || key === record.path)) this.#options.records.remember(record, id);
  }

  #settledOfBatch(item: BatchEntry, entry: DeviceEntry, error: TailraceError | undefined): void {
    const record = entry.device!;
    if (error === undefined) {
      item.accepted++;
      if (item.id === '') this.#remember(entry, record);
      this.#inLog(entry, record);
    } else {
      item.reject(entry.index, entry.id, error);
      if (!entry.isLate) this.#countError(error);
    }
    if (--item.unsettled > 0) return;
    this.#done(item, record);
    // A repetition of a batch with a rejected message is answered with that rejection again.
    if (item.id !== '' && item.rejected.length === 0) this.#options.records.remember(record, item.id);
    const { waiter } = item;
    const outcome = item.outcome();
    if (outcome.error?.retryable) this.#pauseForLog();
    if (waiter === undefined) {
      if (outcome.error !== undefined && !entry.isLate) this.#limits.dropped(outcome.error, outcome.rejected.length);
      return;
    }
    item.waiter = undefined;
    this.#observeAck(item);
    waiter.acknowledgeBatch(item.ackToken, outcome);
    if (waiter !== this) waiter.flushAcks();
  }

  #answerError(item: WindowItem, error: TailraceError, record?: RefusedRecord): void {
    const { waiter } = item;
    this.#countError(error);
    if (error.retryable) this.#pauseForLog();
    if (waiter === undefined) {
      this.#limits.dropped(error, 1);
      return;
    }
    item.waiter = undefined;
    this.#observeAck(item);
    waiter.refuse(item.ackToken, error, record);
    if (waiter !== this) waiter.flushAcks();
  }

  #countError(error: TailraceError): void {
    this.#counts.messages[error.retryable ? 'unavailable' : 'rejected'].add();
    if (!error.retryable) this.#counts.rejected(error.code);
  }

  #observeAck({ startedMs, trace }: WindowItem): void {
    this.#counts.ackSeconds.observe((this.#options.clock.monotonic() - startedMs) / 1_000, trace?.traceparent);
  }

  /**
   * A message is in the log. One that was refused at the deadline counts as `unavailable`, and its report as accepted.
   */
  #inLog(entry: DeviceEntry, record: DeviceRecord): void {
    if (!entry.isLate) this.#counts.messages.accepted.add();
    this.#options.onAccepted(entry.readings, entry.isClockAhead);
    // Of the device itself, and not of one behind it.
    if (entry.key === record.path && entry.seq > record.lastSeq) record.lastSeq = entry.seq;
  }

  #rejectInner(item: BatchEntry, index: number, id: string, error: TailraceError): void {
    item.reject(index, id, error);
    this.#counts.messages.rejected.add();
    this.#counts.rejected(error.code);
  }

  /** Keeps a message that the log has refused for now, or has not settled at the deadline. */
  #keep(entry: DeviceEntry, retries: RetryQueue<IntakeEntry>): void {
    if (this.#stalledFromMs === undefined || entry.startedMs < this.#stalledFromMs)
      this.#stalledFromMs = entry.startedMs;
    if (entry.state === 'late') return;
    retries.refused(entry);
    // New messages wait, so that the order of the device is kept.
    if (this.#isOpen) this.#pauses.add('unavailable');
  }

  /** The log is slow or away: reads nothing for a while, different for each session. */
  #pauseForLog(): void {
    if (!this.#isOpen || this.#pauses.has('unavailable')) return;
    const { limits, random, clock } = this.#options;
    this.#pauses.add('unavailable');
    this.#pauseTimer = clock.after(Math.min(pauseMsMax, limits.retryAfterMs * (0.5 + random())), () => {
      this.#pauses.delete('unavailable');
      this.#takeInbox();
    });
  }
}

/** A message that counts against rates alone. */
const noReport = {
  ...({ token: -1, id: '', qos: 0, isRepetition: false, bytes: 0, receivedMs: 0, traceparent: '' } as const),
  report: unread,
};

function unread(): never {
  throw new TailraceError('internal', 'expected a message that is counted alone, got one to read');
}

/**
 * Whether a report is known to be in the log by its ID. `recent` has what the device has sent in the last hour: it
 * counts where the device states that it repeats a message, because it may use an ID again after the window of IDs.
 */
function isLogged(
  { path, recent, logged }: DeviceRecord,
  { key, id }: DeviceEntry,
  { isRepetition }: DeviceMessage | DeviceBatch,
): boolean {
  if (id === '') return false;
  return (isRepetition && key === path && recent?.has(id) === true) || logged?.has(key, id) === true;
}

interface MutableContext extends RecordContext {
  receivedMs: number;
}
