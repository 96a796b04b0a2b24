import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@tailrace/platform/clock';
import { FolderLock } from '@tailrace/platform/folder-lock';
import { TailraceError } from '@tailrace/protocol/error';
import { keyFrom } from '@tailrace/standalone/key';
import { ownerTokens } from '@tailrace/standalone/owner-tokens';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import type { Exit } from '@tailrace/testkit/supervised';
import { assertFreePorts, StackService } from './stack-service.ts';

/** The first process of control; further ones have the ports after it. */
const controlOffset = 7;
const controlsMax = 3;
/** Behind the fanout nodes, of which there are at most 16 from 20 on. */
const alarmsOffset = 40;

export interface StackClusterOptions {
  /** Fanout nodes: `fanout-0`, `fanout-1` … */
  readonly nodes: number;
  /** For logs, and for the brokers' data where that is kept. */
  readonly data: string;
  /** Whether the brokers' data, and the key that signs the tokens, outlive the run. */
  readonly keepsData: boolean;
  /** Ingest listens at +2, control at +7, the fanout nodes from +20 on, and each again 1010 above. */
  readonly portBase: number;
  /** Span over which a fanout node that stops disconnects its clients, ms. */
  readonly drainMs: number;
  /** Further settings of ingest. Default: none. */
  readonly ingestSettings?: NodeJS.ProcessEnv;
  /** Further settings of the fanout nodes. Default: none. */
  readonly fanoutSettings?: NodeJS.ProcessEnv;
  /** Receives progress messages. */
  readonly print: (text: string) => void;
  /** Called when a service exits that was not stopped. */
  readonly onServiceExit?: (service: StackService, exit: Exit) => void;
}

/**
 * Real Kafka and NATS by the broker sources of the testkit, ingest, and fanout nodes, each as a process of its own. All
 * stop with this process.
 */
export class StackCluster {
  readonly fanout: StackService[] = [];
  /** Empty before `startControl`. */
  readonly control: StackService[] = [];
  /** Settings of every service of the stack. */
  readonly common: NodeJS.ProcessEnv = {
    TAILRACE_HOST: '127.0.0.1',
    TAILRACE_INTERNAL_HOST: '127.0.0.1',
    TAILRACE_LOG_LEVEL: process.env['TAILRACE_LOG_LEVEL'],
  };
  readonly #options: StackClusterOptions;
  readonly #running: { stop(): Promise<unknown> }[] = [];
  #kafka: KafkaBroker | undefined;
  #nats: NatsServer | undefined;
  #ingest: StackService | undefined;
  #postgres: PostgresServer | undefined;
  #databaseUrl = '';
  #token = '';
  #supervisorToken = '';
  #tokenSecret = '';
  #lock: FolderLock | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: StackClusterOptions) {
    this.#options = options;
  }

  /** Whether the data folder is this cluster's, from its start to its stop. */
  get holdsData(): boolean {
    return this.#lock !== undefined;
  }

  get kafka(): KafkaBroker {
    return started(this.#kafka);
  }

  get nats(): NatsServer {
    return started(this.#nats);
  }

  get ingest(): StackService {
    return started(this.#ingest);
  }

  /** The server of control; it runs from `startControl` on. */
  get postgres(): PostgresServer {
    return started(this.#postgres);
  }

  /** The database of control, as postgres://…; empty before `startControl`. */
  get databaseUrl(): string {
    return this.#databaseUrl;
  }

  /** A token with all rights and roles. */
  get token(): string {
    return this.#token;
  }

  /** A token of a second person, who confirms what one person alone may not do. */
  get supervisorToken(): string {
    return this.#supervisorToken;
  }

  /** The secret that signs the tokens: that of the data folder if it is kept, else of this run alone. */
  get tokenSecret(): string {
    return this.#tokenSecret;
  }

  /**
   * Resolves when all are ready. After an error, `stop` stops what was started. Throws `address_in_use` and `conflict`,
   * before it changes anything, if another process uses a port or the data folder.
   */
  async start(): Promise<void> {
    const { data, keepsData, nodes, portBase, drainMs, ingestSettings, fanoutSettings, print } = this.#options;
    const mqttPort = ingestSettings?.['TAILRACE_MQTT_PORT'];
    const offsets = [2, ...Array.from({ length: nodes }, (_, i) => 20 + i)];
    const ports = offsets.map((offset) => portBase + offset);
    await assertFreePorts(mqttPort === undefined ? ports : [...ports, Number(mqttPort)]);
    await mkdir(data, { recursive: true });
    this.#lock = await FolderLock.acquire(data, systemClock);
    print('Starting Kafka and NATS …');
    const placeOf = (name: string) => ({
      log: join(data, `${name}.log`),
      ...(keepsData ? { dataDir: join(data, name) } : {}),
    });
    const kafka = startKafka(placeOf('kafka')).then((broker) => this.#added(broker));
    const nats = startNats(placeOf('nats')).then((server) => this.#added(server));
    await Promise.allSettled([kafka, nats]);
    this.#kafka = await kafka;
    this.#nats = await nats;
    // A page and a token of the last run stay valid where its data does.
    const secret = keepsData ? await keyFrom(data) : randomBytes(32).toString('base64url');
    this.#tokenSecret = secret;
    const tokens = await ownerTokens({ secret, owner: 'stack', clock: systemClock });
    this.#token = tokens.owner;
    this.#supervisorToken = tokens.supervisor;
    const brokers = this.#brokerSettings();
    print('Starting the services …');
    this.#ingest = await this.service('ingest', 'services/ingest/src/main.ts', 2, { ...brokers, ...ingestSettings });
    const fanout = Array.from({ length: nodes }, (_, i) =>
      this.service(`fanout-${i}`, 'services/fanout/src/main.ts', 20 + i, {
        ...brokers,
        TAILRACE_NODE: `fanout-${i}`,
        TAILRACE_PUBLIC_URL: `ws://127.0.0.1:${portBase + 20 + i}`,
        TAILRACE_DRAIN_MS: String(drainMs),
        ...fanoutSettings,
      }),
    );
    this.fanout.push(...(await Promise.all(fanout)));
  }

  /** Starts a node of alarms, which listens on its internal port only. */
  startAlarms(): Promise<StackService> {
    return this.service('alarms', 'services/alarms/src/main.ts', alarmsOffset, {
      TAILRACE_HOST: undefined,
      TAILRACE_PORT: undefined,
      TAILRACE_NODE: 'alarms-0',
      TAILRACE_KAFKA_BROKERS: this.kafka.brokers.join(','),
    });
  }

  /**
   * Starts a process of control, with PostgreSQL before the first one. `settings`: further ones of control. Rejects
   * with `unavailable` if the machine has no PostgreSQL, with `limit_reached`, and as `service` does.
   */
  async startControl(settings: NodeJS.ProcessEnv = {}): Promise<StackService> {
    const { data, keepsData, print } = this.#options;
    if (this.#postgres === undefined) {
      print('Starting PostgreSQL …');
      const place = { log: join(data, 'postgres.log'), ...(keepsData ? { dataDir: join(data, 'postgres') } : {}) };
      this.#postgres = this.#added(await startPostgres(place));
      // Of a test it is a new one, also on a server that other tests use.
      this.#databaseUrl = await (keepsData ? this.postgres.databaseNamed('tailrace') : this.postgres.createDatabase());
    }
    const index = this.control.length;
    if (index === controlsMax)
      throw new TailraceError('limit_reached', `control: expected at most ${controlsMax} processes, got one more`);
    const name = index === 0 ? 'control' : `control-${index}`;
    const control = await this.service(name, 'services/control/src/main.ts', controlOffset + index, {
      ...{ ...this.#brokerSettings(), TAILRACE_NODE: `control-${index}`, TAILRACE_DATABASE_URL: this.databaseUrl },
      ...settings,
    });
    this.control.push(control);
    return control;
  }

  #brokerSettings(): NodeJS.ProcessEnv {
    return {
      TAILRACE_KAFKA_BROKERS: this.kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: this.nats.url,
      TAILRACE_TOKEN_SECRET: this.#tokenSecret,
    };
  }

  /** Starts one more service of the stack at `portBase + offset`. */
  async service(name: string, script: string, offset: number, settings: NodeJS.ProcessEnv): Promise<StackService> {
    if (this.#stopping !== undefined) throw new TailraceError('closed', 'stopped');
    const { data, portBase } = this.#options;
    const service: StackService = new StackService({
      name,
      script,
      port: portBase + offset,
      settings: { ...this.common, ...settings },
      data,
      onExit: (exit) => {
        if (this.#stopping === undefined) this.#options.onServiceExit?.(service, exit);
      },
    });
    this.#running.push(service);
    await service.start();
    return service;
  }

  /** Stops the last started first: services before the brokers that they need. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const each of this.#running.toReversed()) await each.stop();
      await this.#lock?.release();
      this.#lock = undefined;
    })();
    return this.#stopping;
  }

  #added<T extends { stop(): Promise<unknown> }>(started: T): T {
    this.#running.unshift(started);
    return started;
  }
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new TailraceError('internal', 'the cluster has not started: call start first');
  return part;
}
