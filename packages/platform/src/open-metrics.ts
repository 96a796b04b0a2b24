import type { Exemplar } from './measures.ts';

/** The text form of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): Prometheus' own, stricter, and with exemplars. */
export const openMetricsContentType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** One value of a metric as prom-client gives it. */
export interface MetricSample {
  /** Where it differs from the family's: `_bucket`, `_sum`, `_count`. */
  readonly metricName?: string | undefined;
  readonly labels?: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
  readonly ofTrace?: Exemplar | undefined;
}

/** A metric as prom-client gives it. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly MetricSample[];
}

/**
 * Whether a scraper prefers OpenMetrics by its header Accept (RFC 9110 section 12.5.1). Prometheus asks for it before the plain text format;
 * who says nothing, or anything, is given the plain one.
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

/** The page: no empty lines, counters described without their `_total`, and a last line that says that it is whole. */
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
 * `name{label="value"} 17`, and of a bucket with an exemplar ` # {trace_id="…",span_id="…"} 16.2 1700000000.123`. `le` is written as in the plain
 * format (`5`, not `5.0`), so that a query finds the same series whichever form was scraped. A label of its own comes before a shared one of its name.
 */
function sampleLine(name: string, { labels = noLabels, value, ofTrace }: MetricSample, shared: Labels): string {
  return `${name}${setText(labels, shared)} ${numberText(value)}${exemplarText(ofTrace)}`;
}

type Labels = Readonly<Partial<Record<string, string | number>>>;

const noLabels: Labels = Object.freeze({});

/** By the shared labels, then by the series' own: those of a series are the same object at each scrape, and most of a page is labels. */
const setTexts = new WeakMap<Labels, WeakMap<Labels, string>>();

function setText(labels: Labels, shared: Labels): string {
  const texts = setTexts.get(shared) ?? new WeakMap<Labels, string>();
  setTexts.set(shared, texts);
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

/** Both IDs with their names take 63 of the 128 characters that an exemplar's labels may have. */
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
