import { randomBytes } from 'node:crypto';
import type { ConnectRequest } from '@tailrace/mqtt/connect-request';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import { SecondWheel } from '@tailrace/mqtt/one-second-wheel';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { mqttReasons as reasons } from '@tailrace/mqtt/reason';
import { ServerConnection } from '@tailrace/mqtt/server-connection';
import {
  type ClosedConnection,
  type ServerHandlers,
  type ServerOptions,
  type SubscribeRequest,
  serverLimits,
} from '@tailrace/mqtt/server-options';
import type { Wire } from '@tailrace/mqtt/wire';
import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Revocations } from '@tailrace/platform/revocation';
import { tenantOf } from '@tailrace/protocol/path';
import { DeadLetterWriter } from '../dead-letters/dead-letter-writer.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { AnnouncedDevices } from '../devices/announced-devices.ts';
import { DeviceSession, type DeviceSessionOptions } from '../devices/device-session.ts';
import { leaveSpanMs, leaveSpread } from '../devices/leave-spread.ts';
import type { SessionMessageOptions } from '../devices/session-messages.ts';
import { Unauthenticated, type UnauthenticatedLimits } from '../devices/unauthenticated.ts';
import { MqttProtocol, type MqttProtocolOptions } from './mqtt-protocol.ts';
import { MqttSessions } from './mqtt-sessions.ts';
import { RefusedMessages } from './refused-messages.ts';
import type { TopicNamespace } from './topic-namespace.ts';
import { Wills } from './wills.ts';

export interface MqttServerLimits extends UnauthenticatedLimits {
  readonly connectionsMax: number;
  /** Receive Maximum: the messages above QoS 0 without an acknowledgment, of one client. */
  readonly window: number;
  /** Of a packet. */
  readonly packetBytesMax: number;
  /** For how long claims are accepted after they have expired. */
  readonly clockToleranceMs: number;
  readonly clockAheadMs: number;
  /** Messages of a device that are accepted. */
  readonly messagesPerSecond: number;
}

export interface MqttServerOptions {
  /** Of this process, for CONNACK. */
  readonly node: string;
  /** Returns the other node that has a session of the device; undefined if none is known. */
  readonly holderOf: (device: string) => string | undefined;
  readonly announced: AnnouncedDevices;
  readonly session: DeviceSessionOptions;
  readonly revocations: Pick<Revocations, 'revoked'>;
  /** Of topics that are no device paths. */
  readonly namespaces: readonly TopicNamespace[];
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: MqttServerLimits;
}

/** Where a client connects from. */
export interface MqttRemote {
  /** As limits count it: of IPv6 the /64. */
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
  /** Called when the client is authenticated. */
  readonly authenticated?: () => void;
}

const checkMs = 1_000;
const warningEveryMs = 10_000;

/**
 * The MQTT connections of this process, over TCP, TLS and WebSocket. It is an endpoint for devices: it delivers no
 * message of one client to another. One timer checks all connections every second.
 */
export class MqttServer implements ServerHandlers<ServerConnection> {
  readonly sessions: MqttSessions;
  readonly wills: Wills;
  readonly #options: MqttServerOptions;
  readonly #wheel: SecondWheel;
  readonly #connectionOptions: ServerOptions<ServerConnection>;
  readonly #protocolOptions: MqttProtocolOptions;
  readonly #protocols = new Set<MqttProtocol>();
  readonly #unauthenticated: Unauthenticated<MqttProtocol>;
  #timer: Timer | undefined;
  #isDraining = false;
  #drained: (() => void) | undefined;
  #unsupportedVersions = 0;

  constructor(options: MqttServerOptions) {
    const { session, clock, limits, logger, namespaces, letters, announced, node } = options;
    const { admission, messages, counts } = session;
    this.#options = options;
    this.#wheel = new SecondWheel(clock);
    this.sessions = new MqttSessions(clock, this.#wheel);
    const letterWriter = new DeadLetterWriter({ letters, clock, random: messages.random });
    const refused = new RefusedMessages({ letters: letterWriter, admission: messages.admission });
    this.wills = new Wills({
      letters: letterWriter,
      retries: messages.retries,
      names: messages.names,
      isWithinRates: (device) => isWithinRates(device, messages, clock.monotonic()),
      tracing: messages.tracing,
      counts: counts.protocols.mqtt,
      onAccepted: messages.onAccepted,
      clock,
      clockAheadMs: limits.clockAheadMs,
    });
    this.#unauthenticated = new Unauthenticated(limits);
    this.#connectionOptions = {
      clock,
      wheel: this.#wheel,
      handlers: this,
      limits: {
        ...serverLimits,
        packetBytesMax: limits.packetBytesMax,
        receiveMaximum: Math.min(limits.window, 65_535),
      },
      newClientId: () => `tr-${randomBytes(12).toString('hex')}`,
      newExchangeId: () => randomBytes(15).toString('base64url'),
      connackProperties: () => ({
        node,
        time: String(clock.now()),
        messagesPerSecond: String(limits.messagesPerSecond),
      }),
    };
    const warning = new LimitedWarning(logger.warn.bind(logger), 'an MQTT message was refused', warningEveryMs, () =>
      clock.monotonic(),
    );
    this.#protocolOptions = {
      admission,
      sessions: this.sessions,
      wills: this.wills,
      announced,
      namespaces,
      refused,
      clock,
      counts: counts.protocols.mqtt,
      isRevoked: (claims) => options.revocations.revoked(claims),
      onRefused: (facts) => warning.write(facts),
      onAuthenticated: (protocol) => this.#unauthenticated.delete(protocol),
    };
  }

  /** Connections, also those that are not authenticated. */
  get size(): number {
    return this.#protocols.size;
  }

  /** CONNECTs of a version that is not served. */
  get unsupportedVersions(): number {
    return this.#unsupportedVersions;
  }

  get unauthenticated(): number {
    return this.#unauthenticated.size;
  }

  /** Returns the most connections of one address that are not authenticated. For metrics. */
  mostUnauthenticatedOfOneAddress(): number {
    return this.#unauthenticated.mostOfOneAddress();
  }

  /** Returns the most of one session. For metrics. */
  mostOfOneSession(): { readonly messages: number; readonly bytes: number } {
    let [messages, bytes] = [0, 0];
    for (const { session } of this.#protocols) {
      messages = Math.max(messages, session.messages.unanswered);
      bytes = Math.max(bytes, session.messages.windowBytes);
    }
    return { messages, bytes };
  }

  /** Starts the timers. Called once, before the first connection. */
  start(): void {
    this.#wheel.start();
    this.#timer = this.#options.clock.every(checkMs, () => this.#check());
  }

  /** Takes a connection. Returns what receives its events; undefined refuses it. */
  open(wire: Wire, { address, certificate, authenticated }: MqttRemote): ServerConnection | undefined {
    if (this.#isDraining) return undefined;
    const protocol = new MqttProtocol(this.#protocolOptions, authenticated);
    const connection = new ServerConnection(wire, this.#connectionOptions);
    connection.context = protocol;
    const session = new DeviceSession(this.#options.session, protocol, { token: '', certificate, address }, 'mqtt');
    protocol.start(connection, session);
    this.#protocols.add(protocol);
    this.#unauthenticated.add(protocol);
    return connection;
  }

  /** Closes the sessions whose claims were revoked. Called when the revocations have changed. */
  checkRevocations(): void {
    const { revocations } = this.#options;
    for (const { session } of this.#protocols) session.checkRevocations(revocations);
  }

  /**
   * Publishes the wills that wait for their delay, and closes all connections over the time of `leaveSpanMs`. The wills
   * of these are withheld. Resolves when all are closed.
   */
  async drain(leaveMs: number): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.sessions.endWills((device) => this.#options.holderOf(device) !== undefined);
    const sessions = Array.from(this.#protocols, ({ session }) => session);
    const all = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    await leaveSpread(sessions, leaveSpanMs(sessions.length, leaveMs), this.#options.clock);
    if (this.#protocols.size > 0) await all;
  }

  /** Stops the timers. The connections are closed by their ports. Idempotent. */
  close(): void {
    this.#isDraining = true;
    this.#timer?.cancel();
    this.#wheel.stop();
  }

  // From the connections.

  authorize(connection: ServerConnection, request: ConnectRequest): void {
    const { connectionsMax } = this.#options.limits;
    if (this.#isDraining) connection.refuse(reasons.serverUnavailable, 'this server is shutting down');
    else if (this.size - this.unauthenticated >= connectionsMax) {
      const text = `expected at most ${connectionsMax} connections of devices, got one more: try another server, or again`;
      connection.refuse(reasons.serverUnavailable, text);
    } else protocolOf(connection).authorize(request);
  }

  /** `MqttProtocol.welcome` goes on, when the session has its device. */
  claim(): void {}

  publish(connection: ServerConnection, message: InboundMessage): void {
    protocolOf(connection).publish(message);
  }

  subscribe(connection: ServerConnection, request: SubscribeRequest): number {
    return protocolOf(connection).subscribe(request);
  }

  acknowledged(connection: ServerConnection, message: OutboundMessage, reason: number): void {
    protocolOf(connection).acknowledged(message, reason);
  }

  retained(connection: ServerConnection, filter: string): void {
    protocolOf(connection).retained(filter);
  }

  closed(connection: ServerConnection, closed: ClosedConnection): void {
    const protocol = protocolOf(connection);
    const { cause, by, reason } = closed;
    if (by === 'server' && reason === reasons.unsupportedVersion) this.#unsupportedVersions++;
    if (cause !== undefined) this.#options.logger.error({ error: cause }, 'an MQTT packet could not be handled');
    this.#unauthenticated.delete(protocol);
    this.#protocols.delete(protocol);
    protocol.closed(closed);
    if (this.#protocols.size === 0) this.#drained?.();
  }

  #check(): void {
    const { clock, limits } = this.#options;
    const nowMs = clock.monotonic();
    const wallMs = clock.now();
    for (const protocol of this.#protocols) protocol.check(nowMs, wallMs, limits.clockToleranceMs);
  }
}

/** A device of which so many others are remembered that it has no rates of its own has those of its tenant. */
function isWithinRates(device: string, { records, rates }: SessionMessageOptions, nowMs: number): boolean {
  const record = records.find(device, nowMs);
  if (record !== undefined && rates.deviceWaitMs(record, false, nowMs) > 0) return false;
  if (rates.takeTenant(tenantOf(device), false, nowMs) > 0) return false;
  if (record !== undefined) rates.takeDevice(record, false, nowMs);
  return true;
}

function protocolOf({ context }: ServerConnection): MqttProtocol {
  return context as MqttProtocol;
}
