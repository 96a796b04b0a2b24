import type { Exemplar } from './measures.ts';

/**
 * OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): stricter than Prometheus' format, with
 * exemplars.
 */
export const openMetricsContentType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** One value of a metric, as prom-client has it. */
export interface MetricSample {
  /** If it differs from the family's: `_bucket`, `_sum`, `_count`. */
  readonly metricName?: string | undefined;
  readonly labels?: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
  readonly ofTrace?: Exemplar | undefined;
}

/** A metric, as prom-client has it. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly MetricSample[];
}

/**
 * Returns whether the header Accept of a scraper prefers OpenMetrics (RFC 9110, section 12.5.1), as that of Prometheus
 * does. Without the header, or with any type, the text format is preferred.
 */
export function acceptsOpenMetrics(accept: string): boolean {
  let open = 0;
  let plain = 0;
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const named = (name: string) => parameters.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    const weight = Number(named('q') ?? 1);
    if (type === 'application/openmetrics-text' && (named('version') ?? '1.0.0') === '1.0.0')
      open = Math.max(open, weight);
    if (type === 'text/plain' || type === 'text/*') plain = Math.max(plain, weight);
  }
  return open > 0 && open >= plain;
}

/** Returns the page: no empty lines, counters described without `_total`, and `# EOF` as the last line. */
export function openMetricsText(families: readonly MetricFamily[], shared: Readonly<Record<string, string>>): string {
  const lines: string[] = [];
  for (const { name, help, type, values } of families) {
    const family = type === 'counter' ? name.replace(/_total$/, '') : name;
    lines.push(`# TYPE ${family} ${type}`, `# HELP ${family} ${escaped(help)}`);
    const own = type === 'counter' ? `${family}_total` : name;
    for (const sample of values) lines.push(sampleLine(sample.metricName ?? own, sample, shared));
  }
  lines.push('# EOF\n');
  return lines.join('\n');
}

/**
 * Returns `name{label="value"} 17`, and for a bucket with an exemplar
 * ` # {trace_id="…",span_id="…"} 16.2 1700000000.123` after it. `le` is written as in the text format (`5`, not `5.0`),
 * so that a query finds the same series in both formats. A label of the series wins over a shared one of the same name.
 */
function sampleLine(name: string, { labels = noLabels, value, ofTrace }: MetricSample, shared: Labels): string {
  return `${name}${labelText(labels, shared)} ${numberText(value)}${exemplarText(ofTrace)}`;
}

type Labels = Readonly<Partial<Record<string, string | number>>>;

const noLabels: Labels = Object.freeze({});

/**
 * Texts by shared labels, then by those of the series, which are the same object at each scrape: most of a page is
 * labels.
 */
const labelTexts = new WeakMap<Labels, WeakMap<Labels, string>>();

function labelText(labels: Labels, shared: Labels): string {
  const texts = labelTexts.get(shared) ?? new WeakMap<Labels, string>();
  labelTexts.set(shared, texts);
  let text = texts.get(labels);
  if (text === undefined) {
    const pairs = Object.entries({ ...labels, ...shared, ...labels }).map(([label, value = '']) =>
      pairText(label, value),
    );
    text = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    texts.set(labels, text);
  }
  return text;
}

function pairText(label: string, value: string | number): string {
  return `${label}="${typeof value === 'number' ? value : escaped(value)}"`;
}

/** Both IDs with their names have 63 of the 128 characters that an exemplar's labels may have. */
function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return '';
  const { traceId, spanId, value, timeMs } = exemplar;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${numberText(value)} ${(timeMs / 1_000).toFixed(3)}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escaped(text: string): string {
  if (!/[\\\n"]/.test(text)) return text;
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}
