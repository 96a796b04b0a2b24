import type { Clock } from '@tailrace/platform/clock';
import type { ConnectLimits, ConnectRequest, Will } from './connect-request.ts';
import type { InboundMessage } from './inbound-messages.ts';
import type { SecondWheel } from './one-second-wheel.ts';
import type { OutboundMessage } from './publish.ts';

/** Limits of all connections of a server. */
export interface ServerLimits extends Omit<ConnectLimits, 'newClientId'> {
  /** The largest packet before the client is known, with its header. */
  readonly connectPacketBytesMax: number;
  /** From the connection to the CONNECT packet, and from there to the session. */
  readonly connectTimeoutMs: number;
  /** The largest packet, with its header. CONNACK names it to clients of MQTT 5. */
  readonly packetBytesMax: number;
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly keepAliveSecondsMax: number;
  /** Of a filter, and of a topic with an alias: what the connection keeps. */
  readonly topicCharactersMax: number;
  readonly subscriptionsMax: number;
  /** Own messages without an acknowledgment, of one session. */
  readonly unackedMax: number;
  /** Packets without a payload a second, acknowledgments left out. */
  readonly controlPacketsPerSecond: number;
  /** How long a client may leave unread what the wire cannot buffer. */
  readonly unreadMs: number;
  /**
   * How long a client that is read may leave out the PUBREL after a PUBREC, at least; twice as long at most. Then it is
   * disconnected with 0x97.
   */
  readonly releaseTimeoutMs: number;
}

export const serverLimits: ServerLimits = {
  connectPacketBytesMax: 16_384,
  connectTimeoutMs: 10_000,
  packetBytesMax: 262_144,
  receiveMaximum: 64,
  topicAliasMaximum: 32,
  keepAliveSecondsMax: 1800,
  topicCharactersMax: 1024,
  subscriptionsMax: 32,
  unackedMax: 16,
  controlPacketsPerSecond: 500,
  unreadMs: 30_000,
  releaseTimeoutMs: 60_000,
  clientIdBytesMax: 128,
  userNameBytesMax: 256,
  passwordBytesMax: 8192,
  willBytesMax: 4096,
  sessionExpirySecondsMax: 86_400,
};

/** How a connection was closed. */
export interface ClosedConnection {
  /** Which side closed it first; `network`: it was lost. */
  readonly by: 'client' | 'server' | 'network';
  /** A reason code of MQTT 5, also for 3.1.1. 0: the client has sent DISCONNECT, or the connection was lost. */
  readonly reason: number;
  readonly message: string;
  /** The will to publish, after its delay; undefined if there is none or the client has discarded it. */
  readonly will: Will | undefined;
  /** Seconds for which the session is stored; 0: it is discarded. Infinity does not occur: the limit applies. */
  readonly sessionExpirySeconds: number;
  /** What was thrown, where the reason is an error of the server itself. */
  readonly cause: unknown;
}

export interface SubscribeRequest {
  readonly filter: string;
  /** The QoS to grant: at most 1. */
  readonly qos: 0 | 1;
}

/**
 * What a server does with its connections, which are `ServerConnection`. Each method may call the connection at once or
 * later; none may throw for the content of a packet.
 */
export interface ServerHandlers<Connection> {
  /** A CONNECT came. Call `authorized` or `refuse`. */
  authorize(connection: Connection, request: ConnectRequest): void;
  /** The client is authorized. Call `claimed`, with the stored session if there is one, or `refuse`. */
  claim(connection: Connection, request: ConnectRequest): void;
  /** A message came. Call `settle` and `flush` when its outcome is final; QoS 0 has none. */
  publish(connection: Connection, message: InboundMessage): void;
  /** Returns the reason code for a filter: 0 to 2 grants it, at the QoS of the request. */
  subscribe(connection: Connection, request: SubscribeRequest): number;
  /** The filter has a subscription, and SUBACK was sent: send its retained messages, with `sendRetained`. */
  retained?(connection: Connection, filter: string): void;
  /** The client has acknowledged an own message; 0x80 or more: it has refused it. */
  acknowledged?(connection: Connection, message: OutboundMessage, reason: number): void;
  /** An own message was not sent again: it has expired, or is too large for this connection. */
  unconfirmed?(connection: Connection, message: OutboundMessage): void;
  /** Called once, also for a connection that had no session. */
  closed(connection: Connection, closed: ClosedConnection): void;
}

/** What the connections of one server share. */
export interface ServerOptions<Connection> {
  readonly clock: Clock;
  readonly wheel: SecondWheel;
  readonly handlers: ServerHandlers<Connection>;
  readonly limits: ServerLimits;
  /** Returns a client ID that no other client has. */
  readonly newClientId: () => string;
  /** Returns an ID for a report that comes at QoS 2. */
  readonly newExchangeId: () => string;
  /** Returns the user properties of a CONNACK that accepts a client of MQTT 5. Default: none. */
  readonly connackProperties?: () => Readonly<Record<string, string>>;
}

/** What became of an own message. */
export type SendOutcome = 'sent' | 'full' | 'expired' | 'too_large' | 'not_subscribed' | 'closed';
