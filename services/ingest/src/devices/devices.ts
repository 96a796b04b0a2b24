import type { Bus } from '@tailrace/bus/bus';
import type { CommandSwitchState } from '@tailrace/eventlog/control-record';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { RateLimit } from '@tailrace/platform/rate-limit';
import type { Revocations } from '@tailrace/platform/revocation';
import type { Admission, DeviceNames } from '../admission.ts';
import { createCommandCounts, registerCommandLimits } from '../commands/command-metrics.ts';
import { CommandServer } from '../commands/command-server.ts';
import { CommandSwitch } from '../commands/command-switch.ts';
import type { CommandTracing } from '../commands/command-tracing.ts';
import { DeviceCommands } from '../commands/device-commands.ts';
import type { IngestSettings } from '../config.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { DeviceRates } from '../intake/device-rates.ts';
import { createIntakeObserver, registerIntakeMetrics } from '../intake/intake-metrics.ts';
import type { LogFailures } from '../intake/log-failures.ts';
import { intakeRetries, MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import type { Pressure } from '../intake/pressure.ts';
import { MqttServer } from '../mqtt/mqtt-server.ts';
import type { TopicNamespace } from '../mqtt/topic-namespace.ts';
import { SessionBus } from '../peers/session-bus.ts';
import { AnnouncedDevices } from './announced-devices.ts';
import { Authenticator, type DeviceVerifier } from './authentication.ts';
import { registerDeviceLimits } from './device-limits.ts';
import { createDeviceCounts } from './device-metrics.ts';
import { DeviceRecords } from './device-record.ts';
import { DeviceServer } from './device-server.ts';
import type { DeviceSession, DeviceSessionOptions } from './device-session.ts';
import { LogLookback } from './log-lookback.ts';
import { Nonces } from './nonces.ts';
import { SessionEvents } from './session-events.ts';
import { ackDeadlineMs, eventSlots } from './session-messages.ts';
import { SessionRegistry } from './session-registry.ts';

export interface DevicesOptions {
  readonly eventLog: Pick<EventLog, 'appendEach' | 'read' | 'bounds' | 'positionsAt'>;
  readonly topic: string;
  /** Of the events of sessions. */
  readonly eventsTopic: string;
  /** Returns the epoch of `topic`. Called while there are sessions. */
  readonly epoch: () => string;
  readonly node: string;
  /** To other nodes, and where commands come from. Default: none, and this node is alone. */
  readonly bus?: Bus | undefined;
  readonly admission: Admission;
  /** Devices that have reported. */
  readonly names: DeviceNames;
  readonly credentials: DeviceVerifier;
  readonly revocations: Pick<Revocations, 'revoked'>;
  readonly logFailures: LogFailures;
  readonly deadLetters: Pick<DeadLetters, 'write'>;
  /** Topics that are no device paths, of MQTT. Default: none. */
  readonly namespaces?: readonly TopicNamespace[];
  readonly pressure: Pressure;
  readonly tracing: MessageTracing;
  readonly commandTracing: CommandTracing;
  readonly appendSeconds: Histogram;
  /** Called for each report that is in the log. */
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly config: IngestSettings;
}

/** The devices of this process that have a session. */
export interface Devices {
  /** Serves `GET /v1/device`. */
  readonly server: DeviceServer;
  /** Undefined without `mqttEnabled`. */
  readonly mqtt: MqttServer | undefined;
  /** What all sessions share, for further protocols. */
  readonly sessions: DeviceSessionOptions;
  readonly intake: MessageIntake;
  /** Sessions of other nodes; undefined without a bus. */
  readonly peers: SessionBus | undefined;
  readonly commands: DeviceCommands;
  /** Called once, when the topic exists. */
  prepare(): void;
  start(): void;
  /** Takes the state of the command switch, read from the control topic. */
  switchCommands(state: CommandSwitchState): void;
  /** Closes the sessions whose claims were revoked. Called when the revocations have changed. */
  checkRevocations(): void;
  /** Closes all sessions, over at least two seconds. Resolves when they are closed and the log has settled all. */
  drain(leaveMs: number): Promise<void>;
  /** Stops the timers. */
  stop(): void;
}

/** Message IDs that are remembered of one device, at most: they are compared one by one. */
const recentIdsMax = 4_096;

/** Composes the sessions of devices: the way of their messages into the log, and their server. */
export function createDevices(options: DevicesOptions): Devices {
  const { eventLog, topic, node, bus, admission, names, credentials, revocations, logFailures, deadLetters } = options;
  const { appendSeconds, onAccepted, pressure, tracing, commandTracing } = options;
  const { clock, random, logger, metrics, config } = options;
  const counts = createDeviceCounts(metrics);
  const presence = new SessionEvents({
    ...{
      eventLog,
      topic: options.eventsTopic,
      partitions: config.telemetryPartitions,
      node,
      epoch: options.epoch,
      counts: counts.presence,
      clock,
      logger,
    },
  });
  const intake = new MessageIntake({
    eventLog,
    topic,
    ackDeadlineMs,
    unsettledMax: config.intakeUnsettledMax,
    pressure,
    observer: createIntakeObserver(metrics, appendSeconds),
    clock,
    logger,
    logFailures,
  });
  const nonces = new Nonces(clock, config.noncesMax);
  const records = new DeviceRecords({
    recentIds: Math.min(2 * (config.deviceWindowMax + eventSlots), recentIdsMax),
    recentIdBytesMax: config.recentIdBytesMax,
  });
  const registry = new SessionRegistry<DeviceSession>({
    node,
    clock,
    logger,
    counts: counts.takeovers,
    presence,
    onClockAhead: () => counts.claimsAhead.add(),
  });
  const lookback = new LogLookback({
    ...{ eventLog, topic, partitions: config.telemetryPartitions, clock, logger, metrics },
  });
  const peers =
    bus &&
    new SessionBus({
      ...{ bus, node, registry, records, nonces, lookback, clock, logger, metrics },
      clients: { take: (client, device) => mqtt?.sessions.take(client, device) },
    });
  const commandSwitch = new CommandSwitch({ isEnabled: config.commandsEnabled, logger, metrics });
  const commands: DeviceCommands = new DeviceCommands({
    node,
    clock,
    counts: createCommandCounts(metrics),
    tracing: commandTracing,
    limits: {
      commandsMax: config.commandsMax,
      deviceCommandsMax: config.deviceCommandsMax,
      outcomesMax: config.commandOutcomesMax,
    },
    sessionOf: (device) => registry.of(device),
    holderOf: (device) => peers?.holderOf(device),
    offReason: () => commandSwitch.offReason(),
    publish: (outcome) => commandServer?.publish(outcome),
  });
  const commandServer = bus && new CommandServer({ bus, node, commands, tracing: commandTracing, logger });
  const sessions: DeviceSessionOptions = {
    registry,
    records,
    lookback,
    authenticator: new Authenticator({ credentials, nonces, admission, clock }),
    admission,
    messages: {
      records,
      admission,
      intake,
      retries: intakeRetries(intake, clock, random),
      rates: ratesFrom(config),
      tracing,
      names,
      counts,
      onAccepted,
      clock,
      random,
      limits: {
        window: config.deviceWindowMax,
        windowBytes: config.deviceWindowBytesMax,
        messageBytesMax: config.deviceMessageBytesMax,
        socketBytesMax: config.deviceSocketBytesMax,
        retryAfterMs: config.retryAfterMs,
        clockAheadMs: config.clockAheadMs,
      },
    },
    presence,
    commands,
    counts,
    clock,
    logger,
    sessionsPerIdentityMax: config.deviceSessionsPerIdentityMax,
  };
  const announced = new AnnouncedDevices({
    presence,
    hasSession: (device) => registry.of(device) !== undefined || peers?.holderOf(device) !== undefined,
    names,
    clock,
  });
  const server = new DeviceServer({
    session: sessions,
    announced,
    revocations,
    clock,
    limits: {
      node,
      window: config.deviceWindowMax,
      windowBytes: config.deviceWindowBytesMax,
      messageBytesMax: config.deviceMessageBytesMax,
      messagesPerSecond: config.deviceMessagesPerSecond,
      eventsPerSecond: config.deviceEventsPerSecond,
      sessionsMax: config.deviceSessionsMax,
      unauthenticatedMax: config.unauthenticatedDevicesMax,
      addressUnauthenticatedMax: config.addressUnauthenticatedDevicesMax,
      clockToleranceMs: config.tokenClockToleranceMs,
    },
  });
  const mqtt: MqttServer | undefined = config.mqttEnabled
    ? new MqttServer({
        node,
        session: sessions,
        revocations,
        namespaces: options.namespaces ?? [],
        announced,
        holderOf: (device) => peers?.holderOf(device),
        letters: deadLetters,
        clock,
        logger,
        limits: {
          connectionsMax: config.mqttConnectionsMax,
          unauthenticatedMax: config.unauthenticatedDevicesMax,
          addressUnauthenticatedMax: config.addressUnauthenticatedDevicesMax,
          window: config.deviceWindowMax,
          packetBytesMax: config.deviceMessageBytesMax,
          clockToleranceMs: config.tokenClockToleranceMs,
          clockAheadMs: config.clockAheadMs,
          messagesPerSecond: config.deviceMessagesPerSecond,
        },
      })
    : undefined;
  registerIntakeMetrics(metrics, intake, pressure, config.intakeUnsettledMax);
  registerCommandLimits(metrics, commands, config);
  const servers = mqtt === undefined ? [server] : [server, mqtt];
  const usage = { servers, server, registry, records, nonces, admission, announced, events: presence };
  registerDeviceLimits(metrics, usage, config);
  return {
    server,
    mqtt,
    sessions,
    intake,
    peers,
    commands,
    prepare: () => void lookback.started(),
    start() {
      server.start();
      mqtt?.start();
      peers?.start();
      commandServer?.start();
    },
    switchCommands(state) {
      if (commandSwitch.take(state)) commands.refuseOff();
    },
    checkRevocations() {
      server.checkRevocations();
      mqtt?.checkRevocations();
    },
    async drain(leaveMs) {
      await Promise.all([server.drain(leaveMs), mqtt?.drain(leaveMs)]);
      await intake.drain();
      await presence.drain();
    },
    stop() {
      commandServer?.stop();
      server.close();
      commands.close();
      mqtt?.close();
      intake.close();
      presence.close();
      peers?.stop();
    },
  };
}

function ratesFrom(config: IngestSettings): DeviceRates {
  return new DeviceRates({
    messages: new RateLimit(config.deviceMessagesPerSecond, config.deviceMessagesBurst),
    events: new RateLimit(config.deviceEventsPerSecond, config.deviceEventsBurst),
    tenant: new RateLimit(config.tenantMessagesPerSecond, config.tenantMessagesBurst),
  });
}
