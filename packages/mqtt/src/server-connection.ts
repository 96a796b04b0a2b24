import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { decodeAck, encodeAck } from './acks.ts';
import {
  type ConnectPacket,
  type DisconnectPacket,
  decodePacket,
  encodePacket,
  type SubscribePacket,
  type UnsubscribePacket,
} from './codec.ts';
import { type ConnectRequest, connectRequestFrom, type Will } from './connect-request.ts';
import { InboundMessages } from './inbound-messages.ts';
import type { Timed } from './one-second-wheel.ts';
import { packetOf, resend } from './outbound-messages.ts';
import { assertPacket, connectVersion } from './packet-check.ts';
import { PacketConnection, pauseReasons } from './packet-connection.ts';
import { packetTypes as types } from './properties.ts';
import type { OutboundMessage } from './publish.ts';
import { MqttError, type MqttVersion, malformed, mqttReasons as reasons } from './reason.ts';
import type { SendWindow } from './send-window.ts';
import type { ClosedConnection, SendOutcome, ServerOptions } from './server-options.ts';
import { acceptedPacket, disconnectPacket, refusedPacket } from './server-packets.ts';
import { SessionState } from './session-state.ts';
import { filterMatches, isShared } from './topic.ts';
import type { Wire } from './wire.ts';

/**
 * `waiting` for CONNECT; `verifying` the credentials; `claiming` the session; `open`; `draining`: nothing more is read,
 * and what has come is acknowledged; `closed`: outcomes of the log go to the session.
 *
 * The client is answered by CONNACK up to `claiming`, and by DISCONNECT afterwards (MQTT-3.14.0-1).
 */
type State = 'waiting' | 'verifying' | 'claiming' | 'open' | 'draining' | 'closed';

const transitions: Transitions<State> = {
  waiting: ['verifying', 'closed'],
  verifying: ['claiming', 'closed'],
  claiming: ['open', 'closed'],
  open: ['draining', 'closed'],
  draining: ['closed'],
  closed: [],
};

/** What a client has sent before is read within this time after a pause, ms. */
const readBehindMs = 10_000;

const pingResponse = Buffer.of(types.pingresp << 4, 0);

/** One client of a server. The server decides by `ServerHandlers`; this is the protocol. */
export class ServerConnection extends PacketConnection implements Timed {
  protected readonly role = 'server';
  /** For the server, which finds its own data of the client by it. */
  context: unknown;
  clientId = '';
  wheelSecond = 0;
  readonly #options: ServerOptions<ServerConnection>;
  #state: State = 'waiting';
  #stateSinceMs: number;
  #session: SessionState | undefined;
  #request: ConnectRequest | undefined;
  #will: Will | undefined;
  #keepAliveMs = 0;
  #sessionExpirySeconds = 0;
  /** Of the client, for a window that its session has not yet. */
  #receiveMaximum = 0;
  /** The version of the answer to a CONNECT; undefined before it is known. */
  #answerVersion: MqttVersion | undefined;
  /** When the exchanges of QoS 2 are checked next, ms of the monotonic clock; 0: none waits for its PUBREL. */
  #releaseCheckMs = 0;
  #controlSecond = 0;
  #controlPackets = 0;

  constructor(wire: Wire, options: ServerOptions<ServerConnection>) {
    super(wire, options.clock, options.limits.connectPacketBytesMax);
    this.#options = options;
    this.#stateSinceMs = this.lastReceivedMs;
    options.wheel.schedule(this, this.#stateSinceMs + options.limits.connectTimeoutMs);
  }

  get state(): State {
    return this.#state;
  }

  get mqttVersion(): MqttVersion {
    return this.version;
  }

  /** The session of an open connection; undefined before, and kept after the close. */
  get session(): SessionState | undefined {
    return this.#session;
  }

  /** How long the client may send nothing, ms: one and a half times its keep-alive. 0 before the connection is open. */
  get keepAliveMs(): number {
    return this.#keepAliveMs;
  }

  /** Messages that wait for the log. */
  get unsettled(): number {
    return this.inbound?.unsettled ?? 0;
  }

  /** Messages without an acknowledgment on the wire, and those that settled ones wait behind. */
  get unacknowledged(): number {
    return this.inbound?.size ?? 0;
  }

  protected get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Goes on to claim the session. Ignored if the connection was closed meanwhile. */
  authorized(): void {
    if (this.#state !== 'verifying') return;
    this.#setState('claiming');
    this.#options.handlers.claim(this, this.#request!);
  }

  /** Refuses the client, by CONNACK. `reason` of the table of CONNACK (MQTT-3.2.2-8). */
  refuse(reason: number, message: string): void {
    if (this.#state !== 'verifying' && this.#state !== 'claiming') return;
    this.#fail(new MqttError(reason, message));
  }

  /**
   * Opens the connection on its session. `stored`: the session of this client ID, here or of another node; undefined if
   * there is none. With clean start it is not used (MQTT-3.1.2-6 of 3.1.1, MQTT-3.1.2-4 of 5). An earlier connection of
   * the session has to be closed before.
   */
  claimed(stored: SessionState | undefined): void {
    if (this.#state !== 'claiming') return;
    const request = this.#request!;
    const { limits, connackProperties } = this.#options;
    this.#request = undefined;
    const isSessionPresent = stored !== undefined && !request.cleanStart;
    const sessionExpirySeconds = Math.min(request.sessionExpirySeconds, limits.sessionExpirySecondsMax);
    const seconds = request.keepAliveSeconds;
    const isTooLong = seconds === 0 || seconds > limits.keepAliveSecondsMax;
    const packet = acceptedPacket(request, limits, {
      isSessionPresent,
      isKeepAliveTooLong: isTooLong,
      sessionExpirySeconds,
      userProperties: connackProperties?.(),
    });
    if (packet.length > request.packetBytesMax) {
      const text = `maximum packet size: expected at least the ${packet.length} bytes of CONNACK, got ${request.packetBytesMax}`;
      this.#fail(new MqttError(reasons.packetTooLarge, text));
      return;
    }
    const session = isSessionPresent ? stored : new SessionState();
    session.connection = this;
    this.#session = session;
    this.#will = request.will;
    this.#sessionExpirySeconds = sessionExpirySeconds;
    // MQTT 3.1.1 has no Server Keep Alive: such a client has twice the longest time.
    const allowed = isTooLong ? limits.keepAliveSecondsMax * (this.version === 5 ? 1.5 : 2) : seconds * 1.5;
    this.#keepAliveMs = allowed * 1000;
    this.withReasonStrings = request.withReasonStrings;
    this.framer.packetBytesMax = limits.packetBytesMax;
    this.#setState('open');
    this.send(packet);
    this.#receiveMaximum = request.receiveMaximum;
    session.window?.connected(request.receiveMaximum);
    this.#resend();
    this.#options.wheel.schedule(this, this.due(this.clock.monotonic()));
    this.#expectReleases();
    this.resume(pauseReasons.verify);
  }

  /**
   * Sends a message to a client that has a subscription for its topic, once, at the highest QoS that was granted to a
   * filter that matches (MQTT-3.3.5-1 of 3.1.1, MQTT-3.3.4-2 of 5).
   */
  deliver(message: OutboundMessage): SendOutcome {
    let qos = -1;
    let retainAsPublished = false;
    for (const [filter, subscription] of this.#session?.subscriptions ?? []) {
      if (!filterMatches(filter, message.topic)) continue;
      qos = Math.max(qos, subscription.qos);
      retainAsPublished ||= subscription.retainAsPublished;
    }
    if (qos < 0) return this.#state === 'open' ? 'not_subscribed' : 'closed';
    // MQTT-3.3.1-9 of 3.1.1, MQTT-3.3.1-12 and -13 of 5.
    const retain = message.retain === true && retainAsPublished;
    return this.#send(
      message.qos > qos || retain !== (message.retain ?? false) ? lowered(message, qos, retain) : message,
    );
  }

  /** Sends a retained message because of a new subscription, with its retain flag (MQTT-3.3.1-8 of 3.1.1). */
  sendRetained(message: OutboundMessage, filter: string): SendOutcome {
    const subscription = this.#session?.subscriptions?.get(filter);
    if (subscription === undefined) return 'not_subscribed';
    return this.#send(lowered(message, subscription.qos, true));
  }

  /** Closes the connection after a DISCONNECT with the reason, or after CONNACK where it is not open yet. */
  disconnect(reason: number, message: string): void {
    if (!this.isClosed) this.#fail(new MqttError(reason, message));
  }

  /** Reads nothing more, and closes when all messages that have come are acknowledged. Idempotent. */
  drain(): void {
    if (this.#state === 'draining') return;
    if (this.#state !== 'open') {
      this.disconnect(reasons.serverUnavailable, 'the server is shutting down');
      return;
    }
    this.#setState('draining');
    this.pause(pauseReasons.drain);
    this.onFlushed();
  }

  due(nowMs: number): number {
    const { limits } = this.#options;
    switch (this.#state) {
      case 'closed':
        return 0;
      case 'waiting':
      case 'verifying':
      case 'claiming': {
        const dueMs = this.#stateSinceMs + limits.connectTimeoutMs;
        if (nowMs < dueMs) return dueMs;
        const text = `${this.#state}: expected at most ${limits.connectTimeoutMs} ms`;
        this.#fail(new MqttError(reasons.serverUnavailable, text));
        return 0;
      }
      default: {
        if (this.unreadSinceMs !== undefined) {
          const dueMs = this.unreadSinceMs + limits.unreadMs;
          if (nowMs < dueMs) return dueMs;
          this.#close({ by: 'server', reason: reasons.quotaExceeded, message: 'the client does not read' });
          return 0;
        }
        const checkMs = this.#checkReleases(nowMs);
        if (this.isClosed) return 0;
        // While this side does not read, it cannot know whether the client has sent anything.
        if (this.isPaused) return Math.min(checkMs, nowMs + this.#keepAliveMs);
        const dueMs = this.lastReceivedMs + this.#keepAliveMs;
        if (nowMs < dueMs) return Math.min(checkMs, dueMs);
        this.#fail(new MqttError(reasons.keepAliveTimeout, `no packet for ${this.#keepAliveMs} ms`));
        return 0;
      }
    }
  }

  protected override onFlushed(): void {
    if (this.#releaseCheckMs === 0) this.#expectReleases();
    if (this.#state === 'draining' && this.unacknowledged === 0) {
      this.#fail(new MqttError(reasons.serverShuttingDown, 'the server is shutting down'));
    }
  }

  protected override send(bytes: Uint8Array): void {
    const wasRead = this.unreadSinceMs === undefined;
    super.send(bytes);
    if (wasRead && this.unreadSinceMs !== undefined) {
      this.#options.wheel.schedule(this, this.unreadSinceMs + this.#options.limits.unreadMs);
    }
  }

  protected override assertFirstByte(byte: number): void {
    if (this.#state === 'waiting' && byte !== types.connect << 4) {
      throw malformed('first packet: expected CONNECT, got another one');
    }
    super.assertFirstByte(byte);
  }

  protected onPacket(type: number, packet: Buffer): void {
    switch (type) {
      case types.publish:
        this.#onPublish(packet);
        break;
      case types.pubrel:
        this.#onPubrel(packet);
        break;
      case types.puback:
        this.#onPuback(packet);
        break;
      case types.pubrec:
        throw new MqttError(reasons.protocolError, 'PUBREC: expected none, because nothing is sent at QoS 2');
      case types.pubcomp:
        decodeAck(packet, this.version);
        this.#countControl();
        break;
      case types.connect:
        this.#onConnect(packet);
        break;
      case types.subscribe:
        this.#onSubscribe(packet);
        break;
      case types.unsubscribe:
        this.#onUnsubscribe(packet);
        break;
      case types.pingreq:
        assertPacket(packet, this.version, 'server');
        this.#countControl();
        this.send(pingResponse);
        break;
      case types.disconnect:
        this.#onDisconnect(packet);
        break;
      default:
        // AUTH, which `assertPacket` refuses.
        assertPacket(packet, this.version, 'server');
    }
  }

  protected onError(error: MqttError): void {
    this.#fail(error);
  }

  protected onWireClosed(error: Error | undefined): void {
    const message = error === undefined ? 'the client closed the connection' : `connection lost: ${error.message}`;
    this.#close({ by: 'network', reason: reasons.success, message });
  }

  #onConnect(packet: Buffer): void {
    if (this.#state !== 'waiting') throw new MqttError(reasons.protocolError, 'CONNECT: expected once, got twice');
    const version = connectVersion(packet);
    this.version = version;
    this.#answerVersion = version;
    assertPacket(packet, version, 'server');
    const { limits, newClientId, handlers } = this.#options;
    const decoded = decodePacket(packet, version) as ConnectPacket;
    const request = connectRequestFrom(decoded, version, { ...limits, newClientId });
    this.peerPacketBytesMax = request.packetBytesMax;
    this.clientId = request.clientId;
    this.#request = request;
    this.#setState('verifying');
    this.pause(pauseReasons.verify);
    handlers.authorize(this, request);
  }

  #onPublish(packet: Buffer): void {
    const { limits, newExchangeId, handlers } = this.#options;
    this.inbound ??= new InboundMessages(this.version, this.#session!, {
      receiveMaximum: limits.receiveMaximum,
      topicAliasMaximum: limits.topicAliasMaximum,
      topicCharactersMax: limits.topicCharactersMax,
      allowsSubscriptionIdentifiers: false,
      newId: newExchangeId,
    });
    const message = this.inbound.receive(packet);
    if (message !== undefined) handlers.publish(this, message);
  }

  #onPubrel(packet: Buffer): void {
    const { packetId } = decodeAck(packet, this.version);
    // Its PUBREC may be settled, and not be written yet.
    this.flush();
    const reason = this.inbound?.release(packetId) ?? this.#releaseEarlier(packetId);
    if (reason !== reasons.success) this.#countControl();
    this.send(encodeAck(types.pubcomp, packetId, { version: this.version, reason }));
  }

  /** Releases an exchange of an earlier connection, where nothing was published on this one yet. */
  #releaseEarlier(packetId: number): number {
    const exchanges = this.#session?.exchanges;
    return exchanges?.delete(packetId) === true ? reasons.success : reasons.packetIdNotFound;
  }

  /** Schedules the check of exchanges, if there are some. */
  #expectReleases(): void {
    if (this.#state !== 'open' || (this.#session?.exchanges?.size ?? 0) === 0) return;
    this.#releaseCheckMs = this.clock.monotonic() + this.#options.limits.releaseTimeoutMs;
    this.#options.wheel.schedule(this, this.#releaseCheckMs);
  }

  /** Closes the connection if a PUBREL is overdue. Returns when the next check is due; infinite: no exchange waits. */
  #checkReleases(nowMs: number): number {
    if (this.#releaseCheckMs === 0) return Number.POSITIVE_INFINITY;
    if (nowMs < this.#releaseCheckMs) return this.#releaseCheckMs;
    const { releaseTimeoutMs } = this.#options.limits;
    this.#releaseCheckMs = nowMs + releaseTimeoutMs;
    // The PUBREL may wait behind what was not read.
    if (this.isPaused || nowMs - this.lastResumedMs < readBehindMs) return this.#releaseCheckMs;
    if (this.#session!.checkExchanges(this.inbound)) {
      const text = `PUBREL: expected within ${releaseTimeoutMs} ms after PUBREC, got none`;
      this.#fail(new MqttError(reasons.quotaExceeded, text));
    } else if (this.#session!.exchanges!.size === 0) {
      this.#releaseCheckMs = 0;
      return Number.POSITIVE_INFINITY;
    }
    return this.#releaseCheckMs;
  }

  #onPuback(packet: Buffer): void {
    const { packetId, reason } = decodeAck(packet, this.version);
    const message = this.#session?.window?.acked(packetId);
    if (message === undefined) {
      this.#countControl();
      return;
    }
    this.#resend();
    this.#options.handlers.acknowledged?.(this, message, reason);
  }

  #onSubscribe(packet: Buffer): void {
    this.#countControl();
    assertPacket(packet, this.version, 'server');
    const decoded = decodePacket(packet, this.version) as SubscribePacket;
    if (decoded.properties?.subscriptionIdentifier !== undefined) {
      throw new MqttError(reasons.subscriptionIdentifiers, 'subscription identifier: expected none');
    }
    if (this.version === 5 && decoded.subscriptions.some(({ topic }) => isShared(topic))) {
      throw new MqttError(reasons.sharedSubscriptions, 'topic filter: expected none with $share');
    }
    const retained: string[] = [];
    const granted = decoded.subscriptions.map(({ topic: filter, qos, rh = 0, rap = false }) => {
      const isNew = this.#session!.subscriptions?.has(filter) !== true;
      const code = this.#subscribe(filter, qos === 0 ? 0 : 1, { retainAsPublished: rap, isNew });
      if (code < reasons.unspecified && (rh === 0 || (rh === 1 && isNew))) retained.push(filter);
      return this.version === 4 && code >= reasons.unspecified ? reasons.unspecified : code;
    });
    this.send(encodePacket({ cmd: 'suback', messageId: decoded.messageId!, granted }, this.version));
    for (const filter of retained) this.#options.handlers.retained?.(this, filter);
  }

  #subscribe(filter: string, qos: 0 | 1, options: { retainAsPublished: boolean; isNew: boolean }): number {
    const session = this.#session!;
    const { limits, handlers } = this.#options;
    if (filter.length > limits.topicCharactersMax) return reasons.topicFilterInvalid;
    if (options.isNew && (session.subscriptions?.size ?? 0) >= limits.subscriptionsMax) return reasons.quotaExceeded;
    const code = handlers.subscribe(this, { filter, qos });
    if (code >= reasons.unspecified) return code;
    session.subscriptions ??= new Map();
    // MQTT-3.8.4-3: the same filter has one subscription.
    session.subscriptions.set(filter, { qos, retainAsPublished: options.retainAsPublished });
    return qos;
  }

  #onUnsubscribe(packet: Buffer): void {
    this.#countControl();
    assertPacket(packet, this.version, 'server');
    const decoded = decodePacket(packet, this.version) as UnsubscribePacket;
    const granted = decoded.unsubscriptions.map((filter) =>
      this.#session!.subscriptions?.delete(filter) === true ? reasons.success : reasons.noSubscriptionExisted,
    );
    this.send(encodePacket({ cmd: 'unsuback', messageId: decoded.messageId!, granted }, this.version));
  }

  #onDisconnect(packet: Buffer): void {
    assertPacket(packet, this.version, 'server');
    // A packet without a reason is one with reason 0.
    const decoded = packet.length > 2 ? (decodePacket(packet, this.version) as DisconnectPacket) : undefined;
    const reason = decoded?.reasonCode ?? reasons.success;
    const { sessionExpiryInterval, serverReference, reasonString } = decoded?.properties ?? {};
    if (serverReference !== undefined) {
      throw new MqttError(reasons.protocolError, 'server reference: expected none from a client');
    }
    if (sessionExpiryInterval !== undefined) {
      if (this.#sessionExpirySeconds === 0 && sessionExpiryInterval > 0) {
        throw new MqttError(reasons.protocolError, 'session expiry: expected 0 as in CONNECT, got more');
      }
      this.#sessionExpirySeconds = Math.min(sessionExpiryInterval, this.#options.limits.sessionExpirySecondsMax);
    }
    // MQTT-3.14.4-3: a normal end discards the will.
    if (reason === reasons.success) this.#will = undefined;
    this.#close({ by: 'client', reason, message: reasonString ?? 'the client disconnected' });
  }

  #countControl(): void {
    const second = Math.floor(this.lastReceivedMs / 1000);
    if (second !== this.#controlSecond) {
      this.#controlSecond = second;
      this.#controlPackets = 0;
    }
    const { controlPacketsPerSecond } = this.#options.limits;
    if (++this.#controlPackets > controlPacketsPerSecond) {
      const text = `packets without a payload: expected at most ${controlPacketsPerSecond} a second, got more`;
      throw new MqttError(reasons.messageRateTooHigh, text);
    }
  }

  /** MQTT-3.1.2-25: a message that is too large for the client is discarded. */
  #send(message: OutboundMessage): SendOutcome {
    if (this.#state !== 'open') return 'closed';
    const nowMs = this.clock.now();
    if (message.expiresAtMs !== undefined && message.expiresAtMs <= nowMs) return 'expired';
    const sent = message.qos === 0 ? undefined : this.#window().add(message);
    if (message.qos !== 0 && sent === undefined) return 'full';
    const packet = packetOf(message, this.version, { packetId: sent?.packetId ?? 0, dup: false, nowMs });
    if (packet.length > this.peerPacketBytesMax) {
      if (sent !== undefined) this.#window().acked(sent.packetId);
      return 'too_large';
    }
    this.send(packet);
    return 'sent';
  }

  #window(): SendWindow {
    const session = this.#session!;
    if (session.window !== undefined) return session.window;
    const window = session.windowOf(this.#options.limits.unackedMax);
    window.connected(this.#receiveMaximum);
    return window;
  }

  #resend(): void {
    const window = this.#session!.window;
    if (window === undefined) return;
    resend(window, {
      version: this.version,
      packetBytesMax: this.peerPacketBytesMax,
      nowMs: this.clock.now(),
      send: (packet) => this.send(packet),
      onDropped: (message) => this.#options.handlers.unconfirmed?.(this, message),
    });
  }

  /** Answers with the reason, and closes. */
  #fail(error: MqttError): void {
    if (this.isClosed) return;
    const { reason, message } = error;
    const isConnected = this.#state === 'open' || this.#state === 'draining';
    const version = isConnected ? this.version : (error.version ?? this.#answerVersion);
    let answer: Buffer | undefined;
    if (!isConnected && version !== undefined)
      answer = refusedPacket(version, reason, message, this.peerPacketBytesMax);
    if (isConnected && version === 5) answer = disconnectPacket(reason, message, this.peerPacketBytesMax);
    if (answer !== undefined) this.send(answer);
    this.#close({ by: 'server', reason, message, cause: error.cause });
  }

  #close(closed: Pick<ClosedConnection, 'by' | 'reason' | 'message'> & { cause?: unknown }): void {
    this.#setState('closed');
    this.#options.wheel.cancel(this);
    this.framer.clear();
    this.inbound?.detach();
    if (this.#session?.connection === this) this.#session.connection = undefined;
    this.wire.close();
    this.#options.handlers.closed(this, {
      ...closed,
      cause: closed.cause,
      will: this.#will,
      sessionExpirySeconds: this.#sessionExpirySeconds,
    });
    this.#request = undefined;
    this.#will = undefined;
  }

  #setState(to: State): void {
    assertTransition('MQTT connection', transitions, this.#state, to);
    this.#state = to;
    this.#stateSinceMs = this.clock.monotonic();
  }
}

function lowered(message: OutboundMessage, qos: number, retain: boolean): OutboundMessage {
  return { ...message, qos: Math.min(message.qos, qos) as 0 | 1, retain };
}
