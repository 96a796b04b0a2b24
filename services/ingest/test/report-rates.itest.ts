import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { reportOf, startIngest } from './ingest-fixture.ts';

failOnLeaks();

test('a request beyond the rate of one of its devices gets 429 and changes nothing, and other devices are served', async (t) => {
  const settings = { deviceReportsPerSecond: 0.01, deviceReportsBurst: 3 };
  const { post, logged, metric } = await startIngest(t, { settings });
  const of = (...names: readonly string[]) => JSON.stringify(names.map((name) => reportOf(`plant1.${name}`)));
  assert.equal((await post(of('noisy', 'noisy', 'noisy', 'a'))).status, 202);
  const refused = await post(of('b', 'noisy'));
  assert.equal(refused.status, 429);
  const retryAfter = Number(refused.headers.get('retry-after'));
  assert.ok(retryAfter > 90 && retryAfter <= 100, `${retryAfter}`);
  const { error } = (await refused.json()) as { error: { code: string; message: string } };
  assert.equal(error.code, 'rate_limited');
  assert.match(error.message, /"plant1\.noisy"/);
  assert.equal((await post(of('a', 'b'))).status, 202);
  const devices = (await logged()).map(({ device }) => device);
  assert.equal(devices.filter((device) => device === 'plant1.b').length, 1);
  assert.equal(devices.length, 6);
  assert.equal(await metric('tailrace_ingest_rated_devices'), 3);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="rate_limited"'), 1);
});

test('by default reports of a device by HTTP have no rate', async (t) => {
  const { post } = await startIngest(t);
  const body = JSON.stringify(Array.from({ length: 5_000 }, () => reportOf('plant1.a')));
  for (let pass = 0; pass < 4; pass++) assert.equal((await post(body)).status, 202);
});
