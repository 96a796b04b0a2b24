import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { tailrace } from '@tailrace/protocol/generated';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange } from '@tailrace/testkit/raw-socket';
import fc from 'fast-check';
import { reportOf, startIngest } from './ingest-fixture.ts';

failOnLeaks();

const seeded = fuzzed(600);
const good = [reportOf('plant1.a'), reportOf('plant1.b', { id: 'x' })];
const goodBodies: readonly Buffer[] = [
  Buffer.from(JSON.stringify(good)),
  Buffer.from(good.map((report) => JSON.stringify(report)).join('\n')),
  Buffer.from(
    tailrace.v1.ReportBatch.encode({
      reports: [{ device: 'plant1.a', time: 1_634_567_890_123, readings: [{ tag: 't', number: 1 }] }],
    }).finish(),
  ),
  Buffer.from(
    tailrace.v1.IoTData.encode({
      deviceId: 'plant1.a',
      timestamp: 1_634_567_890_123,
      readings: [{ sensorId: 't', value: 1, unit: 'Cel' }],
    }).finish(),
  ),
  gzipSync(JSON.stringify(good)),
  deflateSync(JSON.stringify(good)),
  deflateRawSync(JSON.stringify(good)),
];

/** Valid bodies with a few bytes changed, and random ones. */
const bodies = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(...goodBodies),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 4 }), fc.uint8Array({ maxLength: 4 })), { minLength: 1, maxLength: 4 }),
    )
    .map(([start, changes]) => {
      let bytes = start;
      for (const [place, remove, insert] of changes) {
        const at = place % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }
      return bytes;
    }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 6 }).map((text) => Buffer.from(text)),
  fc.nat({ max: 100_000 }).map((depth) => Buffer.from('['.repeat(depth))),
);
const contentTypes = fc.constantFrom(
  'application/json',
  'application/x-ndjson',
  'application/x-protobuf',
  'application/x-protobuf; proto=tailrace.v1.IoTData',
  'application/x-protobuf; proto=tailrace.v1.IoTDataBatch',
  'text/plain',
  '',
);
const encodings = fc.constantFrom('', '', '', 'gzip', 'deflate', 'br');

test('random bodies always get an answer in JSON with a fitting status, and close neither connection nor process', async (t) => {
  const { port, token, metricIs } = await startIngest(t);
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  await fc.assert(
    fc.asyncProperty(bodies, contentTypes, encodings, async (body, type, encoding) => {
      const head = [
        'POST /v1/ingest HTTP/1.1',
        'Host: ingest',
        `Authorization: Bearer ${token}`,
        ...(type === '' ? [] : [`Content-Type: ${type}`]),
        ...(encoding === '' ? [] : [`Content-Encoding: ${encoding}`]),
        `Content-Length: ${body.length}`,
      ].join('\r\n');
      const response = await exchange(socket, Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]));
      const answer = JSON.parse(response.body);
      assert.equal(response.headers['content-type'], 'application/json');
      if (response.status === 202) {
        assert.ok(answer.accepted > 0);
        return;
      }
      assert.ok([400, 403, 413, 415].includes(response.status), `${response.status} ${response.body}`);
      assert.equal(typeof answer.error.code, 'string');
      assert.ok(answer.error.message.length > 10 && answer.error.message.length < 700, answer.error.message);
    }),
    seeded,
  );
  await metricIs('tailrace_ingest_requests_total{outcome="internal"}', 0);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
  await metricIs('tailrace_ingest_in_flight_bytes', 0);
});

test('a random token, path or method gets an answer in JSON', async (t) => {
  const { port, metricIs } = await startIngest(t);
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  const visible = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  });
  const method = fc.constantFrom('POST', 'GET', 'PUT', 'DELETE', 'PATCH');
  await fc.assert(
    fc.asyncProperty(method, visible, visible, async (verb, path, token) => {
      const request = `${verb} /x${path} HTTP/1.1\r\nHost: ingest\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`;
      const response = await exchange(socket, request);
      assert.ok([401, 404, 405].includes(response.status), `${response.status}`);
      assert.equal(typeof JSON.parse(response.body).error.message, 'string');
      const posted = await exchange(
        socket,
        `POST /v1/ingest HTTP/1.1\r\nHost: ingest\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`,
      );
      assert.equal(posted.status, 401);
      assert.equal(JSON.parse(posted.body).error.code, 'unauthorized');
    }),
    fuzzed(200),
  );
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});
