import type { Timer } from '@tailrace/platform/clock';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { TailraceError } from '@tailrace/protocol/error';
import { decodeAck, encodeAck } from './acks.ts';
import type { ClientHandlers, ClientOptions, ClientSubscription, Opened, StopOptions } from './client-options.ts';
import { connectPacketOf } from './client-packets.ts';
import {
  type ConnackPacket,
  type DisconnectPacket,
  decodePacket,
  encodePacket,
  type SubackPacket,
  type UnsubackPacket,
} from './codec.ts';
import { InboundMessages } from './inbound-messages.ts';
import { packetOf, resend } from './outbound-messages.ts';
import { assertPacket } from './packet-check.ts';
import { PacketConnection } from './packet-connection.ts';
import { packetTypes as types } from './properties.ts';
import type { OutboundMessage } from './publish.ts';
import { isPermanent, MqttError, malformed, reasonFromReturnCode, mqttReasons as reasons } from './reason.ts';
import { ReconnectDelay } from './reconnect-delay.ts';
import type { SendWindow, SentMessage } from './send-window.ts';
import { SessionState } from './session-state.ts';
import { assertTopicName, topicBytesMax } from './topic.ts';
import type { Wire, WireHandlers } from './wire.ts';

/**
 * `waiting` to connect; `connecting`: CONNECT is sent, CONNACK has not come; `subscribing`: SUBACK has not come;
 * `open`; `draining`: no new message is taken, and those in flight are acknowledged; `stopped`.
 */
type State = 'waiting' | 'connecting' | 'subscribing' | 'open' | 'draining' | 'stopped';

const transitions: Transitions<State> = {
  waiting: ['connecting', 'stopped'],
  connecting: ['subscribing', 'open', 'waiting', 'stopped'],
  subscribing: ['open', 'draining', 'waiting', 'stopped'],
  open: ['draining', 'waiting', 'stopped'],
  draining: ['stopped'],
  stopped: [],
};

const connectTimeoutMs = 10_000;
const pingTimeoutMs = 10_000;
/** Of SUBSCRIBE and UNSUBSCRIBE. A broker may send what it has queued for the session before it answers. */
const answerTimeoutMs = 30_000;
/** How long the server may leave unread what the wire cannot buffer. */
const unreadMs = 30_000;
/** Filters of one SUBSCRIBE or UNSUBSCRIBE. */
const filtersMax = 100;
const pingRequest = Buffer.of(types.pingreq << 4, 0);

const noWire: Wire = { send: () => true, pause() {}, resume() {}, close() {} };

/** A SUBSCRIBE or UNSUBSCRIBE without its answer. */
interface Pending {
  readonly name: 'SUBACK' | 'UNSUBACK';
  /** Monotonic ms. Later while this side does not read: the answer may be behind data. */
  sinceMs: number;
  /** Empty for UNSUBSCRIBE. */
  readonly subscriptions: readonly ClientSubscription[];
  readonly done: (() => void) | undefined;
}

/**
 * A client that connects again until it is stopped. Its messages are acknowledged by the caller, many at a time, in the
 * order in which they came. Own messages of QoS 1 are sent again on a session that the server still has.
 */
export class ClientConnection extends PacketConnection {
  protected readonly role = 'client';
  readonly #options: ClientOptions;
  readonly #handlers: ClientHandlers;
  readonly #session = new SessionState();
  /** Messages of earlier connections that wait for their outcome. */
  #earlier: InboundMessages[] = [];
  #state: State = 'waiting';
  #timer: Timer | undefined;
  #ticker: Timer | undefined;
  readonly #delay: ReconnectDelay;
  /** The number of the wire in use: calls of an earlier one are ignored. */
  #wireId = 0;
  #isSubscribed: boolean;
  #keepAliveMs = 0;
  #lastSentMs = 0;
  /** Ms of the monotonic clock of a PINGREQ without its PINGRESP. */
  #pingedMs: number | undefined;
  #maximumQoS = 2;
  #isRetainAvailable = true;
  #pending = new Map<number, Pending>();
  #stopped: (() => void) | undefined;
  #stopOptions: StopOptions | undefined;

  constructor(options: ClientOptions, handlers: ClientHandlers) {
    super(noWire, options.clock, options.packetBytesMax);
    this.#options = options;
    this.#handlers = handlers;
    this.#isSubscribed = options.isSubscribed;
    this.#delay = new ReconnectDelay(options.random, options.backoff);
    this.version = options.version;
    this.pausesAtReceiveMaximum = options.pausesAtReceiveMaximum ?? false;
    this.#session.windowOf(options.unackedMax);
  }

  get state(): State {
    return this.#state;
  }

  /** Messages that wait for their outcome, those of earlier connections included. */
  get unsettled(): number {
    return this.#earlier.reduce((sum, { unsettled }) => sum + unsettled, this.inbound?.unsettled ?? 0);
  }

  /** Own messages without an acknowledgment, in the order of their first attempt. */
  unacknowledged(): readonly SentMessage[] {
    return this.#window.unacknowledged();
  }

  protected get isClosed(): boolean {
    return this.#state === 'waiting' || this.#state === 'stopped';
  }

  start(): void {
    if (this.#state === 'waiting' && this.#timer === undefined) this.#connect();
  }

  /** Connects at once instead of at the end of the backoff. */
  wake(): void {
    if (this.#state !== 'waiting' || this.#timer === undefined) return;
    this.#delay.reset();
    this.#connect();
  }

  /**
   * Sends a message. Returns its packet identifier, 0 at QoS 0; undefined if the connection is not open or the window
   * is full: then it is not taken. Throws MqttError for a message that the server does not allow, by size, QoS or
   * retain flag.
   */
  publish(message: OutboundMessage): number | undefined {
    if (this.#state !== 'open') return undefined;
    assertTopicName(message.topic);
    if (message.qos > this.#maximumQoS) {
      throw new MqttError(0x9b, `QoS: the server allows at most ${this.#maximumQoS}, got ${message.qos}`);
    }
    if (message.retain === true && !this.#isRetainAvailable) {
      throw new MqttError(0x9a, 'retain: the server keeps no retained messages');
    }
    const nowMs = this.clock.now();
    const sent = message.qos === 0 ? undefined : this.#window.add(message);
    if (message.qos !== 0 && sent === undefined) return undefined;
    const packetId = sent?.packetId ?? 0;
    const packet = packetOf(message, this.version, { packetId, dup: false, nowMs });
    if (packet.length > this.peerPacketBytesMax) {
      this.#window.acked(packetId);
      throw new MqttError(
        reasons.packetTooLarge,
        `message: the server allows at most ${this.peerPacketBytesMax} bytes, got ${packet.length}`,
      );
    }
    this.send(packet);
    return packetId;
  }

  /** Tickets of earlier connections are known, too. */
  override settle(ticket: number, reason: number, reasonString?: string): void {
    if (ticket >= this.inbound!.firstTicket) {
      super.settle(ticket, reason, reasonString);
      return;
    }
    const earlier = this.#earlier.find(({ nextTicket }) => ticket < nextTicket);
    if (earlier === undefined) throw new TailraceError('internal', `acknowledgment: unknown ticket ${ticket}`);
    earlier.settle(ticket, reason, reasonString);
    if (earlier.unsettled === 0) this.#earlier = this.#earlier.filter((each) => each !== earlier);
  }

  /**
   * Subscribes on the open connection; `handlers.subscribed` has the outcomes. `done`: called after all of them, and
   * not if the connection is closed before.
   */
  subscribe(subscriptions: readonly ClientSubscription[], done?: () => void): void {
    for (let at = 0; at < subscriptions.length; at += filtersMax) {
      const part = subscriptions.slice(at, at + filtersMax);
      const isLast = at + filtersMax >= subscriptions.length;
      const messageId = this.#request('SUBACK', part, isLast ? done : undefined);
      const fields = part.map(({ filter: topic, qos, retainAsPublished: rap = false, retainHandling: rh = 2 }) =>
        this.version === 5 ? { topic, qos, nl: false, rap, rh } : { topic, qos },
      );
      this.send(encodePacket({ cmd: 'subscribe', messageId, subscriptions: fields }, this.version));
    }
  }

  unsubscribe(filters: readonly string[], done?: () => void): void {
    for (let at = 0; at < filters.length; at += filtersMax) {
      const isLast = at + filtersMax >= filters.length;
      const messageId = this.#request('UNSUBACK', [], isLast ? done : undefined);
      const unsubscriptions = filters.slice(at, at + filtersMax);
      this.send(encodePacket({ cmd: 'unsubscribe', messageId, unsubscriptions }, this.version));
    }
  }

  /**
   * Waits for acknowledgments in both directions, sends DISCONNECT and closes. It never unsubscribes: the server goes
   * on queueing for the session.
   */
  stop(options: StopOptions): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state === 'stopped') {
        resolve();
        return;
      }
      const before = this.#stopped;
      this.#stopped = () => {
        before?.();
        resolve();
      };
      this.#stopOptions = options;
      if (this.#state !== 'open' && this.#state !== 'subscribing') {
        if (this.#state !== 'draining') this.#stop();
        return;
      }
      this.#setState('draining');
      this.#timer?.cancel();
      if (options.drainMs <= 0) {
        this.#stop();
        return;
      }
      this.#timer = this.clock.after(options.drainMs, () => this.#stop());
      this.onFlushed();
    });
  }

  protected override send(bytes: Uint8Array): void {
    this.#lastSentMs = this.clock.monotonic();
    super.send(bytes);
  }

  protected override onFlushed(): void {
    if (this.#state === 'draining' && (this.inbound?.size ?? 0) === 0 && this.#window.size === 0) this.#stop();
  }

  protected override assertFirstByte(byte: number): void {
    super.assertFirstByte(byte);
    const isConnack = byte >> 4 === types.connack;
    if ((this.#state === 'connecting') !== isConnack) {
      const expected = isConnack ? 'CONNACK: expected once' : 'first packet: expected CONNACK';
      throw new MqttError(reasons.protocolError, `${expected}, got another one`);
    }
  }

  protected onPacket(type: number, packet: Buffer): void {
    switch (type) {
      case types.publish:
        this.#onPublish(packet);
        break;
      case types.puback:
        this.#onPuback(packet);
        break;
      case types.pubrel: {
        const { packetId } = decodeAck(packet, this.version);
        // Its PUBREC may be settled, and not be written yet.
        this.flush();
        const reason = this.inbound!.release(packetId);
        this.send(encodeAck(types.pubcomp, packetId, { version: this.version, reason }));
        break;
      }
      case types.pubrec:
        throw new MqttError(reasons.protocolError, 'PUBREC: expected none, because nothing is sent at QoS 2');
      case types.pubcomp:
        decodeAck(packet, this.version);
        break;
      case types.connack:
        this.#onConnack(packet);
        break;
      case types.suback:
        this.#onSuback(packet);
        break;
      case types.unsuback:
        this.#onUnsuback(packet);
        break;
      case types.pingresp:
        assertPacket(packet, this.version, 'client');
        this.#pingedMs = undefined;
        break;
      case types.disconnect: {
        assertPacket(packet, this.version, 'client');
        const decoded = packet.length > 2 ? (decodePacket(packet, this.version) as DisconnectPacket) : undefined;
        if (decoded?.properties?.sessionExpiryInterval !== undefined) {
          throw new MqttError(reasons.protocolError, 'session expiry: expected none from a server');
        }
        const reason = decoded?.reasonCode ?? reasons.success;
        this.#disconnected(reason, decoded?.properties?.reasonString ?? 'the server disconnected');
        break;
      }
      default:
        // AUTH, which `assertPacket` refuses.
        assertPacket(packet, this.version, 'client');
    }
  }

  protected onError(error: MqttError): void {
    if (this.isClosed) return;
    // MQTT-3.1.0-1: DISCONNECT is no answer before CONNACK.
    if (this.version === 5 && this.#state !== 'connecting') {
      super.send(encodePacket({ cmd: 'disconnect', reasonCode: error.reason }, 5));
    }
    this.#disconnected(error.reason, error.message, error.cause);
  }

  protected onWireClosed(error: Error | undefined): void {
    const message = error === undefined ? 'the server closed the connection' : `connection lost: ${error.message}`;
    this.#disconnected(reasons.success, message, error);
  }

  get #window(): SendWindow {
    return this.#session.window!;
  }

  #connect(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#setState('connecting');
    this.#pingedMs = undefined;
    this.#pending.clear();
    let wire: Wire;
    let packet: Buffer;
    try {
      packet = connectPacketOf(this.#options, this.#options.credentials());
      wire = this.#options.dial(this.#handlersOf());
    } catch (cause) {
      this.#disconnected(reasons.success, `cannot connect: ${(cause as Error).message}`, cause);
      return;
    }
    this.attach(wire);
    this.#timer = this.clock.after(connectTimeoutMs, () =>
      this.#disconnected(reasons.success, `no CONNACK within ${connectTimeoutMs} ms`),
    );
    this.send(packet);
  }

  /** Calls of a wire that was closed do not reach the next connection. */
  #handlersOf(): WireHandlers {
    const id = ++this.#wireId;
    const isCurrent = () => id === this.#wireId;
    return {
      bytes: (chunk: Buffer) => {
        if (isCurrent()) this.bytes(chunk);
      },
      writable: () => {
        if (isCurrent()) this.writable();
      },
      closed: (error?: Error) => {
        if (isCurrent()) this.closed(error);
      },
    };
  }

  #onConnack(packet: Buffer): void {
    assertPacket(packet, this.version, 'client');
    // A server without MQTT 5 answers in the form of 3.1.1, which has two bytes.
    const isShort = packet.length === 4;
    const connack = decodePacket(packet, isShort ? 4 : this.version) as ConnackPacket;
    const reason = isShort ? reasonFromReturnCode(connack.returnCode!)! : connack.reasonCode!;
    const { properties = {} } = connack;
    if (reason !== reasons.success) {
      this.#disconnected(reason, properties.reasonString ?? `the server refused the connection: code ${reason}`);
      return;
    }
    // MQTT-3.2.2-4: a clean start has no session.
    if (connack.sessionPresent && this.#options.cleanStart) {
      throw new MqttError(reasons.protocolError, 'session present: expected 0 after a clean start, got 1');
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    const { receiveMaximum, keepAliveSeconds, topicAliasMaximum, newExchangeId } = this.#options;
    this.#keepAliveMs = (properties.serverKeepAlive ?? keepAliveSeconds) * 1000;
    this.peerPacketBytesMax = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    this.#maximumQoS = properties.maximumQoS ?? 2;
    this.#isRetainAvailable = properties.retainAvailable ?? true;
    this.#ticker = this.clock.every(1000, () => this.#tick());
    if (!connack.sessionPresent) this.#lose();
    this.#window.connected(properties.receiveMaximum ?? 65_535);
    const { inbound } = this;
    if (inbound !== undefined && inbound.unsettled > 0) this.#earlier.push(inbound);
    const limits = {
      ...{ receiveMaximum, topicAliasMaximum, topicCharactersMax: topicBytesMax, newId: newExchangeId },
      allowsSubscriptionIdentifiers: true,
    };
    this.inbound = new InboundMessages(this.version, this.#session, limits, inbound?.nextTicket);
    this.#session.connection = this;
    const { subscriptions, subscribesAgain = false } = this.#options;
    const isSubscribed = connack.sessionPresent && this.#isSubscribed && !subscribesAgain;
    const opened = { isSessionPresent: connack.sessionPresent, userProperties: { ...properties.userProperties } };
    if (isSubscribed || subscriptions.length === 0) {
      this.#open(opened);
      return;
    }
    this.#setState('subscribing');
    this.#resend();
    this.subscribe(subscriptions, () => {
      this.#isSubscribed = true;
      if (this.#state === 'subscribing') this.#open(opened);
    });
  }

  #open(opened: Opened): void {
    this.#setState('open');
    this.#delay.reset();
    this.#resend();
    this.#handlers.opened?.(opened);
  }

  /** MQTT-3.2.2-5: what the server does not know any more is discarded here, too. */
  #lose(): void {
    const messages = this.#window.clear();
    this.#session.exchanges = undefined;
    this.#session.unacknowledged = undefined;
    if (messages.length > 0) this.#handlers.lost?.(messages);
  }

  #onPublish(packet: Buffer): void {
    // While draining, a message stays with the server, which sends it again on the next connection of the session.
    if (this.#state === 'draining' && (packet[0]! & 0x06) !== 0) return;
    const message = this.inbound!.receive(packet);
    if (message !== undefined) this.#handlers.publish(message);
  }

  #onPuback(packet: Buffer): void {
    const { packetId, reason, reasonString } = decodeAck(packet, this.version);
    const message = this.#window.acked(packetId);
    if (message === undefined) return;
    this.#resend();
    this.#handlers.acknowledged?.(packetId, message, reason, reasonString);
  }

  #onSuback(packet: Buffer): void {
    assertPacket(packet, this.version, 'client');
    const suback = decodePacket(packet, this.version) as SubackPacket;
    const pending = this.#answered(suback.messageId!);
    const codes = suback.granted as number[];
    if (codes.length !== pending.subscriptions.length) {
      throw malformed(`codes of SUBACK: expected ${pending.subscriptions.length}, got ${codes.length}`);
    }
    for (const [index, subscription] of pending.subscriptions.entries()) {
      this.#handlers.subscribed?.(subscription, codes[index]!);
    }
    pending.done?.();
  }

  #onUnsuback(packet: Buffer): void {
    assertPacket(packet, this.version, 'client');
    this.#answered((decodePacket(packet, this.version) as UnsubackPacket).messageId!).done?.();
  }

  #request(
    name: Pending['name'],
    subscriptions: readonly ClientSubscription[],
    done: (() => void) | undefined,
  ): number {
    const packetId = this.#window.reserve();
    this.#pending.set(packetId, { name, sinceMs: this.clock.monotonic(), subscriptions, done });
    return packetId;
  }

  #answered(packetId: number): Pending {
    const pending = this.#pending.get(packetId);
    if (pending === undefined) {
      throw new MqttError(reasons.protocolError, `packet identifier: expected one of a request, got ${packetId}`);
    }
    this.#pending.delete(packetId);
    this.#window.free(packetId);
    return pending;
  }

  #resend(): void {
    resend(this.#window, {
      version: this.version,
      packetBytesMax: this.peerPacketBytesMax,
      nowMs: this.clock.now(),
      send: (packet) => this.send(packet),
      onDropped: (message) => this.#handlers.lost?.([message]),
    });
  }

  /**
   * Pings depend on this timer alone: no full window and no slow log delays them (MQTT-3.3.4-8). They go on while this
   * side does not read, although no answer can come then: the server would close the connection (MQTT-3.1.2-24 of
   * 3.1.1, MQTT-3.1.2-22 of 5). Without the answer to a SUBSCRIBE no message may ever come: the connection is closed,
   * and the next one subscribes again.
   */
  #tick(): void {
    const nowMs = this.clock.monotonic();
    if (this.unreadSinceMs !== undefined && nowMs - this.unreadSinceMs >= unreadMs) {
      this.#disconnected(reasons.success, `the server has not read for ${unreadMs} ms`);
      return;
    }
    if (this.#pingedMs !== undefined) {
      // The answer may be behind data that this side does not read.
      if (this.isPaused) this.#pingedMs = nowMs;
      else if (nowMs - this.#pingedMs >= pingTimeoutMs) {
        this.#disconnected(reasons.keepAliveTimeout, `no PINGRESP within ${pingTimeoutMs} ms`);
        return;
      }
    }
    for (const pending of this.#pending.values()) {
      if (this.isPaused) pending.sinceMs = nowMs;
      else if (nowMs - pending.sinceMs >= answerTimeoutMs) {
        this.#disconnected(reasons.success, `no ${pending.name} within ${answerTimeoutMs} ms`);
        return;
      }
    }
    if (this.#keepAliveMs === 0 || nowMs - this.#lastSentMs < this.#keepAliveMs / 2) return;
    this.#pingedMs ??= nowMs;
    this.send(pingRequest);
  }

  /** Closes the wire, and waits for the next attempt, or stops. */
  #disconnected(reason: number, message: string, cause?: unknown): void {
    if (this.isClosed) return;
    const isStopping = this.#state === 'draining';
    this.#closeWire();
    if (isStopping) {
      this.#finish();
      return;
    }
    this.#setState('waiting');
    const retryInMs = this.#delay.next(reason, this.clock.monotonic());
    this.#timer = this.clock.after(retryInMs, () => this.#connect());
    this.#handlers.disconnected?.({ reason, message, isPermanent: isPermanent(reason), retryInMs, cause });
  }

  #closeWire(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ticker?.cancel();
    this.#ticker = undefined;
    this.inbound?.detach();
    this.#session.connection = undefined;
    this.#wireId++;
    this.wire.close();
    this.wire = noWire;
    this.framer.clear();
  }

  /** MQTT-3.14.4-1 and -2: closes after DISCONNECT, and sends nothing after it. */
  #stop(): void {
    if (this.#state === 'draining') {
      const sessionExpiryInterval = this.#stopOptions?.sessionExpirySeconds;
      // MQTT-3.14.2-2: a session that was never to be stored cannot be stored later.
      const properties =
        sessionExpiryInterval !== undefined && this.#options.sessionExpirySeconds > 0 ? { sessionExpiryInterval } : {};
      super.send(encodePacket({ cmd: 'disconnect', reasonCode: 0, properties }, this.version));
    }
    this.#closeWire();
    this.#finish();
  }

  #finish(): void {
    this.#setState('stopped');
    this.#stopped?.();
  }

  #setState(to: State): void {
    assertTransition('MQTT client', transitions, this.#state, to);
    this.#state = to;
  }
}
