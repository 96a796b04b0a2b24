import { shown, TailraceError } from '@tailrace/protocol/error';
import * as prometheus from 'prom-client';
import { Counter, Histogram } from './measures.ts';
import { assertMetricName } from './metricname.ts';
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
}

export interface MetricsOptions {
  readonly service: string;
  /** Label of every series. */
  readonly node: string;
  /** Process metrics (CPU, memory, event loop, garbage collection). Default: true; tests that count timers turn it off. */
  readonly processMetrics?: boolean;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new prometheus.Registry();
  registry.setDefaultLabels({ service: options.service, node: options.node });
  if (options.processMetrics ?? true) prometheus.collectDefaultMetrics({ register: registry });
  return new RegistryMetrics(registry, options.service);
}

class RegistryMetrics implements Metrics {
  readonly service: string;
  readonly #registry: prometheus.Registry;

  constructor(registry: prometheus.Registry, service: string) {
    this.#registry = registry;
    this.service = service;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  counter(name: string, help: string): Counter {
    return this.counters(name, help, { values: {} }).with({});
  }

  counters<L extends string>(name: string, help: string, labels: Labels<L>): Family<Counter, L> {
    this.#claim(name, 'counter');
    const family = new SeriesFamily<Counter, L>(name, labels, () => new Counter());
    new prometheus.Counter({
      name,
      help,
      labelNames: family.names,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const series of family.all()) this.inc(series.labels, series.handle.value);
      },
    });
    return family;
  }

  total(name: string, help: string, read: () => number): void {
    this.#claim(name, 'counter');
    new prometheus.Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const value = readOrNothing(read);
        this.reset();
        // Not 0: that would be read as a restart, and everything counted before as new.
        if (value !== undefined && value >= 0 && Number.isFinite(value)) this.inc(value);
        else this.remove();
      },
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    this.#claim(name, 'gauge');
    new prometheus.Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const value = readOrNothing(read);
        if (typeof value === 'number' && !Number.isNaN(value)) this.set(value);
        else this.remove();
      },
    });
  }

  gauges(
    name: string,
    help: string,
    label: string,
    seriesMax: number,
    read: () => Iterable<readonly [string, number]>,
  ): void {
    this.#claim(name, 'gauge');
    new prometheus.Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        let series = 0;
        for (const [value, amount] of readOrNothing(() => [...read()]) ?? []) {
          if (series++ < seriesMax) this.set({ [label]: value }, amount);
          else this.inc({ [label]: 'other' }, amount);
        }
      },
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
    this.#claim(name, 'histogram');
    const family = new SeriesFamily<Histogram, L>(name, labels, () => new Histogram(bounds));
    // prom-client's own Histogram cannot be read out from elsewhere; the registry takes whatever has a name and a `get`.
    const metric = {
      name,
      get: async () => ({
        name,
        help,
        type: 'histogram',
        aggregator: 'sum',
        values: [...family.all()].flatMap((series) => histogramValues(name, series)),
      }),
    };
    this.#registry.registerMetric(metric as unknown as prometheus.Metric);
    return family;
  }

  forService(service: string): Metrics {
    return new RegistryMetrics(this.#registry, service);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #claim(name: string, kind: 'counter' | 'gauge' | 'histogram'): void {
    assertMetricName(this.service, name, kind);
    if (this.#registry.getSingleMetric(name))
      throw new TailraceError('internal', `the metric name ${shown(name)} is taken`);
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

interface MetricValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Cumulated buckets, sum and count, as the text format wants them. */
function histogramValues(name: string, { labels, handle }: Series<Histogram, string>): MetricValue[] {
  const values: MetricValue[] = [];
  let cumulated = 0;
  handle.bounds.forEach((bound, bucket) => {
    cumulated += handle.counts[bucket]!;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: cumulated });
  });
  cumulated += handle.counts.at(-1)!;
  values.push(
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: cumulated },
    { metricName: `${name}_sum`, labels, value: handle.sum },
    { metricName: `${name}_count`, labels, value: cumulated },
  );
  return values;
}
