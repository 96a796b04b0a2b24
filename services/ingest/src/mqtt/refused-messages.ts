import type { ErrorCode, TailraceError } from '@tailrace/protocol/error';
import type { Admission, Sender } from '../admission.ts';
import { type DeadLetter, deadLetterReasonOf, letterOfRecord } from '../dead-letters/dead-letter.ts';
import type { DeadLetterWriter } from '../dead-letters/dead-letter-writer.ts';
import type { RefusedRecord } from '../devices/protocol-port.ts';

/** A message of MQTT 3.1.1 as it came. */
export interface Original {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
}

/** Messages of one connection that may be refused after the call in which they came, by ticket. */
export class Originals {
  readonly #byTicket = new Map<number, Original>();

  add(ticket: number, { topic, payload, qos }: Original): void {
    this.#byTicket.set(ticket, { topic, payload, qos });
  }

  /** Keeps one that has no answer yet: a copy, because the payload is a view of the packet. */
  keep(ticket: number): void {
    const original = this.#byTicket.get(ticket);
    if (original !== undefined) this.#byTicket.set(ticket, { ...original, payload: Buffer.from(original.payload) });
  }

  /** Removes and returns the message of a ticket. */
  take(ticket: number): Original | undefined {
    const original = this.#byTicket.get(ticket);
    if (original !== undefined) this.#byTicket.delete(ticket);
    return original;
  }
}

interface Refusal {
  /** Of the session. */
  readonly device: string;
  readonly error: TailraceError;
  /** Why, where it is more than the message of the error. */
  readonly text: string;
}

/** A message of MQTT 3.1.1 that was refused, or some of its reports. */
export type RefusedMessage = Original & Refusal;

export interface RefusedMessageOptions {
  readonly letters: Pick<DeadLetterWriter, 'write'>;
  readonly admission: Pick<Admission, 'tryHold' | 'release'>;
}

/** Errors of the content. A topic that is not known, and a device that is not covered, are of the configuration. */
const codes: ReadonlySet<ErrorCode> = new Set(['invalid_report', 'invalid_message', 'too_large', 'limit_reached']);

/**
 * Writes messages of MQTT 3.1.1 that were refused to the dead letters: their device gets a positive acknowledgment,
 * because there is no other one, and the message would be lost without a trace.
 */
export class RefusedMessages {
  readonly #options: RefusedMessageOptions;

  constructor(options: RefusedMessageOptions) {
    this.#options = options;
  }

  /**
   * Calls `done` when the message may be acknowledged. Its bytes are of its sender until then; a message beyond the
   * bytes of its sender is only counted and logged, as other refused messages are.
   */
  write({ topic, qos, payload, device, error, text }: RefusedMessage, sender: Sender, done: () => void): void {
    this.#write(error, payload, sender, done, () => ({
      ...{ topic, qos, device, source: device, message: text, protocol: 'mqtt' },
      reason: deadLetterReasonOf(error),
      // A copy: it is a view of the packet.
      payload: Buffer.from(payload),
    }));
  }

  /** The same for the report of a message that is not kept, because only the log finds it too large. */
  writeRecord(record: RefusedRecord, { device, error, text }: Refusal, sender: Sender, done: () => void): void {
    const letter = () => letterOfRecord(record, { protocol: 'mqtt', source: device, message: text });
    this.#write(error, record.value, sender, done, letter);
  }

  #write(
    error: TailraceError,
    payload: Uint8Array,
    sender: Sender,
    done: () => void,
    letterOf: () => DeadLetter,
  ): void {
    const { letters, admission } = this.#options;
    if (!codes.has(error.code) || !admission.tryHold(sender, payload.length, false)) {
      done();
      return;
    }
    letters.write(letterOf(), () => {
      admission.release(sender, payload.length);
      done();
    });
  }
}
