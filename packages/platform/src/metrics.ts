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
 * The metrics of a service. Hot paths have handles (`Counter`, `Histogram`) with plain fields, which are read at each
 * scrape of /metrics only.
 *
 * Names are passed in full, so that they can be searched for, and checked: `tailrace_<service>_<thing>_<unit>[_total]`.
 * An invalid or registered name throws `internal`.
 */
export interface Metrics {
  /** The word after `tailrace_`. Code that several services share builds its names with it. */
  readonly service: string;
  counter(name: string, help: string): Counter;
  counters<L extends string>(name: string, help: string, labels: Labels<L>): Family<Counter, L>;
  /**
   * A counter that is a number elsewhere, which only grows. `read` is called at each scrape; if it throws, it is left
   * out.
   */
  total(name: string, help: string, read: () => number): void;
  /** `read` is called at each scrape; if it throws or returns NaN, the gauge is left out of that scrape. */
  gauge(name: string, help: string, read: () => number): void;
  /** Series of one label, read at each scrape; those beyond `seriesMax` are added up as `other`. */
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
  /** Returns the same page for names of another service: for several services in one process. */
  forService(service: string): Metrics;
  readonly contentType: string;
  /** Returns the page in Prometheus' text format. */
  text(): Promise<string>;
  /**
   * Returns the page in the format that the header Accept prefers: OpenMetrics, which has exemplars, or Prometheus'
   * text format.
   */
  page(accept: string): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly service: string;
  /** Label of every series. */
  readonly node: string;
  /**
   * Process metrics (CPU, memory, event loop, garbage collection). Default: true; tests that count timers turn it off.
   */
  readonly processMetrics?: boolean;
  /** Of exemplars. Default: the system's. */
  readonly clock?: Pick<Clock, 'now'>;
}

/**
 * Gauges with the suffix of a counter, which promtool rejects. They are sums of `nodejs_active_resources` and others.
 */
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
    this.#register(name, help, 'counter', () =>
      Array.from(family.all(), ({ labels: own, handle }) => ({ labels: own, value: handle.value })),
    );
    return family;
  }

  total(name: string, help: string, read: () => number): void {
    this.#register(name, help, 'counter', () => {
      const value = readOrUndefined(read);
      // Not 0: that would mean a restart, after which everything counted before is counted again.
      return value !== undefined && value >= 0 && Number.isFinite(value) ? [{ value }] : [];
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    this.#register(name, help, 'gauge', () => {
      const value = readOrUndefined(read);
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
    this.#register(name, help, 'gauge', () => {
      const series = readOrUndefined(() => [...read()]) ?? [];
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
    this.#register(name, help, 'histogram', () => [...family.all()].flatMap((series) => histogramValues(name, series)));
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
    // Not prom-client's own OpenMetrics: it removes `_total` from the counters' names, also for the text format from
    // then on.
    const metrics = this.#registry.getMetricsAsArray() as unknown as readonly { get(): Promise<MetricFamily> }[];
    const families = await Promise.all(metrics.map((metric) => metric.get()));
    return { contentType: openMetricsContentType, text: openMetricsText(families, this.#labels) };
  }

  /**
   * Registers a metric whose samples `read` returns. The registry accepts any object with a name and a `get`. Metrics
   * of prom-client itself would have to be filled again at each scrape, which costs several times as much.
   */
  #register(
    name: string,
    help: string,
    type: 'counter' | 'gauge' | 'histogram',
    read: () => readonly MetricSample[],
  ): void {
    assertMetricName(this.service, name, type);
    if (this.#registry.getSingleMetric(name))
      throw new TailraceError('internal', `metric name: expected a new one, got ${shown(name)}, registered already`);
    const metric = { name, get: async () => ({ name, help, type, aggregator: 'sum', values: read() }) };
    this.#registry.registerMetric(metric as unknown as prometheus.Metric);
  }
}

/** Returns undefined if `read` throws: one metric must not fail the whole page. */
function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Created once per histogram: see `openMetricsText`. */
const bucketLabels = new WeakMap<Histogram, readonly Readonly<Record<string, string | number>>[]>();

/** Returns cumulative buckets, sum and count, as the text format has them. */
function histogramValues(name: string, { labels, handle }: Series<Histogram, string>): MetricSample[] {
  const { bounds, counts, exemplars } = handle;
  const buckets = bucketLabels.get(handle) ?? Array.from(counts, (_, i) => ({ ...labels, le: bounds[i] ?? '+Inf' }));
  bucketLabels.set(handle, buckets);
  const bucketName = `${name}_bucket`;
  const values: MetricSample[] = [];
  let cumulative = 0;
  counts.forEach((count, i) => {
    cumulative += count;
    // `ofTrace` is ignored by prom-client, which has another form of exemplars.
    values.push({ metricName: bucketName, labels: buckets[i]!, value: cumulative, ofTrace: exemplars[i] });
  });
  values.push(
    { metricName: `${name}_sum`, labels, value: handle.sum },
    { metricName: `${name}_count`, labels, value: cumulative },
  );
  return values;
}
