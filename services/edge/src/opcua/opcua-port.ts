import { TailraceError } from '@tailrace/protocol/error';

/*
 * What the gateway uses of an OPC UA client: one secure channel with one session, and the services on it. The gateway
 * has its own subscriptions with their numbers, and decides what follows a lost connection (`connection.ts`).
 *
 * Each call rejects with an `OpcuaError` at the latest after the timeout of the source. None is repeated.
 */

/** A value as the library decodes it. Numbers of `dataType` are the built-in types of Part 6, 5.1.2. */
export interface OpcuaVariant {
  readonly dataType: number;
  /** 0: scalar; 1: array; 2: matrix. */
  readonly arrayType: number;
  readonly value: unknown;
}

export interface OpcuaDataValue {
  readonly value?: OpcuaVariant | null | undefined;
  readonly statusCode: { readonly value: number; readonly name: string };
  readonly sourceTimestamp?: Date | null | undefined;
  /** Below one millisecond. */
  readonly sourcePicoseconds?: number | undefined;
  readonly serverTimestamp?: Date | null | undefined;
  readonly serverPicoseconds?: number | undefined;
}

export interface NodeToRead {
  /** `ns=2;s=Name`: the namespace as an index. */
  readonly node: string;
  /** Default: the value. */
  readonly attribute?: number;
  /** Position in an array. */
  readonly index?: number | undefined;
}

export interface SubscriptionRequest {
  readonly publishMs: number;
  readonly keepAliveCount: number;
  readonly lifetimeCount: number;
  /** Of one message. */
  readonly valuesMax: number;
}

/** What the server made of a `SubscriptionRequest`. */
export interface SubscriptionReply {
  readonly id: number;
  readonly publishMs: number;
  readonly keepAliveCount: number;
}

export interface ItemRequest {
  readonly handle: number;
  readonly node: string;
  readonly index?: number | undefined;
  readonly sampleMs: number;
  readonly queue: number;
  /** The server reports no smaller change. Undefined: it reports every change. */
  readonly deadband?: number | undefined;
}

/** The name of a status code: `Good`, `BadNodeIdUnknown`. */
export type StatusName = string;

export interface ItemValue {
  readonly handle: number;
  readonly value: OpcuaDataValue;
}

export interface NotificationMessage {
  readonly sequenceNumber: number;
  /** In the order of the server. Empty: a keep-alive, whose number is that of the next message. */
  readonly values: readonly ItemValue[];
  /** Whether it has notifications, of values or others. */
  readonly isKeepAlive: boolean;
  /** Of a notification that the subscription is closed: its status. */
  readonly closed?: StatusName;
}

export interface PublishReply {
  readonly subscription: number;
  readonly message: NotificationMessage;
}

export interface Acknowledgement {
  readonly subscription: number;
  readonly sequenceNumber: number;
}

export interface BrowseReference {
  readonly node: string;
  readonly browseName: string;
  readonly displayName: string;
  /** 1: object; 2: variable. Others are not followed. */
  readonly nodeClass: number;
  /** A fact about its node, such as its unit, not a value of its own. */
  readonly isProperty: boolean;
}

export interface BrowseReply {
  readonly status: StatusName;
  readonly references: readonly BrowseReference[];
  /** Undefined: there are no more references. */
  readonly continuation: Uint8Array | undefined;
}

export interface OpcuaChannel {
  /** Whether the session of the former channel goes on, with its subscriptions. */
  readonly isReactivated: boolean;
  read(nodes: readonly NodeToRead[]): Promise<readonly OpcuaDataValue[]>;
  /** Resolves with the status of the node. The request is sent at once or never. */
  write(node: NodeToRead, value: OpcuaVariant): Promise<{ readonly value: number; readonly name: StatusName }>;
  createSubscription(request: SubscriptionRequest): Promise<SubscriptionReply>;
  deleteSubscription(id: number): Promise<void>;
  /** Resolves with a status for each item. */
  createItems(subscription: number, items: readonly ItemRequest[]): Promise<readonly StatusName[]>;
  /** Resolves when the server has something to report. Has no timeout of its own below two minutes. */
  publish(acknowledgements: readonly Acknowledgement[]): Promise<PublishReply>;
  republish(subscription: number, sequenceNumber: number): Promise<NotificationMessage>;
  /** Takes over subscriptions of a former session. Resolves with a status for each. */
  transfer(subscriptions: readonly number[]): Promise<readonly StatusName[]>;
  /** Follows hierarchical references forward. */
  browse(nodes: readonly string[], referencesMax: number): Promise<readonly BrowseReply[]>;
  /** `isRelease`: the server forgets the continuation, and replies nothing. */
  browseNext(continuations: readonly Uint8Array[], isRelease: boolean): Promise<readonly BrowseReply[]>;
  /** Closes the session with its subscriptions, and the channel. Resolves within three seconds; never rejects. */
  close(): Promise<void>;
  /** Closes the channel alone: the session can be taken over. */
  drop(): void;
}

export interface OpcuaConnector {
  /**
   * Opens a channel, and activates the session of `previous` on it. If the server does not know that session any more,
   * it makes one. `onClosed` is called once when the channel is lost. Rejects with an `OpcuaError`; then no session is
   * left behind, and `previous` can be used again.
   */
  open(previous: OpcuaChannel | undefined, onClosed: (reason: string) => void): Promise<OpcuaChannel>;
}

/** Why a call failed. */
export class OpcuaError extends TailraceError {
  /** `BadSessionIdInvalid`, … of the server; `timeout`; `closed`: the channel is lost; `untrusted`: the certificate. */
  readonly status: string;

  constructor(status: string, message: string) {
    super('unavailable', message);
    this.status = status;
  }
}

/** Returns why a call failed; of another error its message. */
export function opcuaStatus(error: unknown): string {
  return error instanceof OpcuaError ? error.status : 'failed';
}
