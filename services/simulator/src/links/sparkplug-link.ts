import type { PublisherStats } from '@tailrace/client/publish';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import type { Reading, Report } from '@tailrace/protocol/report';
import { dataTypes } from '@tailrace/sparkplug/data-type';
import { metricFields } from '@tailrace/sparkplug/metric-fields';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { decodePayload, encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import { type DeviceMessageType, type NodeMessageType, topicOf } from '@tailrace/sparkplug/topic';
import { commandOfWrite, type PlantCommand } from '../plant/command.ts';
import { warningEveryMs } from './http-link.ts';
import { noStats, type PlantLink } from './plant-link.ts';

export interface SparkplugLinkOptions {
  /** Of the listener: `mqtt://host:1883`. */
  readonly url: string;
  readonly token: string;
  /** Path of the edge node, `<group>.<node>`, which is its user name, too. */
  readonly node: string;
  /** The devices below it. */
  readonly devices: readonly string[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** As `Plant.command`. */
  command(device: string, command: PlantCommand): void;
}

/** A device of the edge node. Its metrics have the aliases of their order. */
interface SparkplugDevice {
  /** ID in topics: the last segment of its path. */
  readonly id: string;
  /** The last readings; undefined before the first report. */
  readings: readonly Reading[] | undefined;
  /** Whether DBIRTH was sent in this session, and no DDEATH since. */
  isBorn: boolean;
}

const defaultPort = 1883;
/** Sequence numbers and sessions count modulo 256. */
const numbers = 256;
const qualityCodes = { bad: 0, good: 192, uncertain: 500 } as const;

/**
 * One Sparkplug B edge node with the machines of an area as its devices: NBIRTH and DBIRTH at each connect, DDATA by
 * alias, DDEATH for a machine whose link is interrupted, and the NDEATH as its will. A DCMD that writes a metric is a
 * command.
 */
export class SparkplugLink implements PlantLink {
  readonly devices: readonly string[];
  readonly #options: SparkplugLinkOptions;
  readonly #group: string;
  readonly #node: string;
  readonly #devices: ReadonlyMap<string, SparkplugDevice>;
  readonly #client: ClientConnection;
  readonly #onRefused: LimitedWarning;
  #isOpen = false;
  #seq = 0;
  /** Of the connection: rises with each. */
  #session = -1;
  #sent = 0;

  constructor(options: SparkplugLinkOptions) {
    const { url, node, devices, token, logger, clock, random } = options;
    const { hostname, port } = new URL(url);
    this.#options = options;
    this.devices = devices;
    const segments = node.split('.');
    this.#node = segments.pop()!;
    this.#group = segments.join('.');
    this.#devices = new Map(
      devices.map((device) => [device, { id: device.slice(node.length + 1), readings: undefined, isBorn: false }]),
    );
    const limited = (sentence: string) =>
      new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#onRefused = limited('a machine refused a Sparkplug command');
    const onDisconnected = limited('the Sparkplug edge node is not connected; retrying');
    const filterOf = (type: string, rest: string) => `spBv1.0/${this.#group}/${type}/${this.#node}${rest}`;
    const death = () => this.#death();
    this.#client = new ClientConnection(
      {
        clock,
        random,
        dial: (handlers) => connectWire({ host: hostname, port: Number(port || defaultPort) }, handlers),
        credentials: () => {
          this.#session = (this.#session + 1) % numbers;
          return { userName: node, password: Buffer.from(token) };
        },
        version: 5,
        clientId: `${node}.sparkplug`,
        cleanStart: true,
        sessionExpirySeconds: 0,
        keepAliveSeconds: 30,
        receiveMaximum: 16,
        packetBytesMax: 262_144,
        topicAliasMaximum: 0,
        unackedMax: 16,
        will: {
          topic: topicOf({ type: 'NDEATH', group: this.#group, node: this.#node }),
          get payload() {
            return death();
          },
          qos: 1,
          retain: false,
        },
        subscriptions: [
          { filter: filterOf('NCMD', ''), qos: 1 },
          { filter: filterOf('DCMD', '/#'), qos: 1 },
        ],
        isSubscribed: false,
        newExchangeId: () => '',
      },
      {
        publish: ({ ticket, topic, payload }) => {
          this.#obey(topic, payload);
          if (ticket >= 0) this.#client.settle(ticket, 0);
          this.#client.flush();
        },
        opened: () => this.#born(),
        disconnected: ({ message, reason, retryInMs }) => {
          this.#isOpen = false;
          if (retryInMs !== undefined) onDisconnected.write(() => ({ node, reason, error: message }));
        },
      },
    );
  }

  async start(): Promise<void> {
    this.#client.start();
  }

  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    for (const [path, device] of this.#devices) {
      if (device.isBorn && !isLinked(path)) this.#deviceDeath(device);
    }
    for (const { device: path, time, readings } of reports) {
      const device = this.#devices.get(path);
      if (device === undefined) continue;
      const isFirst = !device.isBorn;
      device.readings = readings;
      if (!this.#isOpen || !isLinked(path)) continue;
      if (isFirst) this.#deviceBirth(device);
      else
        this.#send(
          'DDATA',
          device,
          readings.map((reading, alias) => metricOf(reading, alias, time, false)),
        );
    }
  }

  async drain(): Promise<void> {
    await this.stop();
  }

  async stop(): Promise<void> {
    // A DISCONNECT discards the will.
    if (this.#isOpen) this.#publish('NDEATH', undefined, this.#death());
    this.#isOpen = false;
    await this.#client.stop({ drainMs: 0, sessionExpirySeconds: 0 });
  }

  stats(): PublisherStats {
    return { ...noStats, accepted: this.#sent };
  }

  #born(): void {
    this.#isOpen = true;
    this.#seq = 0;
    const bdSeq = { name: 'bdSeq', datatype: dataTypes.int64, longValue: this.#session };
    const rebirth = { name: rebirthName, datatype: dataTypes.boolean, booleanValue: false };
    this.#send('NBIRTH', undefined, [bdSeq, rebirth]);
    for (const device of this.#devices.values()) {
      device.isBorn = false;
      if (device.readings !== undefined) this.#deviceBirth(device);
    }
  }

  #deviceBirth(device: SparkplugDevice): void {
    device.isBorn = true;
    const nowMs = this.#options.clock.now();
    this.#send(
      'DBIRTH',
      device,
      device.readings!.map((reading, alias) => metricOf(reading, alias, nowMs, true)),
    );
  }

  #deviceDeath(device: SparkplugDevice): void {
    device.isBorn = false;
    if (this.#isOpen) this.#send('DDEATH', device, []);
  }

  /** The same session as its birth. NDEATH has no sequence number. */
  #death(): Buffer {
    const metrics = [{ name: 'bdSeq', datatype: dataTypes.int64, longValue: this.#session }];
    return Buffer.from(encodePayload({ timestamp: this.#options.clock.now(), metrics }));
  }

  #send(type: NodeMessageType | DeviceMessageType, device: SparkplugDevice | undefined, metrics: Metric[]): void {
    const payload = encodePayload({ timestamp: this.#options.clock.now(), metrics, seq: this.#seq });
    if (!this.#publish(type, device, payload)) return;
    this.#seq = (this.#seq + 1) % numbers;
    if (type === 'DDATA') this.#sent++;
  }

  #publish(
    type: NodeMessageType | DeviceMessageType,
    device: SparkplugDevice | undefined,
    payload: Uint8Array,
  ): boolean {
    const ids = { group: this.#group, node: this.#node, ...(device === undefined ? {} : { device: device.id }) };
    return this.#client.publish({ topic: topicOf({ type, ...ids }), payload, qos: 0 }) !== undefined;
  }

  /** Never throws: there is no answer. The next data show what has changed. */
  #obey(topic: string, payload: Buffer): void {
    try {
      const id = topic.split('/')[4];
      const { metrics } = decodePayload(payload);
      if (id === undefined) {
        if (metrics.some(({ name, booleanValue }) => name === rebirthName && booleanValue === true)) this.#born();
        return;
      }
      const found = [...this.#devices].find(([, device]) => device.id === id);
      if (found === undefined) return;
      const [path, { readings = [] }] = found;
      for (const metric of metrics) {
        const tag = metric.name || readings[Number(metric.alias)]?.tag;
        const value = metric.booleanValue ?? metric.doubleValue;
        if (tag !== undefined && value !== null && value !== undefined)
          this.#options.command(path, commandOfWrite(tag, value));
      }
    } catch (error) {
      if (!isTailraceError(error)) throw error;
      this.#onRefused.write(() => ({ topic, error }));
    }
  }
}

/** `isBirth`: with name, data type and unit, which data leave to the alias. */
function metricOf({ tag, value, unit, quality }: Reading, alias: number, timeMs: number, isBirth: boolean): Metric {
  const datatype =
    typeof value === 'boolean' ? dataTypes.boolean : typeof value === 'number' ? dataTypes.double : dataTypes.string;
  const properties = [
    ...(isBirth && unit ? [['engUnit', { type: dataTypes.string, stringValue: unit }] as const] : []),
    ...(quality !== undefined && quality !== 'good'
      ? [['Quality', { type: dataTypes.int32, intValue: qualityCodes[quality] }] as const]
      : []),
  ];
  return {
    ...(isBirth && { name: tag, datatype }),
    alias,
    timestamp: timeMs,
    ...metricFields(tag, datatype, value),
    ...(properties.length > 0 && {
      properties: { keys: properties.map(([key]) => key), values: properties.map(([, property]) => property) },
    }),
  };
}
