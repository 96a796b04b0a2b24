import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTailraceError } from '@tailrace/protocol/error';
import type { Broker, BrokerOptions } from './broker.ts';
import type { Environment } from './broker-source.ts';
import { cacheDirFrom, exists, withFileLock } from './cache.ts';
import { findJava } from './java.ts';
import { formatDataFolder, type Installation, newClusterId } from './kafka-format.ts';
import { kafkaBrokerCount } from './kafka-handshake.ts';
import { archiveFile, javaFlags, kafkaDir } from './kafka-jars.ts';
import {
  type KafkaListener,
  kafkaSettings,
  listenerSettings,
  log4jSettings,
  propertiesFrom,
} from './kafka-settings.ts';
import { type LocalBroker, type Place, startLocalBroker } from './local-broker.ts';
import { classPathOf } from './maven.ts';
import { startSupervised } from './supervised.ts';

const startDeadlineMs = 60_000;
const answerDeadlineMs = 2000;
/** Of an orderly stop; the first one also writes the class-data archive. */
const stopDeadlineMs = 30_000;

/** A Kafka to test with. */
export interface KafkaBroker extends Broker {
  /** `host:port` of the bootstrap brokers. */
  readonly brokers: readonly string[];
  /** `host:port` of each of the requested `listeners`, by name. */
  readonly listeners: Readonly<Record<string, string>>;
}

export interface KafkaOptions extends BrokerOptions {
  /** Upper bound of Java's heap. Default 320; use 1000 to measure under load. Local process only. */
  heapMb?: number;
  /** Lets Java compile as it does in production: a slower start, a faster broker. Default false. Local process only. */
  fullJit?: boolean;
  /** Settings of `server.properties`, over those of `kafkaSettings`. Ignored for a broker of the environment. */
  settings?: Readonly<Record<string, string | number>>;
  /** Local process only. */
  listeners?: readonly KafkaListener[];
  /** Passwords by user, for SCRAM-SHA-512. Local process only. */
  scramUsers?: Readonly<Record<string, string>>;
}

/** Starts Kafka as a local process. Rejects with `not_found` (see `missing`) if Java or the jars are missing. */
export async function startLocalKafka(options: KafkaOptions, env: Environment): Promise<KafkaBroker> {
  const broker = await startKafkaProcess(await install(env), options);
  return asKafka(broker, options);
}

/**
 * Starts several brokers. The first is the controller as well and must not be stopped: the cluster is for tests of
 * clients when a broker crashes, not of controller elections. `settings`, `heapMb` and `fullJit` are those of each.
 */
export async function startLocalKafkaCluster(
  count: number,
  options: Pick<KafkaOptions, 'settings' | 'heapMb' | 'fullJit'> = {},
  env: Environment = process.env,
): Promise<readonly KafkaBroker[]> {
  const installation = await install(env);
  const clusterId = newClusterId();
  const first = await startKafkaProcess(installation, options, { node: { id: 1, clusterId } });
  const controllerPort = first.ports[1]!;
  const others = await Promise.allSettled(
    Array.from({ length: count - 1 }, (_, n) =>
      startKafkaProcess(installation, options, { node: { id: n + 2, clusterId, controllerPort } }),
    ),
  );
  const started = [first, ...others.flatMap((other) => (other.status === 'fulfilled' ? [other.value] : []))];
  const failed = others.find((other) => other.status === 'rejected');
  if (failed === undefined) return started.map((broker) => asKafka(broker, options));
  await Promise.all(started.map((broker) => broker.stop()));
  throw failed.reason;
}

function asKafka(broker: LocalBroker, { listeners = [] }: KafkaOptions): KafkaBroker {
  const at = (port: number) => `127.0.0.1:${port}`;
  return Object.assign(broker, {
    brokers: [at(broker.port)],
    listeners: Object.fromEntries(listeners.map(({ name }, n) => [name, at(broker.ports[n + 2]!)])),
  });
}

/** A broker of a cluster. Without `controllerPort` it is the controller itself. */
interface KafkaNode {
  readonly id: number;
  readonly clusterId: string;
  readonly controllerPort?: number;
}

function startKafkaProcess(
  installation: Installation,
  options: KafkaOptions,
  { extraFlags = [], node }: { extraFlags?: readonly string[]; node?: KafkaNode } = {},
): Promise<LocalBroker> {
  return startLocalBroker({
    name: 'Kafka',
    options,
    portCount: 2 + (options.listeners?.length ?? 0),
    startDeadlineMs,
    stopDeadlineMs,
    started: /Kafka Server started/,
    answers: async (port) => (await kafkaBrokerCount('127.0.0.1', port, answerDeadlineMs)) > 0,
    async launch(place) {
      const { java, dir, env } = installation;
      const settingsFile = join(place.tempDir, 'server.properties');
      const log4jFile = join(place.tempDir, 'log4j2.yaml');
      await writeFile(settingsFile, propertiesFrom(settingsOf(place, options, node)));
      await writeFile(log4jFile, log4jSettings);
      await formatDataFolder(installation, {
        dataDir: place.dataDir,
        settingsFile,
        clusterId: node?.clusterId ?? newClusterId(),
        scramUsers: options.scramUsers ?? {},
        isPlain: node === undefined && options.settings === undefined && options.scramUsers === undefined,
      });
      const flags = await javaFlags(dir, java, { heapMb: options.heapMb ?? 320, fullJit: options.fullJit ?? false });
      return await startSupervised({
        command: java.command,
        args: [...flags, ...extraFlags, `-Dlog4j2.configurationFile=${log4jFile}`, 'kafka.Kafka', settingsFile],
        env,
        output: { file: place.logFile },
        removeIfOrphaned: place.tempDir,
      });
    },
  });
}

function settingsOf(place: Place, options: KafkaOptions, node: KafkaNode | undefined): Record<string, string | number> {
  const { listeners = [] } = options;
  const [port, controllerPort, ...morePorts] = place.ports;
  const clientListeners = [
    `PLAINTEXT://127.0.0.1:${port}`,
    ...listeners.map(({ name }, n) => `${name}://127.0.0.1:${morePorts[n]}`),
  ];
  const isController = node?.controllerPort === undefined;
  return {
    ...kafkaSettings({
      listeners: [...clientListeners, ...(isController ? [`CONTROLLER://127.0.0.1:${controllerPort}`] : [])].join(),
      advertised: clientListeners.join(),
      interBroker: 'PLAINTEXT',
      voters: `1@127.0.0.1:${node?.controllerPort ?? controllerPort}`,
      dataDir: place.dataDir,
    }),
    ...(isController ? {} : { 'process.roles': 'broker', 'node.id': node.id }),
    ...listenerSettings(listeners),
    ...options.settings,
  };
}

async function install(env: Environment): Promise<Installation> {
  const java = await findJava(env);
  const cacheDir = cacheDirFrom(env);
  const dir = await kafkaDir(cacheDir, env);
  const installation = { java, dir, env: { ...env, CLASSPATH: await classPathOf(dir) } };
  await prepareArchive(installation);
  return installation;
}

/**
 * Lets Java write the classes that a start of Kafka loads into an archive, so that later starts need 1 s less. Once per
 * Java and Kafka. If this fails, Kafka starts without the archive.
 */
async function prepareArchive(installation: Installation): Promise<void> {
  const archive = archiveFile(installation.dir, installation.java);
  if (await exists(archive)) return;
  await withFileLock(`${archive}.lock`, async () => {
    if (await exists(archive)) return;
    const unfinished = `${archive}.${process.pid}.tmp`;
    try {
      const broker = await startKafkaProcess(
        installation,
        {},
        {
          extraFlags: [`-XX:ArchiveClassesAtExit=${unfinished}`],
        },
      );
      await broker.kill('SIGTERM');
      await broker.stop();
      await rename(unfinished, archive);
    } catch (error) {
      if (!isTailraceError(error) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    } finally {
      await rm(unfinished, { force: true });
    }
  });
}
