import type { Clock } from '@tailrace/platform/clock';
import type { Metrics } from '@tailrace/platform/metrics';
import { type CommandExecutor, waitingMax } from './commands/command-executor.ts';
import { commandsMax, type ExecutedCommands } from './commands/executed-commands.ts';
import type { EdgeConfig } from './config.ts';
import { PolledSource } from './modbus/polled-source.ts';
import type { Source } from './source.ts';
import { sourcesMax } from './sources-file.ts';
import { type LossReason, lossReasons } from './store/loss.ts';
import type { Outbox } from './store/outbox.ts';
import type { TagPipeline } from './tag-pipeline.ts';
import type { LinkState, Uplink } from './uplink/uplink.ts';

export interface EdgeState {
  readonly outbox: Outbox;
  readonly uplink: Uplink;
  readonly executor: CommandExecutor;
  readonly executed: Pick<ExecutedCommands, 'unexpired'>;
  readonly targets: readonly { readonly source: Source; readonly pipeline: TagPipeline }[];
  readonly config: Pick<EdgeConfig, 'storeBytesMax' | 'memoryBytesMax' | 'catchUpReadingsPerSecondMax'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** What is counted where it happens. */
export interface EdgeCounts {
  lost(reason: LossReason, reports: number): void;
  command(state: CommandState): void;
}

const commandStates = ['done', 'failed', 'expired', 'unconfirmed'] as const;
type CommandState = (typeof commandStates)[number];

export function createEdgeCounts(metrics: Metrics): EdgeCounts {
  const lost = metrics.counters('tailrace_edge_lost_reports_total', 'Reports that were lost, by reason.', {
    values: { reason: lossReasons },
  });
  const commands = metrics.counters('tailrace_edge_commands_total', 'Commands that were answered, by result.', {
    values: { state: commandStates },
  });
  return {
    lost: (reason, reports) => lost.with({ reason }).add(reports),
    command: (state) => commands.with({ state }).add(),
  };
}

const linkStates: readonly LinkState[] = ['down', 'up', 'refused', 'duplicate'];

/** Registers the metrics of the gateway. Labels have no device and no tag. */
export function registerMetrics(metrics: Metrics, state: EdgeState): void {
  const { outbox, uplink, executor, executed, targets, config, clock } = state;
  metrics.gauges('tailrace_edge_links', 'State of the link to ingest: 1 for the present one.', 'state', 4, () =>
    linkStates.map((each) => [each, each === uplink.state ? 1 : 0] as const),
  );
  metrics.gauge('tailrace_edge_store_bytes', 'Reports on disk, bytes.', () => outbox.storeBytes);
  metrics.gauge('tailrace_edge_limit_store_bytes', 'Bytes of reports that may be on disk.', () => config.storeBytesMax);
  metrics.gauge('tailrace_edge_memory_bytes', 'Reports in memory, bytes.', () => outbox.memoryBytes);
  metrics.gauge(
    'tailrace_edge_limit_memory_bytes',
    'Bytes of reports that may be in memory.',
    () => config.memoryBytesMax,
  );
  metrics.gauge('tailrace_edge_waiting_reports', 'Reports that are not acknowledged.', () => outbox.reports);
  metrics.gauge('tailrace_edge_backlog_reports', 'Reports from before the link was back.', () => outbox.backlogReports);
  metrics.gauge('tailrace_edge_full_stores', '1 while the disk refuses reports.', () =>
    outbox.state === 'full' ? 1 : 0,
  );
  metrics.gauge(
    'tailrace_edge_live_lag_seconds',
    'Age of the newest live reading when it was acknowledged.',
    () => uplink.liveLagMs / 1_000,
  );
  metrics.gauge(
    'tailrace_edge_catch_up_readings',
    'Readings of the backlog that may be sent a second.',
    () => uplink.catchUpRate,
  );
  metrics.gauge(
    'tailrace_edge_limit_catch_up_readings',
    'Most readings of the backlog a second.',
    () => config.catchUpReadingsPerSecondMax,
  );
  metrics.gauges('tailrace_edge_unanswered_batches', 'Batches without an answer, by queue.', 'queue', 2, () =>
    Object.entries(uplink.batchesInFlight),
  );
  metrics.total('tailrace_edge_sent_reports_total', 'Reports in the log.', () => uplink.counts.reports);
  metrics.total('tailrace_edge_sent_readings_total', 'Readings in the log.', () => uplink.counts.readings);
  metrics.total(
    'tailrace_edge_resent_batches_total',
    'Batches that ingest refused for now, and that were sent again.',
    () => uplink.counts.resentBatches,
  );
  sourceMetrics(metrics, targets);
  metrics.gauge('tailrace_edge_waiting_commands', 'Commands that wait or run.', () => executor.waiting);
  metrics.gauge('tailrace_edge_limit_waiting_commands', 'Commands that may wait or run.', () => waitingMax);
  metrics.gauge(
    'tailrace_edge_unexpired_commands',
    'Commands that were taken, and whose deadlines have not passed: none of them is forgotten.',
    () => executed.unexpired(clock.now()),
  );
  metrics.gauge(
    'tailrace_edge_limit_unexpired_commands',
    'Commands that may be before their deadlines: beyond it a new one fails with rate_limited.',
    () => commandsMax,
  );
  metrics.gauge(
    'tailrace_edge_waiting_rule_writes',
    'Writes of rules that wait or run: at most one of each action of the sources file.',
    () => executor.waitingRuleWrites,
  );
}

function sourceMetrics(metrics: Metrics, targets: EdgeState['targets']): void {
  const bySource = (value: (target: EdgeState['targets'][number]) => number) => () =>
    targets.map((target) => [target.source.name, value(target)] as const);
  const gauges = (name: string, help: string, value: (target: EdgeState['targets'][number]) => number) =>
    metrics.gauges(name, help, 'source', sourcesMax, bySource(value));
  gauges('tailrace_edge_tags', 'Tags of the source.', ({ source }) => source.tags.length);
  gauges('tailrace_edge_bad_tags', 'Tags of the source whose last value is bad.', ({ source }) => source.badTags);
  gauges('tailrace_edge_live_sources', '1 while values of the source come.', ({ source }) => (source.isLive ? 1 : 0));
  const sum = (value: (target: EdgeState['targets'][number]) => number) => () =>
    targets.reduce((total, target) => total + value(target), 0);
  metrics.total(
    'tailrace_edge_samples_total',
    'Values that were read.',
    sum(({ pipeline }) => pipeline.samples),
  );
  metrics.total(
    'tailrace_edge_selected_samples_total',
    'Values that filters have selected to be sent.',
    sum(({ pipeline }) => pipeline.sent),
  );
  const ofModbus = (value: (source: PolledSource) => number) =>
    sum(({ source }) => (source instanceof PolledSource ? value(source) : 0));
  metrics.total(
    'tailrace_edge_modbus_late_replies_total',
    'Replies that came after their timeout.',
    ofModbus(({ pollers }) => pollers.reduce((total, { connection }) => total + connection.lateReplies, 0)),
  );
}
