import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DeviceConnection, type DeviceConnectionOptions } from '@tailrace/client/device';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createIngest } from '@tailrace/ingest/app';
import { configSchema } from '@tailrace/ingest/config';
import { createHttpTransport } from '@tailrace/ingest/http-transport';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startLinkProxy } from './link-proxy.ts';

failOnLeaks();

const secret = 'a secret of the tests, long enough for HS256';
const device = 'plant1.line2.press7';

/** Starts ingest on a log in memory, and a proxy before it. */
async function start(t: TestContext) {
  const eventLog = createMemoryLog({ clock: systemClock }).connect();
  await eventLog.start();
  const rates = { deviceMessagesPerSecond: 100_000, deviceMessagesBurst: 100_000 };
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret: secret, ...rates });
  const createOne = async () => {
    const ingest = createIngest({
      ...{ eventLog, clock: systemClock, logger: silentLogger, tracing: noTracing, config, leaveMs: 0 },
      metrics: createMetrics({ service: 'ingest', node: 'test', processMetrics: false }),
      transport: createHttpTransport({ config, clock: systemClock, logger: silentLogger }),
    });
    await ingest.start();
    return ingest;
  };
  let ingest = await createOne();
  const proxy = await startLinkProxy(() => ingest.port);
  const token = await issueToken({
    secret,
    subject: 'd',
    publish: ['plant1.>'],
    subscribe: [],
    expiresInMs: 60_000,
    clock: systemClock,
  });
  const connect = (options: Partial<DeviceConnectionOptions> = {}) => {
    const connection = new DeviceConnection({
      ...{ url: `ws://127.0.0.1:${proxy.port}`, device, token, backoff: { baseMs: 50, capMs: 200 } },
      ...options,
    });
    connection.start();
    t.after(() => connection.close());
    return connection;
  };
  t.after(async () => {
    await proxy.stop();
    await ingest.stop();
    await eventLog.close();
  });
  return {
    proxy,
    connect,
    async restart() {
      await ingest.drain();
      await ingest.stop();
      ingest = await createOne();
    },
    async logged(): Promise<Report[]> {
      const reports: Report[] = [];
      for (const partition of (await eventLog.bounds('tailrace.telemetry')).keys()) {
        for await (const batch of eventLog.read('tailrace.telemetry', partition, { from: 0 })) {
          for (const { value } of batch) reports.push(decodeReport(value));
        }
      }
      return reports;
    },
  };
}

const readingsOf = (value: number) => [{ tag: 'n', value }];

test('reports, events and batches are in the log as they were sent, and each is acknowledged', async (t) => {
  const { connect, logged } = await start(t);
  const connection = connect();
  const acks = await Promise.all([
    connection.status(readingsOf(1), { id: 'a', time: 1_700_000_000_000.25 }),
    connection.event('valve_open', { id: 'b', value: 'left' }),
    connection.batch([
      { type: 'status', readings: readingsOf(2), id: 'c', time: 1_700_000_000_001 },
      { type: 'status', readings: readingsOf(3), id: 'd', device: 'plant2.x' },
      { type: 'event', name: 'e', id: 'e', device: 'plant1.line2.press8' },
    ]),
    connection.status(readingsOf(4), { id: 'q0', qos: 0 }),
  ]);
  assert.deepEqual(
    acks.map(({ status }) => status),
    ['accepted', 'accepted', 'accepted', 'accepted'],
  );
  assert.deepEqual(
    acks[2]!.rejected?.map(({ index, code }) => [index, code]),
    [[1, 'forbidden']],
  );
  const again = await connection.status(readingsOf(1), { id: 'a', time: 1_700_000_000_000.25 });
  assert.equal(again.status, 'duplicate');
  const reports = await eventually(async () => {
    const found = await logged();
    return found.length === 5 && found;
  });
  const byId = new Map(reports.map((report) => [report.id, report]));
  assert.equal(byId.get('a')?.time, 1_700_000_000_000.25);
  assert.deepEqual(byId.get('b')?.readings, [{ tag: 'valve_open', value: 'left' }]);
  assert.equal(byId.get('e')?.device, 'plant1.line2.press8');
  const invalid = await connection.status([{ tag: '', value: 1 }]);
  assert.deepEqual([invalid.status, invalid.code, invalid.retryable], ['rejected', 'invalid_report', false]);
});

test('over lost links and a restart of ingest every message is in the log once, in order', async (t) => {
  const { connect, logged, proxy, restart } = await start(t);
  const connection = connect();
  const count = 3_000;
  const acks: Promise<string>[] = [];
  for (let n = 0; n < count; n++) {
    acks.push(
      connection.status(readingsOf(n), { id: `m${n}`, time: 1_700_000_000_000 + n }).then(({ status }) => status),
    );
    if (n % 1_000 !== 999) continue;
    const { accepted } = connection.counts;
    await eventually(() => connection.counts.accepted > accepted && connection.unanswered > 0);
    if (n === 1_999) await restart();
    else {
      await proxy.disconnect();
      await proxy.restore();
    }
  }
  const statuses = await Promise.all(acks);
  assert.ok(statuses.every((status) => status === 'accepted' || status === 'duplicate'));
  const reports = await logged();
  const values = [...new Map(reports.map(({ id, readings }) => [id, readings[0]!.value])).values()];
  assert.deepEqual(
    values.toSorted((a, b) => Number(a) - Number(b)),
    Array.from({ length: count }, (_, n) => n),
  );
  t.diagnostic(
    `sent ${count}, sent again ${connection.counts.resent}, records ${reports.length}, sessions ${connection.counts.sessions}`,
  );
  assert.ok(connection.counts.sessions >= 4);
});

test('a newer session of the device stops the older one, and reconnect takes it back', async (t) => {
  const { connect } = await start(t);
  const first = connect();
  await first.status(readingsOf(1));
  const second = connect();
  await second.status(readingsOf(2));
  await eventually(() => first.state.name === 'stopped');
  assert.ok(first.state.name === 'stopped' && first.state.loss.code === 4409, JSON.stringify(first.state));
  assert.match(first.state.loss.message, /another|newer|replaced/);
  first.reconnect();
  await first.status(readingsOf(3));
  await eventually(() => second.state.name === 'stopped');
});

test('a token that does not cover the device stops the connection, and the next one works', async (t) => {
  const { connect } = await start(t);
  let token = 'no token';
  const connection = connect({ token: () => token, device });
  await eventually(() => connection.state.name === 'stopped');
  assert.ok(connection.state.name === 'stopped' && connection.state.loss.code === 4401);
  token = await issueToken({
    secret,
    subject: 'd',
    publish: [device],
    subscribe: [],
    expiresInMs: 60_000,
    clock: systemClock,
  });
  connection.reconnect();
  assert.equal((await connection.status(readingsOf(1))).status, 'accepted');
});

test('a token is renewed in the session before it expires', async (t) => {
  const { connect } = await start(t);
  let tokens = 0;
  const connection = connect({
    token() {
      tokens++;
      const expiresInMs = tokens === 1 ? 10_000 : 60_000;
      return issueToken({ secret, subject: 'd', publish: [device], subscribe: [], expiresInMs, clock: systemClock });
    },
  });
  await connection.status(readingsOf(1));
  await eventually(() => tokens >= 2);
  await connection.status(readingsOf(2));
  assert.deepEqual([connection.counts.sessions, connection.state.name], [1, 'live']);
});
