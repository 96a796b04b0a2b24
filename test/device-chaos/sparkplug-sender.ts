import { randomUUID } from 'node:crypto';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import { systemClock } from '@tailrace/platform/clock';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { decodePayload, encodePayload, type PayloadFields } from '@tailrace/sparkplug/payload';
import type { Mosquitto } from '@tailrace/testkit/mosquitto';
import { type AcknowledgmentProxy, startAcknowledgmentProxy } from '../../services/ingest/test/acknowledgment-proxy.ts';
import { bdSeqOf, metricOf } from '../../services/ingest/test/sparkplug-fixture.ts';
import { Ledger } from './ledger.ts';
import { Pace, type Sender } from './paced-sender.ts';

const nodes = Array.from({ length: 5 }, (_, index) => `n${index}`);
const alias = 1;
const prefix = 'sparkplug-';
/** Of a birth, which is no message of the ledger. */
const bornValue = -1;

interface Value {
  readonly key: string;
  readonly node: string;
  readonly value: number;
}

/**
 * Edge nodes on a broker, whose data have QoS 1. The key of a message is its value. As in `BridgeSender`, it counts as
 * acknowledged when ingest has acknowledged it to the broker.
 */
export class SparkplugSender implements Sender {
  readonly ledger = new Ledger('Sparkplug', ({ device, readings }) =>
    device.startsWith('plant1.sparkplug.')
      ? readings.flatMap(({ tag, value }) => (tag === 't' && value !== bornValue ? [`${prefix}${value}`] : []))
      : [],
  );
  readonly inFlightMax = 500;
  /**
   * A host has a clean session (tck-id-message-flow-phid-sparkplug-clean-session-50): it does not receive what is sent
   * while it is away.
   */
  readonly lossMax = Number.POSITIVE_INFINITY;
  /** Requests for births. */
  rebirths = 0;
  readonly #mosquitto: Mosquitto;
  readonly #pace: Pace;
  readonly #sequences = new Map<string, number>();
  readonly #published = new Map<number, Value>();
  #waiting: Value[] = [];
  #proxy: AcknowledgmentProxy | undefined;
  #client: ClientConnection | undefined;

  constructor({ mosquitto, perSecond }: { mosquitto: Mosquitto; perSecond: number }) {
    this.#mosquitto = mosquitto;
    const { ledger, inFlightMax } = this;
    const send = (key: string, value: number) => {
      this.#waiting.push({ key, value, node: nodes[value % nodes.length]! });
      this.#flush();
    };
    const waiting = () => this.#waiting.length + this.#published.size;
    this.#pace = new Pace({ ledger, inFlightMax, perSecond, send, prefix, waiting });
  }

  /** As `BridgeSender.listen`. */
  async listen(): Promise<number> {
    this.#proxy = await startAcknowledgmentProxy(this.#mosquitto, (payload) => {
      for (const { alias: of, doubleValue, name } of decodePayload(payload).metrics) {
        if (of === alias && !name) this.#pace.acknowledged(`${prefix}${doubleValue}`);
      }
    });
    return this.#proxy.port;
  }

  start(): Promise<void> {
    return new Promise((resolve) => {
      const client: ClientConnection = new ClientConnection(
        {
          ...{ clock: systemClock, random: Math.random, credentials: () => ({}), version: 5, cleanStart: true },
          dial: (wire) => connectWire(this.#mosquitto, wire),
          ...{ clientId: randomUUID(), sessionExpirySeconds: 0, keepAliveSeconds: 60, receiveMaximum: 100 },
          ...{ packetBytesMax: 262_144, topicAliasMaximum: 0, unackedMax: 2_000, isSubscribed: false },
          ...{ backoff: { baseMs: 20, capMs: 100 } },
          ...{ subscriptions: [{ filter: 'spBv1.0/g/NCMD/+', qos: 1 }], newExchangeId: randomUUID },
        },
        {
          publish: ({ topic, ticket }) => {
            this.rebirths++;
            if (ticket >= 0) client.settle(ticket, 0);
            this.#birth(topic.split('/').at(-1)!);
          },
          opened: () => {
            for (const node of nodes) this.#birth(node);
            this.#flush();
            resolve();
            this.#pace.start();
          },
          acknowledged: (packetId) => {
            this.#published.delete(packetId);
            this.#flush();
          },
          // With a new session: what the broker has not acknowledged is sent again.
          lost: () => {
            this.#waiting = [...this.#published.values(), ...this.#waiting];
            this.#published.clear();
          },
        },
      );
      this.#client = client;
      client.start();
    });
  }

  async finish(): Promise<void> {
    this.#pace.stop();
    // One of each node: messages of several nodes overtake each other.
    const last = nodes.map(() => this.#pace.next());
    await Promise.all(last.map((key) => this.#pace.settled(key)));
  }

  async stop(): Promise<void> {
    this.#pace.stop();
    await this.#client?.stop({ drainMs: 0 });
    this.#proxy?.close();
  }

  #birth(node: string): void {
    this.#sequences.set(node, 0);
    const metrics = [bdSeqOf(1), metricOf(rebirthName, false), metricOf('t', bornValue, { alias })];
    this.#publish('NBIRTH', node, { metrics });
  }

  #flush(): void {
    for (let value = this.#waiting[0]; value !== undefined; value = this.#waiting[0]) {
      const packetId = this.#publish('NDATA', value.node, { metrics: [{ alias, doubleValue: value.value }] });
      if (packetId === undefined) return;
      this.#published.set(packetId, value);
      this.#waiting.shift();
    }
  }

  #publish(type: string, node: string, fields: PayloadFields): number | undefined {
    const seq = this.#sequences.get(node) ?? 0;
    const payload = encodePayload({ timestamp: Date.now(), seq, ...fields });
    const packetId = this.#client?.publish({ topic: `spBv1.0/g/${type}/${node}`, payload, qos: 1 });
    if (packetId !== undefined) this.#sequences.set(node, (seq + 1) % 256);
    return packetId;
  }
}
