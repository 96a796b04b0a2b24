import type { PublisherStats } from '@tailrace/client/publish';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { PlantCommand } from '../plant/command.ts';
import { warningEveryMs } from './http-link.ts';
import type { PlantLink } from './plant-link.ts';

export interface MqttLinkOptions {
  /** Of the listener: `mqtt://host:1883`. */
  readonly url: string;
  readonly token: string;
  readonly devices: readonly string[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** As `Plant.command`. */
  command(device: string, command: PlantCommand): void;
  /** Default: TCP to `url`. */
  dial?(handlers: WireHandlers): Wire;
}

/** Most reports of one device that wait for an answer; the oldest is dropped. */
const queueReportsMax = 2_000;
const defaultPort = 1883;
const replyTopic = '/reply';

/**
 * Connects each device by MQTT 5: reports on `<path>/telemetry` at QoS 1, commands on `<path>/command`, replies on
 * `<path>/reply`. What a device without its link reports waits in its queue.
 */
export class MqttLink implements PlantLink {
  readonly devices: readonly string[];
  readonly #devices: ReadonlyMap<string, MqttDevice>;

  constructor(options: MqttLinkOptions) {
    this.devices = options.devices;
    this.#devices = new Map(options.devices.map((device) => [device, new MqttDevice(device, options)]));
  }

  async start(): Promise<void> {
    for (const device of this.#devices.values()) device.start();
  }

  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    for (const [path, device] of this.#devices) device.setLinked(isLinked(path));
    for (const report of reports) this.#devices.get(report.device)?.publish(report);
  }

  async drain(): Promise<void> {
    await Promise.all([...this.#devices.values()].map((device) => device.drained()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#devices.values()].map((device) => device.stop()));
  }

  stats(): PublisherStats {
    const devices = [...this.#devices.values()];
    const sum = (of: (device: MqttDevice) => number) => devices.reduce((total, device) => total + of(device), 0);
    return {
      queuedReports: sum(({ queued }) => queued),
      queuedReportsMax: devices.length * queueReportsMax,
      queuedBytes: 0,
      queuedBytesMax: 0,
      accepted: sum(({ accepted }) => accepted),
      refused: sum(({ refused }) => refused),
      retries: 0,
    };
  }
}

/** One device with its client. */
class MqttDevice {
  accepted = 0;
  refused = 0;
  readonly #path: string;
  readonly #topic: string;
  readonly #options: MqttLinkOptions;
  readonly #client: ClientConnection;
  readonly #onRefused: LimitedWarning;
  readonly #onDisconnected: LimitedWarning;
  /** Not sent yet, the oldest first. */
  #waiting: Buffer[] = [];
  #isLinked = true;
  #wire: Wire | undefined;
  #drainWaiters: (() => void)[] = [];

  constructor(path: string, options: MqttLinkOptions) {
    const { logger, clock, random, token, url } = options;
    const { hostname, port } = new URL(url);
    const dial =
      options.dial ??
      ((handlers: WireHandlers) => connectWire({ host: hostname, port: Number(port || defaultPort) }, handlers));
    const limited = (sentence: string) =>
      new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#path = path;
    this.#topic = path.replaceAll('.', '/');
    this.#options = options;
    this.#onRefused = limited('the listener refused readings of a device');
    this.#onDisconnected = limited('a device is not connected by MQTT; retrying');
    this.#client = new ClientConnection(
      {
        clock,
        random,
        dial: (handlers) => {
          if (!this.#isLinked) throw new TypeError('the link of the device is interrupted');
          this.#wire = dial(handlers);
          return this.#wire;
        },
        credentials: () => ({ userName: path, password: Buffer.from(token) }),
        version: 5,
        clientId: path,
        cleanStart: true,
        sessionExpirySeconds: 60,
        keepAliveSeconds: 30,
        receiveMaximum: 16,
        packetBytesMax: 262_144,
        topicAliasMaximum: 0,
        unackedMax: 16,
        subscriptions: [{ filter: `${this.#topic}/command`, qos: 1 }],
        isSubscribed: false,
        newExchangeId: () => '',
      },
      {
        publish: ({ ticket, payload }) => {
          this.#obey(payload);
          if (ticket >= 0) this.#client.settle(ticket, 0);
          this.#client.flush();
        },
        opened: () => this.#send(),
        acknowledged: (_packetId, { topic }, reason) => {
          if (topic.endsWith(replyTopic)) return;
          if (reason >= 0x80) {
            this.refused++;
            this.#onRefused.write(() => ({ device: path, reason }));
          } else this.accepted++;
          this.#send();
        },
        lost: (messages) => {
          const reports = messages.filter(({ topic }) => !topic.endsWith(replyTopic));
          this.#waiting.unshift(...reports.map(({ payload }) => Buffer.from(payload)));
        },
        disconnected: ({ message, reason, retryInMs }) => {
          if (this.#isLinked && retryInMs !== undefined) {
            this.#onDisconnected.write(() => ({ device: path, reason, error: message }));
          }
        },
      },
    );
  }

  get queued(): number {
    return this.#waiting.length + this.#client.unacknowledged().length;
  }

  start(): void {
    this.#client.start();
  }

  setLinked(isLinked: boolean): void {
    if (isLinked === this.#isLinked) return;
    this.#isLinked = isLinked;
    if (isLinked) this.#client.wake();
    else this.#wire?.close();
  }

  publish({ device: _device, ...report }: Report): void {
    if (this.#waiting.length >= queueReportsMax) this.#waiting.shift();
    this.#waiting.push(Buffer.from(JSON.stringify(report)));
    this.#send();
  }

  /** Resolves when every report has an answer, and the client has disconnected. */
  async drained(): Promise<void> {
    if (this.queued > 0) await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
    await this.stop();
  }

  stop(): Promise<void> {
    return this.#client.stop({ drainMs: 0, sessionExpirySeconds: 0 });
  }

  /** Sends while the window of the server has space. */
  #send(): void {
    while (this.#waiting.length > 0) {
      const message = { topic: `${this.#topic}/telemetry`, payload: this.#waiting[0]!, qos: 1 as const };
      if (this.#client.publish(message) === undefined) return;
      this.#waiting.shift();
    }
    if (this.queued > 0) return;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  #obey(payload: Buffer): void {
    let id: unknown;
    let reply: object;
    try {
      const command = JSON.parse(payload.toString()) as { id: string; name: string; params?: PlantCommand['params'] };
      id = command.id;
      this.#options.command(this.#path, { name: command.name, params: command.params ?? {} });
      reply = { id, state: 'done' };
    } catch (thrown) {
      const { code, message } = tailraceErrorFrom(thrown);
      reply = { id, state: 'failed', code, message };
    }
    if (typeof id !== 'string') return;
    this.#client.publish({ topic: `${this.#topic}${replyTopic}`, payload: Buffer.from(JSON.stringify(reply)), qos: 1 });
  }
}
