import { hostname } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Bus } from '@tailrace/bus/bus';
import { EpochWatch } from '@tailrace/eventlog/epoch-watch';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Metrics } from '@tailrace/platform/metrics';
import { tokenVerifierOptionsFrom } from '@tailrace/platform/settings';
import { readsSplitRequests } from '@tailrace/platform/split-request-check';
import { createTokenVerifier } from '@tailrace/platform/token';
import type { Tracing } from '@tailrace/platform/tracing';
import { createWebServer } from '@tailrace/platform/webserver';
import { TailraceError } from '@tailrace/protocol/error';
import { Access } from './access/access.ts';
import { serveOperators } from './access/operatorendpoints.ts';
import { Resume } from './catchup/resume.ts';
import { WorkScheduler } from './catchup/work-scheduler.ts';
import type { Channel, LostReason } from './channels/channel.ts';
import { Channels } from './channels/channels.ts';
import { Hub } from './channels/hub.ts';
import type { FanoutSettings } from './config.ts';
import { serveDevices } from './devices/devices-endpoint.ts';
import { EndpointMetrics } from './endpointmetrics.ts';
import { LimitedWarning } from './limited-warning.ts';
import { registerMetrics } from './metrics.ts';
import { Ownership } from './ownership/ownership.ts';
import { Migration } from './placement/migration.ts';
import { RingPlacement } from './placement/placement.ts';
import { serveRoute } from './placement/route.ts';
import { SessionCounts } from './sessions/sessioncounts.ts';
import { Sessions } from './sessions/sessions.ts';
import { StreamServer } from './sessions/streamserver.ts';
import { Views } from './views/view.ts';

export interface FanoutParts {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly config: FanoutSettings;
  /** In [0, 1): spreads retries and goodbyes. */
  readonly random: () => number;
  /**
   * Calls once in a later turn of the event loop: between two of them everything that is ready has run. Default:
   * `setImmediate`.
   */
  readonly defer?: (call: () => void) => void;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  /** Of the product, told to clients. */
  readonly version: string;
  /** The log was made anew: this node has to end, and may be started again. Called once. Default: nobody looks. */
  readonly onLogReplaced?: (error: TailraceError) => void;
}

export interface Fanout {
  /** Resolves once clients are taken. Partitions come when the group assigns them: see `notReady`. */
  start(): Promise<void>;
  /** Lets clients go, spread over `drainMs`, and leaves the group; serves what it had until others do. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Why this node cannot serve yet; undefined when it can. */
  notReady(): string | undefined;
  /** Whether it waits for partitions that it reads back from the log. */
  isReadingBack(): boolean;
  /** Where clients are taken; 0 before `start`. */
  readonly port: number;
}

const splitRequestsSentence =
  'this build of uWebSockets.js answers a request that comes in two segments with 505, so that some clients cannot connect: install the one that package-lock.json names, or a newer one';

/** A page that is loaded again, and a client that comes back, are back by then. */
const channelLingerMs = 10_000;

/** A fanout node: clients on one side, the log and the other nodes on the other. Knows no environment and no process. */
export function createFanout(parts: FanoutParts): Fanout {
  return new FanoutNode(parts);
}

class FanoutNode implements Fanout {
  port = 0;
  readonly #parts: FanoutParts;
  #running:
    | {
        ownership: Ownership;
        hub: Hub;
        sessions: Sessions;
        streams: StreamServer;
        access: Access;
        migration: Migration;
        close: () => void;
      }
    | undefined;
  #epochWatch: EpochWatch | undefined;
  #stopped = false;

  constructor(parts: FanoutParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (thrown) {
      await this.stop().catch((error: unknown) =>
        this.#parts.log.warn({ error }, 'a failed start left something behind'),
      );
      throw thrown;
    }
  }

  async #start(): Promise<void> {
    const { eventLog, clock, config, metrics } = this.#parts;
    const topic = `${config.topicPrefix}.telemetry`;
    const { retentionMs, retentionBytes } = config;
    const spec = { name: topic, partitions: config.telemetryPartitions, retentionMs, retentionBytes };
    const { epoch, partitions } = await eventLog.ensureTopic(spec);
    const stateTopic = `${config.topicPrefix}.state`;
    await eventLog.ensureTopic({
      name: stateTopic,
      partitions,
      retentionMs,
      retentionBytes,
      compacted: true,
    });
    if (this.#stopped) throw new TailraceError('closed', 'the node was stopped before it had started');
    const server = createWebServer({
      host: config.host,
      port: config.port,
      portSetting: this.#parts.portSetting ?? 'port',
      log: this.#parts.log,
    });
    const channels = new Channels(partitions);
    // Views publish by the server, and the server's sessions subscribe to views: the one that is made later is reached by name.
    const views: Views = new Views({ publish: (name, frame) => streams.publish(name, frame) }, clock, config);
    const sessions = new Sessions(clock, config);
    const access = new Access({ ...this.#parts, sessions });
    const work = new WorkScheduler({ clock, defer: this.#parts.defer ?? setImmediate, limits: config });
    const made = { channels, views, work, sessions, topic, stateTopic, epoch, partitions };
    const ownership = this.#ownership(made);
    const past = new Resume({
      ownership,
      ranges: ownership.ranges,
      epoch,
      clock,
      limits: config,
    });
    const hub = new Hub({ channels, views, ownership, epoch, clock, past, channelLingerMs, ...config });
    const { log } = this.#parts;
    const placement = new RingPlacement({ ring: ownership.ring, node: config.node, partitions });
    const migration = this.#migration(placement, sessions);
    ownership.onOwner = (partition, owner) => migration.changed(partition, owner);
    const session = this.#sessionParts(hub, access, placement, work);
    const endpoints = new EndpointMetrics(metrics, clock);
    serveRoute(server, { placement, verify: session.verify, log, endpoints });
    const { verify } = session;
    serveDevices(server, { directory: ownership.devices, verify, work, origins: config.origins, log, endpoints });
    const nodes = () => ownership.ring.nodes().length;
    serveOperators(server, { ...access, verify: session.verify, nodes, log, endpoints });
    const streams: StreamServer = new StreamServer({ server, sessions, limits: config, session, clock, log });
    registerMetrics(metrics, {
      ...{ ownership, sessions, sessionCounts: session.counts, channels, views, streams, hub, past, work },
      ...{ placement, migration, access, server, limits: config, now: () => clock.monotonic() },
    });
    const { onLogReplaced } = this.#parts;
    if (onLogReplaced) this.#epochWatch = new EpochWatch({ ...this.#parts, spec, epoch, onReplaced: onLogReplaced });
    this.#running = { ownership, hub, sessions, streams, access, migration, close: () => server.close() };
    sessions.start();
    // Before the first client: a revoked token is refused from the start.
    await access.start();
    this.port = (await server.listen()).port;
    if ((await readsSplitRequests(config.host, this.port)) === false) log.error({}, splitRequestsSentence);
    await ownership.start();
  }

  async drain(): Promise<void> {
    if (this.#running === undefined) return;
    const { streams, sessions, ownership, migration } = this.#running;
    streams.drain();
    migration.stop();
    // Both at once: while clients go, the partitions find their new owners, so that who comes back elsewhere finds them there.
    await Promise.all([sessions.drain(this.#parts.config.drainMs, this.#parts.random), ownership.handOver()]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#epochWatch?.stop();
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.streams.drain();
    running.migration.stop();
    running.sessions.stop();
    running.hub.stop();
    try {
      await running.ownership.stop();
    } finally {
      running.close();
      running.access.stop();
    }
  }

  notReady(): string | undefined {
    return this.#running === undefined ? 'not started' : this.#running.ownership.notReady();
  }

  isReadingBack(): boolean {
    return this.#running?.ownership.isReadingBack() ?? false;
  }

  #migration(placement: RingPlacement, sessions: Sessions): Migration {
    const { clock, random, config } = this.#parts;
    return new Migration({ clock, random, limits: config, placement, residents: () => sessions.all() });
  }

  #sessionParts(hub: Hub, access: Access, placement: RingPlacement, work: WorkScheduler) {
    const { config, clock, version, log } = this.#parts;
    const verifier = createTokenVerifier({
      ...tokenVerifierOptionsFrom(config),
      clock,
      log,
      revocations: access.revocations,
    });
    return {
      ...config,
      hub,
      work,
      placement,
      verify: (token: string) => verifier.verify(token),
      now: () => clock.now(),
      version,
      log,
      access: access.session,
      counts: new SessionCounts(),
    };
  }

  #ownership(made: {
    channels: Channels;
    views: Views;
    work: WorkScheduler;
    sessions: Sessions;
    topic: string;
    stateTopic: string;
    epoch: string;
    partitions: number;
  }): Ownership {
    const { config, log, clock } = this.#parts;
    const warn = log.warn.bind(log);
    const missing = new LimitedWarning(warn, 'reports are not available; their clients are notified', 10_000, () =>
      clock.monotonic(),
    );
    return new Ownership({
      ...this.#parts,
      defer: this.#parts.defer ?? setImmediate,
      ...made,
      node: config.node,
      url: () => config.publicUrl || `ws://${config.host === '0.0.0.0' ? hostname() : config.host}:${this.port}`,
      group: `${config.topicPrefix}.fanout`,
      connections: () => made.sessions.size,
      connectionsMax: config.connectionsMax,
      reachable: config.publicUrl !== '',
      onMissing: (channel: Channel, partition: number, from: number, until: number, reason: LostReason) => {
        missing.write(() => ({ channel: channel.pattern, partition, from, until, reason }));
        made.views.tellMissing(channel, partition, from, until, reason);
      },
      onLogFault: () => this.#epochWatch?.look(),
      limits: { ...config, lastValuesBytesMax: config.lastValuesBytesMax || heapShare(0.4) },
    });
  }
}

/** A part of the memory that this process may have for its objects, bytes. */
function heapShare(share: number): number {
  return Math.floor(getHeapStatistics().heap_size_limit * share);
}
