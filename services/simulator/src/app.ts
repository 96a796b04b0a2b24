import { hostname } from 'node:os';
import type { PublisherStats } from '@tailrace/client/publish';
import type { WebSocketConstructor } from '@tailrace/client/websocket';
import { type Clock, systemClock, type Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Report } from '@tailrace/protocol/report';
import { createHost, type Host } from './host/host.ts';
import { createHouse, type House } from './house/house.ts';
import { HttpLink, warningEveryMs } from './links/http-link.ts';
import { ModbusLink } from './links/modbus-link.ts';
import { MqttLink } from './links/mqtt-link.ts';
import { OpcuaLink } from './links/opcua-link.ts';
import type { PlantLink } from './links/plant-link.ts';
import { SparkplugLink } from './links/sparkplug-link.ts';
import { WebSocketLink } from './links/websocket-link.ts';
import type { Mood } from './plant/mood.ts';
import { createPlant, type Plant, simulatorDevice } from './plant/plant.ts';

export interface SimulatorOptions {
  /** As of `configSchema`. */
  readonly config: {
    readonly ingestUrl: string;
    readonly token: string;
    readonly plant: boolean;
    readonly house: boolean;
    readonly plantSeed: number;
    readonly mood: Mood;
    readonly rateHz: number;
    readonly deviceWebSocket: boolean;
    readonly mqttUrl: string;
    readonly sparkplugUrl: string;
    readonly modbusHost: string;
    readonly modbusPort: number;
    readonly opcuaHost: string;
    readonly opcuaPort: number;
    readonly opcuaPkiPath: string;
    readonly hostReadings: boolean;
    readonly hostName: string;
  };
  readonly logger: Logger;
  readonly clock?: Clock;
  /** For message IDs and waits, not for the plant. Default: Math.random. */
  readonly random?: () => number;
  readonly fetch?: typeof globalThis.fetch;
  readonly WebSocket?: WebSocketConstructor;
}

export interface Simulator {
  start(): Promise<void>;
  /** Publishes nothing more. Resolves when every report has an answer. */
  drain(): Promise<void>;
  /** Drops the reports without an answer. Idempotent. */
  stop(): Promise<void>;
  /** Of the reports over all protocols. */
  stats(): PublisherStats;
}

/** The edge node of the robot cell. */
const cellNode = 'plant1.cell1';
/** A shorter interval would mostly measure the sampling itself. */
const hostPeriodMs = 1000;

/** Sends readings of this host, a simulated plant and a house to ingest, over the public protocols of devices. */
export function createSimulator(options: SimulatorOptions): Simulator {
  return new PublishingSimulator(options);
}

class PublishingSimulator implements Simulator {
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #onHostError: LimitedWarning;
  readonly #plant: Plant | undefined;
  readonly #house: House | undefined;
  readonly #host: Host | undefined;
  readonly #http: HttpLink;
  /** Links other than HTTP. */
  readonly #links: PlantLink[] = [];
  /** Devices with a link other than HTTP. */
  readonly #linkOf = new Map<string, PlantLink>();
  #timers: Timer[] = [];
  #isSampling = false;

  constructor(options: SimulatorOptions) {
    const { config, logger, random, fetch } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#onHostError = new LimitedWarning(
      logger.warn.bind(logger),
      'cannot read the values of this host',
      warningEveryMs,
      () => this.#clock.monotonic(),
    );
    this.#http = new HttpLink({
      url: config.ingestUrl,
      token: config.token,
      logger,
      clock: this.#clock,
      random,
      fetch,
    });
    this.#host = config.hostReadings ? createHost({ name: config.hostName || hostname() }) : undefined;
    this.#plant = config.plant ? createPlant(config.plantSeed, config.mood) : undefined;
    if (this.#plant !== undefined) this.#createLinks(this.#plant);
    this.#house = config.house ? createHouse(config.plantSeed) : undefined;
    if (this.#house !== undefined && config.deviceWebSocket) this.#addWebSockets(this.#house, this.#house.devices);
  }

  async start(): Promise<void> {
    const { config, logger } = this.#options;
    try {
      for (const link of this.#links) await link.start();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    if (this.#host !== undefined) {
      if ((await this.#host.source()) === 'portable') {
        logger.info({}, 'this system has no /proc: only processors, memory and load of the host are reported');
      }
      // The first sample has no rates yet; everything else is reported at once.
      await this.#sampleHost(this.#host);
    }
    this.#startTimers();
    const { ingestUrl, plant, house, hostReadings: host } = config;
    logger.info({ ingestUrl, plant, house, host }, 'publishing readings');
  }

  async drain(): Promise<void> {
    this.#cancelTimers();
    await Promise.all([this.#http, ...this.#links].map((link) => link.drain()));
  }

  async stop(): Promise<void> {
    this.#cancelTimers();
    await Promise.all([this.#http, ...this.#links].map((link) => link.stop()));
  }

  stats(): PublisherStats {
    return [this.#http, ...this.#links].map((link) => link.stats()).reduce(sumOf);
  }

  #createLinks(plant: Plant): void {
    const { config, logger, random } = this.#options;
    const { token, mqttUrl, sparkplugUrl, modbusHost, modbusPort, opcuaPort } = config;
    const command = plant.command.bind(plant);
    if (config.deviceWebSocket) {
      const devices = plant.devices.filter(
        (device) => device.startsWith('plant1.line2.') || device === simulatorDevice,
      );
      this.#addWebSockets(plant, devices);
    }
    if (mqttUrl !== '') {
      const devices = plant.devices.filter((device) => device.startsWith('plant1.line3.'));
      const common = { token, devices, logger, clock: this.#clock, command };
      this.#add(new MqttLink({ url: mqttUrl, random: random ?? Math.random, ...common }));
    }
    if (sparkplugUrl !== '') {
      const devices = plant.devices.filter((device) => device.startsWith(`${cellNode}.`));
      const common = { token, devices, logger, clock: this.#clock, command };
      this.#add(new SparkplugLink({ url: sparkplugUrl, node: cellNode, random: random ?? Math.random, ...common }));
    }
    if (modbusPort > 0) this.#add(new ModbusLink({ host: modbusHost, port: modbusPort, command }));
    if (opcuaPort > 0) {
      const { opcuaHost: host, opcuaPkiPath: pkiPath } = config;
      const onFailed = (error: unknown) => logger.error({ error }, 'the OPC UA server of the plant has failed');
      this.#add(new OpcuaLink({ host, port: opcuaPort, pkiPath, command, onFailed }));
    }
  }

  #addWebSockets(owner: Pick<Plant, 'command'>, devices: readonly string[]): void {
    const { config, logger, random, WebSocket } = this.#options;
    const { ingestUrl: url, token } = config;
    const command = owner.command.bind(owner);
    this.#add(new WebSocketLink({ url, token, devices, logger, clock: this.#clock, random, WebSocket, command }));
  }

  #add(link: PlantLink & { readonly devices: readonly string[] }): void {
    this.#links.push(link);
    for (const device of link.devices) this.#linkOf.set(device, link);
  }

  #startTimers(): void {
    const { plant, house, host } = { plant: this.#plant, house: this.#house, host: this.#host };
    if (host !== undefined) this.#timers.push(this.#clock.every(hostPeriodMs, () => void this.#sampleHost(host)));
    if (plant === undefined && house === undefined) return;
    let beforeMs = this.#clock.monotonic();
    this.#timers.push(
      this.#clock.every(1000 / this.#options.config.rateHz, () => {
        const nowMs = this.#clock.monotonic();
        const dtS = (nowMs - beforeMs) / 1000;
        beforeMs = nowMs;
        if (plant !== undefined) this.#publish(plant.tick(this.#clock.now(), dtS), plant.isLinked.bind(plant));
        if (house !== undefined) this.#publish(house.tick(this.#clock.now(), dtS), () => true);
      }),
    );
  }

  #cancelTimers(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }

  #publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    const byLink = Map.groupBy(reports, ({ device }) => this.#linkOf.get(device) ?? this.#http);
    for (const [link, part] of byLink) link.publish(part, isLinked);
  }

  async #sampleHost(host: Host): Promise<void> {
    // Samples must not queue behind a mount that hangs.
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      this.#http.publish(await host.sample(this.#clock.now()));
    } catch (error) {
      this.#onHostError.write(() => ({ error }));
    } finally {
      this.#isSampling = false;
    }
  }
}

function sumOf(a: PublisherStats, b: PublisherStats): PublisherStats {
  return {
    queuedReports: a.queuedReports + b.queuedReports,
    queuedReportsMax: a.queuedReportsMax + b.queuedReportsMax,
    queuedBytes: a.queuedBytes + b.queuedBytes,
    queuedBytesMax: a.queuedBytesMax + b.queuedBytesMax,
    accepted: a.accepted + b.accepted,
    refused: a.refused + b.refused,
    retries: a.retries + b.retries,
  };
}
