import { TailraceError } from '@tailrace/protocol/error';
import { ackBytes, encodeAck, writeAck } from './acks.ts';
import { packetTypes } from './properties.ts';
import { type MqttVersion, mqttReasons } from './reason.ts';

const firstCapacity = 16;
const isUnsettled = 0xff;

/** How the acknowledgments of one connection are written. */
export interface AckFormat {
  readonly version: MqttVersion;
  /** The Maximum Packet Size of the peer. */
  readonly packetBytesMax: number;
  /** Whether the peer wants Reason Strings (Request Problem Information). */
  readonly withReasonStrings: boolean;
}

/**
 * The acknowledgments of one connection, in the order in which its messages came (MQTT-4.6.0-2 and -3). Messages are
 * settled in any order; `takeSettled` returns those up to the first unsettled one. PUBACK and PUBREC share the queue.
 *
 * A ring, so that a message costs no object. The ticket of a message is one more than that of the message before.
 */
export class AckQueue {
  #packetIds = new Uint16Array(firstCapacity);
  #reasons = new Uint8Array(firstCapacity);
  /** QoS of each message. */
  #levels = new Uint8Array(firstCapacity);
  /** Reason Strings, which few messages have. */
  #texts: Map<number, string> | undefined;
  #head: number;
  #tail: number;
  #unsettled = 0;
  #receipts = 0;

  /** `firstTicket`: so that a client that connects again uses no ticket twice. */
  constructor(firstTicket = 0) {
    this.#head = firstTicket;
    this.#tail = firstTicket;
  }

  /** The ticket of the next message. */
  get nextTicket(): number {
    return this.#tail;
  }

  /** Messages without an acknowledgment on the wire. */
  get size(): number {
    return this.#tail - this.#head;
  }

  /** Messages of which the outcome is not known yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Returns the ticket of the message. */
  add(packetId: number, qos: 1 | 2): number {
    if (this.size === this.#packetIds.length) this.#grow();
    const ticket = this.#tail++;
    const at = ticket & (this.#packetIds.length - 1);
    this.#packetIds[at] = packetId;
    this.#reasons[at] = isUnsettled;
    this.#levels[at] = qos;
    this.#unsettled++;
    return ticket;
  }

  /** Returns whether a message with this packet identifier and QoS waits. For repeated messages: it is a search. */
  has(packetId: number, qos: 1 | 2): boolean {
    const mask = this.#packetIds.length - 1;
    for (let ticket = this.#head; ticket < this.#tail; ticket++) {
      if (this.#packetIds[ticket & mask] === packetId && this.#levels[ticket & mask] === qos) return true;
    }
    return false;
  }

  packetIdOf(ticket: number): number {
    return this.#packetIds[this.#indexOf(ticket)]!;
  }

  qosOf(ticket: number): 1 | 2 {
    return this.#levels[this.#indexOf(ticket)] as 1 | 2;
  }

  /** Returns the reason of a settled message; undefined before. */
  reasonOf(ticket: number): number | undefined {
    const reason = this.#reasons[this.#indexOf(ticket)]!;
    return reason === isUnsettled ? undefined : reason;
  }

  /** Sets the outcome of a message, once. Throws `internal` for a ticket that is unknown or settled. */
  settle(ticket: number, reason: number, reasonString?: string): void {
    const at = this.#indexOf(ticket);
    if (this.#reasons[at] !== isUnsettled) {
      throw new TailraceError(
        'internal',
        `acknowledgment ${ticket}: expected to be settled once, got a second outcome`,
      );
    }
    this.#reasons[at] = reason;
    this.#unsettled--;
    if (reasonString !== undefined) {
      this.#texts ??= new Map();
      this.#texts.set(ticket, reasonString);
    }
  }

  /** Removes the settled messages before the first unsettled one. Returns their acknowledgments as one buffer. */
  takeSettled(format: AckFormat): Buffer | undefined {
    const { version } = format;
    const mask = this.#packetIds.length - 1;
    let end = this.#head;
    let bytes = 0;
    for (; end < this.#tail && this.#reasons[end & mask] !== isUnsettled; end++) {
      bytes += ackBytes(version, this.#reasons[end & mask]!);
    }
    if (end === this.#head) return undefined;
    if (this.#texts !== undefined && this.#texts.size > 0) return this.#takeWithTexts(end, format);
    const acks = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let ticket = this.#head; ticket < end; ticket++) {
      const index = ticket & mask;
      const reason = this.#reasons[index]!;
      at = writeAck(acks, at, this.#typeAt(index), this.#packetIds[index]!, { version, reason });
      this.#countReceipt(index);
    }
    this.#head = end;
    return acks;
  }

  /** Calls with the ticket of every message that waits, in order. */
  forEach(call: (ticket: number) => void): void {
    for (let ticket = this.#head; ticket < this.#tail; ticket++) call(ticket);
  }

  #takeWithTexts(end: number, { version, packetBytesMax, withReasonStrings }: AckFormat): Buffer {
    const mask = this.#packetIds.length - 1;
    const acks: Buffer[] = [];
    for (let ticket = this.#head; ticket < end; ticket++) {
      const index = ticket & mask;
      const reason = this.#reasons[index]!;
      const reasonString = withReasonStrings ? this.#texts!.get(ticket) : undefined;
      this.#texts!.delete(ticket);
      const options = { version, reason, reasonString, packetBytesMax };
      acks.push(encodeAck(this.#typeAt(index), this.#packetIds[index]!, options));
      this.#countReceipt(index);
    }
    this.#head = end;
    return Buffer.concat(acks);
  }

  /** Returns the number of positive PUBREC packets since the last call: a PUBREL follows each of them. */
  takenReceipts(): number {
    const receipts = this.#receipts;
    this.#receipts = 0;
    return receipts;
  }

  #countReceipt(index: number): void {
    if (this.#levels[index] === 2 && this.#reasons[index]! < mqttReasons.unspecified) this.#receipts++;
  }

  #typeAt(index: number): 4 | 5 {
    return this.#levels[index] === 2 ? packetTypes.pubrec : packetTypes.puback;
  }

  #indexOf(ticket: number): number {
    if (ticket < this.#head || ticket >= this.#tail) {
      const known = `${this.#head} to ${this.#tail - 1}`;
      throw new TailraceError('internal', `acknowledgment: expected a ticket of ${known}, got ${ticket}`);
    }
    return ticket & (this.#packetIds.length - 1);
  }

  #grow(): void {
    const capacity = this.#packetIds.length;
    const packetIds = new Uint16Array(capacity * 2);
    const reasons = new Uint8Array(capacity * 2);
    const levels = new Uint8Array(capacity * 2);
    for (let ticket = this.#head; ticket < this.#tail; ticket++) {
      const from = ticket & (capacity - 1);
      const to = ticket & (capacity * 2 - 1);
      packetIds[to] = this.#packetIds[from]!;
      reasons[to] = this.#reasons[from]!;
      levels[to] = this.#levels[from]!;
    }
    this.#packetIds = packetIds;
    this.#reasons = reasons;
    this.#levels = levels;
  }
}
