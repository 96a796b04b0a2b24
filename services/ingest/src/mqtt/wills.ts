import type { Will } from '@tailrace/mqtt/connect-request';
import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { isBatch } from '../devices/device-message.ts';
import type { ProtocolCounts } from '../devices/device-metrics.ts';
import { IntakeEntry } from '../intake/intake-entry.ts';
import type { IntakeSource } from '../intake/intake-source.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import { type Grant, recordFrom } from '../intake/record-from.ts';
import { type DeviceTopic, deviceTopicFrom } from './device-topic.ts';
import { deviceMessageFrom, presenceFrom } from './mqtt-message.ts';

/** Bytes of the wills of all sessions. */
export const willBytesMax = 16_777_216;
/** Between two attempts to append a will. */
const retryMs = 1_000;

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

export interface WillOptions {
  readonly intake: Pick<MessageIntake, 'add'>;
  readonly names: { admit(path: string): void };
  readonly counts: ProtocolCounts;
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clock: Clock;
  readonly clockAheadMs: number;
}

/**
 * The wills of the clients: a report, or the presence of a device. A report without a time has the time at which it is
 * published. Presence needs no message: a session that is closed is the presence of its device.
 */
export class Wills implements IntakeSource {
  /** Of all wills that are held. */
  bytes = 0;
  readonly #options: WillOptions;

  constructor(options: WillOptions) {
    this.#options = options;
  }

  /** Throws the error of a will that would be refused as a message. */
  assert(will: Will): void {
    const topic = deviceTopicFrom(will.topic);
    if (topic.kind === 'reply')
      throw new TailraceError('invalid_path', `will: expected telemetry or presence, got ${shown(will.topic)}`);
    if (topic.kind === 'presence') presenceFrom(will.payload);
    else this.#messageOf(topic, will);
  }

  /** Holds the will of a session. Throws `forbidden`, and `limit_reached` at `willBytesMax`. */
  hold(will: Will, grant: Grant): void {
    const { path } = deviceTopicFrom(will.topic);
    if (!grant.allowsDevice(path))
      throw new TailraceError('forbidden', `will: ${shown(path)} is not covered: ${grant.covers}`);
    if (this.bytes + will.payload.length > willBytesMax)
      throw new TailraceError(
        'limit_reached',
        `wills: expected at most ${willBytesMax} bytes of all clients, got more`,
      );
    this.bytes += will.payload.length;
  }

  release(will: Will): void {
    this.bytes -= will.payload.length;
  }

  due(will: Will, grant: Grant, session: WillSession): DueWill {
    return {
      publish: () => {
        this.release(will);
        this.#publish(will, grant, session);
      },
      discard: () => this.release(will),
    };
  }

  settled(entry: WillEntry, error: TailraceError | undefined): void {
    if (entry.state === 'late') return;
    const { counts, clock, intake, onAccepted } = this.#options;
    if (error?.retryable === true && error.code !== 'closed') {
      clock.after(retryMs, () => intake.add(entry));
      return;
    }
    if (error === undefined) {
      counts.messages.accepted.add();
      onAccepted(entry.readings, entry.isClockAhead);
    } else if (!error.retryable) this.#refused(error);
    entry.session?.willSettled(entry.seq);
  }

  flushAcks(): void {}

  #publish(will: Will, grant: Grant, session: WillSession): void {
    const topic = deviceTopicFrom(will.topic);
    if (topic.kind === 'presence') return;
    const { intake, clock, clockAheadMs, names } = this.#options;
    const context = { grant, devices: names, clockAheadMs, receivedMs: clock.now() };
    const message = this.#messageOf(topic, will);
    for (const each of isBatch(message) ? message.messages() : [message]) {
      try {
        if ('error' in each) throw each.error;
        const report = each.report();
        const record = recordFrom(report, context);
        const entry = new WillEntry(this, '', '', record, record.value.length, clock.monotonic());
        entry.readings = report.readings.length;
        entry.isClockAhead = record.clockAhead;
        if (record.key === session.device) {
          entry.session = session;
          session.willPublished();
        }
        intake.add(entry);
      } catch (thrown) {
        this.#refused(tailraceErrorFrom(thrown));
      }
    }
  }

  #refused({ code }: TailraceError): void {
    const { counts } = this.#options;
    counts.messages.rejected.add();
    counts.rejected(code);
  }

  #messageOf(topic: DeviceTopic, { payload, contentType = '', id = '' }: Will) {
    const receivedMs = this.#options.clock.monotonic();
    const facts = { topic, payload, qos: 1, ticket: -1, id, contentType, receivedMs } as const;
    return deviceMessageFrom({ ...facts, isText: false, traceparent: '' });
  }
}

class WillEntry extends IntakeEntry {
  readings = 0;
  isClockAhead = false;
  /** Undefined for a report of another device. */
  session: WillSession | undefined = undefined;
}
