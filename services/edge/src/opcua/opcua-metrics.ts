import type { Metrics } from '@tailrace/platform/metrics';
import type { Source } from '../source.ts';
import { sourcesMax } from '../sources-file.ts';
import { SubscribedSource } from './subscribed-source.ts';

/** Registers the metrics of all OPC UA sources, each read at a scrape. */
export function registerOpcuaMetrics(metrics: Metrics, sources: readonly Source[]): void {
  const opcua = sources.filter((source) => source instanceof SubscribedSource);
  const sum = (read: (source: SubscribedSource) => number) => () =>
    opcua.reduce((total, source) => total + read(source), 0);
  const bySource = (name: string, help: string, read: (source: SubscribedSource) => number) =>
    metrics.gauges(name, help, 'source', sourcesMax, () => opcua.map((source) => [source.name, read(source)] as const));
  bySource(
    'tailrace_edge_opcua_idle_seconds',
    'Time since an OPC UA server last proved that values come, of its most idle subscription.',
    ({ connection }) => connection.idleMs / 1_000,
  );
  bySource(
    'tailrace_edge_opcua_clock_offset_seconds',
    'Clock of the values of an OPC UA server minus the clock of the gateway.',
    ({ states }) => (states.clockOfSource.offsetMs ?? 0) / 1_000,
  );
  bySource(
    'tailrace_edge_opcua_subscriptions',
    'Subscriptions at an OPC UA server.',
    ({ connection }) => connection.subscriptions.filter(({ id }) => id !== undefined).length,
  );
  metrics.total(
    'tailrace_edge_opcua_lost_messages_total',
    'Notifications that did not come and that the server did not have any more; the tags were read.',
    sum(({ connection }) => connection.counts.lostMessages),
  );
  metrics.total(
    'tailrace_edge_opcua_overflows_total',
    'Values that came after others for which the queue at the server had no place.',
    sum(({ states }) => states.counts.overflows),
  );
  metrics.total(
    'tailrace_edge_opcua_idle_subscriptions_total',
    'Subscriptions that reported nothing while the server answered, and were created again.',
    sum(({ connection }) => connection.counts.idleSubscriptions),
  );
  metrics.total(
    'tailrace_edge_opcua_rebuilds_total',
    'Sessions that were closed and made again.',
    sum(({ connection }) => connection.counts.rebuilds),
  );
  metrics.total(
    'tailrace_edge_opcua_unreported_changes_total',
    'Changes that a read found, and that the server had not reported.',
    sum(({ connection }) => connection.reads.unreportedChanges),
  );
  metrics.total(
    'tailrace_edge_opcua_heartbeat_reads_total',
    'Reads of unchanged tags as proof of life.',
    sum(({ connection }) => connection.reads.heartbeats),
  );
  metrics.total(
    'tailrace_edge_opcua_inexact_values_total',
    '64-bit integers that were converted to the nearest number.',
    sum(({ states }) => states.counts.inexact),
  );
}
