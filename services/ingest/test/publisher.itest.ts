import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPublisher } from '@tailrace/client/publish';
import { issueToken } from '@tailrace/platform/token';
import type { TailraceError } from '@tailrace/protocol/error';
import { type ProxyFault, proxyAnswer, startFaultyProxy } from '@tailrace/testkit/faulty-proxy';
import { reportOf, startIngest, tokenSecret } from './ingest-fixture.ts';

const restarting: readonly ProxyFault[] = [
  proxyAnswer(505, 'HTTP Version Not Supported'),
  proxyAnswer(502, 'Bad Gateway'),
  proxyAnswer(520, 'Web Server Returned an Unknown Error'),
  proxyAnswer(503, 'Service Unavailable', ['retry-after: 0']),
  proxyAnswer(429, 'Too Many Requests', ['retry-after: 0']),
  proxyAnswer(530, 'Origin DNS Error'),
  'reset',
  'lost answer',
];

test('behind a proxy whose server restarts every report is accepted, in order, and one that was sent twice has one ID', async (t) => {
  const { port, token, logged } = await startIngest(t);
  const proxy = await startFaultyProxy(port, restarting);
  t.after(() => proxy.close());
  const retries: string[] = [];
  const publisher = createPublisher({
    url: `http://127.0.0.1:${proxy.port}`,
    token,
    backoff: { baseMs: 10, capMs: 20 },
    onRetry: (error) => retries.push(error.message),
  });
  t.after(() => publisher.close());
  const results = [1, 2, 3].map((value) =>
    publisher.publish(reportOf('plant1.a', { readings: [{ tag: 't', value }] })),
  );
  for (const result of results) assert.deepEqual(await result, { accepted: 1, refused: [] });
  assert.equal(retries.length, restarting.length);
  for (const [index, message] of [/505: "<html>/, /502: "/, /520: "/, /503: "/, /429: "/, /530: "/].entries())
    assert.match(retries[index] ?? '', message);
  const reports = await logged();
  assert.deepEqual(
    reports.map(({ readings }) => readings[0]?.value),
    [1, 2, 3, 1, 2, 3],
    'the answer to the first attempt was lost',
  );
  assert.equal(new Set(reports.map(({ id }) => id)).size, 3);
});

test('a publisher whose server always answers 505 rejects with an error that names it', async (t) => {
  const { port, token } = await startIngest(t);
  const proxy = await startFaultyProxy(port, Array(1000).fill(restarting[0]));
  t.after(() => proxy.close());
  const url = `http://127.0.0.1:${proxy.port}`;
  const publisher = createPublisher({ url, token, backoff: { baseMs: 10, capMs: 20 }, giveUpMs: 300 });
  t.after(() => publisher.close());
  await assert.rejects(publisher.publish(reportOf('plant1.a')), {
    code: 'unavailable',
    message: /^given up after 0\.3 s: .*answered 505: "<html>/,
  });
});

test('a token with as many patterns as PROTOCOL allows is accepted, and the error of a larger one names the limit', async (t) => {
  const { url } = await startIngest(t);
  const issue = { secret: tokenSecret, subject: 'gateway7', subscribe: [], expiresInMs: 60_000 };
  const publish = Array.from({ length: 100 }, (_, n) => `plant1.line${n}.machine${n}.press${n}.>`);
  const publisher = createPublisher({ url, token: await issueToken({ ...issue, publish }) });
  t.after(() => publisher.close());
  assert.equal((await publisher.publish(reportOf('plant1.line7.machine7.press7.a'))).accepted, 1);

  const large = createPublisher({ url, token: 'x'.repeat(20_000) });
  t.after(() => large.close());
  const error = await large.publish(reportOf('plant1.a')).catch((thrown: TailraceError) => thrown);
  assert.ok('code' in error && error.code === 'too_large', String(error));
  assert.match(error.message, /the request head, which carries the token, is too large/);
});
