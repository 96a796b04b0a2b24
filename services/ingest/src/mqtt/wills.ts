import type { Will } from '@tailrace/mqtt/connect-request';
import { MqttError, mqttReasons } from '@tailrace/mqtt/reason';
import type { ClosedConnection } from '@tailrace/mqtt/server-options';
import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type DeadLetter, deadLetterReasonOf } from '../dead-letters/dead-letter.ts';
import type { DeadLetterWriter } from '../dead-letters/dead-letter-writer.ts';
import { type DeviceMessage, type InvalidMessage, isBatch } from '../devices/device-message.ts';
import type { ProtocolCounts } from '../devices/device-metrics.ts';
import { graceMs } from '../devices/device-session.ts';
import { IntakeEntry, type IntakeSource } from '../intake/intake-entry.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import { type EncodedReport, type Grant, type RecordContext, recordFrom } from '../intake/record-from.ts';
import { RetryQueue, type RetryQueueOptions } from '../intake/retry-queue.ts';
import { SharedLimit } from '../shared-limit.ts';
import { type DeviceTopic, deviceTopicFrom } from './device-topic.ts';
import { deviceMessageFrom, presenceFrom } from './mqtt-message.ts';

/** Bytes of the wills of all sessions, and of those on their way into the log. One sender may hold half of it. */
export const willBytesMax = 16_777_216;

/** Returns after which time a will is due: the session may expire before its delay has passed (MQTT-3.1.3-9 of 5). */
export function willSecondsOf({ will, sessionExpirySeconds }: ClosedConnection): number {
  return Math.min(will?.delaySeconds ?? 0, sessionExpirySeconds);
}

/**
 * Returns how long the device may be without a session before it is offline, ms: the delay of its will. A will that is
 * a report has some time more to be published, so that the device is offline behind it.
 */
export function absenceMs(closed: ClosedConnection): number {
  const delayMs = willSecondsOf(closed) * 1_000;
  if (delayMs === 0) return graceMs;
  return closed.will!.topic.endsWith('/presence') ? delayMs : delayMs + graceMs;
}

/** A will of a connection that is closed. Exactly one of the methods is called. */
export interface DueWill {
  publish(): void;
  /** The session was resumed before the will was due. */
  discard(): void;
}

/** The session of a will, whose device is offline behind the reports of it; `DeviceSession`. */
export interface WillSession {
  readonly device: string;
  willPublished(): void;
  willSettled(seq: number): void;
}

/** Whose will it is. */
export interface WillGrant extends Grant {
  readonly identity: string;
}

export interface WillOptions {
  /** Of the queue into the log. */
  readonly retries: RetryQueueOptions<IntakeEntry>;
  readonly names: RecordContext['devices'];
  /** Counts a report against the rates of its device. Returns whether it is within them. */
  readonly isWithinRates: (device: string) => boolean;
  readonly letters: Pick<DeadLetterWriter, 'write'>;
  readonly tracing: Pick<MessageTracing, 'start'>;
  readonly counts: ProtocolCounts;
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clock: Clock;
  readonly clockAheadMs: number;
}

/**
 * The wills of the clients: a report, or the presence of a device. A report without a time has the time at which it is
 * published, and is appended again while the log refuses it. Presence needs no message: a session that is closed is the
 * presence of its device.
 */
export class Wills implements IntakeSource {
  /** Wills of connections that this server has closed because it stops, so far. */
  withheld = 0;
  readonly #options: WillOptions;
  readonly #queue: RetryQueue<IntakeEntry>;
  /** Wills that are held, by the identity of their sender. */
  readonly #held = new SharedLimit(willBytesMax);

  constructor(options: WillOptions) {
    this.#options = options;
    this.#queue = new RetryQueue(options.retries);
  }

  /** Of all wills that are held, and of those that were published and are not in the log. */
  get bytes(): number {
    return this.#held.used + this.#queue.bytes;
  }

  /** Of the sender that holds most. For metrics. */
  get bytesOfOne(): number {
    return this.#held.mostOfOne();
  }

  /**
   * Throws the error of a will that could not be published: `invalid_path` of its topic, `forbidden` of a device, and
   * MqttError 0x99 or 0x83 of its payload.
   */
  assert(will: Will, grant: Grant): void {
    const topic = deviceTopicFrom(will.topic);
    if (topic.kind === 'reply')
      throw new TailraceError('invalid_path', `will: expected telemetry or presence, got ${shown(will.topic)}`);
    if (!grant.allowsDevice(topic.path))
      throw new TailraceError('forbidden', `will: ${shown(topic.path)} is not covered: ${grant.covers}`);
    try {
      if (topic.kind === 'presence') presenceFrom(will.payload);
      // A device that is new counts when its will is published.
      else for (const each of this.#messagesOf(topic, will)) this.#recordOf(each, grant, { admit() {} });
    } catch (thrown) {
      const error = tailraceErrorFrom(thrown);
      if (error instanceof MqttError || error.code === 'forbidden') throw error;
      throw new MqttError(mqttReasons.implementationSpecific, `will: ${error.message}`);
    }
  }

  /** Holds the will of a session. Throws `limit_reached` at `willBytesMax`, and at half of it of one sender. */
  hold({ payload }: Will, { identity }: WillGrant): void {
    const isFull = this.bytes + payload.length > willBytesMax;
    const exceeded = this.#held.exceeded(identity, payload.length);
    if (isFull || exceeded !== undefined) {
      const { max, of } = exceeded ?? { max: willBytesMax, of: 'all senders' };
      throw new TailraceError('limit_reached', `wills: expected at most ${max} bytes of ${of}, got more`);
    }
    this.#held.add(identity, payload.length);
  }

  release({ payload }: Will, { identity }: WillGrant): void {
    this.#held.add(identity, -payload.length);
  }

  /**
   * Gives up the will of a connection that this server closes because it stops: its device is not gone, and connects to
   * another server. (MQTT 5, section 3.1.2.5: a server that shuts down may defer wills. One that published them would
   * report the failure of each device at each update.) A device that does not come back is offline by its presence.
   */
  withhold(will: Will, grant: WillGrant): void {
    this.withheld++;
    this.release(will, grant);
  }

  due(will: Will, grant: WillGrant, session: WillSession): DueWill {
    return this.held(will, grant, () => this.#publish(will, grant, session));
  }

  /** Returns a will that `publish` publishes; it is released before, and where it is discarded. */
  held(will: Will, grant: WillGrant, publish: () => void): DueWill {
    return {
      publish: () => {
        this.release(will, grant);
        publish();
      },
      discard: () => this.release(will, grant),
    };
  }

  settled(entry: WillEntry, error: TailraceError | undefined): void {
    if (entry.state === 'late') return;
    if (error?.retryable === true && error.code !== 'closed') {
      this.#queue.refused(entry);
      return;
    }
    this.#queue.done(entry);
    const { counts, onAccepted } = this.#options;
    if (error === undefined) {
      counts.messages.accepted.add();
      onAccepted(entry.readings, entry.isClockAhead);
    } else if (!error.retryable) this.#refused(entry.will, entry.session, error);
    if (entry.key === entry.session.device) entry.session.willSettled(entry.seq);
    entry.trace?.settled(error);
  }

  flushAcks(): void {}

  #publish(will: Will, grant: Grant, session: WillSession): void {
    const topic = deviceTopicFrom(will.topic);
    if (topic.kind === 'presence') return;
    const { names, isWithinRates, tracing, clock } = this.#options;
    let refused: TailraceError | undefined;
    const entries: WillEntry[] = [];
    for (const each of this.#messagesOf(topic, will)) {
      try {
        const entry = this.#entryOf(this.#recordOf(each, grant, names), will, session);
        if (!isWithinRates(entry.key)) throw tooManyWills(entry.key);
        entries.push(entry);
      } catch (thrown) {
        refused ??= tailraceErrorFrom(thrown);
      }
    }
    // A will is received when it is due.
    const trace = tracing.start('mqtt', will.traceparent ?? '', will.payload.length, clock.monotonic());
    if (entries.length > 0) trace?.append(entries);
    else trace?.rejected();
    for (const entry of entries) {
      if (entry.key === session.device) session.willPublished();
      this.#queue.add(entry);
    }
    if (refused !== undefined) this.#refused(will, session, refused);
  }

  /** Such as `limit_reached` for a new device. It is a dead letter, because its sender is gone. */
  #refused({ topic, payload, qos, contentType }: Will, { device }: WillSession, error: TailraceError): void {
    const { counts, letters } = this.#options;
    counts.messages.rejected.add();
    counts.rejected(error.code);
    const reason = deadLetterReasonOf(error);
    const letter: DeadLetter = {
      reason,
      message: error.message,
      protocol: 'mqtt',
      source: device,
      topic,
      payload,
      qos,
    };
    letters.write(contentType === undefined ? letter : { ...letter, contentType }, () => {});
  }

  #messagesOf(topic: DeviceTopic, { payload, contentType = '', id = '', isText }: Will) {
    const receivedMs = this.#options.clock.monotonic();
    const facts = { topic, payload, qos: 1, ticket: -1, id, batchId: '', contentType, receivedMs } as const;
    const message = deviceMessageFrom({ ...facts, isText, traceparent: '' });
    return isBatch(message) ? message.messages() : [message];
  }

  #recordOf(message: DeviceMessage | InvalidMessage, grant: Grant, devices: RecordContext['devices']): WillRecord {
    if ('error' in message) throw message.error;
    const { clock, clockAheadMs } = this.#options;
    const report = message.report();
    const record = recordFrom(report, { grant, devices, clockAheadMs, receivedMs: clock.now() });
    return { record, readings: report.readings.length };
  }

  #entryOf({ record, readings }: WillRecord, will: Will, session: WillSession): WillEntry {
    const entry = new WillEntry(this, '', '', record, record.value.length, this.#options.clock.monotonic());
    entry.will = will;
    entry.session = session;
    entry.readings = readings;
    entry.isClockAhead = record.clockAhead;
    return entry;
  }
}

/** Its sender is gone, so that it cannot wait. */
function tooManyWills(device: string): TailraceError {
  return new TailraceError('limit_reached', `will: expected reports within the rates of ${device}, got more`);
}

interface WillRecord {
  readonly record: EncodedReport;
  readonly readings: number;
}

class WillEntry extends IntakeEntry {
  readings = 0;
  isClockAhead = false;
  will!: Will;
  session!: WillSession;
}
