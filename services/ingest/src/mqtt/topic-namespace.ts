import type { Will } from '@tailrace/mqtt/connect-request';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import type { SendOutcome } from '@tailrace/mqtt/server-options';
import type { Sender, TokenGrant } from '../admission.ts';
import type { CommandReply, DeliveredCommand } from '../devices/device-command.ts';

/** A message on a topic of a namespace. */
export interface NamespaceMessage {
  readonly topic: string;
  /** A view for the call: copy what is kept. */
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** For `settle`; -1 at QoS 0. */
  readonly ticket: number;
  /** QoS 2: the same at each attempt. */
  readonly exchangeId: string | undefined;
  /** Of MQTT 5. */
  readonly properties: InboundMessage['properties'];
}

/** A client that uses a namespace. A call after its connection is closed has no effect, apart from `settle`. */
export interface NamespaceClient {
  readonly clientId: string;
  /** Of its session: a device path; of a gateway without one a path of its client ID. */
  readonly device: string;
  /** Number of its session; 0 before it is open. */
  readonly sessionNumber: number;
  readonly grant: TokenGrant;
  readonly sender: Sender;
  /** Of the devices that it may publish. */
  readonly patterns: readonly string[];
  readonly isOpen: boolean;
  /** When the last message was received, monotonic ms. */
  readonly receivedMs: number;
  /**
   * Sets the outcome of a message, at any time and in any order; then call `flush`. `reason`: 0, or the final reason of
   * a refusal. A message that failed for now is not settled: its device would not send it again.
   */
  settle(ticket: number, reason: number, text?: string): void;
  flush(): void;
  /**
   * Stops reading until `continueReading`, for at most half a keep-alive: then messages of QoS 0 are discarded, and
   * counted. Both are idempotent, and do not touch the pauses of its session.
   */
  stopReading(): void;
  continueReading(): void;
  /** Counts a message of the device against its rates: beyond them the client is not read until they allow it. */
  pace(device: string): void;
  /** Sends a message for which the client has a subscription. */
  deliver(message: OutboundMessage): SendOutcome;
  sendRetained(message: OutboundMessage, filter: string): SendOutcome;
  /** Closes the connection with a reason code of MQTT 5. */
  disconnect(reason: number, text: string): void;
}

/** Where the outcomes of commands go: the session of the client. */
export interface CommandReporter {
  commandReceived(id: string): boolean;
  commandReplied(reply: CommandReply, device: string): boolean;
}

/** Takes the topics below one first level, of all MQTT connections of this process. */
export interface TopicNamespace {
  /** The first level, such as `spBv1.0`. */
  readonly level: string;
  /** Throws a TailraceError if the client may not have this will. Called before the session is open. */
  assertWill(client: NamespaceClient, will: Will): void;
  /** CONNACK was sent. */
  opened(client: NamespaceClient): void;
  /** A message came. Call `client.settle` for its ticket when its outcome is final. */
  publish(client: NamespaceClient, message: NamespaceMessage): void;
  /** Returns a reason code: 0 or 1 grants the filter, whose first level is the one of the namespace. */
  subscribe(client: NamespaceClient, filter: string, qos: 0 | 1): number;
  /** SUBACK was sent for a filter that was granted. */
  retained(client: NamespaceClient, filter: string): void;
  /** The connection is closed. `isOrderly`: the client has sent DISCONNECT with reason 0. */
  closed(client: NamespaceClient, isOrderly: boolean): void;
  /** Whether the client has subscribed to commands of the namespace. */
  takesCommands(client: NamespaceClient): boolean;
  /** Sends a command, as `ProtocolPort.deliverCommand`. `reporter`: the session of the client. */
  deliverCommand(client: NamespaceClient, command: DeliveredCommand, reporter: CommandReporter): boolean;
  /** The will is due: the connection was lost, and the session was not resumed within the will delay. */
  will(client: NamespaceClient, will: Will): void;
}

const slash = '/'.charCodeAt(0);

/** Returns the namespace of a topic or filter; undefined if none has its first level. */
export function namespaceOf(namespaces: readonly TopicNamespace[], topic: string): TopicNamespace | undefined {
  for (const namespace of namespaces) {
    const { level } = namespace;
    if (topic.startsWith(level) && topic.charCodeAt(level.length) === slash) return namespace;
  }
  return undefined;
}
