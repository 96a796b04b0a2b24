import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { constants, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { eventually } from '@tailrace/testkit/eventually';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { z } from 'zod';
import { parseBody } from '../test/parse-body.ts';
import { createIngest } from './app.ts';
import { type IngestSettings, ingestSettings } from './config.ts';
import { MemoryTransport } from './memory-transport.ts';

const tokenSecret = 'a secret of the tests, long enough for HS256';

const reportOf = (device: string, rest: object = {}) => ({
  device,
  time: 1_634_567_890_123,
  readings: [{ tag: 't', value: 1 }],
  ...rest,
});
const lineOf = (device: string, rest: object = {}) => `${JSON.stringify(reportOf(device, rest))}\n`;
/** Lines with the numbers `from` to `until - 1` as IDs. */
const linesOf = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, index) => lineOf('plant1.a', { id: `${from + index}` })).join('');

/** Ingest on a transport, a log and a clock in memory. Appends of the log wait while it is held. */
async function started(t: TestContext, settings: Partial<IngestSettings> = {}) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const config = z.object(ingestSettings).parse({ tokenSecret, ...settings });
  const memory = createMemoryLog({ clock }).connect();
  await memory.start();
  const appends: number[] = [];
  let gate: Promise<void> | undefined;
  /** Fails the append of this number. */
  let failing = -1;
  const append: EventLog['append'] = async (name, records) => {
    const number = appends.push(records.length) - 1;
    await gate;
    if (number === failing) throw new TailraceError('unavailable', 'no answer from the log');
    return await memory.append(name, records);
  };
  const eventLog = new Proxy(memory, {
    get(target, name) {
      if (name === 'append') return append;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const transport = new MemoryTransport({ clock, logger: silentLogger });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const logger = silentLogger;
  const ingest = createIngest({ eventLog, clock, logger, metrics, tracing: noTracing, transport, config });
  await ingest.start();
  t.after(() => ingest.stop());
  const tokenOf = (subject: string, expiresInMs = 3_600_000) =>
    issueToken({ secret: tokenSecret, subject, publish: ['plant1.>'], subscribe: [], expiresInMs, clock });
  const token = await tokenOf('gateway7');
  const send = (headers: Readonly<Record<string, string>> = {}) => {
    const head = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
    return transport.send({ target: '/v1/ingest', headers: { ...head, 'transfer-encoding': 'chunked', ...headers } });
  };
  const upload = async (body: string | Buffer, headers: Readonly<Record<string, string>> = {}) => {
    const client = send(headers);
    const bytes = Buffer.from(body);
    for (let at = 0; at < bytes.length; at += 65_536) client.write(bytes.subarray(at, at + 65_536));
    client.end();
    const answer = await client.answered;
    return { status: answer?.status, body: JSON.parse(answer?.body ?? '{}') };
  };
  const logged = async () => {
    let count = 0;
    for (const { next } of (await memory.bounds('tailrace.telemetry')).values()) count += next;
    return count;
  };
  const metricIs = (series: string, value: number) =>
    eventually(async () => assert.match(await metrics.text(), new RegExp(`^${series}.* ${value}$`, 'm')));
  return {
    ...{ clock, ingest, transport, tokenOf, send, upload, appends, logged, metricIs },
    loggedIs: (count: number) => eventually(async () => assert.equal(await logged(), count)),
    failAppend: (number: number) => {
      failing = number;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = undefined;
        resolve();
      };
    },
    /** Nothing is in use any more. */
    async isIdle() {
      await metricIs('tailrace_ingest_streams\\{', 0);
      await metricIs('tailrace_ingest_in_flight_requests\\{', 0);
      await metricIs('tailrace_ingest_in_flight_bytes\\{', 0);
      await metricIs('tailrace_ingest_unfinished_body_bytes\\{', 0);
      assert.equal(transport.bodies.unfinishedBytes, 0);
    },
  };
}

const result = (accepted: number) => ({ accepted, rejectedCount: 0, rejected: [], codes: {} });

test('reports are in the log while the rest of their body is still sent', async (t) => {
  const { send, loggedIs, isIdle } = await started(t);
  const client = send();
  client.write(Buffer.from(lineOf('plant1.a')));
  await loggedIs(1);
  client.write(Buffer.from(lineOf('plant1.b').slice(0, -1)));
  client.end();
  const answer = await client.answered;
  assert.equal(answer?.status, 202);
  assert.deepEqual(JSON.parse(answer?.body ?? ''), result(2));
  await loggedIs(2);
  await isIdle();
});

test('a body with a length that fits is not a stream, and a longer one is', async (t) => {
  const { upload } = await started(t, { bodyBytesMax: 2_000 });
  const body = lineOf('plant1.a');
  assert.deepEqual((await upload(body, { 'transfer-encoding': '', 'content-length': `${body.length}` })).body, {
    accepted: 1,
    rejected: [],
  });
  const long = linesOf(0, 30);
  const answer = await upload(long, { 'transfer-encoding': '', 'content-length': `${long.length}` });
  assert.deepEqual([answer.status, answer.body], [202, result(30)]);
});

test('a body is processed wherever it is divided, packed or not', async (t) => {
  const { send, isIdle } = await started(t);
  const text = `${lineOf('plant1.a', { id: 'ü' })}17\n\n${lineOf('plant1.b')}`;
  for (const [encoding, body] of [
    ['', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
  ] as const) {
    for (let at = 0; at <= body.length; at++) {
      const client = send({ 'content-encoding': encoding });
      client.write(body.subarray(0, at));
      client.write(body.subarray(at));
      client.end();
      const { accepted, rejected } = JSON.parse((await client.answered)?.body ?? '{}');
      assert.equal(accepted, 2, `${encoding} at ${at}`);
      assert.match(rejected[0].message, /^line 2: report: expected an object .*, got 17$/);
      assert.equal(rejected[0].index, 1);
    }
  }
  await isIdle();
});

test('random lines in random parts have the result of the same body as a whole', async (t) => {
  const { send } = await started(t);
  const line = fc.oneof(
    fc.constantFrom('plant1.a', 'plant1.b', 'plant2.c', 'a b').map((device) => lineOf(device).slice(0, -1)),
    fc.constantFrom('', ' ', '\r', '17', '[]', '{', 'null', '{"device":"plant1.a"}', '\ufeff'),
    fc.string({ maxLength: 20 }).filter((text) => !text.includes('\n')),
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\n', ' ')),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 }),
      async (lines, lengths) => {
        const body = Buffer.from(lines.join('\n'), 'latin1');
        const client = send();
        for (let at = 0, index = 0; at < body.length; index++) {
          const end = at + lengths[index % lengths.length]!;
          client.write(body.subarray(at, end));
          at = end;
        }
        client.end();
        const answer = JSON.parse((await client.answered)?.body ?? '{}');
        const parsed = wholeOf(body);
        assert.equal(answer.accepted, parsed?.records.length ?? 0);
        assert.deepEqual(answer.rejected, parsed?.rejected ?? []);
        assert.equal(answer.rejectedCount, answer.rejected.length);
      },
    ),
    fuzzed(300),
  );
});

/** Returns the body parsed as a whole; undefined for one without a report. */
function wholeOf(body: Buffer) {
  const grant = {
    allowsDevice: (path: string) => path.startsWith('plant1.'),
    covers: 'the token of "gateway7" may publish plant1.>',
  };
  const options = { grant, receivedMs: 1_700_000_000_000, clockAheadMs: 60_000, reportsMax: 1_000 };
  try {
    return parseBody(body, 'ndjson', { ...options, devices: { admit() {} } });
  } catch {
    return undefined;
  }
}

test('an answer has the first hundred rejections, and the number of all of them by code', async (t) => {
  const { upload, isIdle } = await started(t);
  const body = `${lineOf('plant1.a')}${'17\n'.repeat(1_200)}${lineOf('plant2.a')}${lineOf('plant1.b')}`;
  const answer = await upload(body);
  assert.equal(answer.status, 202);
  const { accepted, rejectedCount, rejected, codes } = answer.body;
  assert.deepEqual([accepted, rejectedCount, codes], [2, 1_201, { invalid_report: 1_200, forbidden: 1 }]);
  assert.equal(rejected.length, 100);
  assert.deepEqual([rejected[99].index, rejected[99].code], [100, 'invalid_report']);
  assert.match(rejected[99].message, /^line 101: report: /);
  await isIdle();
});

test('a body without an acceptable report is a 400, or a 403 if the token covers none of its devices', async (t) => {
  const { upload } = await started(t);
  const refused = await upload('17\n18\n');
  assert.equal(refused.status, 400);
  assert.match(refused.body.error.message, /^all 2 reports were rejected; the first: line 1: /);
  assert.deepEqual([refused.body.accepted, refused.body.rejectedCount], [0, 2]);
  const forbidden = await upload(lineOf('plant2.a'));
  assert.deepEqual([forbidden.status, forbidden.body.error.code], [403, 'forbidden']);
  for (const body of ['', '\n \r\n']) {
    const empty = await upload(body);
    assert.equal(empty.status, 400);
    assert.match(empty.body.error.message, /expected at least one report, got none/);
  }
});

test('a line that is too long is rejected, and a long one and those beside it are accepted', async (t) => {
  const { upload, isIdle } = await started(t);
  const readings = Array.from({ length: 50 }, () => ({ tag: 't', value: 'x'.repeat(4_000) }));
  const body = `${lineOf('plant1.a')}${'y'.repeat(1_000_000)}\n${lineOf('plant1.b', { readings })}${lineOf('plant1.c')}`;
  const { body: answer } = await upload(body);
  assert.equal(answer.accepted, 3);
  assert.deepEqual(answer.rejected, [
    { index: 1, code: 'too_large', message: 'line 2: the line: expected at most 262144 bytes, got more' },
  ]);
  await isIdle();
});

test('four chunks wait for the log, then the client is paused, and what is held is bounded', async (t) => {
  const { send, hold, appends, transport, clock, loggedIs, metricIs, isIdle } = await started(t);
  const release = hold();
  const client = send();
  const parts = 400;
  for (let part = 0; part < parts; part++) client.write(Buffer.from(linesOf(part * 100, part * 100 + 100)));
  client.end();
  await eventually(() => assert.equal(appends.length, 4));
  // Two seconds of waiting do not count as slow sending.
  await clock.advance(2_000);
  assert.equal(appends.length, 4);
  assert.ok(transport.bodies.unfinishedBytes <= 500_000, `${transport.bodies.unfinishedBytes}`);
  await metricIs('tailrace_ingest_streams\\{', 1);
  release();
  assert.deepEqual(JSON.parse((await client.answered)?.body ?? ''), result(parts * 100));
  await loggedIs(parts * 100);
  // The first line alone, then full chunks.
  assert.ok(appends.length <= 3 + (parts * 100) / 500, `${appends.length} appends`);
  assert.ok(Math.max(...appends) <= 500);
  await isIdle();
});

test('an upload continues at the line that its answer names, and the log has each line once', async (t) => {
  const { send, hold, appends, failAppend, upload, loggedIs, isIdle } = await started(t);
  const release = hold();
  failAppend(2);
  const body = linesOf(0, 3_000);
  const client = send();
  client.write(Buffer.from(body));
  client.end();
  await eventually(() => assert.equal(appends.length, 4));
  release();
  const answer = await client.answered;
  assert.equal(answer?.status, 503);
  assert.ok(answer?.headers.some(([name]) => name === 'Retry-After'));
  const { error, accepted, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([error.code, error.retryable], ['unavailable', true]);
  // The third append failed; the fourth was confirmed.
  const before = appends[0]! + appends[1]!;
  assert.equal(accepted, before + appends[3]!);
  assert.deepEqual(resume, { line: before + 1, byte: linesOf(0, before).length });
  await isIdle();
  await upload(body.slice(resume.byte));
  // Those of the fourth append twice: with the same IDs they are delivered once.
  await loggedIs(3_000 + appends[3]!);
});

test('a node that drains stops a stream at a line, after the log has confirmed what was sent before', async (t) => {
  const { ingest, send, hold, appends, isIdle } = await started(t);
  const release = hold();
  const client = send();
  client.write(Buffer.from(linesOf(0, 7)));
  await eventually(() => assert.equal(appends.length, 1));
  const drained = ingest.drain();
  client.write(Buffer.from(linesOf(7, 9)));
  release();
  const answer = await client.answered;
  assert.equal(answer?.status, 503);
  const { error, accepted, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([error.code, error.retryable, accepted, resume.line], ['closed', true, 7, 8]);
  await drained;
  await isIdle();
});

test('a token that expires in the middle of a body stops it', async (t) => {
  const { clock, send, tokenOf, loggedIs, isIdle } = await started(t);
  const client = send({ authorization: `Bearer ${await tokenOf('gateway9', 2_000)}` });
  client.write(Buffer.from(linesOf(0, 3)));
  await loggedIs(3);
  await clock.advance(9_000);
  client.write(Buffer.from(linesOf(3, 6)));
  const answer = await client.answered;
  assert.equal(answer?.status, 401);
  const { error, accepted, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([error.code, accepted, resume.line], ['unauthorized', 3, 4]);
  await isIdle();
});

test('a sender that asks for it receives a line with the progress every second, and the result at the end', async (t) => {
  const { clock, send, loggedIs, isIdle } = await started(t);
  const client = send({ accept: 'application/json, application/x-ndjson' });
  client.write(Buffer.from(linesOf(0, 3)));
  await loggedIs(3);
  await clock.advance(1_000);
  client.write(Buffer.from(`17\n${linesOf(3, 5)}`));
  await loggedIs(5);
  await clock.advance(2_000);
  client.end();
  const answer = await client.answered;
  assert.equal(answer?.status, 200);
  assert.deepEqual(answer?.headers[0], ['Content-Type', 'application/x-ndjson']);
  const lines = (answer?.body ?? '')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const bytes = linesOf(0, 3).length;
  assert.deepEqual(lines.slice(0, 3), [
    { progress: { lines: 3, accepted: 3, rejectedCount: 0, bytes, elapsedMs: 1_000 } },
    {
      progress: { lines: 6, accepted: 5, rejectedCount: 1, bytes: bytes + 3 + linesOf(3, 5).length, elapsedMs: 2_000 },
    },
    {
      progress: { lines: 6, accepted: 5, rejectedCount: 1, bytes: bytes + 3 + linesOf(3, 5).length, elapsedMs: 3_000 },
    },
  ]);
  assert.equal(lines.length, 4);
  assert.deepEqual([lines[3].result.accepted, lines[3].result.rejectedCount], [5, 1]);
  await isIdle();
});

test('an error is the last line of an answer with the progress', async (t) => {
  const { send, failAppend, metricIs, isIdle } = await started(t);
  failAppend(0);
  const client = send({ accept: 'application/x-ndjson' });
  client.write(Buffer.from(linesOf(0, 3)));
  const answer = await client.answered;
  assert.equal(answer?.status, 200);
  const { error, accepted, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([error.code, accepted, resume], ['unavailable', 0, { line: 1, byte: 0 }]);
  await metricIs('tailrace_ingest_requests_total\\{[^}]*outcome="unavailable"[^}]*\\}', 1);
  await isIdle();
});

test('a body above its limit, packed or not, is a 413 with the line to continue from', async (t) => {
  const { upload, isIdle } = await started(t, { streamBytesMax: 1_048_576 });
  const body = linesOf(0, 20_000);
  assert.ok(body.length > 1_200_000);
  for (const [encoding, bytes] of [
    ['', Buffer.from(body)],
    ['gzip', gzipSync(body)],
  ] as const) {
    const { status, body: answer } = await upload(bytes, { 'content-encoding': encoding });
    assert.equal(status, 413);
    assert.match(answer.error.message, /expected at most 1048576 bytes, got more: send the rest in another request/);
    assert.equal(answer.resume.line, answer.accepted + 1);
    assert.equal(answer.resume.byte, linesOf(0, answer.accepted).length);
    await isIdle();
  }
});

test('a body whose encoding is damaged in the middle is a 400 with the line to continue from', async (t) => {
  const { upload, isIdle } = await started(t);
  // Damaged between two blocks: what damage inside one decodes to, lines that are no reports or reports again, depends
  // on the compressor.
  const half = gzipSync(linesOf(0, 10_000), { finishFlush: constants.Z_SYNC_FLUSH });
  const packed = Buffer.concat([half, Buffer.alloc(1_000, 0xff)]);
  const { status, body } = await upload(packed, { 'content-encoding': 'gzip' });
  assert.equal(status, 400);
  assert.match(body.error.message, /expected gzip \(RFC 1952\)/);
  assert.ok(body.accepted > 0 && body.accepted <= 10_000, `${body.accepted} lines`);
  assert.equal(body.resume.line, body.accepted + 1);
  await isIdle();
});

test('lines of a damaged encoding that were rejected are sent again, since the client did not send them so', async (t) => {
  const { send, loggedIs, metricIs, isIdle } = await started(t);
  const packer = createGzip({ flush: constants.Z_SYNC_FLUSH });
  const packed = (text: string) =>
    new Promise<Buffer>((resolve) => {
      packer.write(text);
      packer.once('readable', () => resolve(packer.read()));
    });
  const lines = linesOf(0, 100);
  const client = send({ 'content-encoding': 'gzip' });
  client.write(await packed(lines));
  await loggedIs(100);
  client.write(await packed('garbled\n\ngarbled, too\n'));
  await metricIs('tailrace_ingest_rejected_reports_total\\{.*', 2);
  client.write(Buffer.alloc(64, 0xff));
  const answer = await client.answered;
  assert.equal(answer?.status, 400);
  const { accepted, rejectedCount, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([accepted, rejectedCount, resume], [100, 2, { line: 101, byte: lines.length }]);
  await isIdle();
});

test('a client that sends too slowly gets a 408; one that the server pauses does not', async (t) => {
  const { clock, send, hold, appends, loggedIs, isIdle } = await started(t, { appendDeadlineMs: 60_000 });
  const slow = send();
  slow.write(Buffer.from(linesOf(0, 3)));
  await loggedIs(3);
  await clock.advance(11_000);
  const answer = await slow.answered;
  assert.equal(answer?.status, 408);
  const { error, accepted, resume } = JSON.parse(answer?.body ?? '');
  assert.deepEqual([error.code, accepted, resume.line], ['timeout', 3, 4]);
  const release = hold();
  const fast = send();
  for (let from = 0; from < 20_000; from += 100) fast.write(Buffer.from(linesOf(from, from + 100)));
  fast.end();
  await eventually(() => assert.equal(appends.length, 5));
  await clock.advance(40_000);
  release();
  assert.equal((await fast.answered)?.status, 202);
  await isIdle();
});

test('streams over the limit of a sender or of the process are refused, and those in progress are not affected', async (t) => {
  const { send, upload, tokenOf, metricIs, isIdle } = await started(t, { streamsMax: 3, streamsPerTokenMax: 2 });
  const open = [send(), send()];
  await metricIs('tailrace_ingest_token_streams\\{', 2);
  assert.deepEqual([(await upload(linesOf(0, 1))).status], [429]);
  const other = { authorization: `Bearer ${await tokenOf('gateway8')}` };
  open.push(send(other));
  await metricIs('tailrace_ingest_streams\\{', 3);
  assert.equal((await upload(linesOf(0, 1), other)).status, 503);
  for (const client of open) {
    client.write(Buffer.from(linesOf(0, 1)));
    client.end();
    assert.equal((await client.answered)?.status, 202);
  }
  await isIdle();
});

test('a chunk waits for the capacity of the process, and fails when there is none for too long', async (t) => {
  const { clock, send, hold, appends, transport, tokenOf, isIdle } = await started(t, { inFlightBytesMax: 1_048_576 });
  const release = hold();
  const body = JSON.stringify(Array.from({ length: 9_500 }, () => reportOf('plant1.a', { id: 'x'.repeat(20) })));
  const lines = lineOf('plant1.a', { id: 'y'.repeat(60) }).repeat(4_000);
  const authorization = `Bearer ${await tokenOf('gateway8')}`;
  const large = transport.request({ target: '/v1/ingest', headers: { authorization } }, Buffer.from(body));
  await eventually(() => assert.ok(appends.length > 0));
  const [waiting, failing] = [send(), send()];
  waiting.write(Buffer.from(lines));
  waiting.end();
  await clock.advance(2_000);
  const earlier = appends.length;
  await clock.advance(1_000);
  assert.equal(appends.length, earlier);
  release();
  assert.equal((await large)?.status, 202);
  await clock.advance(200);
  assert.equal((await waiting.answered)?.status, 202);
  assert.ok(appends.length > earlier);
  appends.length = 0;
  const again = hold();
  const second = transport.request({ target: '/v1/ingest', headers: { authorization } }, Buffer.from(body));
  await eventually(() => assert.equal(appends.at(-1), 500));
  failing.write(Buffer.from(lines));
  for (let passedMs = 0; passedMs < 5_500; passedMs += 100) await clock.advance(100);
  const answer = await failing.answered;
  assert.equal(answer?.status, 503);
  assert.equal(JSON.parse(answer?.body ?? '').error.code, 'limit_reached');
  assert.equal((await second)?.status, 503);
  again();
  await isIdle();
});

test('a client that closes the connection releases everything, and what the log has stays', async (t) => {
  const { send, hold, appends, loggedIs, metricIs, isIdle } = await started(t);
  const release = hold();
  const client = send({ accept: 'application/x-ndjson' });
  client.write(Buffer.from(linesOf(0, 3)));
  await eventually(() => assert.equal(appends.length, 1));
  client.abort();
  assert.equal(await client.answered, undefined);
  release();
  await loggedIs(3);
  await metricIs('tailrace_ingest_requests_total\\{[^}]*outcome="client_gone"[^}]*\\}', 1);
  await isIdle();
});

test('a stream is slowed down to the rate of its device, and those of other devices are not', async (t) => {
  const settings = { deviceReportsPerSecond: 1_000, deviceReportsBurst: 1_000 };
  const { upload, clock, loggedIs, logged, isIdle } = await started(t, settings);
  const noisy = upload(linesOf(0, 4_000));
  await loggedIs(1_000);
  const honest = await upload(lineOf('plant1.honest').repeat(1_000));
  assert.deepEqual(honest, { status: 202, body: result(1_000) });
  const before = clock.monotonic();
  let steps = 0;
  for (; (await logged()) < 5_000 && steps < 100; steps++) {
    await clock.advance(250);
    // A chunk has 500 reports: half a second.
    const bound = 2_000 + (clock.monotonic() - before) + 500;
    assert.ok((await logged()) <= bound, `${await logged()} of ${bound}`);
  }
  assert.deepEqual(await noisy, { status: 202, body: result(4_000) });
  const seconds = (clock.monotonic() - before) / 1_000;
  assert.ok(seconds >= 2.5 && seconds <= 4, `${seconds}`);
  await isIdle();
});

test('a stream that would wait for its rate for too long gets 429 with the line to continue from', async (t) => {
  const settings = { deviceReportsPerSecond: 10, deviceReportsBurst: 1_000 };
  for (const accept of ['*/*', 'application/x-ndjson']) {
    const { send, upload, clock, logged, metricIs, isIdle } = await started(t, settings);
    const client = send({ accept });
    client.write(Buffer.from(linesOf(0, 3_000)));
    client.end();
    const { status, body, headers } = (await client.answered)!;
    assert.equal(status, accept === '*/*' ? 429 : 200);
    const { error, accepted, resume } = JSON.parse(body.trim().split('\n').at(-1)!);
    assert.equal(error.code, 'rate_limited');
    assert.equal(error.retryable, true);
    assert.match(error.message, /at most 10 reports a second of "plant1\.a" .*got more: wait .* line of resume/);
    assert.deepEqual([accepted, resume.line, await logged()], [1_000, 1_001, 1_000]);
    await metricIs('tailrace_ingest_requests_total\\{outcome="rate_limited"', 1);
    const retryAfter = headers.find(([name]) => name === 'Retry-After')?.[1];
    assert.equal(retryAfter, accept === '*/*' ? '50' : undefined);
    await clock.advance(50_000);
    assert.deepEqual(await upload(linesOf(1_000, 1_500)), { status: 202, body: result(500) });
    await isIdle();
  }
});
