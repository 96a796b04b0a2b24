import type { Clock } from '@tailrace/platform/clock';
import type { BackoffOptions } from '@tailrace/protocol/backoff';
import type { InboundMessage } from './inbound-messages.ts';
import type { OutboundMessage, QoS } from './publish.ts';
import type { MqttVersion } from './reason.ts';
import type { Wire, WireHandlers } from './wire.ts';

export interface ClientSubscription {
  readonly filter: string;
  readonly qos: QoS;
  /** MQTT 5. Whether messages keep their retain flag. Default false. */
  readonly retainAsPublished?: boolean;
  /** MQTT 5. 0: retained messages come with each SUBSCRIBE; 1: for a new subscription; 2: never. Default 2. */
  readonly retainHandling?: 0 | 1 | 2;
}

export interface ClientWill {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  /** MQTT 5. */
  readonly delaySeconds?: number;
}

export interface ClientOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Starts to connect, and returns at once. Throws if it cannot: the client tries again. */
  readonly dial: (handlers: WireHandlers) => Wire;
  /** Called at each connect, so that renewed credentials are used. May throw, as `dial`. */
  readonly credentials: () => { readonly userName?: string; readonly password?: Buffer };
  readonly version: MqttVersion;
  /** Never empty. The same after a restart of the process, or the server keeps a session that is never resumed. */
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds. MQTT 3.1.1 has no such property: the server decides. */
  readonly sessionExpirySeconds: number;
  /** Seconds from 5 on. */
  readonly keepAliveSeconds: number;
  /** The most messages above QoS 0 that the server may have unacknowledged. MQTT 3.1.1 has no such property. */
  readonly receiveMaximum: number;
  /**
   * Whether a server of MQTT 5 that sends more than `receiveMaximum` is not read until there is room, as one of 3.1.1,
   * which does not know it. Default: the connection is closed with 0x93.
   */
  readonly pausesAtReceiveMaximum?: boolean;
  readonly packetBytesMax: number;
  readonly topicAliasMaximum: number;
  /** Own messages of QoS 1 without an acknowledgment; fewer if the server allows fewer. */
  readonly unackedMax: number;
  readonly will?: ClientWill;
  readonly subscriptions: readonly ClientSubscription[];
  /**
   * Whether a session that the server still has is known to have these subscriptions, from an earlier process. Then
   * nothing is subscribed again: each SUBSCRIBE would bring the retained messages again.
   */
  readonly isSubscribed: boolean;
  /**
   * Whether it subscribes at each connect, also on a session that the server still has. With a retain handling of 2
   * this brings no retained messages. Mosquitto before 2.0.12 forgets the shared subscriptions of a resumed session.
   * Default: no.
   */
  readonly subscribesAgain?: boolean;
  readonly backoff?: BackoffOptions;
  /** Returns an ID for a message that comes at QoS 2. */
  readonly newExchangeId: () => string;
}

/** What a client reports. Set it before `start`: queued messages of a session come before its SUBSCRIBE. */
export interface ClientHandlers {
  /** A message came. Call `settle` and `flush` when its outcome is final. */
  publish(message: InboundMessage): void;
  /** The connection is open, and the subscriptions are made. */
  opened?(opened: Opened): void;
  /** The server has acknowledged a message of `publish`; 0x80 or more: it has refused it. */
  acknowledged?(packetId: number, message: OutboundMessage, reason: number, reasonString: string | undefined): void;
  /** The server has lost the session: these messages have no acknowledgment, and are not sent again. */
  lost?(messages: readonly OutboundMessage[]): void;
  /** The outcome of each filter: a granted QoS, which may be lower, or a reason from 0x80 on. */
  subscribed?(subscription: ClientSubscription, reason: number): void;
  /** A connection, or an attempt at one, was closed. The next attempt is in `retryInMs`; undefined: there is none. */
  disconnected?(disconnected: Disconnected): void;
}

export interface Opened {
  readonly isSessionPresent: boolean;
  /** User properties of CONNACK; of a name that comes several times all values. Absent: none. */
  readonly userProperties?: Readonly<Record<string, string | readonly string[]>>;
}

export interface Disconnected {
  /** A reason code of MQTT 5; 0 where none was sent. */
  readonly reason: number;
  readonly message: string;
  /** Whether the next attempt will fail, too, unless settings are changed. */
  readonly isPermanent: boolean;
  readonly retryInMs: number | undefined;
  readonly cause: unknown;
}

export interface StopOptions {
  /** How long to wait for acknowledgments, in both directions. */
  readonly drainMs: number;
  /** MQTT 5: changes the session expiry; 0 discards the session. Default: as in CONNECT. */
  readonly sessionExpirySeconds?: number;
}
