import type { MetricProblem } from './metric.ts';
import type { ReadingBatch } from './readings.ts';
import type { MessageType } from './topic.ts';

/** A message of a node, as it came from the broker. */
export interface NodeMessage {
  readonly type: MessageType;
  /** Present for the types of devices. */
  readonly device?: string | undefined;
  /** The payload. The node copies what it keeps. */
  readonly bytes: Uint8Array;
  /** W3C Trace Context of its sender. */
  readonly traceparent?: string | undefined;
  /** Whether the broker had kept the message, and sends it because of a new subscription. */
  readonly isRetained?: boolean;
}

/** A node or device came or went. */
export interface PresenceChange {
  /** ID of the device; undefined: the node itself. */
  readonly device: string | undefined;
  readonly isOnline: boolean;
  /** Epoch ms by the node's clock; undefined: the time of receipt counts. */
  readonly time: number | undefined;
}

/** Why a node should publish its birth again. */
export type RebirthCause = 'unknown_node' | 'unknown_device' | 'unknown_alias' | 'gap' | 'no_sequence';

/** A message, or some metrics of it, that cannot be read. */
export interface UnreadableMessage {
  readonly type: MessageType;
  readonly device: string | undefined;
  readonly bytes: Uint8Array;
  readonly reason: MetricProblem | 'protobuf' | 'limit_reached';
  readonly message: string;
  /** Number of metrics; 0: the whole message. */
  readonly metrics: number;
}

/** Sequence numbers that did not come within the reorder window, both included. */
export interface SequenceGap {
  readonly from: number;
  readonly to: number;
}

/** A birth that resolves the names and aliases of later messages. */
export interface Birth {
  /** undefined: NBIRTH. */
  readonly device: string | undefined;
  readonly bytes: Uint8Array;
}

/** What a node reports. All calls are synchronous, in the order of the messages. */
export interface NodeHandlers {
  readings(batch: ReadingBatch): void;
  /** Changes of one message: an NDEATH changes the node and all of its devices in one call. */
  presence(changes: readonly PresenceChange[]): void;
  unreadable(message: UnreadableMessage): void;
  gap(gap: SequenceGap): void;
  /** A birth is needed. Called for each message that needs one. */
  rebirthNeeded(cause: RebirthCause): void;
  /** No birth is needed any more: one came, or the messages are in sequence again. */
  synchronized(): void;
  /** To be stored, and passed to `restore` after a restart. */
  birth(birth: Birth): void;
}
