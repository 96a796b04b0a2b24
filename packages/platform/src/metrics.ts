import { shown, TailraceError } from '@tailrace/protocol/error';
import * as prometheus from 'prom-client';
import { type Clock, systemClock } from './clock.ts';
import { Counter, Histogram } from './measures.ts';
import { assertMetricName } from './metric-name.ts';
import {
  acceptsOpenMetrics,
  type MetricFamily,
  type MetricSample,
  openMetricsContentType,
  openMetricsText,
} from './open-metrics.ts';
import { type Family, type Labels, type Series, SeriesFamily } from './series.ts';

/**
 * What a service counts. Hot paths hold handles (`Counter`, `Histogram`) that are plain fields; prom-client reads them out when
 * /metrics is asked for, and only then.
 *
 * Names are given in full, so that they can be searched for, and checked: `tailrace_<service>_<thing>_<unit>[_total]`. A wrong or taken name
 * throws `internal`.
 */
export interface Metrics {
  /** The word after `tailrace_`. Code that several services share builds its names with it. */
  readonly service: string;
  counter(name: string, help: string): Counter;
  counters<L extends string>(name: string, help: string, labels: Labels<L>): Family<Counter, L>;
  /** A counter kept elsewhere as a plain number that only grows; `read` is called for each scrape, which goes without it where it cannot be read. */
  total(name: string, help: string, read: () => number): void;
  /** `read` is called for each scrape; where it throws or gives no number, the gauge is left out of that scrape. */
  gauge(name: string, help: string, read: () => number): void;
  /** Several series of one label, read out for each scrape; those beyond `seriesMax` are added up under `other`. */
  gauges(
    name: string,
    help: string,
    label: string,
    seriesMax: number,
    read: () => Iterable<readonly [string, number]>,
  ): void;
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  histograms<L extends string>(
    name: string,
    help: string,
    bounds: readonly number[],
    labels: Labels<L>,
  ): Family<Histogram, L>;
  /** The same page under another service's name: for several services in one process. */
  forService(service: string): Metrics;
  readonly contentType: string;
  /** The page, in Prometheus' text format. */
  text(): Promise<string>;
  /** The page in the form that a scraper prefers by its header Accept: OpenMetrics, which has exemplars, or Prometheus' text format. */
  page(accept: string): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly service: string;
  /** Label of every series. */
  readonly node: string;
  /** Process metrics (CPU, memory, event loop, garbage collection). Default: true; tests that count timers turn it off. */
  readonly processMetrics?: boolean;
  /** Of exemplars. Default: the system's. */
  readonly clock?: Pick<Clock, 'now'>;
}

/** Gauges with the ending of a counter, which promtool rightly objects to. They are sums of `nodejs_active_resources` and its like. */
const misnamedMetrics = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new prometheus.Registry();
  const labels = { service: options.service, node: options.node };
  registry.setDefaultLabels(labels);
  if (options.processMetrics ?? true) {
    prometheus.collectDefaultMetrics({ register: registry });
    for (const name of misnamedMetrics) registry.removeSingleMetric(name);
  }
  return new RegistryMetrics(registry, options.service, labels, options.clock ?? systemClock);
}

class RegistryMetrics implements Metrics {
  readonly service: string;
  readonly #registry: prometheus.Registry;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(
    registry: prometheus.Registry,
    service: string,
    labels: Readonly<Record<string, string>>,
    clock: Pick<Clock, 'now'>,
  ) {
    this.#registry = registry;
    this.#labels = labels;
    this.#clock = clock;
    this.service = service;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  counter(name: string, help: string): Counter {
    return this.counters(name, help, { values: {} }).with({});
  }

  counters<L extends string>(name: string, help: string, labels: Labels<L>): Family<Counter, L> {
    const family = new SeriesFamily<Counter, L>(name, labels, () => new Counter());
    this.#show(name, help, 'counter', () =>
      Array.from(family.all(), ({ labels: own, handle }) => ({ labels: own, value: handle.value })),
    );
    return family;
  }

  total(name: string, help: string, read: () => number): void {
    this.#show(name, help, 'counter', () => {
      const value = readOrNothing(read);
      // Not 0: that would be read as a restart, and everything counted before as new.
      return value !== undefined && value >= 0 && Number.isFinite(value) ? [{ value }] : [];
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    this.#show(name, help, 'gauge', () => {
      const value = readOrNothing(read);
      return typeof value === 'number' && !Number.isNaN(value) ? [{ value }] : [];
    });
  }

  gauges(
    name: string,
    help: string,
    label: string,
    seriesMax: number,
    read: () => Iterable<readonly [string, number]>,
  ): void {
    this.#show(name, help, 'gauge', () => {
      const series = readOrNothing(() => [...read()]) ?? [];
      const first = series.slice(0, seriesMax).map(([own, value]) => ({ labels: { [label]: own }, value }));
      if (series.length <= seriesMax) return first;
      const rest = series.slice(seriesMax).reduce((sum, [, value]) => sum + value, 0);
      return [...first, { labels: { [label]: 'other' }, value: rest }];
    });
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    return this.histograms(name, help, bounds, { values: {} }).with({});
  }

  histograms<L extends string>(
    name: string,
    help: string,
    bounds: readonly number[],
    labels: Labels<L>,
  ): Family<Histogram, L> {
    const family = new SeriesFamily<Histogram, L>(name, labels, () => new Histogram(bounds, this.#clock));
    this.#show(name, help, 'histogram', () => [...family.all()].flatMap((series) => histogramValues(name, series)));
    return family;
  }

  forService(service: string): Metrics {
    return new RegistryMetrics(this.#registry, service, this.#labels, this.#clock);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  async page(accept: string): Promise<{ readonly contentType: string; readonly text: string }> {
    if (!acceptsOpenMetrics(accept)) return { contentType: this.contentType, text: await this.text() };
    // Not prom-client's own OpenMetrics: that takes `_total` off the counters' names for good, and the text format would lack it from then on.
    const metrics = this.#registry.getMetricsAsArray() as unknown as readonly { get(): Promise<MetricFamily> }[];
    const families = await Promise.all(metrics.map((metric) => metric.get()));
    return { contentType: openMetricsContentType, text: openMetricsText(families, this.#labels) };
  }

  /**
   * Puts a metric on the page, whose samples `read` gives. The registry takes whatever has a name and a `get`; prom-client's own metrics
   * cannot be read out from elsewhere but by filling them anew, which costs several times as much.
   */
  #show(
    name: string,
    help: string,
    type: 'counter' | 'gauge' | 'histogram',
    read: () => readonly MetricSample[],
  ): void {
    assertMetricName(this.service, name, type);
    if (this.#registry.getSingleMetric(name))
      throw new TailraceError('internal', `the metric name ${shown(name)} is taken`);
    const metric = { name, get: async () => ({ name, help, type, aggregator: 'sum', values: read() }) };
    this.#registry.registerMetric(metric as unknown as prometheus.Metric);
  }
}

/** A gauge that cannot be read must not take the whole page with it. */
function readOrNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Made once a histogram: see `openMetricsText`. */
const bucketLabels = new WeakMap<Histogram, readonly Readonly<Record<string, string | number>>[]>();

/** Cumulated buckets, sum and count, as the text format wants them. */
function histogramValues(name: string, { labels, handle }: Series<Histogram, string>): MetricSample[] {
  const { bounds, counts, exemplars } = handle;
  const buckets = bucketLabels.get(handle) ?? Array.from(counts, (_, i) => ({ ...labels, le: bounds[i] ?? '+Inf' }));
  bucketLabels.set(handle, buckets);
  const bucketName = `${name}_bucket`;
  const values: MetricSample[] = [];
  let cumulated = 0;
  counts.forEach((count, i) => {
    cumulated += count;
    // prom-client would want an exemplar in a form of its own, and passes over other names.
    values.push({ metricName: bucketName, labels: buckets[i]!, value: cumulated, ofTrace: exemplars[i] });
  });
  values.push(
    { metricName: `${name}_sum`, labels, value: handle.sum },
    { metricName: `${name}_count`, labels, value: cumulated },
  );
  return values;
}
