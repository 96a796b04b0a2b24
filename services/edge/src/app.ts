import { readFile } from 'node:fs/promises';
import type { DeviceConnectionOptions } from '@tailrace/client/device';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { Batcher } from './batcher.ts';
import { CommandExecutor } from './commands/command-executor.ts';
import { ExecutedCommands } from './commands/executed-commands.ts';
import type { EdgeConfig } from './config.ts';
import { createSource } from './create-source.ts';
import { DeviceReachability } from './device-reachability.ts';
import { createEdgeCounts, registerMetrics } from './metrics.ts';
import { registerOpcuaMetrics } from './opcua/opcua-metrics.ts';
import { OwnReadings } from './own-readings.ts';
import { RuleActions } from './rules/rule-actions.ts';
import type { Source, SourceOptions } from './source.ts';
import type { SourceConfig, Sources } from './sources-file.ts';
import { openStore } from './store/open-store.ts';
import { type OpenedDisk, Outbox } from './store/outbox.ts';
import { TagPipeline } from './tag-pipeline.ts';
import { ingestProbe } from './uplink/create-ingest-connection.ts';
import { tlsFilesFrom } from './uplink/tls-files.ts';
import { Uplink } from './uplink/uplink.ts';

export interface EdgeOptions {
  readonly config: Omit<EdgeConfig, 'sourcesFile'>;
  readonly sources: Sources;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: the folder `storePath`. */
  readonly openDisk?: () => Promise<OpenedDisk>;
  /** Default: by the protocol of the source. */
  readonly createSource?: (source: SourceConfig, options: SourceOptions) => Source;
  /** Default: that of Node.js. */
  readonly WebSocket?: DeviceConnectionOptions['WebSocket'];
  /** Default: a TCP connection to `ingestUrl`. */
  readonly probe?: (limitMs: number) => Promise<boolean>;
}

export interface Edge {
  readonly sources: readonly Source[];
  readonly outbox: Outbox;
  readonly uplink: Uplink;
  readonly executor: CommandExecutor;
  /** Rejects with `conflict` if another process uses the store. */
  start(): Promise<void>;
  /** Stops the sources, and sends what waits for up to `drainMs`. */
  drain(): Promise<void>;
  /** Writes what was not sent to the disk. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Creates the gateway. The path of a reading: source → `TagPipeline` (thresholds, filter) → `Batcher` → `Outbox` →
 * `Uplink` → ingest. The path of a command: `Uplink` → `CommandExecutor` → source.
 */
export function createEdge(options: EdgeOptions): Edge {
  const { config, clock, random, logger, metrics } = options;
  const { edgePath, batchMs, drainMs, storePath, storeDrops, memoryBytesMax, storeBytesMax, commandsEnabled } = config;
  const counts = createEdgeCounts(metrics);
  const executed = new ExecutedCommands();
  const openDisk = options.openDisk ?? (() => openStore({ path: storePath, clock, logger }));
  const outbox = new Outbox({
    async openDisk() {
      const opened = await openDisk();
      executed.open(opened.disk);
      return opened;
    },
    onLost: counts.lost,
    ...{ device: edgePath, drops: storeDrops, memoryBytesMax, storeBytesMax, clock, random, logger },
  });
  const invalid = new LimitedWarning(logger.error.bind(logger), 'a report cannot be encoded; it is lost', 60_000, () =>
    clock.monotonic(),
  );
  const put = (report: Omit<Report, 'id'>) => {
    try {
      outbox.put(report);
      uplink.put(report.readings.length);
    } catch (thrown) {
      invalid.write(() => ({ device: report.device, error: tailraceErrorFrom(thrown) }));
    }
  };
  const batcher = new Batcher({ batchMs, put, clock });
  const actions = new RuleActions({
    put,
    write: (write) => executor.write(write),
    ...{ clock, logger },
  });
  const targets = options.sources.sources.map((each) => {
    const pipeline = new TagPipeline({
      ...{ tags: each.tags, rules: options.sources.rules, batcher, clock },
      onRule: (rule, isActive, sample) => actions.changed(rule, isActive, sample),
    });
    const reachability = new DeviceReachability(each.tags, (device, isOnline) => uplink.presence(device, isOnline));
    const source = (options.createSource ?? createSource)(each, {
      sink: (sample) => {
        reachability.take(sample);
        pipeline.take(sample);
      },
      ...{ clock, random, logger, pkiPath: config.pkiPath },
    });
    return {
      source,
      pipeline,
      onSample: (listener: Parameters<TagPipeline['onSample']>[0]) => pipeline.onSample(listener),
    };
  });
  const sources = targets.map(({ source }) => source);
  const executor = new CommandExecutor({
    ...{ targets, definitions: options.sources.commands, executed, isEnabled: commandsEnabled, clock, logger },
    onFinished: counts.command,
  });
  const tls = tlsFilesFrom(config);
  const uplink: Uplink = new Uplink({
    ...{ url: config.ingestUrl, tls, device: edgePath, token: tokenFrom(config), outbox, clock, random, logger },
    catchUpReadingsPerSecondMax: config.catchUpReadingsPerSecondMax,
    probe: options.probe ?? ingestProbe(config.ingestUrl, tls),
    onState: (state) => logger.info({ link: state }, `the link to ingest is ${state}`),
    onCommand: (command, answer) => executor.execute(command, answer),
    ...(options.WebSocket && { WebSocket: options.WebSocket }),
  });
  const own = new OwnReadings({ device: edgePath, outbox, linkState: () => uplink.state, sources, put, clock });
  registerMetrics(metrics, { outbox, uplink, executor, executed, targets, config, clock });
  registerOpcuaMetrics(metrics, sources);

  return {
    sources,
    outbox,
    uplink,
    executor,
    async start() {
      await outbox.open();
      uplink.start();
      for (const { source, pipeline } of targets) {
        pipeline.start(() => source.isLive);
        source.start();
      }
      own.start();
    },
    async drain() {
      own.stop();
      await Promise.all(sources.map((source) => source.stop()));
      for (const { pipeline } of targets) pipeline.stop();
      actions.stop();
      batcher.flush();
      await uplink.stop(drainMs);
    },
    async stop() {
      own.stop();
      await Promise.all(sources.map((source) => source.stop()));
      for (const { pipeline } of targets) pipeline.stop();
      actions.stop();
      batcher.flush();
      await uplink.stop(0);
      await outbox.close();
    },
  };
}

/** Returns the token, or what reads it for each connection. */
function tokenFrom({ token, tokenFile }: Pick<EdgeConfig, 'token' | 'tokenFile'>): string | (() => Promise<string>) {
  return tokenFile === '' ? token : async () => await readFile(tokenFile, 'utf8');
}
