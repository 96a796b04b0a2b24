import { randomInt } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { EpochWatch } from '@tailrace/eventlog/epoch-watch';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { certificateRulesFrom } from '@tailrace/platform/certificate-rules';
import type { Clock } from '@tailrace/platform/clock';
import { corsFrom } from '@tailrace/platform/cors';
import { CredentialVerifier } from '@tailrace/platform/credentials';
import { DeviceCredentials } from '@tailrace/platform/device-credentials';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { createRevocationList } from '@tailrace/platform/revocation';
import { tokenVerifierOptionsFrom } from '@tailrace/platform/settings';
import { noHandshakes } from '@tailrace/platform/tls-listener';
import { createTokenVerifier, type TokenVerifier } from '@tailrace/platform/token';
import type { Tracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import { Admission, DeviceNames } from './admission.ts';
import { Answers } from './answers.ts';
import { Appender } from './append.ts';
import type { BridgeSettings } from './bridge/bridge-settings.ts';
import { createBridges } from './bridge/bridges.ts';
import { CommandTracing } from './commands/command-tracing.ts';
import { type IngestSettings, serviceName } from './config.ts';
import { DeadLetters } from './dead-letters/dead-letters.ts';
import type { DeviceSocketServer } from './devices/device-socket.ts';
import { createDevices, type Devices } from './devices/devices.ts';
import { Endpoint } from './endpoint.ts';
import { LogFailures } from './intake/log-failures.ts';
import { MessageTracing } from './intake/message-tracing.ts';
import { Pressure } from './intake/pressure.ts';
import { ReportRates } from './intake/report-rates.ts';
import { createIngestMetrics, registerHandshakes, registerLimits, registerReportRates } from './metrics.ts';
import { registerMqttLimits } from './mqtt/mqtt-limits.ts';
import type { MqttPorts } from './mqtt/mqtt-ports.ts';
import { MqttWebSockets } from './mqtt/websocket-wire.ts';
import { Observer } from './observer.ts';
import { BusConnection } from './peers/bus-connection.ts';
import { createSparkplug, type SparkplugListenerSettings } from './sparkplug/sparkplug.ts';
import { sparkplugBridgesFrom } from './sparkplug/sparkplug-bridges.ts';
import { SparkplugListener } from './sparkplug/sparkplug-listener.ts';
import type { Transport } from './transport.ts';

export interface IngestOptions {
  /** Started before `start`, and closed after `stop`, by the caller. */
  readonly eventLog: EventLog;
  /**
   * To other ingest nodes, for sessions of devices, and for commands. Ingest connects in the background, serves without
   * a connection, and closes it. Default: none, and this node is alone.
   */
  readonly bus?: Bus | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Where senders connect. Used by ingest alone. */
  readonly transport: Transport;
  readonly config: IngestSettings;
  /** Where devices connect by MQTT; used with `mqttEnabled`. Default: no port, and `/v1/mqtt` alone. */
  readonly mqttPorts?: MqttPorts;
  /** Name of this node, for devices. Default: ingest. */
  readonly node?: string;
  /** Default: `Math.random`. */
  readonly random?: () => number;
  /** The brokers whose messages are taken. Default: none. */
  readonly bridges?: readonly BridgeSettings[];
  /** Verifies JSON Web Tokens. Default: by the keys of the settings. */
  readonly tokens?: TokenVerifier;
  /** How long requests are still accepted after `drain` is called. Default: 0. */
  readonly leaveMs?: number;
  /**
   * Called once, when the log was re-created: the process must stop, and may be restarted. Default: the log is not
   * watched.
   */
  readonly onLogReplaced?: (error: TailraceError) => void;
}

/**
 * - `new`: nothing is open.
 * - `running`: reports are accepted.
 * - `leaving`: not ready, so that balancers choose another server; requests are still accepted, and every answer closes
 *   its connection.
 * - `draining`: no new connections; idle connections are closed, new requests on the others get 503, and requests in
 *   progress are answered.
 * - `stopped`: everything is closed.
 */
type State = 'new' | 'running' | 'leaving' | 'draining' | 'stopped';

export interface Ingest {
  /** Ensures the topic, then listens. Rejects as `EventLog.ensureTopic` and `Transport.listen` do. */
  start(): Promise<void>;
  /** Accepts no requests after `leaveMs`. Resolves when all are answered. */
  drain(): Promise<void>;
  /** Closes what is still open. Idempotent. */
  stop(): Promise<void>;
  /**
   * Returns the reason why no reports are accepted; undefined if they are. The state of the log does not count: a node
   * that answers 503 with Retry-After serves its senders better than one that they cannot reach.
   */
  notReady(): string | undefined;
  /** The port that it listens on; 0 before `start`. */
  readonly port: number;
  /** The port with TLS; 0 before `start`, and without one. */
  readonly tlsPort: number;
}

/** Returns the WebSockets of devices by their path. */
function socketsOf({ server, mqtt }: Devices, { deviceMessageBytesMax }: IngestSettings, clock: Clock) {
  const sockets = new Map<string, DeviceSocketServer>([['/v1/device', server]]);
  const after = (delayMs: number, call: () => void) => clock.after(delayMs, call);
  if (mqtt !== undefined) sockets.set('/v1/mqtt', new MqttWebSockets(mqtt, deviceMessageBytesMax, after));
  return sockets;
}

/** Returns where Sparkplug edge nodes connect; undefined if they may not. */
function listenerFrom(config: IngestSettings, clock: Clock, logger: Logger): SparkplugListenerSettings | undefined {
  const { mqttEnabled, mqttSparkplug, mqttSparkplugPrefix: prefix, mqttSparkplugHostId } = config;
  if (!mqttEnabled || mqttSparkplug === 'off') return undefined;
  const isPrimary = mqttSparkplug === 'primary';
  const hostId = isPrimary ? mqttSparkplugHostId : '';
  // The listener sends the STATE to each edge node by itself; the host is an active one.
  const role = isPrimary ? 'active' : mqttSparkplug;
  return { listener: new SparkplugListener({ prefix, hostId, clock, logger }), role, prefix };
}

function mqttFacts(ports: MqttPorts | undefined): { mqttPort?: number; mqttTlsPort?: number } {
  if (ports === undefined) return {};
  const { port: mqttPort, tlsPort: mqttTlsPort } = ports;
  return { ...(mqttPort === 0 ? {} : { mqttPort }), ...(mqttTlsPort === 0 ? {} : { mqttTlsPort }) };
}
/** How long the messages of brokers that are in progress may take at a stop. The broker keeps what is left. */
const bridgeDrainMs = 5_000;

/** What pages of `allowedOrigins` may send. */
const corsRequests = {
  methods: 'POST',
  headers: 'Authorization, Content-Type, Content-Encoding, Traceparent',
} as const;

/** Creates the service that appends the reports of senders to the event log. Depends on no environment and process. */
export function createIngest(options: IngestOptions): Ingest {
  const { eventLog, bus, clock, logger, metrics, tracing, transport, config, leaveMs = 0, onLogReplaced } = options;
  const { node = serviceName, random = Math.random, mqttPorts, bridges: bridgeSettings = [] } = options;
  const topic = `${config.topicPrefix}.telemetry`;
  const eventsTopic = `${config.topicPrefix}.events`;
  const admission = new Admission(config);
  const names = new DeviceNames(config, [randomInt(2 ** 32), randomInt(2 ** 32)]);
  const revocations = createRevocationList({ clock, metrics, entriesMax: config.revocationsMax });
  const credentials = new DeviceCredentials({ clock, revocations, entriesMax: config.credentialsMax, metrics });
  const control = new ControlTopic({
    eventLog,
    topicPrefix: config.topicPrefix,
    clock,
    logger,
    metrics,
    onCredentials: (entries) => credentials.merge(entries),
    onCommandSwitch: (state) => devices.switchCommands(state),
    onRevocations(entries) {
      credentials.revoke(entries);
      if (revocations.merge(entries).length > 0) devices.checkRevocations();
    },
  });
  const verifier = new CredentialVerifier({
    tokens: options.tokens ?? createTokenVerifier({ ...tokenVerifierOptionsFrom(config), clock, logger, revocations }),
    credentials,
    rules: certificateRulesFrom(config.certificateRules),
    revocations,
    clock,
    clockToleranceMs: config.tokenClockToleranceMs,
    metrics,
  });
  const logFailures = new LogFailures({ clock, logger });
  const pressure = new Pressure({ clock, heldBytes: () => admission.bytes, heldBytesMax: config.inFlightBytesMax });
  const ingestMetrics = createIngestMetrics(metrics);
  const onAccepted = (readings: number, isClockAhead: boolean) => ingestMetrics.countMessage(readings, isClockAhead);
  const deadLetters = new DeadLetters({ eventLog, topicPrefix: config.topicPrefix, node, clock, logger, metrics });
  const messageTracing = new MessageTracing({ tracing, clock, topic, system: eventLog.system });
  const sparkplugListener = listenerFrom(config, clock, logger);
  const devices = createDevices({
    namespaces: sparkplugListener === undefined ? [] : [sparkplugListener.listener],
    eventLog,
    topic,
    eventsTopic,
    epoch: () => logEpoch,
    node,
    bus,
    admission,
    names,
    credentials: verifier,
    revocations,
    logFailures,
    deadLetters,
    pressure,
    tracing: messageTracing,
    commandTracing: new CommandTracing({ tracing, system: bus?.system }),
    appendSeconds: ingestMetrics.appendSeconds,
    onAccepted,
    clock,
    random,
    logger,
    metrics,
    config,
  });
  const bridges = createBridges({
    settings: bridgeSettings,
    node,
    topicPrefix: config.topicPrefix,
    eventLog,
    admission,
    intake: devices.intake,
    tracing: messageTracing,
    deadLetters,
    lookback: devices.sessions.lookback,
    names,
    onAccepted,
    clockAheadMs: config.clockAheadMs,
    clock,
    random,
    logger,
    metrics,
  });
  const { deviceReportsPerSecond, deviceReportsBurst } = config;
  const rates = deviceReportsPerSecond === 0 ? undefined : new ReportRates(deviceReportsPerSecond, deviceReportsBurst);
  const endpoint = new Endpoint({
    verifier,
    admission,
    devices: names,
    appender: new Appender({ eventLog, topic, deadlineMs: config.appendDeadlineMs, clock, logFailures, pressure }),
    pressure,
    rates,
    answers: new Answers(config.retryAfterMs),
    cors: corsFrom(config.allowedOrigins, corsRequests),
    observer: new Observer({ metrics: ingestMetrics, tracing, clock, topic, system: eventLog.system }),
    clock,
    logger,
    limits: config,
    sockets: socketsOf(devices, config, clock),
  });
  const ports = devices.mqtt === undefined ? undefined : mqttPorts;
  registerMqttLimits(metrics, devices.mqtt, config.mqttConnectionsMax);
  registerHandshakes(
    metrics,
    () => transport.handshakes,
    () => ports?.handshakes ?? noHandshakes,
  );
  registerLimits(metrics, admission, names, transport, config);
  registerReportRates(metrics, () => rates?.devices ?? 0);
  const busConnection = bus && new BusConnection({ bus, clock, random, logger });
  const sparkplug = createSparkplug({
    bridges: sparkplugBridgesFrom(bridgeSettings, { node, clock, random }),
    listener: sparkplugListener,
    ...{ eventLog, topicPrefix: config.topicPrefix, bus, node, intake: devices.intake, letters: deadLetters },
    tracing: messageTracing,
    presence: devices.sessions.presence,
    devices: names,
    clockAheadMs: config.clockAheadMs,
    ...{ onAccepted, clock, logger, metrics },
  });
  let state: State = 'new';
  let port = 0;
  let logEpoch = '';
  let epochWatch: EpochWatch | undefined;

  return {
    get port() {
      return port;
    },
    get tlsPort() {
      return transport.tlsPort;
    },
    notReady: () => (state === 'running' ? undefined : state),
    async start() {
      const { telemetryPartitions: partitions, retentionMs, retentionBytes } = config;
      const spec = { name: topic, partitions, retentionMs, retentionBytes };
      const { epoch } = await eventLog.ensureTopic(spec);
      logEpoch = epoch;
      devices.prepare();
      await eventLog.ensureTopic(eventsTopicSpec(eventsTopic, partitions));
      // Before the first request: a revoked token is refused from the start.
      await control.start();
      await deadLetters.start();
      // Stopped in the meantime: nothing is open.
      if (state !== 'new') return;
      port = await transport.listen(endpoint);
      await ports?.listen((wire, remote) => devices.mqtt?.open(wire, remote));
      if (state !== 'new') {
        transport.close();
        ports?.close();
        return;
      }
      state = 'running';
      devices.start();
      busConnection?.start(async () => {
        await Promise.all([devices.peers!.subscribe(), sparkplug.subscribe()]);
      });
      await bridges.start();
      await sparkplug.start();
      // A Kafka without its data assigns producer IDs from the start again, so that another process may get the ID by
      // which Kafka detects the duplicates of this process.
      if (onLogReplaced)
        epochWatch = new EpochWatch({ eventLog, clock, logger, spec, epoch, onReplaced: onLogReplaced });
      const { tlsPort } = transport;
      const facts = { ...(tlsPort === 0 ? {} : { tlsPort }), ...mqttFacts(ports) };
      logger.info(
        { host: config.host, port, ...facts, topic, partitions },
        'accepting reports at POST /v1/ingest and GET /v1/device',
      );
    },
    async drain() {
      if (state !== 'running') return;
      // First: the connections that close now are no deaths of edge nodes.
      const bridged = Promise.all([bridges.stop(bridgeDrainMs), sparkplug.stop()]);
      // Beside the requests: sockets are closed over some time, and accept messages until then.
      const left = devices.drain(leaveMs);
      if (leaveMs > 0) {
        state = 'leaving';
        endpoint.leave();
        transport.closeAfterAnswers();
        await clock.sleep(leaveMs);
        if (state !== 'leaving') return;
      }
      state = 'draining';
      ports?.stopAccepting();
      endpoint.drain();
      await Promise.all([transport.drain(), left, bridged]);
      // What came until the bridges were closed.
      await devices.intake.drain();
    },
    async stop() {
      state = 'stopped';
      epochWatch?.stop();
      control.stop();
      void bridges.stop(0);
      void sparkplug.stop();
      transport.close();
      ports?.close();
      devices.stop();
      pressure.stop();
      await busConnection?.stop();
    },
  };
}
