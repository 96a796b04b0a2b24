import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { startMosquitto } from '@tailrace/testkit/mosquitto';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import type { StackService } from '../../scripts/stack-service.ts';
import { type LinkProxy, startLinkProxy } from '../link-proxy.ts';
import { BridgeSender } from './bridge-sender.ts';
import { countsOf, faultsOf, tableOf } from './checker.ts';
import type { DeviceFault, Plant } from './device-faults.ts';
import { GatewaySender } from './gateway-sender.ts';
import { HttpSender } from './http-sender.ts';
import { MqttSender } from './mqtt-sender.ts';
import { OpcuaSender } from './opcua-sender.ts';
import type { Sender } from './paced-sender.ts';
import { SparkplugSender } from './sparkplug-sender.ts';
import { WebSocketSender } from './websocket-sender.ts';

export interface DeviceChaosSettings {
  readonly faults: readonly DeviceFault[];
  /** Ingest nodes behind a load balancer: 1 or 2. */
  readonly ingestNodes: 1 | 2;
  /** Messages of each protocol. */
  readonly perSecond: number;
  /** Before each fault. */
  readonly calmMs: number;
  readonly outageMs: number;
  /** For logs, settings and the store of the gateway. */
  readonly data: string;
  readonly portBase: number;
}

const againDeadlineMs = 120_000;
const telemetryTopic = 'tailrace.telemetry';
const secondIngestOffset = 3;
const gatewayOffset = 4;
/** No process listens there. */
const closedPort = 1;

/** One run: Kafka, NATS, a broker, ingest, a gateway, senders of each protocol, and faults. */
export class DeviceChaosRun {
  readonly #settings: DeviceChaosSettings;
  readonly #print: (text: string) => void;
  readonly #cluster: StackCluster;
  readonly #down = new Set<StackService>();
  readonly #ingest: { readonly service: StackService; readonly mqttPort: number }[] = [];
  readonly #toStop: { stop(): Promise<unknown> }[] = [];
  #senders: readonly Sender[] = [];
  #gateway: GatewaySender | undefined;
  #turn = 0;
  #mqttPorts: readonly number[] = [];
  #ingestSettings: NodeJS.ProcessEnv = {};
  #failures: string[] = [];

  constructor(settings: DeviceChaosSettings, print: (text: string) => void) {
    this.#settings = settings;
    this.#print = print;
    const { data, portBase } = settings;
    this.#cluster = new StackCluster({
      ...{ nodes: 0, data, portBase, drainMs: 0, keepsData: false, print },
      ingestSettings: this.#ingestSettings,
    });
  }

  /** Resolves with whether every acknowledged message is in the log, and all counts are within their bounds. */
  async run(): Promise<boolean> {
    const { faults, calmMs, perSecond } = this.#settings;
    const plant = await this.#start();
    this.#print(`${this.#senders.length} protocols send ${perSecond} messages a second each.`);
    await this.#untilAcknowledged(performance.now());
    for (const fault of faults) {
      await sleep(calmMs);
      await this.#under(fault, plant);
    }
    await sleep(calmMs);
    await Promise.all(this.#senders.map((sender) => sender.finish()));
    await plant.gateway.end('SIGTERM');
    for (const { service } of this.#ingest) await service.end('SIGTERM');
    const reports = await this.#logged();
    const counts = countsOf(
      this.#senders.map(({ ledger }) => ledger),
      reports,
    );
    this.#print(`\n${tableOf(counts)}\n`);
    this.#checkReadings(reports);
    counts.forEach((each, index) => {
      const { inFlightMax, lossMax } = this.#senders[index]!;
      const times = (key: 'repeats' | 'loses') =>
        faults.filter((fault) => fault[key] === 'all' || fault[key].includes(each.protocol)).length;
      const losses = times('loses');
      const bounds = { duplicatesMax: times('repeats') * inFlightMax, unsentMax: losses === 0 ? 0 : losses * lossMax };
      this.#failures.push(...faultsOf(each, bounds));
    });
    for (const failure of this.#failures) this.#print(`FAILED: ${failure}`);
    if (this.#failures.length === 0) this.#print('Every acknowledged message is in the log.');
    return this.#failures.length === 0;
  }

  /** Stops everything that the run has started. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.#senders.map((sender) => sender.stop()));
    for (const each of this.#toStop.splice(0).toReversed()) await each.stop();
    await this.#cluster.stop();
  }

  async #start(): Promise<Plant> {
    const { data, ingestNodes, perSecond, outageMs } = this.#settings;
    await mkdir(data, { recursive: true });
    this.#mqttPorts = await freePorts(ingestNodes);
    // Written at each change: a broker that is killed loses what is not on its disk, whatever its clients do.
    const mosquitto = await startMosquitto({
      env: { ...process.env, TAILRACE_TEST_MOSQUITTO: undefined },
      settings: () => ['max_queued_messages 1000000', 'autosave_on_changes true', 'autosave_interval 1'],
    });
    this.#toStop.push(mosquitto);
    const bridge = new BridgeSender({ mosquitto, perSecond });
    const sparkplug = new SparkplugSender({ mosquitto, perSecond });
    this.#senders = [bridge, sparkplug];
    Object.assign(this.#ingestSettings, {
      TAILRACE_NODE: 'ingest-0',
      TAILRACE_MQTT_ENABLED: 'true',
      TAILRACE_MQTT_PORT: String(this.#mqttPorts[0]),
      TAILRACE_MQTT_BRIDGES_FILE: await this.#bridgesFile(await bridge.listen(), await sparkplug.listen()),
      // One device sends what many would.
      TAILRACE_DEVICE_MESSAGES_PER_SECOND: '100000',
      TAILRACE_DEVICE_MESSAGES_BURST: '100000',
    });
    await this.#cluster.start();
    const { kafka, nats, token } = this.#cluster;
    this.#ingest.push({ service: this.#cluster.ingest, mqttPort: this.#mqttPorts[0]! });
    // Data before a birth that the host has received would be dead letters.
    await eventually(() => this.#isHostConnected(), {
      deadlineMs: 60_000,
      describe: 'the Sparkplug host is connected',
    });
    if (ingestNodes === 2) this.#ingest.push(await this.#secondIngest());
    const http = await this.#balanced(({ service }) => service.port);
    const mqtt = await this.#balanced(({ mqttPort }) => mqttPort);
    const url = `http://127.0.0.1:${http.port}`;
    const opcua = new OpcuaSender();
    const gateway = new GatewaySender({
      ...{ folder: data, token, perSecond, ingestPort: () => http.port, opcua },
      startGateway: (settings) =>
        this.#cluster.service('gateway', 'services/edge/src/main.ts', gatewayOffset, {
          ...{ TAILRACE_HOST: undefined, TAILRACE_PORT: undefined, ...settings },
        }),
    });
    this.#senders = [
      new HttpSender({ url, token, perSecond }),
      new WebSocketSender({ url, token, perSecond }),
      new MqttSender({ port: mqtt.port, token, perSecond, qos: 1 }),
      new MqttSender({ port: mqtt.port, token, perSecond, qos: 2 }),
      ...[bridge, sparkplug, gateway, opcua],
    ];
    await Promise.all(this.#senders.map((sender) => sender.start()));
    const ingest = this.#ingest.map(({ service }) => service);
    this.#gateway = gateway;
    return {
      ...{ kafka, nats, mosquitto, gateway: gateway.gateway!, ingest, down: this.#down, outageMs },
      catchUp: (awayMs) => gateway.catchUp(awayMs),
    };
  }

  /** Both bridges run on the first node: Mosquitto 2.0.11 forgets a shared subscription with a resumed session. */
  async #bridgesFile(bridgePort: number, sparkplugPort: number): Promise<string> {
    const file = join(this.#settings.data, 'bridges.json');
    const of = (name: string, port: number) => ({
      ...{ name, url: `mqtt://127.0.0.1:${port}`, publish: ['plant1.>'], share: '', node: 'ingest-0' },
    });
    const bridges = [
      {
        ...of('plant', bridgePort),
        receiveMaximum: 500,
        subscriptions: [{ filter: 'plant/+', map: { payload: 'json', device: 'plant1.bridge.{2}', id: '/id' } }],
      },
      {
        ...of('cells', sparkplugPort),
        receiveMaximum: 500,
        sparkplug: { prefix: 'plant1.sparkplug', role: 'active', reorderMs: 500 },
      },
    ];
    await writeFile(file, JSON.stringify({ bridges }));
    return file;
  }

  async #secondIngest() {
    const { kafka, nats, tokenSecret } = this.#cluster;
    const mqttPort = this.#mqttPorts[1]!;
    const service = await this.#cluster.service('ingest-1', 'services/ingest/src/main.ts', secondIngestOffset, {
      ...this.#ingestSettings,
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: nats.url,
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_NODE: 'ingest-1',
      TAILRACE_MQTT_PORT: String(mqttPort),
    });
    return { service, mqttPort };
  }

  async #isHostConnected(): Promise<boolean> {
    const page = await (await fetch(`${this.#cluster.ingest.internal}/metrics`)).text();
    return /^tailrace_ingest_sparkplug_connections(\{.*\})? 1$/m.test(page);
  }

  /** A load balancer, which sends each connection to the next node that is not down, and closes it without one. */
  async #balanced(portOf: (node: { service: StackService; mqttPort: number }) => number): Promise<LinkProxy> {
    const proxy = await startLinkProxy(() => {
      const up = this.#ingest.filter(({ service }) => !this.#down.has(service));
      return up.length === 0 ? closedPort : portOf(up[this.#turn++ % up.length]!);
    });
    this.#toStop.push(proxy);
    return proxy;
  }

  async #under(fault: DeviceFault, plant: Plant): Promise<void> {
    const startMs = performance.now();
    const printStep = (step: string) =>
      this.#print(`  ${((performance.now() - startMs) / 1000).toFixed(2)} s: ${step}`);
    this.#print(`\n${fault.name}: ${fault.words}`);
    this.#failures.push(...(await fault.run(plant, printStep)));
    printStep('done; waiting until a new message of each protocol is acknowledged');
    const again = await this.#untilAcknowledged(performance.now());
    printStep(again.map(([protocol, ms]) => `${protocol} after ${Math.round(ms)} ms`).join(', '));
  }

  /** Resolves when a message of each protocol that was sent after `fromMs` is acknowledged, with the time that took. */
  async #untilAcknowledged(fromMs: number): Promise<(readonly [protocol: string, ms: number])[]> {
    return await Promise.all(
      this.#senders.map(async ({ ledger }) => {
        await eventually(() => ledger.acknowledgedSentMs > fromMs, {
          ...{ deadlineMs: againDeadlineMs, pollMs: 20, describe: `${ledger.protocol} is acknowledged again` },
        });
        return [ledger.protocol, performance.now() - fromMs] as const;
      }),
    );
  }

  #checkReadings(reports: readonly Report[]): void {
    const { readings, backlog, wrongTimes, disordered } = this.#gateway!.readingCounts(reports);
    this.#print(
      `Readings of the gateway: ${readings}, of the outage: ${backlog}, out of order: ${disordered.length}, ` +
        `with another time than that of their read: ${wrongTimes.length}.`,
    );
    const expectNone = (what: string, found: readonly string[]) => {
      if (found.length > 0) this.#failures.push(`gateway: expected no ${what}, got ${found.length}: ${found[0]}`);
    };
    expectNone('readings with another time', wrongTimes);
    expectNone('readings out of order', disordered);
  }

  async #logged(): Promise<Report[]> {
    const eventLog = new KafkaEventLog({ brokers: this.#cluster.kafka.brokers, logger: silentLogger });
    await eventLog.start();
    try {
      const reports: Report[] = [];
      for (const partition of (await eventLog.bounds(telemetryTopic)).keys()) {
        for await (const batch of eventLog.read(telemetryTopic, partition, { from: 0 })) {
          for (const { value } of batch) reports.push(decodeReport(value));
        }
      }
      return reports;
    } finally {
      await eventLog.close();
    }
  }
}
