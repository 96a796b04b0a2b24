import { randomUUID } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { ClientConnection } from '@tailrace/mqtt/client-connection';
import type { ClientHandlers } from '@tailrace/mqtt/client-options';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { defaultReorderLimits } from '@tailrace/sparkplug/reorder-window';
import { bridgeGrant } from '../bridge/bridge-grant.ts';
import type { SparkplugSettings } from '../bridge/sparkplug-settings.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { PresenceEvents } from '../devices/presence-events.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import type { RecordContext } from '../intake/record-from.ts';
import { BirthStore } from './birth-store.ts';
import { createHostCounts, type HostCounts } from './host-counts.ts';
import { HostPeers } from './host-peers.ts';
import { NodeOwners } from './node-owners.ts';
import { type SparkplugClientOptions, SparkplugConnection } from './sparkplug-connection.ts';
import { SparkplugHost } from './sparkplug-host.ts';
import type { SparkplugListener } from './sparkplug-listener.ts';
import { registerSparkplugMetrics } from './sparkplug-metrics.ts';

/** Time between two calls of `SparkplugHost.tick`, and of `check`. */
const tickMs = 100;
const checkMs = 1_000;
/** A node that is not connected to the broker for this long leaves the STATE of the host to one that is, ms. */
const stateReleaseMs = 10_000;

/** A broker with Sparkplug edge nodes. */
export interface SparkplugBridge {
  readonly name: string;
  /** Unique over the nodes of ingest. */
  readonly clientId: string;
  /** The devices of which its messages may be. */
  readonly publish: readonly string[];
  readonly sparkplug: SparkplugSettings;
  readonly createClient: (options: SparkplugClientOptions, handlers: ClientHandlers) => ClientConnection;
}

/** The edge nodes that connect to this process itself. */
export interface SparkplugListenerSettings {
  readonly listener: SparkplugListener;
  readonly role: 'passive' | 'active';
  readonly prefix: string;
}

export interface SparkplugOptions {
  /** Undefined: edge nodes connect to the brokers of bridges alone. */
  readonly listener?: SparkplugListenerSettings | undefined;
  readonly bridges: readonly SparkplugBridge[];
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'appendEach'>;
  readonly topicPrefix: string;
  /** Undefined: this node of ingest is alone. */
  readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'stats'> | undefined;
  /** Name of this node of ingest, unique. */
  readonly node: string;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly tracing: Pick<MessageTracing, 'enabled' | 'start'>;
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly presence: Pick<PresenceEvents, 'started' | 'closed'>;
  /** Devices that have reported. */
  readonly devices: RecordContext['devices'];
  readonly clockAheadMs: number;
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The Sparkplug hosts of this process: one for each broker, and one for its own listener. */
export interface Sparkplug {
  /** Reads the births, then connects in the background. Rejects as `EventLog.ensureTopic` and `read` do. */
  start(): Promise<void>;
  /** Receives the announcements of other nodes. Called once the bus is connected. Rejects as `Bus.subscribe` does. */
  subscribe(): Promise<void>;
  /** Disconnects. The log settles what is in progress; `MessageIntake.drain` waits for it. */
  stop(): Promise<void>;
}

/** Composes the hosts. With none it does nothing, and needs no topic. */
export function createSparkplug(options: SparkplugOptions): Sparkplug {
  const { bridges, eventLog, topicPrefix, bus, node, clock, logger, metrics } = options;
  const counts = createHostCounts(metrics);
  const births = new BirthStore({ eventLog, topicPrefix, clock, logger });
  const connections = new Map<string, SparkplugConnection>();
  /** Since when no node publishes the STATE of a host, by broker. */
  const vacantMs = new Map<string, number>();
  let timers: Timer[] = [];
  let isStopped = false;
  const hasNone = bridges.length === 0 && options.listener === undefined;
  const peers =
    bus &&
    new HostPeers({
      ...{ bus, node, boot: randomUUID(), clock },
      own: () => ({
        hosts: bridges.map(({ name }) => name),
        connected: namesOf((host) => host.isOpen),
        states: namesOf((host) => host.isStateHost),
      }),
      onChange: () => applyPeers(),
    });
  const listenerHost = createListenerHost(options, counts);
  registerSparkplugMetrics(metrics, { births, hosts, listener: options.listener?.listener });

  function hosts(): SparkplugHost[] {
    const ofBrokers = [...connections.values()].map(({ host }) => host);
    return listenerHost === undefined ? ofBrokers : [...ofBrokers, listenerHost];
  }

  function startTimers(): void {
    const each = (call: (host: SparkplugHost) => void) => () => {
      for (const host of hosts()) call(host);
    };
    timers = [
      clock.every(
        tickMs,
        each((host) => host.tick()),
      ),
      clock.every(tickMs, () => options.listener?.listener.tick()),
      clock.every(
        checkMs,
        each((host) => host.check()),
      ),
    ];
  }

  function namesOf(matches: (host: SparkplugHost) => boolean): string[] {
    return [...connections].filter(([, { host }]) => matches(host)).map(([name]) => name);
  }

  function applyPeers(): void {
    if (isStopped || peers === undefined) return;
    for (const [name, { host }] of connections) host.setOwners(peers.connectedTo(name));
    electStateHosts();
  }

  /**
   * Selects the node that publishes the STATE of each host, from all that have a host for the broker, connected or not.
   * The selected node keeps it, so that edge nodes do not see it change, unless it is not connected for long while
   * another one is. Then, and if the selected one does not answer, it is one of those that are connected.
   */
  function electStateHosts(): void {
    const nowMs = clock.monotonic();
    for (const [name, connection] of connections) {
      const { host } = connection;
      const holder = peers!.stateHostOf(name);
      const connected = peers!.connectedTo(name);
      if (holder !== undefined) vacantMs.delete(name);
      else if (!vacantMs.has(name)) vacantMs.set(name, nowMs);
      const isVacant = nowMs - (vacantMs.get(name) ?? nowMs) >= stateReleaseMs;
      const owners = new NodeOwners(node);
      owners.update(isVacant && connected.length > 0 ? connected : peers!.hostsOf(name));
      const isSelected = holder === undefined ? owners.owns(`STATE/${name}`) : holder === node;
      host.setStateHost(isSelected && !(connected.length > 0 && host.closedMs >= stateReleaseMs));
      connection.refreshWill();
    }
  }

  function connect(): void {
    for (const { name, clientId, publish, sparkplug, createClient } of bridges) {
      const connection: SparkplugConnection = new SparkplugConnection({
        ...{ name, clientId, settings: sparkplug, createClient, logger },
        host: (broker) =>
          new SparkplugHost({
            ...{ name, ingestNode: node, settings: sparkplug, hasPeers: peers !== undefined, broker, births },
            grant: bridgeGrant(name, publish),
            counts,
            intake: options.intake,
            tracing: options.tracing,
            letters: options.letters,
            presence: options.presence,
            devices: options.devices,
            clockAheadMs: options.clockAheadMs,
            onAccepted: options.onAccepted,
            clock,
            logger,
          }),
        onChange() {
          peers?.announce();
          applyPeers();
        },
      });
      connections.set(name, connection);
    }
    births.release();
    if (peers !== undefined) electStateHosts();
    peers?.announce();
    for (const connection of connections.values()) connection.start();
  }

  return {
    async start() {
      if (isStopped || hasNone) return;
      startTimers();
      if (bridges.length === 0) return;
      await births.start();
      if (isStopped) return;
      if (peers === undefined) {
        connect();
        return;
      }
      void peers.start().then(() => {
        if (!isStopped) connect();
      });
    },
    async subscribe() {
      if (bridges.length > 0) await peers?.subscribe();
    },
    async stop() {
      if (isStopped) return;
      isStopped = true;
      peers?.stop();
      await Promise.all([
        ...[...connections.values()].map((connection) => connection.stop()),
        options.listener?.listener.drain().then(() => listenerHost?.stop()),
      ]);
      for (const timer of timers) timer.cancel();
      for (const { host } of connections.values()) host.close();
      births.stop();
    },
  };
}

/** Each edge node publishes its birth when it connects: births are not stored. */
const noBirths = { put() {}, take: () => [], isPending: () => false };

function createListenerHost(options: SparkplugOptions, counts: HostCounts): SparkplugHost | undefined {
  if (options.listener === undefined) return undefined;
  const { listener, role, prefix } = options.listener;
  const { node, intake, tracing, letters, presence, devices, clockAheadMs, onAccepted, clock, logger } = options;
  const { reorderMs } = defaultReorderLimits;
  const host = new SparkplugHost({
    ...{ name: 'listener', ingestNode: node, hasPeers: false, births: noBirths, counts },
    isSharedByTenants: true,
    settings: { role, hostId: '', prefix, reorderMs, ids: {} },
    broker: {
      publish: (message) => listener.send(message),
      pause: () => listener.pause(),
      resume: () => listener.resume(),
    },
    // The listener has checked it.
    grant: { allowsDevice: () => true, covers: 'the listener' },
    onReadings: (device, readings) => listener.readings(device, readings),
    ...{ intake, tracing, letters, presence, devices, clockAheadMs, onAccepted, clock, logger },
  });
  listener.attach(host);
  return host;
}
