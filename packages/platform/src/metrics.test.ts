import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createMetrics } from './metrics.ts';

const fresh = () => createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });

/** Returns the page's samples without the labels that every series has. */
async function samples(metrics: ReturnType<typeof fresh>): Promise<string[]> {
  const lines = (await metrics.text()).split('\n').filter((line) => line && !line.startsWith('#'));
  for (const line of lines) assert.match(line, /service="ingest",node="n0"/);
  return lines.map((line) => line.replace(/,?service="ingest",node="n0"/, '').replace('{}', ''));
}

test('a counter is a field that is read at each scrape', async () => {
  const metrics = fresh();
  const counter = metrics.counter('tailrace_ingest_accepted_reports_total', 'reports in the log');
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_accepted_reports_total 0']);
  counter.add();
  counter.add(41);
  assert.equal(counter.value, 42);
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_accepted_reports_total 42']);
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_accepted_reports_total 42']);
});

test('the page has help and type', async () => {
  const metrics = fresh();
  metrics.counter('tailrace_ingest_a_reports_total', 'what for');
  metrics.histogram('tailrace_ingest_b_seconds', 'how long', [1]);
  const text = await metrics.text();
  assert.match(text, /# HELP tailrace_ingest_a_reports_total what for\n# TYPE tailrace_ingest_a_reports_total counter/);
  assert.match(text, /# HELP tailrace_ingest_b_seconds how long\n# TYPE tailrace_ingest_b_seconds histogram/);
  assert.match(metrics.contentType, /^text\/plain/);
});

test('declared series exist from the start, and any other value is counted as other', async () => {
  const metrics = fresh();
  const family = metrics.counters('tailrace_ingest_rejected_reports_total', 'h', {
    values: { code: ['too_large', 'invalid'] },
  });
  family.with({ code: 'invalid' }).add(2);
  family.with({ code: 'made-up-1' }).add(3);
  family.with({ code: 'made-up-2' }).add(4);
  assert.deepEqual(await samples(metrics), [
    'tailrace_ingest_rejected_reports_total{code="too_large"} 0',
    'tailrace_ingest_rejected_reports_total{code="invalid"} 2',
    'tailrace_ingest_rejected_reports_total{code="other"} 7',
  ]);
});

test('undeclared series are kept up to seriesMax, the rest is counted as other', async () => {
  const metrics = fresh();
  const family = metrics.counters('tailrace_ingest_peer_frames_total', 'h', { names: ['peer'], seriesMax: 2 });
  for (let peer = 0; peer < 1000; peer++) family.with({ peer: `p${peer}` }).add();
  assert.deepEqual(await samples(metrics), [
    'tailrace_ingest_peer_frames_total{peer="p0"} 1',
    'tailrace_ingest_peer_frames_total{peer="p1"} 1',
    'tailrace_ingest_peer_frames_total{peer="other"} 998',
  ]);
});

test('the same labels have the same handle, in any order', () => {
  const family = fresh().counters('tailrace_ingest_x_frames_total', 'h', { values: { a: ['1', '2'], b: ['1'] } });
  assert.equal(family.with({ a: '1', b: '1' }), family.with({ b: '1', a: '1' }));
  assert.notEqual(family.with({ a: '1', b: '1' }), family.with({ a: '2', b: '1' }));
});

test('a family that could grow beyond a thousand series is refused', () => {
  const values = Array.from({ length: 40 }, (_, index) => `${index}`);
  assert.throws(
    () => fresh().counters('tailrace_ingest_x_frames_total', 'h', { values: { a: values, b: values } }),
    /at most 1000 series, got 1681/,
  );
});

test('a gauge is read at each scrape; one that throws is left out alone', async () => {
  const metrics = fresh();
  let depth: number | undefined = 7;
  metrics.gauge('tailrace_ingest_queued_records', 'h', () => {
    if (depth === undefined) throw new TailraceError('closed', 'gone');
    return depth;
  });
  metrics.counter('tailrace_ingest_x_frames_total', 'h');
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_queued_records 7', 'tailrace_ingest_x_frames_total 0']);
  depth = undefined;
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_x_frames_total 0']);
  depth = 8;
  assert.equal((await samples(metrics))[0], 'tailrace_ingest_queued_records 8');
});

test('a total is read as a counter, and left out of a scrape if it cannot be read', async () => {
  const metrics = fresh();
  let dropped: number | undefined = 7;
  metrics.total('tailrace_ingest_dropped_messages_total', 'h', () => {
    if (dropped === undefined) throw new TailraceError('closed', 'gone');
    return dropped;
  });
  assert.match(await metrics.text(), /# TYPE tailrace_ingest_dropped_messages_total counter/);
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_dropped_messages_total 7']);
  dropped = 9;
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_dropped_messages_total 9']);
  for (const unreadable of [undefined, Number.NaN]) {
    dropped = unreadable;
    assert.deepEqual(await samples(metrics), []);
  }
});

test('gauges by label drop series that no longer exist, and add up those beyond the limit', async () => {
  const metrics = fresh();
  let lags: [string, number][] = [
    ['0', 5],
    ['1', 6],
    ['2', 7],
    ['3', 8],
  ];
  metrics.gauges('tailrace_ingest_lag_records', 'h', 'partition', 2, () => lags);
  assert.deepEqual(await samples(metrics), [
    'tailrace_ingest_lag_records{partition="0"} 5',
    'tailrace_ingest_lag_records{partition="1"} 6',
    'tailrace_ingest_lag_records{partition="other"} 15',
  ]);
  lags = [['1', 1]];
  assert.deepEqual(await samples(metrics), ['tailrace_ingest_lag_records{partition="1"} 1']);
});

test('a histogram counts into buckets with inclusive bounds, which are cumulative when read', async () => {
  const metrics = fresh();
  const histogram = metrics.histogram('tailrace_ingest_append_seconds', 'h', [1, 10]);
  for (const value of [0.5, 1, 1.1, 10, 11]) histogram.observe(value);
  assert.deepEqual(await samples(metrics), [
    'tailrace_ingest_append_seconds_bucket{le="1"} 2',
    'tailrace_ingest_append_seconds_bucket{le="10"} 4',
    'tailrace_ingest_append_seconds_bucket{le="+Inf"} 5',
    'tailrace_ingest_append_seconds_sum 23.6',
    'tailrace_ingest_append_seconds_count 5',
  ]);
});

test('histograms by label have buckets for each', async () => {
  const metrics = fresh();
  const family = metrics.histograms('tailrace_ingest_body_bytes', 'h', [100], { values: { encoding: ['json'] } });
  family.with({ encoding: 'json' }).observe(5);
  family.with({ encoding: 'xml' }).observe(500);
  const lines = await samples(metrics);
  assert.equal(lines[0], 'tailrace_ingest_body_bytes_bucket{encoding="json",le="100"} 1');
  assert.ok(lines.includes('tailrace_ingest_body_bytes_sum{encoding="other"} 500'));
});

test('histogram bounds that do not rise, or too many, are refused', () => {
  for (const bounds of [[], [1, 1], [2, 1], [1, Number.NaN], Array.from({ length: 33 }, (_, index) => index)]) {
    assert.throws(() => fresh().histogram('tailrace_ingest_x_seconds', 'h', bounds), /expected 1 to 32 rising numbers/);
  }
});

test('a name must have service, thing and unit, and _total for counters only', () => {
  const wrong: [string, RegExp][] = [
    ['ingest_x_reports_total', /expected the prefix tailrace_ingest_/],
    ['tailrace_fanout_x_reports_total', /expected the prefix tailrace_ingest_/],
    ['tailrace_ingest_x_reports', /expected the suffix _total for a counter/],
    ['tailrace_ingest_x_report_total', /expected a unit as its last word/],
    ['tailrace_ingest_Xs_total', /expected lower snake case/],
  ];
  for (const [name, message] of wrong) assert.throws(() => fresh().counter(name, 'h'), message);
  assert.throws(
    () => fresh().gauge('tailrace_ingest_x_ms_total', 'h', () => 1),
    /expected no suffix _total for a gauge/,
  );
});

test('a name is registered once', () => {
  const metrics = fresh();
  metrics.counter('tailrace_ingest_x_reports_total', 'h');
  assert.throws(() => metrics.counter('tailrace_ingest_x_reports_total', 'h'), /registered already/);
});

test('several services of one process share one page, each with its own names', async () => {
  const metrics = fresh();
  metrics.forService('fanout').counter('tailrace_fanout_x_frames_total', 'h').add(2);
  assert.throws(
    () => metrics.forService('fanout').counter('tailrace_ingest_x_frames_total', 'h'),
    /expected the prefix tailrace_fanout_/,
  );
  assert.deepEqual(await samples(metrics), ['tailrace_fanout_x_frames_total 2']);
});

test('process metrics are on the page by default', async () => {
  const text = await createMetrics({ service: 'ingest', node: 'n0' }).text();
  assert.match(text, /process_resident_memory_bytes\{service="ingest",node="n0"\} \d+/);
});
