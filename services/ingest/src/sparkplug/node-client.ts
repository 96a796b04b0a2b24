import type { PathOwner } from '@tailrace/sparkplug/path-map';
import type { NodeTopic } from '@tailrace/sparkplug/topic';
import type { NamespaceClient } from '../mqtt/topic-namespace.ts';
import type { BufferUse } from './fair-buffer.ts';
import type { Acknowledger } from './sparkplug-broker.ts';

/** A topic, and the device path of its edge node or device. */
export interface AllowedTopic {
  readonly topic: NodeTopic;
  readonly path: string;
}

/** A client of the listener, and what it is to the host. */
export class NodeClient implements Acknowledger, BufferUse {
  /** Topics that it may use. */
  readonly topics = new Map<string, AllowedTopic>();
  /** Its edge nodes, by group and ID. */
  readonly nodes = new Map<string, PathOwner>();
  /** Of its edge nodes and their devices, by device path. */
  readonly owners = new Map<string, PathOwner>();
  hasWill = false;
  takesCommands = false;
  /** Whether it has subscribed to the STATE of the host. */
  hasState = false;
  /** Of its reports and dead letters that are not durable. */
  bytes = 0;
  isPaused = false;
  readonly #client: NamespaceClient;
  readonly #onBytes: (client: NodeClient, bytes: number) => void;

  /** `onBytes`: called for bytes that are held, or, where negative, no longer. */
  constructor(client: NamespaceClient, onBytes: (client: NodeClient, bytes: number) => void) {
    this.#client = client;
    this.#onBytes = onBytes;
  }

  get client(): NamespaceClient {
    return this.#client;
  }

  settle(ticket: number, reason: number): void {
    this.#client.settle(ticket, reason);
  }

  flush(): void {
    this.#client.flush();
  }

  hold(bytes: number): void {
    this.#onBytes(this, bytes);
  }
}
