import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Bus } from '@tailrace/bus/bus';
import { EpochWatch } from '@tailrace/eventlog/epoch-watch';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import type { Clock } from '@tailrace/platform/clock';
import { CredentialVerifier } from '@tailrace/platform/credentials';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { tokenVerifierOptionsFrom } from '@tailrace/platform/settings';
import { type Claims, createTokenVerifier } from '@tailrace/platform/token';
import type { Tracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { Access } from './access/access.ts';
import { deviceTokenRoutes } from './access/device-token-endpoints.ts';
import { operatorRoutes } from './access/operator-endpoints.ts';
import { History } from './catch-up/history.ts';
import { WorkScheduler } from './catch-up/work-scheduler.ts';
import { Channels, type OnMissing } from './channels/channels.ts';
import { Hub } from './channels/hub.ts';
import { ProgressMessages } from './channels/progress-messages.ts';
import type { FanoutSettings } from './config.ts';
import { deviceListRoutes } from './devices/devices-endpoint.ts';
import { EndpointMetrics } from './endpoint-metrics.ts';
import { EventHub } from './events/event-hub.ts';
import { registerMetrics } from './metrics.ts';
import { createOwnership } from './ownership/create-ownership.ts';
import type { Ownership } from './ownership/ownership.ts';
import { Migration } from './placement/migration.ts';
import { RingPlacement } from './placement/placement.ts';
import { deviceRoute } from './placement/route.ts';
import { ControlRequests } from './sessions/control-requests.ts';
import { MessageScheduler } from './sessions/message-scheduler.ts';
import type { SessionOptions } from './sessions/session.ts';
import { SessionCounts } from './sessions/session-counts.ts';
import { Sessions } from './sessions/sessions.ts';
import { StreamServer } from './sessions/stream-server.ts';
import { StreamSockets } from './sessions/stream-socket.ts';
import type { Transport } from './transport.ts';
import { Views } from './views/view.ts';

export interface FanoutOptions {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Where clients connect. Nothing else listens on it. */
  readonly transport: Transport;
  readonly config: FanoutSettings;
  /** In [0, 1): spreads retries and disconnects. */
  readonly random: () => number;
  /** Calls once in a later turn of the event loop, after everything that is ready now. Default: `setImmediate`. */
  readonly defer?: (call: () => void) => void;
  /** Verifies the tokens of clients and requests. Default: by the keys of the settings. */
  readonly verify?: (token: string) => Promise<Claims>;
  /** Returns the ID of a new session, unlike any other. Default: random. */
  readonly sessionId?: () => string;
  /** Version of the product, sent to clients. */
  readonly version: string;
  /**
   * Called once, if the log was re-created: this node must stop, and may be restarted. Default: the log is not watched.
   */
  readonly onLogReplaced?: (error: TailraceError) => void;
  /** See `WorkSchedulerOptions`. */
  readonly workStepsMax?: number | undefined;
}

export interface Fanout {
  /** Resolves once clients are accepted. The group assigns partitions later: see `notReady`. */
  start(): Promise<void>;
  /** Disconnects clients, spread over `drainMs`, and leaves the group; serves its partitions until others do. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Returns why this node cannot serve; undefined if it can. */
  notReady(): string | undefined;
  /** Returns whether it waits for partitions that it reads back from the log. */
  isReadingBack(): boolean;
  /** Port for clients; 0 before `start`. */
  readonly port: number;
  /** The objects of the node, for tests; undefined before `start` and after `stop`. */
  readonly node: FanoutNode | undefined;
}

/** Creates a fanout node. Reads no environment variables, and sets no handlers of the process. */
export function createFanout(options: FanoutOptions): Fanout {
  return new FanoutProcess(options);
}

class FanoutProcess implements Fanout {
  port = 0;
  node: FanoutNode | undefined;
  readonly #options: FanoutOptions;
  #isStopped = false;

  constructor(options: FanoutOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (thrown) {
      await this.stop().catch((error: unknown) =>
        this.#options.logger.warn({ error }, 'the resources of a failed start could not all be released'),
      );
      throw thrown;
    }
  }

  async #start(): Promise<void> {
    const { eventLog, config, transport } = this.#options;
    const topics = await ensureTopics(eventLog, config);
    this.#assertNotStopped();
    const node = composeNode(this.#options, topics);
    this.node = node;
    node.sessions.start();
    node.progressMessages.start();
    // Before the first client, so that a revoked token is refused from the start.
    await node.access.start();
    // `stop` has closed the transport: nothing would close it again.
    this.#assertNotStopped();
    this.port = await transport.listen(node.streams);
    this.#assertNotStopped();
    await node.ownership.start(urlOf(config, this.port));
  }

  #assertNotStopped(): void {
    if (this.#isStopped) throw new TailraceError('closed', 'the node was stopped before it had started');
  }

  async drain(): Promise<void> {
    if (this.node === undefined) return;
    const { streams, sessions, ownership, migration } = this.node;
    streams.drain();
    migration.stop();
    // At the same time: when clients leave, the new owners of the partitions serve them.
    await Promise.all([sessions.drain(this.#options.config.drainMs, this.#options.random), ownership.handOver()]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const { node } = this;
    this.node = undefined;
    if (node === undefined) {
      this.#options.transport.close();
      return;
    }
    node.epochWatch?.stop();
    node.streams.drain();
    node.migration.stop();
    node.sessions.stop();
    node.progressMessages.stop();
    node.hub.stop();
    try {
      await node.ownership.stop();
    } finally {
      this.#options.transport.close();
      node.access.stop();
    }
  }

  notReady(): string | undefined {
    return this.node === undefined ? 'not started' : this.node.ownership.notReady();
  }

  isReadingBack(): boolean {
    return this.node?.ownership.isReadingBack() ?? false;
  }
}

/** Returns the URL where clients reach this node. */
function urlOf({ publicUrl, host }: FanoutSettings, port: number): string {
  return publicUrl || `ws://${host === '0.0.0.0' ? hostname() : host}:${port}`;
}

/** The topics of a node. */
export interface FanoutTopics {
  readonly telemetry: string;
  readonly state: string;
  readonly events: string;
  /** Of the topic of events: positions in it are of another epoch than those of reports. */
  readonly eventsEpoch: string;
  /** The checkpoints of alarms, which may be missing. */
  readonly alarms: string;
  readonly partitions: number;
  readonly epoch: string;
}

/** Creates missing topics. Rejects with `unavailable` if the log is unavailable. */
async function ensureTopics(eventLog: EventLog, config: FanoutSettings): Promise<FanoutTopics> {
  const { topicPrefix, retentionMs, retentionBytes, telemetryPartitions } = config;
  const telemetry = `${topicPrefix}.telemetry`;
  const state = `${topicPrefix}.state`;
  const events = `${topicPrefix}.events`;
  const retention = { retentionMs, retentionBytes };
  const { epoch, partitions } = await eventLog.ensureTopic({
    name: telemetry,
    partitions: telemetryPartitions,
    ...retention,
  });
  await eventLog.ensureTopic({ name: state, partitions, ...retention, compacted: true });
  const { epoch: eventsEpoch } = await eventLog.ensureTopic(eventsTopicSpec(events, partitions));
  const alarms = `${topicPrefix}.alarms`;
  return { telemetry, state, events, eventsEpoch, alarms, partitions, epoch };
}

export interface FanoutNode {
  readonly sockets: StreamSockets;
  readonly views: Views;
  readonly channels: Channels;
  readonly sessions: Sessions;
  readonly access: Access;
  readonly work: WorkScheduler;
  readonly ownership: Ownership;
  readonly history: History;
  readonly hub: Hub;
  readonly eventHub: EventHub;
  readonly progressMessages: ProgressMessages;
  readonly migration: Migration;
  readonly streams: StreamServer;
  readonly epochWatch: EpochWatch | undefined;
}

/** Composes a node: each object gets those created before it. Nothing listens or is read yet. */
export function composeNode(options: FanoutOptions, topics: FanoutTopics): FanoutNode {
  const { eventLog, bus, clock, logger, metrics, tracing, transport, config, random, version } = options;
  const { epoch, partitions } = topics;
  const defer = options.defer ?? setImmediate;
  const now = () => clock.monotonic();

  const sockets = new StreamSockets(transport, config, clock);
  const views = new Views(sockets, clock, config);
  const channels = new Channels(partitions);
  const sessions = new Sessions(clock, config);
  const access = new Access({ eventLog, clock, logger, metrics, random, config, sessions });
  const work = new WorkScheduler({
    clock,
    defer,
    limits: config,
    isLiveWaiting: () => eventLog.isAppending === true,
    stepsMax: options.workStepsMax,
  });
  const epochWatch = epochWatchFrom(options, topics);
  const ownership = createOwnership({
    eventLog,
    bus,
    clock,
    logger,
    tracing,
    random,
    channels,
    work,
    defer,
    views,
    node: config.node,
    topic: topics.telemetry,
    stateTopic: topics.state,
    eventsTopic: topics.events,
    eventsEpoch: topics.eventsEpoch,
    alarmsTopic: topics.alarms,
    group: `${config.topicPrefix}.fanout`,
    epoch,
    partitions,
    connections: () => sessions.size,
    connectionsMax: config.connectionsMax,
    reachable: config.publicUrl !== '',
    onMissing: missingNotifier(views, logger, now),
    onLogError: () => epochWatch?.check(),
    limits: config,
    lastValuesBytesMax: config.lastValuesBytesMax || heapShare(0.4),
  });
  const { table, ranges, presence, ring, devices } = ownership;
  const history = new History({ table, ranges, epoch, clock, limits: config });
  const hub = new Hub({ channels, views, table, presence, history, clock, epoch, limits: config });
  const eventHub = new EventHub({
    source: ownership.events,
    publish: (to, frame) => sockets.publish(to, frame),
    nextView: () => views.nextNumber(),
    clock,
    defer,
    epoch: topics.eventsEpoch,
    joinDeadlineMs: config.joinDeadlineMs,
  });
  const control = new ControlRequests({ bus, hub: eventHub, partitions, limits: config, tracing });
  const progressMessages = new ProgressMessages({ channels, views, table, replies: hub.replies, work, clock, logger });

  const placement = new RingPlacement({ ring, node: config.node, partitions });
  const migration = new Migration({ clock, random, limits: config, placement, residents: () => sessions.all() });
  ring.onChange((partition, owner) => migration.changed(partition, owner));

  const { operators, revocations, deviceTokens } = access;
  const verify = options.verify ?? verifierFrom(options, access);
  const endpoints = new EndpointMetrics(metrics, clock);
  const routes = [
    deviceRoute({ placement, verify, logger, endpoints }),
    ...deviceListRoutes({ directory: devices, verify, work, origins: config.origins, logger, endpoints }),
    ...operatorRoutes({
      ...{ operators, revocations, verify, nodes: () => ring.nodes().length, logger, endpoints },
      commandSwitch: () => access.actions.commandSwitch,
    }),
    ...deviceTokenRoutes({ deviceTokens, verify, clock, logger, endpoints }),
  ];
  const sessionCounts = new SessionCounts();
  const session: SessionOptions = {
    hub,
    eventHub,
    control,
    placement,
    work,
    verify,
    now: () => clock.now(),
    node: config.node,
    version,
    heartbeatMs: config.heartbeatMs,
    messageBytesMax: config.messageBytesMax,
    subscriptionsMax: config.subscriptionsMax,
    viewsPerConnectionMax: config.viewsPerConnectionMax,
    logger,
    access: access.session,
    counts: sessionCounts,
  };
  const sessionId = options.sessionId ?? (() => randomBytes(9).toString('base64url'));
  const messages = new MessageScheduler({ clock, defer });
  const streams = new StreamServer({
    ...{ sockets, sessions, messages, limits: config, session, sessionId, clock, logger, routes },
  });

  registerMetrics(metrics, {
    ownership,
    sessions,
    sessionCounts,
    channels,
    views,
    streams,
    messages,
    sockets,
    hub,
    eventHub,
    control,
    progressMessages,
    history,
    work,
    placement,
    migration,
    access,
    transport,
    limits: config,
    now,
  });
  const running = { sessions, progressMessages, access, ownership, hub, eventHub, migration, streams, epochWatch };
  return { sockets, views, channels, work, history, ...running };
}

/** Notifies the clients of a channel of reports that are not available. `now`: monotonic ms. */
function missingNotifier(views: Views, logger: Logger, now: () => number): OnMissing {
  const sentence = 'reports are not available; their clients are notified';
  const warning = new LimitedWarning(logger.warn.bind(logger), sentence, 10_000, now);
  return (channel, partition, from, until, reason) => {
    warning.write(() => ({ channel: channel.pattern, partition, from, until, reason }));
    views.publishMissing(channel, partition, from, until, reason);
  };
}

function epochWatchFrom(options: FanoutOptions, topics: FanoutTopics): EpochWatch | undefined {
  const { eventLog, clock, logger, config, onLogReplaced } = options;
  if (onLogReplaced === undefined) return undefined;
  const { telemetryPartitions, retentionMs, retentionBytes } = config;
  const spec = { name: topics.telemetry, partitions: telemetryPartitions, retentionMs, retentionBytes };
  return new EpochWatch({ eventLog, clock, logger, spec, epoch: topics.epoch, onReplaced: onLogReplaced });
}

function verifierFrom(
  { config, clock, logger }: FanoutOptions,
  { credentials, revocations }: Pick<Access, 'credentials' | 'revocations'>,
): (token: string) => Promise<Claims> {
  const tokens = createTokenVerifier({ ...tokenVerifierOptionsFrom(config), clock, logger, revocations });
  const { tokenClockToleranceMs: clockToleranceMs } = config;
  const verifier = new CredentialVerifier({ tokens, credentials, revocations, clock, clockToleranceMs });
  return (token) => verifier.verify({ token });
}

/** Returns a share of the heap limit of this process, bytes. */
function heapShare(share: number): number {
  return Math.floor(getHeapStatistics().heap_size_limit * share);
}
