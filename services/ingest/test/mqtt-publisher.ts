import { randomUUID } from 'node:crypto';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { systemClock } from '@tailrace/platform/clock';

/** A sender of QoS 1 that sends each message until the broker has acknowledged it, as a careful device does. */
export class Publisher {
  /** Payloads that the broker has acknowledged. */
  readonly acknowledged: string[] = [];
  readonly #client: ClientConnection;
  #queue: OutboundMessage[] = [];
  #waiting: (() => void)[] = [];
  #unacknowledged = 0;

  constructor(
    address: { host: string; port: number },
    version: 4 | 5 = 5,
    credentials: { userName?: string; password?: Buffer } = {},
  ) {
    this.#client = new ClientConnection(
      {
        clock: systemClock,
        random: Math.random,
        dial: (handlers) => connectWire(address, handlers),
        credentials: () => credentials,
        version,
        clientId: `publisher-${randomUUID()}`,
        cleanStart: true,
        sessionExpirySeconds: 0,
        keepAliveSeconds: 60,
        receiveMaximum: 10,
        packetBytesMax: 262_144,
        topicAliasMaximum: 0,
        unackedMax: 500,
        subscriptions: [],
        isSubscribed: false,
        backoff: { baseMs: 20, capMs: 100 },
        newExchangeId: randomUUID,
      },
      {
        publish() {},
        opened: () => this.#send(),
        acknowledged: (_packetId, message) => {
          this.acknowledged.push(Buffer.from(message.payload).toString());
          this.#unacknowledged--;
          this.#send();
          if (this.#unacknowledged > 0) return;
          for (const resolve of this.#waiting.splice(0)) resolve();
        },
        lost: (messages) => {
          this.#queue = [...messages, ...this.#queue];
        },
      },
    );
    this.#client.start();
  }

  publish(topic: string, payload: string, rest: Partial<OutboundMessage> = {}): void {
    this.#unacknowledged++;
    this.#queue.push({ topic, payload: Buffer.from(payload), qos: 1, ...rest });
    this.#send();
  }

  /** Messages that the broker has not acknowledged. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** Resolves when the broker has acknowledged all messages. */
  done(): Promise<void> {
    if (this.#unacknowledged === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    await this.#client.stop({ drainMs: 0 });
  }

  #send(): void {
    // The broker may allow fewer unacknowledged messages than there are.
    while (this.#queue.length > 0 && this.#client.publish(this.#queue[0]!) !== undefined) this.#queue.shift();
  }
}
