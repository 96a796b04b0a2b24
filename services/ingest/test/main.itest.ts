import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { freePort } from '@tailrace/testkit/free-port';
import { startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { loggedReports, reportOf, tokenFor, tokenSecret } from './ingest-fixture.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const env = {
  TAILRACE_TOKEN_SECRET: tokenSecret,
  TAILRACE_HOST: '127.0.0.1',
  TAILRACE_PORT: '0',
  TAILRACE_INTERNAL_HOST: '127.0.0.1',
  TAILRACE_INTERNAL_PORT: '0',
};

test('the process accepts reports, has readiness and metrics, and stops in order with the reports in its log', async (t) => {
  const folder = await createTempDir('ingest');
  t.after(() => folder.remove());
  const service = await startService({
    args: [main],
    env: { ...env, TAILRACE_EVENT_LOG: 'embedded', TAILRACE_DATA_PATH: folder.path },
  });
  t.after(() => service.stop());
  const [, internalPort] = await service.line(/"port":(\d+).*"the internal port listens"/);
  const [, port] = await service.line(/"port":(\d+).*accepting reports at POST/);
  await service.line(/"message":"running"/);

  const response = await fetch(`http://127.0.0.1:${port}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await tokenFor(['plant1.>'])}`, 'content-type': 'application/json' },
    body: JSON.stringify(reportOf('plant1.a')),
  });
  assert.equal(response.status, 202);
  assert.equal((await fetch(`http://127.0.0.1:${internalPort}/readyz`)).status, 200);
  const page = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text();
  assert.match(page, /^tailrace_ingest_accepted_reports_total\{.*\} 1$/m);

  assert.deepEqual(await service.stop(), { code: 0, signal: null });
  const eventLog = createEmbeddedLog({ path: folder.path, clock: systemClock, logger: silentLogger });
  await eventLog.start();
  const reports = await loggedReports(eventLog);
  await eventLog.close();
  assert.deepEqual(
    reports.map(({ device }) => device),
    ['plant1.a'],
  );
});

test('the start fails without a broker, with one line that names it', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const service = await startService({
    args: [main],
    env: { ...env, TAILRACE_KAFKA_BROKERS: address, TAILRACE_START_DEADLINE_MS: '500' },
  });
  const exit = await service.exited;
  assert.equal(exit.code, 1);
  const lines = service
    .output()
    .split('\n')
    .filter((line) => line.includes('"level":"error"'));
  assert.equal(lines.length, 1, service.output());
  assert.match(lines[0]!, new RegExp(`ingest cannot start: .*${address}.*check that it runs`));
});

test('the start fails with all invalid settings at once', async () => {
  const invalid = { TAILRACE_PORT: 'http', TAILRACE_RETRY_AFTER_MS: '5', TAILRACE_BODY_BYTE_MAX: '1' };
  const service = await startService({ args: [main, '--check-config'], env: { ...env, ...invalid } });
  assert.equal((await service.exited).code, 1);
  assert.match(service.output(), /has 3 faults/);
  assert.match(service.output(), /did you mean TAILRACE_BODY_BYTES_MAX\?/);
});
