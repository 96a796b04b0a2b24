import type { Metrics } from '@tailrace/platform/metrics';
import { type BirthStore, waitingBytesMax } from './birth-store.ts';
import { definitionBytesMax, nodesMax, pathsMax } from './host-limits.ts';
import { unsettledBytesMax } from './log-writer.ts';
import { heldBytesMax, type SparkplugHost } from './sparkplug-host.ts';
import { clientDevicesMax, clientNodesMax, type SparkplugListener } from './sparkplug-listener.ts';
import { standbyBytesMax } from './standby-reports.ts';

interface Sources {
  readonly births: Pick<BirthStore, 'counts' | 'waitingBytes'>;
  readonly hosts: () => readonly SparkplugHost[];
  /** Undefined: this process has none. */
  readonly listener: Pick<SparkplugListener, 'mostOfOneClient' | 'pausedClients'> | undefined;
}

/** Registers the metrics of all Sparkplug hosts of this process. */
export function registerSparkplugMetrics(metrics: Metrics, { births, hosts, listener }: Sources): void {
  const name = (rest: string) => `tailrace_ingest_sparkplug_${rest}`;
  const most = (read: (host: SparkplugHost) => number) => () => Math.max(0, ...hosts().map(read));
  const sum = (read: (host: SparkplugHost) => number) => () => hosts().reduce((total, host) => total + read(host), 0);
  const limited = (rest: string, help: string, read: () => number, limit: number) => {
    metrics.gauge(name(rest), `${help}.`, read);
    metrics.gauge(`tailrace_ingest_limit_sparkplug_${rest}`, `${help}: the limit.`, () => limit);
  };
  limited(
    'nodes',
    'Sparkplug edge nodes of the host that has most, online or not',
    most((host) => host.nodes),
    nodesMax,
  );
  limited(
    'paths',
    'Sparkplug edge nodes and devices with a path, of the host that has most',
    most((host) => host.limits.paths.used),
    pathsMax,
  );
  limited(
    'definition_bytes',
    'Memory of the metrics in Sparkplug births, about, of the host that has most',
    most((host) => host.limits.definitionBytes.used),
    definitionBytesMax,
  );
  limited(
    'held_bytes',
    'Bytes of Sparkplug messages that wait for those before them, of the host that has most',
    most((host) => host.heldBytes),
    heldBytesMax,
  );
  limited(
    'unsettled_bytes',
    'Bytes of Sparkplug reports and dead letters that are not durable, of the host that has most',
    most((host) => host.unsettledBytes),
    unsettledBytesMax,
  );
  limited(
    'standby_bytes',
    'Bytes of the last Sparkplug reports of edge nodes that another node of ingest owns, of the host that has most',
    most((host) => host.standby.bytes),
    standbyBytesMax,
  );
  limited('waiting_birth_bytes', 'Bytes of births that wait to be stored', () => births.waitingBytes, waitingBytesMax);
  const ofTenants = (read: (host: SparkplugHost) => number) => () =>
    Math.max(
      0,
      ...hosts()
        .filter(({ limits }) => limits.isShared)
        .map(read),
    );
  const half = (max: number) => Math.ceil(max / 2);
  limited(
    'tenant_nodes',
    'Sparkplug edge nodes of the tenant that has most, at the MQTT listener',
    ofTenants(({ limits }) => limits.nodes.mostOfOne()),
    half(nodesMax),
  );
  limited(
    'tenant_paths',
    'Sparkplug edge nodes and devices with a path of the tenant that has most, at the MQTT listener',
    ofTenants(({ limits }) => limits.paths.mostOfOne()),
    half(pathsMax),
  );
  limited(
    'tenant_definition_bytes',
    'Memory of the metrics in Sparkplug births, about, of the tenant that has most, at the MQTT listener',
    ofTenants(({ limits }) => limits.definitionBytes.mostOfOne()),
    half(definitionBytesMax),
  );
  limited(
    'client_nodes',
    'Sparkplug edge nodes of the client of the MQTT listener that has most',
    () => listener?.mostOfOneClient().nodes ?? 0,
    clientNodesMax,
  );
  limited(
    'client_devices',
    'Sparkplug edge nodes and devices that take commands, of the client of the MQTT listener that has most',
    () => listener?.mostOfOneClient().devices ?? 0,
    clientDevicesMax,
  );
  metrics.gauge(
    name('client_bytes'),
    'Bytes of Sparkplug reports and dead letters that are not durable, of the client of the MQTT listener that has most.',
    () => listener?.mostOfOneClient().bytes ?? 0,
  );
  metrics.gauge(
    name('paused_clients'),
    'Clients of the MQTT listener that are not read: the log has not taken what their Sparkplug edge nodes have sent.',
    () => listener?.pausedClients ?? 0,
  );
  metrics.gauge(
    name('connections'),
    'Sparkplug hosts whose connection is open.',
    sum((host) => Number(host.isOpen)),
  );
  metrics.gauge(name('hosts'), 'Sparkplug hosts of this process, one for each broker.', () => hosts().length);
  metrics.gauge(
    name('online_nodes'),
    'Sparkplug edge nodes that are online.',
    sum((host) => host.online.all),
  );
  metrics.gauge(
    name('owned_nodes'),
    'Sparkplug edge nodes that are online, and whose reports this node appends.',
    sum((host) => host.online.owned),
  );
  metrics.gauge(
    name('unconfirmed_nodes'),
    'Sparkplug edge nodes that are known from before the connect of the host, and have not sent since.',
    sum((host) => host.unconfirmed),
  );
  metrics.gauge(
    name('metrics'),
    'Metrics in the births of all Sparkplug edge nodes.',
    sum((host) => host.definitions),
  );
  metrics.gauge(
    name('held_messages'),
    'Sparkplug messages that wait for those before them.',
    sum((host) => host.heldMessages),
  );
  metrics.gauge(
    name('waiting_rebirths'),
    'Sparkplug edge nodes whose birth is needed, and was not published yet.',
    sum((host) => host.rebirths.waiting),
  );
  metrics.total(
    name('held_back_rebirths_total'),
    'Times that a request for a birth waited for a limit.',
    sum((host) => host.rebirths.heldBack),
  );
  metrics.total(
    name('retried_reports_total'),
    'Reports that were appended again.',
    sum((host) => host.retried),
  );
  metrics.total(
    name('dropped_standby_reports_total'),
    'Reports that were dropped at the limit of standby bytes.',
    sum((host) => host.standby.dropped),
  );
  metrics.total(name('stored_births_total'), 'Births that were stored.', () => births.counts.written);
  metrics.total(
    name('failed_births_total'),
    'Births that could not be stored: appends that failed, and births dropped at the limit of those that wait.',
    () => births.counts.failed + births.counts.dropped,
  );
}
