import type { Clock } from '@tailrace/platform/clock';
import type { AckFormat } from './ack-queue.ts';
import { PacketFramer } from './framer.ts';
import type { InboundMessages } from './inbound-messages.ts';
import { assertHeader, type Role } from './packet-check.ts';
import { packetTypes } from './properties.ts';
import { MqttError, type MqttVersion, mqttReasons } from './reason.ts';
import type { Wire, WireHandlers } from './wire.ts';

/** Why a connection does not read. It reads when no reason is left. */
export const pauseReasons = {
  /** The credentials of the peer are being verified, or its session is being claimed. */
  verify: 1,
  /** The peer has as many unacknowledged messages as the receive maximum, and sends more. */
  window: 2,
  /** The process holds as many bytes as it may. */
  bytes: 4,
  /** The peer has no tokens left. */
  rate: 8,
  /** The peer does not read what was sent to it. */
  unread: 16,
  /** The connection is being closed. */
  drain: 32,
} as const;

const qosBits = 0x06;

/**
 * The part of a connection that server and client share: bytes to packets, pauses, and acknowledgments in their order.
 * An error of a packet reaches `onError` once, and no further packet is processed.
 */
export abstract class PacketConnection implements WireHandlers {
  protected wire: Wire;
  protected version: MqttVersion = 4;
  protected inbound: InboundMessages | undefined;
  /** The Maximum Packet Size of the peer. */
  protected peerPacketBytesMax: number = Number.POSITIVE_INFINITY;
  /** Whether the peer wants Reason Strings in all packets (Request Problem Information). */
  protected withReasonStrings = true;
  /** Whether a peer of MQTT 5 that exceeds the receive maximum is not read, instead of an error. */
  protected pausesAtReceiveMaximum = false;
  /** Ms of the monotonic clock; moved to the end of a pause, because nothing can be received during one. */
  lastReceivedMs: number;
  /** When reading was resumed last, ms of the monotonic clock. */
  protected lastResumedMs = 0;
  /** Ms of the monotonic clock from which the peer has not read; undefined if it reads. */
  protected unreadSinceMs: number | undefined;
  protected readonly framer: PacketFramer;
  protected readonly clock: Clock;
  #paused = 0;
  #isProcessing = false;

  constructor(wire: Wire, clock: Clock, packetBytesMax: number) {
    this.wire = wire;
    this.clock = clock;
    this.framer = new PacketFramer(packetBytesMax);
    this.lastReceivedMs = clock.monotonic();
  }

  protected abstract readonly role: Role;
  protected abstract get isClosed(): boolean;
  protected abstract onPacket(type: number, packet: Buffer): void;
  protected abstract onError(error: MqttError): void;
  protected abstract onWireClosed(error: Error | undefined): void;

  bytes(chunk: Buffer): void {
    if (this.isClosed) return;
    this.lastReceivedMs = this.clock.monotonic();
    this.framer.push(chunk);
    this.#process();
  }

  writable(): void {
    this.unreadSinceMs = undefined;
    this.resume(pauseReasons.unread);
  }

  closed(error?: Error): void {
    if (!this.isClosed) this.onWireClosed(error);
  }

  /** Whether bytes wait that the peer does not read. */
  get isUnread(): boolean {
    return this.unreadSinceMs !== undefined;
  }

  /** Bytes of a packet that has not come whole, and of packets that wait for the end of a pause. */
  get pendingBytes(): number {
    return this.framer.pendingBytes;
  }

  get isPaused(): boolean {
    return this.#paused !== 0;
  }

  pause(reason: number): void {
    if (this.#paused === 0) this.wire.pause();
    this.#paused |= reason;
  }

  resume(reason: number): void {
    if ((this.#paused & reason) === 0) return;
    this.#paused &= ~reason;
    if (this.#paused !== 0 || this.isClosed) return;
    this.lastReceivedMs = this.clock.monotonic();
    this.lastResumedMs = this.lastReceivedMs;
    this.wire.resume();
    this.#process();
  }

  /**
   * Sets the outcome of a message, after any time and in any order. Call `flush` after the last one of a batch: it
   * writes the acknowledgments. After the connection was closed, the session takes the outcome.
   *
   * `reason`: 0, or the final reason for which the message was refused. A message whose outcome is a passing failure is
   * never settled: its sender would not send it again (MQTT-4.4.0-2).
   */
  settle(ticket: number, reason: number, reasonString?: string): void {
    this.inbound!.settle(ticket, reason, reasonString);
  }

  /** Writes the acknowledgments of all settled messages before the first one that is not. */
  flush(): void {
    if (this.inbound === undefined || this.isClosed) return;
    const acks = this.inbound.takeAcks(this.ackFormat);
    if (acks !== undefined) this.send(acks);
    if (!this.inbound.isFull) this.resume(pauseReasons.window);
    this.onFlushed();
  }

  /** For outcomes of messages that came on an earlier connection of the session. */
  settledEarlier(packetId: number, qos: 1 | 2, reason: number, reasonString: string | undefined): void {
    this.inbound?.settledEarlier(packetId, qos, reason, reasonString);
    this.flush();
  }

  protected onFlushed(): void {}

  protected get ackFormat(): AckFormat {
    const { version, peerPacketBytesMax: packetBytesMax, withReasonStrings } = this;
    return { version, packetBytesMax, withReasonStrings };
  }

  protected send(bytes: Uint8Array): void {
    if (this.wire.send(bytes) || this.unreadSinceMs !== undefined) return;
    this.unreadSinceMs = this.clock.monotonic();
    this.pause(pauseReasons.unread);
  }

  /** Starts on another wire, as a client does that connects again. */
  protected attach(wire: Wire): void {
    this.wire = wire;
    this.framer.clear();
    this.#paused = 0;
    this.unreadSinceMs = undefined;
    this.lastReceivedMs = this.clock.monotonic();
  }

  /** Checks the first byte of a packet, before the rest of it has come. */
  protected assertFirstByte(byte: number): void {
    assertHeader(byte, this.version, this.role);
  }

  /**
   * Returns whether the next message has to wait, because as many as allowed wait for their outcome. A peer of MQTT
   * 3.1.1 does not know the limit: other packets before that message are processed.
   */
  #mustWait(): boolean {
    if (this.inbound?.isFull !== true) return false;
    this.flush();
    return this.inbound.isFull && (this.version === 4 || this.pausesAtReceiveMaximum);
  }

  #process(): void {
    if (this.#isProcessing) return;
    this.#isProcessing = true;
    const { framer } = this;
    try {
      while (this.#paused === 0 && !this.isClosed) {
        const first = framer.firstByte;
        if (first === undefined) break;
        this.assertFirstByte(first);
        if ((first & qosBits) !== 0 && first >> 4 === packetTypes.publish && this.#mustWait()) {
          this.pause(pauseReasons.window);
          continue;
        }
        const packet = framer.next();
        if (packet === undefined) break;
        this.onPacket(first >> 4, packet);
      }
    } catch (error) {
      this.onError(mqttErrorFrom(error));
    } finally {
      this.#isProcessing = false;
    }
    if (this.isClosed) {
      framer.clear();
      return;
    }
    framer.retain();
    this.flush();
  }
}

function mqttErrorFrom(thrown: unknown): MqttError {
  if (thrown instanceof MqttError) return thrown;
  return new MqttError(mqttReasons.implementationSpecific, 'internal error; see the server log', { cause: thrown });
}
