import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createAlarms } from '@tailrace/alarms/app';
import { alarmsSettings } from '@tailrace/alarms/config';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { registerBusMetrics } from '@tailrace/bus/metrics';
import { controlSettings } from '@tailrace/control/config';
import { builtPage, createDashboard } from '@tailrace/dashboard/app';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { createFanout } from '@tailrace/fanout/app';
import { fanoutSettings } from '@tailrace/fanout/config';
import { createUwsTransport } from '@tailrace/fanout/uws-transport';
import { createIngest } from '@tailrace/ingest/app';
import type { BridgeSettings } from '@tailrace/ingest/bridge/bridge-settings';
import { ingestSettings } from '@tailrace/ingest/config';
import { createHttpTransport } from '@tailrace/ingest/http-transport';
import { createMqttPorts } from '@tailrace/ingest/mqtt/mqtt-ports';
import type { Clock } from '@tailrace/platform/clock';
import { removeEndpoints, writeEndpoints } from '@tailrace/platform/endpoints';
import type { Part } from '@tailrace/platform/lifecycle';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { issueToken, type TokenIssue } from '@tailrace/platform/token';
import type { Tracing } from '@tailrace/platform/tracing';
import { writeWholeFile } from '@tailrace/platform/whole-file';
import { createSimulator } from '@tailrace/simulator/app';
import { serverCertificateIn } from '@tailrace/simulator/opcua/plant-nodes';
import { plantSources } from '@tailrace/simulator/plant-sources';
import { z } from 'zod';
import { CommandSocket } from './command-socket.ts';
import type { StandaloneConfig } from './config.ts';
import { ControlPart } from './control-part.ts';
import { seedDemo } from './demo-seed.ts';
import { Gateway } from './gateway.ts';
import { keyFrom } from './key.ts';
import { ownerTokens, tokenDays } from './owner-tokens.ts';
import { untilReady } from './ready.ts';

export interface StandaloneOptions {
  readonly config: StandaloneConfig;
  /** MQTT brokers whose messages ingest takes. */
  readonly bridges: readonly BridgeSettings[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly random: () => number;
  readonly version: string;
  /** Called where clients can be served some seconds before control is ready. */
  readonly onServing: (urls: StandaloneUrls) => void;
  /** Called once everything is ready. */
  readonly onReady: (urls: StandaloneUrls) => void;
}

export interface StandaloneUrls {
  readonly dashboard: string;
  readonly streams: string;
  readonly ingest: string;
  readonly control: string;
  readonly internal: string;
}

/** The edge gateway of the plant, as a device. */
const gatewayDevice = 'plant1.edge1';
const ofGateway = [gatewayDevice, 'plant1.utility.>'];

/** Returns the ports of an installation, all derived from one. */
export function portsFrom(portBase: number) {
  return {
    dashboard: portBase,
    streams: portBase + 1,
    ingest: portBase + 2,
    mqtt: portBase + 4,
    modbus: portBase + 5,
    opcua: portBase + 6,
    control: portBase + 7,
    internal: portBase + 1010,
    gatewayInternal: portBase + 1011,
  };
}

/**
 * Composes ingest, fanout, alarms, control, simulator and dashboard in one process, on a log on disk, a bus in memory
 * and PostgreSQL in the process: the code of a cluster with other adapters. An edge gateway has a process of its own.
 * The parts start in this order and stop in the reverse order.
 */
export async function createStandalone(options: StandaloneOptions): Promise<Part[]> {
  const { config, bridges, clock, logger, metrics, tracing, random, version } = options;
  const { dataDir, host } = config;
  const ports = portsFrom(config.portBase);
  const urls: StandaloneUrls = {
    dashboard: `http://${host}:${ports.dashboard}`,
    streams: `ws://${host}:${ports.streams}`,
    ingest: `http://${host}:${ports.ingest}`,
    control: `http://${host}:${ports.control}`,
    internal: `http://${config.internalHost}:${ports.internal}`,
  };
  const tokenSecret = await keyFrom(dataDir);
  const issue = (
    subject: string,
    rights: Pick<TokenIssue, 'publish' | 'subscribe' | 'command' | 'receiveCommands' | 'roles'>,
  ) => issueToken({ secret: tokenSecret, subject, ...rights, expiresInMs: tokenDays * 24 * 3_600_000, clock });
  const hasGateway = config.gateway && config.plant;
  const opcuaPkiPath = join(dataDir, 'opcua');
  const modbus = { host, port: ports.modbus };
  const opcua = { endpoint: `opc.tcp://${host}:${ports.opcua}` };
  const tokens = await ownerTokens({ secret: tokenSecret, owner: 'owner', clock });

  const shared = {
    host,
    tokenSecret,
    telemetryPartitions: config.partitions,
    retentionMs: config.retentionMs,
    retentionBytes: config.retentionBytes,
  };
  const eventLog = createEmbeddedLog({
    path: join(dataDir, 'log'),
    clock,
    logger,
    metrics: metrics.forService('ingest'),
  });
  const network = createMemoryNetwork({ clock, random });
  const bus = network.createBus({ node: 'standalone', logger });
  // As each service has its own connection to NATS. Ingest starts and closes it.
  const ingestBus = network.createBus({ node: 'ingest', logger });
  const commandsPath = resolve(dataDir, 'commands.sock');
  const commandSocket = new CommandSocket({ path: commandsPath, bus, logger });
  registerBusMetrics(metrics.forService('fanout'), bus);
  const fanoutConfig = z
    .object(fanoutSettings)
    .parse({ ...shared, node: 'standalone', port: ports.streams, flushMs: config.flushMs, drainMs: 500 });
  const fanout = createFanout({
    eventLog,
    bus,
    clock,
    logger,
    metrics: metrics.forService('fanout'),
    tracing,
    transport: createUwsTransport(fanoutConfig, logger, 'portBase'),
    random,
    version,
    config: fanoutConfig,
  });
  const ingestConfig = z
    .object(ingestSettings)
    .parse({ ...shared, port: ports.ingest, mqttEnabled: true, mqttPort: ports.mqtt, mqttSparkplug: 'active' });
  const ingest = createIngest({
    eventLog,
    clock,
    logger,
    metrics: metrics.forService('ingest'),
    tracing,
    transport: createHttpTransport({ config: ingestConfig, clock, logger, portSetting: 'portBase' }),
    config: ingestConfig,
    node: 'standalone',
    random,
    bus: ingestBus,
    bridges,
    mqttPorts: createMqttPorts(ingestConfig, clock, logger),
  });
  const alarms = createAlarms({
    eventLog,
    clock,
    logger,
    metrics: metrics.forService('alarms'),
    random,
    config: z.object(alarmsSettings).parse({
      ...{ node: 'standalone', telemetryPartitions: config.partitions, flushMs: config.flushMs, drainMs: 2_000 },
      ...{ retentionMs: config.retentionMs, retentionBytes: config.retentionBytes },
    }),
  });
  const { markedCommands, notificationNetworks, notificationCaFile } = config;
  const { mailUrl, mailFrom, mailUser, mailPassword, mailTls } = config;
  const control = new ControlPart({
    directory: join(dataDir, 'control'),
    eventLog,
    bus: network.createBus({ node: 'control', logger }),
    clock,
    logger,
    metrics: metrics.forService('control'),
    tracing,
    random,
    config: z.object(controlSettings).parse({
      ...{ host, port: ports.control, tokenSecret, telemetryPartitions: config.partitions, markedCommands },
      ...{ notificationNetworks, notificationCaFile, mailUrl, mailFrom, mailUser, mailPassword, mailTls },
    }),
  });
  const dashboard = createDashboard({
    logger,
    metrics: metrics.forService('dashboard'),
    folder: builtPage,
    portSetting: 'portBase',
    config: {
      host,
      port: ports.dashboard,
      // No other machine can reach 0.0.0.0: the page uses the host of its own address instead.
      streamUrl: config.streamUrl || (host === '0.0.0.0' ? '' : urls.streams),
      publicIngestUrl: config.publicIngestUrl || (host === '0.0.0.0' ? '' : urls.ingest),
      controlUrl: config.controlUrl || (host === '0.0.0.0' ? '' : urls.control),
      streamPort: ports.streams,
      ingestPort: ports.ingest,
      controlPort: ports.control,
      demoToken: config.signInToken ? await issue('dashboard', { publish: [], subscribe: ['>'], command: ['>'] }) : '',
    },
  });
  const simulator = createSimulator({
    logger,
    clock,
    random,
    config: {
      ingestUrl: urls.ingest,
      token: await issue('simulator', {
        ...{ publish: ['plant1.>', 'home.>', 'host.>'], subscribe: [], receiveCommands: ['plant1.>', 'home.>'] },
      }),
      plant: config.plant,
      house: config.house,
      plantSeed: 1,
      mood: config.mood,
      deviceWebSocket: true,
      mqttUrl: `mqtt://${host}:${ports.mqtt}`,
      sparkplugUrl: `mqtt://${host}:${ports.mqtt}`,
      modbusHost: host,
      modbusPort: hasGateway ? ports.modbus : 0,
      opcuaHost: host,
      opcuaPort: hasGateway ? ports.opcua : 0,
      opcuaPkiPath,
      rateHz: 2,
      hostReadings: config.hostReadings,
      hostName: '',
    },
  });
  const gateway = new Gateway({
    device: gatewayDevice,
    dataDir: join(dataDir, 'edge'),
    // The simulator has started before, and made it.
    trustedCertificate: serverCertificateIn(opcuaPkiPath),
    sources: plantSources({ modbus, opcua }),
    ingestUrl: urls.ingest,
    token: await issue('edge1', { publish: ofGateway, subscribe: [], receiveCommands: ofGateway }),
    internalHost: config.internalHost,
    internalPort: ports.gatewayInternal,
    logLevel: config.logLevel,
    logPretty: config.logPretty,
    clock,
    logger,
  });

  const tokenFile = join(dataDir, 'token');
  const supervisorFile = join(dataDir, 'token.supervisor');
  let isStopping = false;
  async function ready(): Promise<void> {
    const services = {
      notReady: () => fanout.notReady() ?? alarms.notReady(),
      isReadingBack: () => fanout.isReadingBack(),
    };
    await untilReady({ services, clock, logger, isStopping: () => isStopping });
    if (isStopping) return;
    if (!control.isReady) options.onServing(urls);
    const isControlReady = await control.ready();
    if (isStopping) return;
    if (isControlReady && config.plant && config.house) await seed();
    if (isStopping) return;
    await writeWholeFile(tokenFile, `${tokens.owner}\n`);
    await writeWholeFile(supervisorFile, `${tokens.supervisor}\n`);
    await writeEndpoints(dataDir, {
      ingest: [{ url: urls.ingest, internal: urls.internal, pid: process.pid }],
      fanout: [{ name: 'standalone', url: urls.streams, internal: urls.internal, pid: process.pid }],
      alarms: [{ internal: urls.internal, pid: process.pid }],
      control: { url: urls.control, internal: urls.internal, pid: process.pid },
      dashboard: { url: urls.dashboard },
      device: { url: `ws://${host}:${ports.ingest}/v1/device` },
      commands: { socket: commandsPath },
      mqtt: { url: `mqtt://${host}:${ports.mqtt}` },
      ...(hasGateway && {
        modbus,
        opcua: { url: opcua.endpoint },
        edge: [{ internal: `http://${config.internalHost}:${ports.gatewayInternal}`, pid: gateway.pid }],
      }),
      token: tokens.owner,
      supervisorToken: tokens.supervisor,
    });
    options.onReady(urls);
  }

  /** With the lock of the folder: files of a process that was killed name what is no longer there. */
  async function startLog(): Promise<void> {
    await eventLog.start();
    await removeFiles();
  }

  async function removeFiles(): Promise<void> {
    await removeEndpoints(dataDir);
    for (const file of [tokenFile, supervisorFile]) await rm(file, { force: true });
  }

  /** What it lacks is added by the next start. */
  async function seed(): Promise<void> {
    try {
      await seedDemo({ url: control.url, secret: tokenSecret });
    } catch (error) {
      if (!isStopping) logger.error({ error }, 'the rules, scenes and schedules of the demo were not created');
    }
  }

  return [
    { name: 'event log', start: startLog, stop: () => eventLog.close() },
    { name: 'bus', start: () => bus.start(), stop: () => bus.close() },
    { name: 'ingest', start: () => ingest.start(), drain: () => ingest.drain(), stop: () => ingest.stop() },
    { name: 'fanout', start: () => fanout.start(), drain: () => fanout.drain(), stop: () => fanout.stop() },
    { name: 'alarms', start: () => alarms.start(), drain: () => alarms.drain(), stop: () => alarms.stop() },
    control,
    { name: 'commands', start: () => commandSocket.start(), stop: () => commandSocket.stop() },
    { name: 'dashboard', start: async () => void (await dashboard.start()), stop: () => dashboard.stop() },
    { name: 'simulator', start: () => simulator.start(), drain: () => simulator.drain(), stop: () => simulator.stop() },
    ...(hasGateway
      ? [{ name: 'gateway', start: () => gateway.start(), drain: () => gateway.drain(), stop: () => gateway.stop() }]
      : []),
    {
      name: 'endpoints',
      start: ready,
      // `untilReady` has its own deadline, and a store of control that is recovered may take long.
      startMs: Number.POSITIVE_INFINITY,
      drain: async () => {
        isStopping = true;
        await removeFiles();
      },
    },
  ];
}
