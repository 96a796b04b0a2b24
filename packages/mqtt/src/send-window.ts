import { TailraceError } from '@tailrace/protocol/error';
import type { OutboundMessage } from './publish.ts';

const packetIdMax = 65_535;

/** A message of QoS 1 that the peer has not acknowledged. */
export interface SentMessage {
  readonly packetId: number;
  readonly message: OutboundMessage;
  /** Whether it was sent on this connection. If not, it is sent again. */
  isInFlight: boolean;
}

/**
 * The own messages of QoS 1 of a session, from the first attempt to the PUBACK, over any number of connections: their
 * packet identifiers, the quota of the peer (MQTT-4.9.0-1 and -2), and what is sent again (MQTT-4.4.0-1).
 *
 * Messages are sent again in the order of their first attempt (MQTT-4.6.0-1), and before any new one. A peer may have a
 * smaller quota than on the connection before: then the rest follows as acknowledgments come.
 */
export class SendWindow {
  /** The most messages that wait for an acknowledgment, whatever the quota of the peer. */
  readonly unackedMax: number;
  /** In the order of the first attempt. */
  readonly #sent = new Map<number, SentMessage>();
  /** Identifiers of SUBSCRIBE and UNSUBSCRIBE, which are of the same set (section 2.2.1). */
  readonly #reserved = new Set<number>();
  #lastId = 0;
  #quota = 0;
  #inFlight = 0;

  constructor(unackedMax: number) {
    this.unackedMax = unackedMax;
  }

  /** Messages without an acknowledgment. */
  get size(): number {
    return this.#sent.size;
  }

  /** Starts a connection. `receiveMaximum` of the peer: 65,535 if it has named none. */
  connected(receiveMaximum: number): void {
    this.#quota = Math.min(receiveMaximum, this.unackedMax);
    this.#inFlight = 0;
    this.#reserved.clear();
    for (const sent of this.#sent.values()) sent.isInFlight = false;
  }

  /** Takes a new message. Returns undefined if the quota is used, or while others wait to be sent again. */
  add(message: OutboundMessage): SentMessage | undefined {
    if (this.#inFlight >= this.#quota || this.#inFlight < this.#sent.size) return undefined;
    const sent: SentMessage = { packetId: this.#nextId(), message, isInFlight: true };
    this.#sent.set(sent.packetId, sent);
    this.#inFlight++;
    return sent;
  }

  /**
   * Returns the next message to send again, as sent; undefined if there is none or the quota is used. A message that
   * has expired is removed and passed to `onExpired`: its outcome is unknown. `nowMs`: epoch ms.
   */
  nextToResend(nowMs: number, onExpired: (message: OutboundMessage) => void): SentMessage | undefined {
    if (this.#inFlight === this.#sent.size) return undefined;
    for (const sent of this.#sent.values()) {
      if (sent.isInFlight) continue;
      const { expiresAtMs } = sent.message;
      if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
        this.#sent.delete(sent.packetId);
        onExpired(sent.message);
        continue;
      }
      if (this.#inFlight >= this.#quota) return undefined;
      sent.isInFlight = true;
      this.#inFlight++;
      return sent;
    }
    return undefined;
  }

  /** Removes an acknowledged message. Returns undefined for an unknown packet identifier. */
  acked(packetId: number): OutboundMessage | undefined {
    const sent = this.#sent.get(packetId);
    if (sent === undefined) return undefined;
    this.#sent.delete(packetId);
    if (sent.isInFlight) this.#inFlight--;
    return sent.message;
  }

  /** Returns the messages without an acknowledgment, in the order of their first attempt. */
  unacknowledged(): readonly SentMessage[] {
    return [...this.#sent.values()];
  }

  /** Restores a message of an earlier process. */
  restore(packetId: number, message: OutboundMessage): void {
    this.#sent.set(packetId, { packetId, message, isInFlight: false });
  }

  /** Discards all messages, as a peer without a session has done (MQTT-3.2.2-5). Returns them in order. */
  clear(): OutboundMessage[] {
    const messages = Array.from(this.#sent.values(), ({ message }) => message);
    this.#sent.clear();
    this.#inFlight = 0;
    return messages;
  }

  /** Returns a packet identifier for SUBSCRIBE or UNSUBSCRIBE, until `free`. */
  reserve(): number {
    const packetId = this.#nextId();
    this.#reserved.add(packetId);
    return packetId;
  }

  free(packetId: number): boolean {
    return this.#reserved.delete(packetId);
  }

  /** MQTT-2.3.1-2 of 3.1.1, MQTT-2.2.1-3 and -4 of 5. */
  #nextId(): number {
    for (let tries = 0; tries < packetIdMax; tries++) {
      this.#lastId = this.#lastId === packetIdMax ? 1 : this.#lastId + 1;
      if (!this.#sent.has(this.#lastId) && !this.#reserved.has(this.#lastId)) return this.#lastId;
    }
    throw new TailraceError('limit_reached', `packet identifiers: expected at most ${packetIdMax} in use, got all`);
  }
}
