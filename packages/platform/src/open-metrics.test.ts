import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from './measures.ts';
import { createMetrics } from './metrics.ts';
import { acceptsOpenMetrics } from './open-metrics.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const clock = { now: () => 1_700_000_000_123 };
const openMetrics = 'application/openmetrics-text';

test('OpenMetrics is accepted if it is preferred to the text format', () => {
  const prometheus2 = `${openMetrics};version=1.0.0,${openMetrics};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`;
  const prometheus3 = `${openMetrics};version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.2`;
  for (const accept of [prometheus2, prometheus3, openMetrics, 'Application/OpenMetrics-Text; version=1.0.0'])
    assert.equal(acceptsOpenMetrics(accept), true, accept);
  const plain = `text/plain,${openMetrics};q=0.5`;
  const old = `${openMetrics};version=0.0.1`;
  for (const accept of ['', '*/*', 'text/plain', plain, old, `${openMetrics};q=0`, `${openMetrics};q=x`, ';;,,=q'])
    assert.equal(acceptsOpenMetrics(accept), false, accept);
});

test('the page has no empty line, describes counters without _total, and has EOF as its last line', async () => {
  const metrics = createMetrics({ service: 'ingest', node: 'n"0', processMetrics: false, clock });
  metrics.counter('tailrace_ingest_a_reports_total', 'is "quoted"').add(3);
  metrics.gauge('tailrace_ingest_b_bytes', 'h', () => Number.POSITIVE_INFINITY);
  const histogram = metrics.histogram('tailrace_ingest_c_seconds', 'h', [1, 10]);
  histogram.observe(0.5);
  histogram.observe(7, traceparent);
  const { text } = await metrics.page(openMetrics);
  const labels = 'service="ingest",node="n\\"0"';
  assert.deepEqual(text.split('\n'), [
    '# TYPE tailrace_ingest_a_reports counter',
    '# HELP tailrace_ingest_a_reports is \\"quoted\\"',
    `tailrace_ingest_a_reports_total{${labels}} 3`,
    '# TYPE tailrace_ingest_b_bytes gauge',
    '# HELP tailrace_ingest_b_bytes h',
    `tailrace_ingest_b_bytes{${labels}} +Inf`,
    '# TYPE tailrace_ingest_c_seconds histogram',
    '# HELP tailrace_ingest_c_seconds h',
    `tailrace_ingest_c_seconds_bucket{le="1",${labels}} 1`,
    `tailrace_ingest_c_seconds_bucket{le="10",${labels}} 2 # {trace_id="${traceId}",span_id="00f067aa0ba902b7"} 7 1700000000.123`,
    `tailrace_ingest_c_seconds_bucket{le="+Inf",${labels}} 2`,
    `tailrace_ingest_c_seconds_sum{${labels}} 7.5`,
    `tailrace_ingest_c_seconds_count{${labels}} 2`,
    '# EOF',
    '',
  ]);
});

test('both formats have the same samples, in any order of requests', async () => {
  const metrics = createMetrics({ service: 'ingest', node: 'n0' });
  metrics.counter('tailrace_ingest_a_reports_total', 'h').add(3);
  metrics.histogram('tailrace_ingest_c_seconds', 'h', [1]).observe(7, traceparent);
  const series = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) =>
        line.replace(/\} .*/, '}').replace(/\{(.*)\}/, (_, labels: string) => labels.split(',').sort().join()),
      )
      .sort();
  const before = series(await metrics.text());
  const open = series((await metrics.page(openMetrics)).text);
  assert.deepEqual(open, before);
  assert.deepEqual(series((await metrics.page('')).text), before);
});

test('a bucket has the trace of its last observation with one', () => {
  const histogram = new Histogram([1, 10], clock);
  histogram.observe(5, traceparent);
  histogram.observe(6, `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`);
  histogram.observe(7);
  histogram.observe(0.1, 'garbage');
  assert.deepEqual(histogram.exemplars, [
    undefined,
    { traceId: '1'.repeat(32), spanId: '2'.repeat(16), value: 6, timeMs: 1_700_000_000_123 },
    undefined,
  ]);
  assert.deepEqual([...histogram.counts], [1, 3, 0]);
});
