import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { createPublisher, type PublisherOptions } from './publish.ts';

type Answer = (reports: Report[], init: RequestInit) => Response | Promise<Response>;

const accept: Answer = (reports) => Response.json({ accepted: reports.length, rejected: [] }, { status: 202 });

function setUp(answers: Answer[], options: Partial<PublisherOptions> = {}) {
  const clock = createFakeClock();
  const requests: Report[][] = [];
  const inits: RequestInit[] = [];
  const fetch = async (_url: unknown, init: RequestInit = {}) => {
    const reports = JSON.parse(String(init.body)) as Report[];
    requests.push(reports);
    inits.push(init);
    return (answers.shift() ?? accept)(reports, init);
  };
  const publisher = createPublisher({
    url: 'http://ingest:8082',
    token: 'secret',
    fetch: fetch as typeof globalThis.fetch,
    clock,
    random: () => 0.5,
    backoff: { baseMs: 1000 },
    ...options,
  });
  return { clock, publisher, requests, inits };
}

function report(value: number, id?: string): Report {
  return { device: 'plant1.press', time: 1, readings: [{ tag: 'force', value }], ...(id ? { id } : {}) };
}

const valuesOf = (reports: readonly Report[] | undefined) => reports?.map(({ readings }) => readings[0]?.value);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error) => (error instanceof TailraceError ? error.code : String(error)),
  );

test('what is published within the linger goes in one request, in order, with the token', async () => {
  const { clock, publisher, requests, inits } = setUp([]);
  const results = [publisher.publish(report(1)), publisher.publish([report(2), report(3)])];
  await clock.advance(20);
  assert.deepEqual(await Promise.all(results), [
    { accepted: 1, refused: [] },
    { accepted: 2, refused: [] },
  ]);
  assert.deepEqual(requests.map(valuesOf), [[1, 2, 3]]);
  assert.deepEqual(inits[0]?.headers, { 'content-type': 'application/json', authorization: 'Bearer secret' });
});

test('a report keeps its id, or gets one of its own, and has the same one when it is sent again', async () => {
  const { clock, publisher, requests } = setUp([() => new Response('', { status: 503 })]);
  const result = publisher.publish([report(1, 'mine'), report(2), report(3)]);
  await clock.advance(2000);
  await result;
  const [first, second] = requests.map((reports) => reports.map(({ id }) => id));
  assert.deepEqual(first, second);
  assert.equal(first?.[0], 'mine');
  assert.equal(new Set(first).size, 3);
});

test('reports that ingest refuses are named, with its reason, and the others are in', async () => {
  const rejected = [{ index: 1, code: 'invalid_report', message: 'the unit is too long' }];
  const { clock, publisher } = setUp([() => Response.json({ accepted: 2, rejected }, { status: 202 })]);
  const result = publisher.publish([report(1, 'a'), report(2, 'b'), report(3, 'c')]);
  await clock.advance(20);
  assert.deepEqual(await result, {
    accepted: 2,
    refused: [{ report: report(2, 'b'), code: 'invalid_report', message: 'the unit is too long' }],
  });
});

test('400 with every report refused is an answer like any other', async () => {
  const rejected = [{ index: 0, code: 'invalid_path', message: 'no' }];
  const { clock, publisher } = setUp([() => Response.json({ accepted: 0, rejected }, { status: 400 })]);
  const result = publisher.publish(report(1));
  await clock.advance(20);
  assert.equal((await result).refused[0]?.code, 'invalid_path');
});

test('429 and 503 are tried again, not before Retry-After has passed, and order is kept', async () => {
  const waits: number[] = [];
  const { clock, publisher, requests } = setUp(
    [() => new Response('', { status: 429, headers: { 'retry-after': '3' } }), () => new Response('', { status: 503 })],
    { onRetry: (_error, waitMs) => waits.push(waitMs) },
  );
  const first = publisher.publish(report(1));
  await clock.advance(20);
  void publisher.publish(report(2));
  await clock.advance(3499);
  assert.equal(requests.length, 1);
  await clock.advance(1);
  assert.equal(requests.length, 2);
  await clock.advance(1000);
  assert.deepEqual(await first, { accepted: 1, refused: [] });
  assert.deepEqual(waits, [3500, 1000]);
  assert.deepEqual(requests.map(valuesOf), [[1], [1, 2], [1, 2]]);
});

test('an answer that never comes is given up and the report sent again', async () => {
  const hang: Answer = (_reports, init) =>
    new Promise((_resolve, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  const { clock, publisher, requests } = setUp([hang], { requestTimeoutMs: 2000 });
  const result = publisher.publish(report(1));
  await clock.advance(4000);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 2);
});

test('a token that is refused fails what it was for, and what comes after is tried', async () => {
  const refuse: Answer = () =>
    Response.json({ error: { code: 'unauthorized', message: 'token expired' } }, { status: 401 });
  const { clock, publisher } = setUp([refuse]);
  const refused = publisher.publish(report(1));
  const code = codeOf(refused);
  await clock.advance(20);
  assert.equal(await code, 'unauthorized');
  await assert.rejects(refused, /token expired/);
  const later = publisher.publish(report(2));
  await clock.advance(20);
  assert.equal((await later).accepted, 1);
});

test('a request that is too large is sent in halves; one report that is too large alone is refused', async () => {
  const tooMany: Answer = (reports) => (reports.length > 1 ? new Response('', { status: 413 }) : accept(reports, {}));
  const { clock, publisher, requests } = setUp([tooMany, tooMany, tooMany, tooMany, tooMany]);
  const result = publisher.publish([report(1), report(2), report(3)]);
  await clock.advance(100);
  assert.equal((await result).accepted, 3);
  assert.deepEqual(requests.map(valuesOf)[0], [1, 2, 3]);

  const alone = setUp([() => new Response('', { status: 413 })]);
  const code = codeOf(alone.publisher.publish(report(1)));
  await alone.clock.advance(20);
  assert.equal(await code, 'too_large');
});

test('batches are bounded by count and by bytes', async () => {
  const { clock, publisher, requests } = setUp([], { batchReportsMax: 3, batchBytesMax: 250 });
  void publisher.publish([report(1), report(2), report(3), report(4), report(5)]);
  await clock.advance(20);
  assert.ok(requests.length >= 3);
  assert.deepEqual(requests.flatMap(valuesOf), [1, 2, 3, 4, 5]);
  for (const reports of requests) assert.ok(JSON.stringify(reports).length <= 250);
});

test('a full queue refuses what is new and keeps what it has', async () => {
  const { clock, publisher } = setUp([], { queueReportsMax: 2 });
  const kept = publisher.publish([report(1), report(2)]);
  assert.equal(await codeOf(publisher.publish(report(3))), 'limit_reached');
  assert.equal(publisher.stats().queuedReports, 2);
  await clock.advance(20);
  assert.equal((await kept).accepted, 2);
  assert.deepEqual(
    { ...publisher.stats() },
    {
      queuedReports: 0,
      queuedReportsMax: 2,
      queuedBytes: 0,
      queuedBytesMax: 16_777_216,
      accepted: 2,
      refused: 0,
      retries: 0,
    },
  );
});

test('what cannot be delivered for too long is given up', async () => {
  const down: Answer = () => Promise.reject(new TypeError('fetch failed'));
  const { clock, publisher } = setUp(
    Array.from({ length: 100 }, () => down),
    { giveUpMs: 10_000 },
  );
  const code = codeOf(publisher.publish(report(1)));
  await clock.advance(60_000);
  assert.equal(await code, 'unavailable');
  assert.equal(publisher.stats().queuedReports, 0);
});

test('an answer of something that is not ingest is not taken for one', async () => {
  const { clock, publisher, requests } = setUp([
    () => new Response('<html>Welcome to the hotel</html>', { status: 200 }),
  ]);
  const result = publisher.publish(report(1));
  await clock.advance(5000);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 2);
});

test('drain waits for the last answer; close fails what is left and leaves no timer', async () => {
  const { clock, publisher } = setUp([]);
  const result = publisher.publish(report(1));
  const drained = publisher.drain();
  await clock.advance(20);
  await drained;
  await result;
  const code = codeOf(publisher.publish(report(2)));
  publisher.close();
  assert.equal(await code, 'closed');
  assert.equal(await codeOf(publisher.publish(report(3))), 'closed');
  assert.equal(clock.pending(), 0);
});
