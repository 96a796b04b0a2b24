import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import type { OutboundMessage } from '@tailrace/sparkplug/outbound-message';

/** The connection by which a message came, for its acknowledgment. */
export interface Acknowledger {
  /** The message of the ticket is in the log, or needs no log. `reason`: of MQTT, 0 for success. */
  settle(ticket: number, reason: number): void;
  /** Sends the acknowledgments since the last call. */
  flush(): void;
  /** Counts bytes of its messages that are not durable; negative: they are. Absent: nothing is shared with others. */
  hold?(bytes: number): void;
}

/** For messages without a connection. */
export const noAcknowledger: Acknowledger = { settle() {}, flush() {} };

/** A message of the Sparkplug namespace, as a broker delivers it. */
export interface BrokerMessage {
  readonly topic: string;
  /** May be a view of a larger buffer: copy what is kept. */
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** For `settle`; -1 at QoS 0, which has no acknowledgment. */
  readonly ticket: number;
  /** Of MQTT 5. */
  readonly properties?: InboundMessage['properties'];
}

/** The connection to a broker, as a Sparkplug host uses it. */
export interface SparkplugBroker {
  /** Returns whether the message was taken: false while the connection is not open, or its window is full. */
  publish(message: OutboundMessage): boolean;
  /** Stops to read until `resume`. Both are idempotent. */
  pause(): void;
  resume(): void;
}
