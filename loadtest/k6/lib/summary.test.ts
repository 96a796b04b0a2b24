import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htmlOf } from './html.ts';
import { type SummaryData, summaryOf, textOf } from './summary.ts';

const about = { scenario: 'smoke', what: 'a <few> clients', settings: { RATE: 200 } };
const data: SummaryData = {
  state: { testRunDurationMs: 6789 },
  metrics: {
    tailrace_reports: { type: 'counter', contains: 'default', values: { count: 1234567, rate: 3 } },
    tailrace_gaps: {
      type: 'counter',
      contains: 'default',
      values: { count: 2 },
      thresholds: { 'count==0': { ok: false } },
    },
    tailrace_latency: {
      type: 'trend',
      contains: 'time',
      values: { med: 3.25, 'p(99)': 49.6 },
      thresholds: { 'p(99)<250': { ok: true } },
    },
  },
};

test('an objective that is not met fails the run, and the summary has its value', () => {
  const summary = summaryOf(data, about);
  assert.equal(summary.isMet, false);
  assert.deepEqual(summary.slo, [
    { metric: 'tailrace_gaps', expected: 'count==0', got: '2', isMet: false },
    { metric: 'tailrace_latency', expected: 'p(99)<250', got: '50 ms', isMet: true },
  ]);
  const text = textOf(summary, true);
  for (const pattern of [
    /reports delivered to clients +1,234,567/,
    /p50 +3\.3 ms/,
    /tailrace_gaps +count==0 +2 +NOT MET/,
    /k6 itself could not keep up/,
    /NOT ALL/,
  ])
    assert.match(text, pattern);
});

test('the page loads nothing from the network, and escapes text', () => {
  const page = htmlOf(summaryOf(data, about));
  assert.doesNotMatch(page, /https?:|<script|<link|url\(/);
  assert.match(page, /a &#60;few&#62; clients/);
  assert.match(page, /<td class="unmet">not met<\/td>/);
});
