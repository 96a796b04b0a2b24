import { reasonStringBytesMax } from '@tailrace/mqtt/acks';
import type { ConnectRequest, Will } from '@tailrace/mqtt/connect-request';
import { type InboundMessage, userProperty } from '@tailrace/mqtt/inbound-messages';
import { pauseReasons } from '@tailrace/mqtt/packet-connection';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { reasonFrom, mqttReasons as reasons, returnCodeFrom } from '@tailrace/mqtt/reason';
import type { ServerConnection } from '@tailrace/mqtt/server-connection';
import type { ClosedConnection, SendOutcome, SubscribeRequest } from '@tailrace/mqtt/server-options';
import { decodeSession, type SessionState } from '@tailrace/mqtt/session-state';
import type { Clock } from '@tailrace/platform/clock';
import type { Claims } from '@tailrace/platform/token';
import { type CloseName, closeCodes } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { partialBatchText } from '@tailrace/protocol/partial-batch';
import { tenantOf } from '@tailrace/protocol/path';
import type { Admission, Sender, TokenGrant } from '../admission.ts';
import type { AnnouncedDevices, GatewayDevices } from '../devices/announced-devices.ts';
import type { DeliveredCommand } from '../devices/device-command.ts';
import { isBatch, type MessageToken } from '../devices/device-message.ts';
import type { ProtocolCounts } from '../devices/device-metrics.ts';
import type { DeviceSession } from '../devices/device-session.ts';
import type { BatchOutcome, ProtocolPort, RefusedRecord, Welcome } from '../devices/protocol-port.ts';
import { authFrom } from './connect-auth.ts';
import { commandPathFrom, type DeviceTopic, deviceTopicFrom } from './device-topic.ts';
import { closeCodeOf, connackReasons, disconnectReasons } from './mqtt-closes.ts';
import { commandAcknowledged, commandTopicOf, replyFrom, sendCommand } from './mqtt-commands.ts';
import { deviceMessageFrom, presenceFrom } from './mqtt-message.ts';
import { clientKeyOf, type MqttSessions, type SessionOwner } from './mqtt-sessions.ts';
import { Originals, type RefusedMessages } from './refused-messages.ts';
import { type NamespaceClient, namespaceOf, type TopicNamespace } from './topic-namespace.ts';
import { absenceMs, type DueWill, type Wills, willSecondsOf } from './wills.ts';

/** How long the log may refuse what a client has sent; then the client is disconnected, and sends it again. */
export const logDeadlineMs = 30_000;
/** Topics of a connection whose form is known. */
const topicsMax = 8;

/** What all connections share. */
export interface MqttProtocolOptions {
  readonly admission: Pick<Admission, 'grantOf'>;
  readonly sessions: MqttSessions;
  readonly announced: AnnouncedDevices;
  readonly wills: Wills;
  readonly namespaces: readonly TopicNamespace[];
  readonly refused: RefusedMessages;
  readonly clock: Pick<Clock, 'monotonic' | 'now'>;
  readonly counts: ProtocolCounts;
  /** Logs a message that was refused, not each of many. */
  readonly onRefused: (facts: () => object) => void;
  readonly isRevoked: (claims: Claims) => boolean;
  /** Called when the client is authenticated: its connection is not to be replaced by a new one. */
  readonly onAuthenticated: (protocol: MqttProtocol) => void;
}

/**
 * One MQTT connection: between `ServerConnection`, which has the packets, and the session of a device, which has
 * rights, limits and the log. PUBACK, and PUBREC at QoS 2, follow the log.
 *
 * MQTT has no answer that means "later": after a negative one a client must not send the message again
 * (MQTT-4.4.0-2). So a message that the log does not take is kept without an answer until the log has it, and the
 * Receive Maximum stops the client. After `logDeadlineMs` the connection is closed: the client sends again what was not
 * acknowledged.
 */
export class MqttProtocol implements ProtocolPort, NamespaceClient {
  readonly canDelay = false;
  /** `ServerConnection` closes clients that do not read. */
  readonly bufferedBytes = 0;
  /** Of a verified client. */
  grant!: TokenGrant;
  sender!: Sender;
  readonly #options: MqttProtocolOptions;
  readonly #authenticated: (() => void) | undefined;
  #connection!: ServerConnection;
  #session!: DeviceSession;
  #number = 0;
  /** Until the session is open. */
  #request: ConnectRequest | undefined;
  #owner: SessionOwner | undefined;
  /** Counted in `Wills`. */
  #heldWill: Will | undefined;
  /** Topics by their text. */
  #topics: Map<string, DeviceTopic> | undefined;
  /** Those that the client has used. */
  #namespaces: Set<TopicNamespace> | undefined;
  /** Devices behind this client whose presence it has published. */
  #announced: GatewayDevices | undefined;
  /** Of MQTT 3.1.1. */
  #originals: Originals | undefined;
  /** The message that is being processed; undefined outside of `publish`. */
  #current: InboundMessage | undefined;
  /** Whether its session, or a namespace, has paused reading. */
  #pausedBy = { session: false, namespace: false };
  /** Since when reading is paused, monotonic ms; undefined if it is not. */
  #pausedMs: number | undefined;
  /** Reading goes on for a while although it is paused: the client would miss its PINGRESP. */
  #isDiscarding = false;

  /** `authenticated`: called when the client is. */
  constructor(options: MqttProtocolOptions, authenticated: (() => void) | undefined) {
    this.#options = options;
    this.#authenticated = authenticated;
  }

  get session(): DeviceSession {
    return this.#session;
  }

  get connection(): ServerConnection {
    return this.#connection;
  }

  get address(): string {
    return this.#session.address;
  }

  /** Closed because too many connections are not authenticated, and this one is the oldest. */
  replaced(): void {
    this.#session.noAuth('too many connections are not authenticated: the oldest is closed for a new one');
  }

  /** Called once. */
  start(connection: ServerConnection, session: DeviceSession): void {
    this.#connection = connection;
    this.#session = session;
  }

  /** Called every second. `nowMs`: monotonic; `wallMs`: epoch. `toleranceMs`: of expired claims. */
  check(nowMs: number, wallMs: number, toleranceMs: number): void {
    const session = this.#session;
    session.lastReceivedMs = this.#connection.lastReceivedMs;
    session.checkExpiry(wallMs, 0, toleranceMs);
    const stalledMs = session.messages.stalledMs(nowMs);
    if (stalledMs >= logDeadlineMs) {
      const text = `the log has not taken messages for ${Math.round(stalledMs / 1_000)} s; connect again, and send them again`;
      session.violated('tryAgain', new TailraceError('unavailable', text));
      return;
    }
    // A third of 1.5 times the keep-alive: the PINGREQ of the client is behind what is not read.
    if (this.#pausedMs === undefined || this.#isDiscarding) return;
    const { keepAliveMs } = this.#connection;
    if (keepAliveMs === 0 || nowMs - this.#pausedMs < keepAliveMs / 3) return;
    this.#isDiscarding = true;
    this.#connection.resume(pauseReasons.bytes);
  }

  // From the connection.

  authorize(request: ConnectRequest): void {
    this.#request = request;
    const auth = authFrom(request, (claims) => this.#accepts(request, claims));
    this.#session.authenticate(auth, undefined);
  }

  publish(message: InboundMessage): void {
    const { ticket, qos, topic } = message;
    if (qos === 0 && this.#isDiscarding) {
      this.#options.counts.messages.dropped.add();
      return;
    }
    const namespace = namespaceOf(this.#options.namespaces, topic);
    if (namespace !== undefined) {
      this.#use(namespace);
      namespace.publish(this, message);
      return;
    }
    this.#current = message;
    try {
      const known = this.#topics?.get(topic) ?? this.#parse(topic);
      if (known.kind === 'presence') this.#presence(known, message);
      else if (known.kind === 'reply') this.#reply(known, message);
      else this.#report(known, message);
    } catch (thrown) {
      this.#session.reject(ticket < 0 ? undefined : ticket, tailraceErrorFrom(thrown));
    } finally {
      this.#current = undefined;
    }
  }

  subscribe({ filter, qos }: SubscribeRequest): number {
    const namespace = namespaceOf(this.#options.namespaces, filter);
    if (namespace !== undefined) {
      this.#use(namespace);
      const reason = namespace.subscribe(this, filter, qos);
      // After SUBACK.
      if (namespace.takesCommands(this)) queueMicrotask(() => this.#session.commandsChanged());
      return reason;
    }
    if (this.#mayReceive(filter)) {
      // After SUBACK.
      queueMicrotask(() => this.#session.commandsChanged());
      return qos;
    }
    return commandPathFrom(filter) === undefined ? reasons.topicFilterInvalid : reasons.notAuthorized;
  }

  /** The client has acknowledged a message of this side. */
  acknowledged(message: OutboundMessage, reason: number): void {
    commandAcknowledged(message, reason, this.#session);
  }

  retained(filter: string): void {
    namespaceOf(this.#options.namespaces, filter)?.retained(this, filter);
  }

  closed(closed: ClosedConnection): void {
    const { by, reason, message } = closed;
    const session = this.#session;
    const isOrderly = by === 'client' && reason === reasons.success;
    for (const namespace of this.#namespaces ?? []) namespace.closed(this, isOrderly);
    this.#closeStored(closed);
    session.graceMs = absenceMs(closed);
    this.#announced?.closed(isOrderly ? 0 : session.graceMs);
    if (isOrderly) session.bye();
    else if (by === 'server' && reason === reasons.keepAliveTimeout) session.timedOut();
    else if (by === 'server') session.violated('protocolError', new TailraceError('invalid_message', message));
    session.closed(closeCodeOf(by, reason));
  }

  // From the session.

  welcome({ session: number, isMoved, clientState }: Welcome): void {
    const { sessions, wills, onAuthenticated } = this.#options;
    const request = this.#request!;
    const { claims, isGateway } = this.#session;
    this.#request = undefined;
    this.#number = number;
    this.sender = this.#session.sender!;
    const { will } = request;
    const owner = this.#ownerOf(claims!);
    try {
      // Again: another client may have opened its session since.
      this.#assertOwn(request.clientId, owner);
      if (will !== undefined) {
        const namespace = namespaceOf(this.#options.namespaces, will.topic);
        if (namespace !== undefined) {
          // Before the call: what the namespace keeps of the client from here on, `closed` releases.
          this.#namespaces = new Set([namespace]);
          namespace.assertWill(this, will);
        }
        wills.hold(will, this.grant);
        this.#heldWill = will;
      }
    } catch (thrown) {
      this.#refuseConnect(tailraceErrorFrom(thrown));
      return;
    }
    this.#owner = owner;
    onAuthenticated(this);
    this.#authenticated?.();
    const moved = isMoved ? { state: sessionFrom(clientState) } : undefined;
    const state = sessions.open(this.#connection, owner, request.cleanStart, moved);
    if (state !== undefined) this.#keepAllowed(state, isGateway);
    this.#connection.authorized();
    this.#connection.claimed(state);
    if (!this.isOpen) return;
    for (const namespace of this.#namespaces ?? []) namespace.opened(this);
  }

  acknowledge(token: MessageToken): void {
    this.#originals?.take(token as number);
    this.#connection.settle(token as number, reasons.success);
  }

  refuse(token: MessageToken | undefined, error: TailraceError, _retryAfterMs = 0, record?: RefusedRecord): void {
    // A message that may be sent again later is never answered with a refusal.
    if (error.retryable) return;
    this.#options.onRefused(() => {
      const { device } = this.#session;
      return { device, clientId: this.clientId, code: error.code, reason: error.message };
    });
    if (token !== undefined) this.#answerRefused(token as number, error, reasonFrom(error), error.message, record);
  }

  acknowledgeBatch(token: MessageToken, { accepted, rejected, error }: BatchOutcome): void {
    const [first] = rejected;
    if (error === undefined || first === undefined) {
      this.acknowledge(token);
      return;
    }
    if (error.retryable) return;
    if (accepted === 0) {
      this.refuse(token, error);
      return;
    }
    const indexes = rejected.map(({ index }) => index);
    // A dead letter has all of it.
    const bytesMax = this.#connection.mqttVersion === 5 ? reasonStringBytesMax : undefined;
    const text = partialBatchText(accepted, indexes, first.message, bytesMax);
    this.refuse(undefined, error);
    this.#answerRefused(token as number, error, reasons.success, text, undefined);
  }

  /** MQTT has no packet for it. */
  expiring(): void {}

  draining(): void {}

  pause(): void {
    this.#setPaused('session', true);
  }

  resume(): void {
    this.#setPaused('session', false);
  }

  stopReading(): void {
    this.#setPaused('namespace', true);
  }

  continueReading(): void {
    this.#setPaused('namespace', false);
  }

  /** Whether it has subscribed to them. */
  get takesCommands(): boolean {
    return this.#takesOwnCommands || this.#commandNamespace !== undefined;
  }

  deliverCommand(command: DeliveredCommand): boolean {
    if (!this.#takesOwnCommands) {
      const namespace = this.#commandNamespace;
      if (namespace !== undefined) return namespace.deliverCommand(this, command, this.#session);
    }
    return sendCommand(this.#connection, command, this.#session, this.#options.clock.now());
  }

  flush(): void {
    this.#connection.flush();
  }

  pace(device: string): void {
    this.#session.pace(device, false);
  }

  close(name: CloseName | 'bye', error: TailraceError | undefined): void {
    if (name === 'bye') return;
    const { state } = this.#connection;
    const isOpen = state === 'open' || state === 'draining';
    const text = error?.message ?? closeCodes[name].reason;
    this.#connection.flush();
    this.#connection.disconnect((isOpen ? disconnectReasons : connackReasons)[name], text);
  }

  // From a namespace.

  get clientId(): string {
    return this.#connection.clientId;
  }

  get device(): string {
    return this.#session.device;
  }

  get sessionNumber(): number {
    return this.#number;
  }

  get patterns(): readonly string[] {
    return this.#session.claims?.publish ?? [];
  }

  get isOpen(): boolean {
    return this.#connection.state === 'open';
  }

  get receivedMs(): number {
    return this.#connection.lastReceivedMs;
  }

  settle(ticket: number, reason: number, text?: string): void {
    this.#connection.settle(ticket, reason, text);
  }

  deliver(message: OutboundMessage): SendOutcome {
    return this.#connection.deliver(message);
  }

  sendRetained(message: OutboundMessage, filter: string): SendOutcome {
    return this.#connection.sendRetained(message, filter);
  }

  disconnect(reason: number, text: string): void {
    this.#connection.disconnect(reason, text);
  }

  #report(topic: DeviceTopic, message: InboundMessage): void {
    const { ticket, qos, payload, properties, exchangeId, dup } = message;
    const published = deviceMessageFrom({
      topic,
      payload,
      qos,
      ticket,
      isRepetition: dup,
      id: userProperty(message, 'id') ?? exchangeId ?? '',
      batchId: userProperty(message, 'batch') ?? '',
      contentType: properties?.contentType ?? '',
      isText: properties?.payloadFormat === 1,
      receivedMs: this.#connection.lastReceivedMs,
      traceparent: userProperty(message, 'traceparent') ?? '',
    });
    if (this.#connection.mqttVersion === 4) this.#originals ??= new Originals();
    const originals = ticket < 0 ? undefined : this.#originals;
    originals?.add(ticket, message);
    this.#session.accept(published);
    const { hasInbox } = this.#session.messages;
    if (hasInbox) published.keep();
    if (hasInbox || isBatch(published)) originals?.keep(ticket);
    else originals?.take(ticket);
  }

  /** The session itself is the presence of its device; a message is that of a device behind it. */
  #presence({ path }: DeviceTopic, { ticket, payload }: InboundMessage): void {
    if (!this.grant.allowsDevice(path)) throw this.#notCovered(path);
    const isOnline = presenceFrom(payload);
    // Each changes what all know of the device, so that it counts as an event of it.
    this.#session.pace(path, true);
    if (path !== this.#session.device) {
      this.#announced ??= this.#options.announced.ofGateway('mqtt', this.grant.identity);
      if (isOnline) this.#announced.online(path);
      else this.#announced.offline(path);
    }
    if (ticket >= 0) this.acknowledge(ticket);
  }

  #reply({ path }: DeviceTopic, message: InboundMessage): void {
    const { device } = this.#session;
    if (path !== device && !this.grant.allowsDevice(path)) throw this.#notCovered(path);
    const reply = replyFrom(message);
    if (!this.#session.commandReplied(reply, path)) {
      const text = `command: expected one that was sent to this device in the last minutes, got ${shown(reply.id)}`;
      throw new TailraceError('not_found', text);
    }
    if (message.ticket >= 0) this.acknowledge(message.ticket);
  }

  #notCovered(path: string): TailraceError {
    return new TailraceError('forbidden', `${shown(path)} is not covered: ${this.grant.covers}`);
  }

  #parse(topic: string): DeviceTopic {
    const parsed = deviceTopicFrom(topic);
    this.#topics ??= new Map();
    if (this.#topics.size >= topicsMax) this.#topics.clear();
    this.#topics.set(topic, parsed);
    return parsed;
  }

  /** Whether it has subscribed to the topic of its commands. */
  get #takesOwnCommands(): boolean {
    const { isGateway, device } = this.#session;
    return !isGateway && this.#connection.session?.subscriptions?.has(commandTopicOf(device)) === true;
  }

  #setPaused(by: 'session' | 'namespace', isPaused: boolean): void {
    const paused = this.#pausedBy;
    paused[by] = isPaused;
    if (paused.session || paused.namespace) {
      this.#pausedMs ??= this.#options.clock.monotonic();
      if (!this.#isDiscarding) this.#connection.pause(pauseReasons.bytes);
    } else {
      this.#pausedMs = undefined;
      this.#isDiscarding = false;
      this.#connection.resume(pauseReasons.bytes);
    }
  }

  get #commandNamespace(): TopicNamespace | undefined {
    for (const namespace of this.#namespaces ?? []) if (namespace.takesCommands(this)) return namespace;
    return undefined;
  }

  #use(namespace: TopicNamespace): void {
    if (this.#namespaces?.has(namespace)) return;
    this.#namespaces ??= new Set();
    this.#namespaces.add(namespace);
    namespace.opened(this);
  }

  /** A device receives its own commands, and no others. */
  #mayReceive(filter: string): boolean {
    const { device, isGateway } = this.#session;
    return !isGateway && commandPathFrom(filter) === device;
  }

  /** A stored session may be of a token with other rights: neither its subscriptions nor its commands pass to it. */
  #keepAllowed(state: SessionState, isGateway: boolean): void {
    if (!this.#session.mayReceiveCommands(this.device)) state.window?.clear();
    for (const filter of state.subscriptions?.keys() ?? []) {
      if (namespaceOf(this.#options.namespaces, filter) !== undefined) continue;
      if (isGateway || !this.#mayReceive(filter)) state.subscriptions!.delete(filter);
    }
  }

  /**
   * Returns whether the client may connect, before it replaces the session of its device. Else refuses it: a will that
   * could not be published would be found out when the device is gone.
   */
  #accepts({ clientId, will, cleanStart }: ConnectRequest, claims: Claims): boolean {
    this.grant = this.#options.admission.grantOf(claims);
    try {
      const owner = this.#ownerOf(claims);
      this.#assertOwn(clientId, owner);
      this.#session.client = { key: clientKeyOf(owner.tenant, clientId), isClean: cleanStart };
      if (will !== undefined && namespaceOf(this.#options.namespaces, will.topic) === undefined)
        this.#options.wills.assert(will, this.grant);
      return true;
    } catch (thrown) {
      this.#refuseConnect(tailraceErrorFrom(thrown));
      return false;
    }
  }

  #ownerOf({ tenant }: Claims): SessionOwner {
    const { device } = this.#session;
    return { tenant: tenant ?? tenantOf(device), grant: this.grant, device };
  }

  #assertOwn(clientId: string, owner: SessionOwner): void {
    if (!this.#options.sessions.isForeign(clientId, owner)) return;
    const text = `client ID: expected one that no other sender uses, got ${shown(clientId)}`;
    throw new TailraceError('forbidden', text);
  }

  #refuseConnect(error: TailraceError): void {
    const reason = reasonFrom(error);
    // MQTT 3.1.1 has no return code for a will: a client would not learn why it is disconnected.
    const hasCode = this.#connection.mqttVersion === 5 || returnCodeFrom(reason) !== undefined;
    this.#connection.refuse(hasCode ? reason : reasons.notAuthorized, error.message);
  }

  /** MQTT 3.1.1 has no refusal: the message is a dead letter, and then acknowledged. */
  #answerRefused(
    ticket: number,
    error: TailraceError,
    reason: number,
    text: string,
    record: RefusedRecord | undefined,
  ): void {
    const acknowledge = () => {
      this.#connection.settle(ticket, reasons.success);
      this.#connection.flush();
    };
    const original = this.#originals?.take(ticket) ?? (this.#current?.ticket === ticket ? this.#current : undefined);
    const { refused } = this.#options;
    const { device, sender } = this;
    if (this.#connection.mqttVersion === 4 && original !== undefined) {
      const { topic, payload, qos } = original;
      refused.write({ topic, payload, qos, device, error, text }, sender, acknowledge);
    } else if (this.#connection.mqttVersion === 4 && record !== undefined)
      refused.writeRecord(record, { device, error, text }, sender, acknowledge);
    else this.#connection.settle(ticket, reason, text);
  }

  /** Stores the session of a connection that was open, and schedules its will. */
  #closeStored(closed: ClosedConnection): void {
    const { will, sessionExpirySeconds, by, reason } = closed;
    const { wills, sessions } = this.#options;
    const owner = this.#owner;
    if (owner === undefined) return;
    this.#owner = undefined;
    if (will === undefined && this.#heldWill !== undefined) wills.release(this.#heldWill, owner.grant);
    this.#heldWill = undefined;
    let due = will && this.#dueWill(will);
    if (by === 'server' && reason === reasons.serverShuttingDown && this.#isOwnWill(will)) {
      wills.withhold(will, owner.grant);
      due = undefined;
    }
    sessions.close(this.#connection, owner, sessionExpirySeconds, due, willSecondsOf(closed));
  }

  /** Not of a namespace, which decides itself: that of Sparkplug ignores deaths while it drains. */
  #isOwnWill(will: Will | undefined): will is Will {
    return will !== undefined && namespaceOf(this.#options.namespaces, will.topic) === undefined;
  }

  /** What a sender without valid claims has left behind is not published, however long ago its connection was lost. */
  #dueWill(will: Will): DueWill {
    const { namespaces, wills, isRevoked } = this.#options;
    const { claims } = this.#session;
    const namespace = namespaceOf(namespaces, will.topic);
    const due =
      namespace === undefined
        ? wills.due(will, this.grant, this.#session)
        : wills.held(will, this.grant, () => namespace.will(this, will));
    // The death of an edge node reports only that it is gone.
    if (namespace !== undefined) return due;
    return {
      publish: () => (claims !== undefined && isRevoked(claims) ? due.discard() : due.publish()),
      discard: () => due.discard(),
    };
  }
}

/** Reads what another node had of a client; undefined for nothing, and for a form of another version. */
function sessionFrom(state: Uint8Array | undefined): SessionState | undefined {
  try {
    return state && decodeSession(state);
  } catch {
    return undefined;
  }
}
