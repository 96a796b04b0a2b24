import { hostname } from 'node:os';
import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Metrics } from '@tailrace/platform/metrics';
import { createTokenVerifier } from '@tailrace/platform/token';
import { createWebServer } from '@tailrace/platform/webserver';
import type { Channel } from './channel.ts';
import { Channels } from './channels.ts';
import type { FanoutConfig } from './config.ts';
import { Hub } from './hub.ts';
import { registerMetrics } from './metrics.ts';
import { Ownership } from './ownership.ts';
import { Sessions } from './sessions.ts';
import { StreamServer } from './streamserver.ts';
import { Views } from './view.ts';

export interface FanoutParts {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly config: FanoutConfig;
  /** In [0, 1): spreads retries and goodbyes. */
  readonly random: () => number;
  /** Of the product, told to clients. */
  readonly version: string;
}

export interface Fanout {
  /** Resolves once clients are taken. Partitions come when the group assigns them: see `notReady`. */
  start(): Promise<void>;
  /** Lets clients go, spread over `drainMs`, and leaves the group. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Why this node cannot serve yet; undefined when it can. */
  notReady(): string | undefined;
  /** Where clients are taken; 0 before `start`. */
  readonly port: number;
}

/** A fanout node: clients on one side, the log and the other nodes on the other. Knows no environment and no process. */
export function createFanout(parts: FanoutParts): Fanout {
  return new FanoutNode(parts);
}

class FanoutNode implements Fanout {
  port = 0;
  readonly #parts: FanoutParts;
  #running: { ownership: Ownership; sessions: Sessions; streams: StreamServer; close: () => void } | undefined;

  constructor(parts: FanoutParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { eventLog, clock, config, metrics } = this.#parts;
    const topic = `${config.topicPrefix}.telemetry`;
    const { epoch, partitions } = await eventLog.ensureTopic({
      name: topic,
      partitions: config.partitions,
      retentionMs: config.retentionMs,
      retentionBytes: config.retentionBytes,
    });
    const server = createWebServer({ host: config.host, port: config.port, portSetting: 'port', log: this.#parts.log });
    const channels = new Channels(partitions);
    // Views publish by the server, and the server's sessions subscribe to views: the one that is made later is reached by name.
    const views: Views = new Views({ publish: (name, frame) => streams.publish(name, frame) });
    const sessions = new Sessions(clock, config);
    const ownership = this.#ownership({ channels, views, sessions, topic, epoch, partitions });
    const hub = new Hub({ channels, views, ownership, epoch, clock, ...config });
    const streams: StreamServer = new StreamServer(server, sessions, config, this.#sessionParts(hub));
    registerMetrics(metrics, { ownership, sessions, channels, views, streams, connectionsMax: config.connectionsMax });
    sessions.start();
    this.#running = { ownership, sessions, streams, close: () => server.close() };
    this.port = (await server.listen()).port;
    await ownership.start();
  }

  async drain(): Promise<void> {
    this.#running?.streams.drain();
    await this.#running?.sessions.drain(this.#parts.config.drainMs, this.#parts.random);
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.sessions.stop();
    await running.ownership.stop();
    running.close();
  }

  notReady(): string | undefined {
    return this.#running === undefined ? 'not started' : this.#running.ownership.notReady();
  }

  #sessionParts(hub: Hub) {
    const { config, clock, version } = this.#parts;
    const verifier = createTokenVerifier({ secret: config.tokenSecret, clock });
    const parts = {
      ...config,
      hub,
      verify: (token: string) => verifier.verify(token),
      now: () => clock.now(),
      version,
    };
    return () => parts;
  }

  #ownership(made: {
    channels: Channels;
    views: Views;
    sessions: Sessions;
    topic: string;
    epoch: string;
    partitions: number;
  }): Ownership {
    const { config, log } = this.#parts;
    return new Ownership({
      ...this.#parts,
      ...made,
      node: config.node,
      url: () => config.publicUrl || `ws://${config.host === '0.0.0.0' ? hostname() : config.host}:${this.port}`,
      group: `${config.topicPrefix}.fanout`,
      connections: () => made.sessions.size,
      onMissing: (channel: Channel, partition: number, from: number, until: number) => {
        log.warn(
          { channel: channel.pattern, partition, from, until },
          'reports are no longer in the log; telling the clients',
        );
        made.views.tellMissing(channel, partition, from, until);
      },
      limits: config,
    });
  }
}
