import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange, isEnd, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import fc from 'fast-check';
import { generateKeyPair, SignJWT } from 'jose';
import { reportOf, startIngest, tokenFor } from './ingest-fixture.ts';

/*
 * Hostile clients beside an honest device: the device is served, and each hostile client gets an error that names the
 * limit.
 */

failOnLeaks();
const body = JSON.stringify(reportOf('plant1.a'));

function requestText(
  token: string,
  fields: readonly string[] = [`Content-Length: ${body.length}`],
  sent = body,
): string {
  const all = ['Host: ingest', `Authorization: Bearer ${token}`, 'Content-Type: application/json', ...fields];
  return `POST /v1/ingest HTTP/1.1\r\n${all.map((field) => `${field}\r\n`).join('')}\r\n${sent}`;
}

/** Opens connections in groups that the server's listen queue holds. */
async function connectMany(t: TestContext, port: number, count: number): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const group = Math.min(250, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: group }, () => connectRaw({ port, deadlineMs: 20_000 })))));
  }
  t.after(() => {
    for (const socket of sockets) socket.close();
  });
  return sockets;
}

/**
 * Posts one report after the other, each on a connection of its own. Returns the statuses, and how long each took,
 * ascending.
 */
async function honest(port: number, token: string, count: number) {
  const statuses = new Set<number>();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    const socket = await connectRaw({ port });
    statuses.add((await exchange(socket, requestText(token))).status);
    times.push(performance.now() - startMs);
    socket.close();
  }
  return { statuses: [...statuses], times: times.sort((a, b) => a - b) };
}

test('2,048 heads without a body and with the token "x" take no capacity: each gets 401, and an honest device is served', async (t) => {
  const { port, token, metric } = await startIngest(t);
  const sockets = await connectMany(t, port, 2_048);
  for (const socket of sockets) socket.write(requestText('x', ['Content-Length: 1000'], ''));
  const { statuses } = await honest(port, token, 300);
  assert.deepEqual(statuses, [202]);
  const refused = await Promise.all(sockets.map((socket) => readResponse(socket)));
  assert.deepEqual([...new Set(refused.map(({ status }) => status))], [401]);
  assert.equal(await metric('tailrace_ingest_in_flight_requests'), 0);
});

test('70 unfinished bodies of 1 MB by one sender leave half of the capacity: it gets 429 and 408, others are served', async (t) => {
  const { port, token, metric, metricIs } = await startIngest(t);
  const hostile = await tokenFor(['plant1.>'], { subject: 'hostile' });
  const sockets = await connectMany(t, port, 70);
  const [declared, sent] = [1_048_576, 'x'.repeat(1_048_000)];
  for (const socket of sockets) socket.write(requestText(hostile, [`Content-Length: ${declared}`], sent));
  const half = 33_554_432;
  await eventually(async () => assert.ok((await metric('tailrace_ingest_unfinished_body_bytes')) > half - declared));
  assert.ok((await metric('tailrace_ingest_unfinished_body_bytes')) <= half);
  const { statuses } = await honest(port, token, 100);
  assert.deepEqual(statuses, [202]);
  // A refused body is answered when it is complete; the others are answered at their deadline at the latest.
  for (const socket of sockets) socket.write('x'.repeat(declared - sent.length));
  const answers = await Promise.all(sockets.map((socket) => readResponse(socket, { deadlineMs: 15_000 })));
  const count = (status: number) => answers.filter((answer) => answer.status === status).length;
  assert.ok(count(429) >= 38, `${count(429)} of them were refused`);
  assert.equal(count(429) + count(400) + count(408), 70);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('stalled bodies are terminated once half of the capacity is taken', async (t) => {
  const settings = { unfinishedBytesMax: 2_097_152, bodyDeadlineMs: 60_000 };
  const { port, metric } = await startIngest(t, { settings });
  const sockets = await connectMany(t, port, 12);
  for (const [i, socket] of sockets.entries()) {
    const token = await tokenFor(['plant1.>'], { subject: `hostile${i}` });
    socket.write(requestText(token, ['Content-Length: 900000'], 'x'.repeat(100_000)));
  }
  const answer = await readResponse(sockets[0]!, { deadlineMs: 15_000 });
  assert.equal(answer.status, 408);
  assert.match(answer.body, /expected at least 4096 bytes a second while the server is near its limits/);
  await eventually(async () => assert.ok((await metric('tailrace_ingest_unfinished_body_bytes')) <= 1_048_576));
});

test('requests that wait for the keys of their tokens have a limit of their own, and a token that needs no key is not delayed', async (t) => {
  // A key server that never answers.
  const asked = new Set<Socket>();
  const keyServer = createServer((socket) => void asked.add(socket)).listen(0, '127.0.0.1');
  await once(keyServer, 'listening');
  t.after(() => {
    keyServer.close();
    for (const socket of asked) socket.destroy();
  });
  const { port: keyPort } = keyServer.address() as AddressInfo;
  const settings = {
    tokenJwksUrl: `http://127.0.0.1:${keyPort}/keys`,
    unverifiedRequestsMax: 20,
    addressUnverifiedRequestsMax: 10,
  };
  const { port, token, metricIs } = await startIngest(t, { settings });
  const { privateKey } = await generateKeyPair('RS256');
  const foreign = await new SignJWT({ publish: ['>'] })
    .setProtectedHeader({ alg: 'RS256', kid: 'unknown' })
    .setSubject('s')
    .setExpirationTime('1h')
    .sign(privateKey);
  const sockets = await connectMany(t, port, 30);
  for (const socket of sockets) socket.write(requestText(foreign));
  await metricIs('tailrace_ingest_requests_total{outcome="rate_limited"}', 20);
  await metricIs('tailrace_ingest_address_unverified_requests', 10);
  assert.deepEqual((await honest(port, token, 10)).statuses, [202]);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
  for (const socket of sockets) socket.reset();
  await metricIs('tailrace_ingest_connections', 0);
});

test('5,000 unfinished heads exclude no other client: a new connection is accepted and answered at once', async (t) => {
  const { port, token, metric } = await startIngest(t, {
    settings: { connectionsMax: 4_000, addressConnectionsMax: 4_000 },
  });
  const sockets = await connectMany(t, port, 5_000);
  for (const socket of sockets) socket.write('POST /v1/ingest HTTP/1.1\r\nHost: x\r\n');
  const { statuses, times } = await honest(port, token, 40);
  assert.deepEqual(statuses, [202]);
  assert.ok(times[20]! < 500, `half of the requests took ${times[20]} ms and more`);
  assert.ok((await metric('tailrace_ingest_evicted_connections_total')) >= 1_000);
  assert.ok((await metric('tailrace_ingest_connections')) <= 4_000);
});

test('random bytes get an answer or a closed connection, and the server keeps serving', async (t) => {
  const { port, token, metric, metricIs } = await startIngest(t);
  const line = fc.constantFrom(
    'POST /v1/ingest HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\n',
    'Content-Length: 5\r\n',
    '\r\n',
  );
  const chunk = fc.oneof(
    line.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 6 }), async (chunks) => {
      const socket = await connectRaw({ port });
      socket.write(Buffer.concat(chunks));
      socket.halfClose();
      await socket.readToEnd({ deadlineMs: 15_000 }).catch((error: unknown) => assert.ok(isEnd(error), `${error}`));
      socket.close();
    }),
    fuzzed(400),
  );
  assert.deepEqual((await honest(port, token, 1)).statuses, [202]);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="internal"}'), 0);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});
