import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IngestSettings, ingestSettings } from '@tailrace/ingest/config';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { watchedBy } from '../../scripts/limits.ts';
import { startIngest } from '../../services/ingest/test/ingest-fixture.ts';

failOnLeaks();

const prefix = 'tailrace_ingest_';

test('every limit in the settings has a metric to compare, and a gauge of the limit', async (t) => {
  const bounds = Object.keys(ingestSettings).filter((key) => key.endsWith('Max')) as (keyof IngestSettings)[];
  assert.deepEqual(Object.keys(watchedBy['ingest']!).sort(), bounds.toSorted());
  // Each limit has another value, so that none is mistaken for another.
  const own = bounds.map((key, i) => [key, (key.includes('Bytes') ? 1_048_579 : 50_003) + 17 * i]);
  const settings: Partial<IngestSettings> = Object.fromEntries(own);
  const { metric } = await startIngest(t, { settings });
  for (const [key, name] of Object.entries(watchedBy['ingest']!) as [keyof IngestSettings, string][]) {
    assert.equal(await metric(name.replace(prefix, `${prefix}limit_`)), settings[key], key);
    assert.ok([await metric(name), await metric(`${name}_count`)].includes(0), name);
  }
});

/** Limit of one process. Half of them are the times of requests, by outcome, and of messages, by protocol. */
const seriesMax = 1_000;

test('devices, tokens and invalid requests create no series', async (t) => {
  const { post, page, url } = await startIngest(t);
  const count = async () => (await page('text/plain')).split('\n').filter((line) => /^tailrace_/.test(line)).length;
  const before = await count();
  for (let i = 0; i < 20; i++) {
    const report = { device: `plant1.device${i}`, time: 1_700_000_000_000, readings: [{ tag: `tag${i}`, value: i }] };
    await (await post(JSON.stringify([report, { device: `plant9.device${i}` }]))).text();
    await (await fetch(`${url}/strange${i}`, { method: 'POST' })).text();
    await (await post('[]', { authorization: `Bearer strange${i}` })).text();
  }
  assert.equal(await count(), before);
  assert.ok(before <= seriesMax, `${before} series`);
  assert.doesNotMatch(await page('text/plain'), /device\d|tag\d|strange/);
});
