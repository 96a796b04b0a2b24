import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { type Peer, startPeer } from '../services/edge/test/modbus-peer.ts';
import { startLinkProxy } from './link-proxy.ts';

/** The gateway as a process, between a Modbus server on pymodbus and ingest as a process with its own log. */
failOnLeaks();

const root = join(import.meta.dirname, '..');
const secret = 'a secret of the tests, long enough for HS256';
const pollMs = 50;
const tagCount = 10;

let peer: Peer;
before(async () => {
  peer = await startPeer('tcp');
});
after(() => peer.stop());

/** A gateway and ingest, and a link between them. */
async function start(t: TestContext) {
  const dir = await createTempDir('edge');
  const [ingestPort, internalPort] = (await freePorts(2)) as [number, number];
  const token = await issueToken({
    secret,
    subject: 'edge1',
    publish: ['plant1.>'],
    subscribe: [],
    expiresInMs: 600_000,
    clock: systemClock,
  });
  const tokenFile = join(dir.path, 'token');
  await writeFile(tokenFile, `${token}\n`);
  const tags = Array.from({ length: tagCount }, (_, n) => ({
    tag: `t${n}`,
    table: 'holding',
    address: n,
    type: 'u16',
  }));
  const sources = {
    sources: [
      {
        name: 'meters',
        modbus: { host: '127.0.0.1', port: peer.port },
        units: [{ unit: 1, device: 'plant1.meter1', addressing: 'zero', pollMs, tags }],
      },
    ],
    rules: [{ when: { device: 'plant1.meter1', tag: 't3', above: 2 }, actions: [{ event: 't3_high' }] }],
  };
  const sourcesFile = join(dir.path, 'sources.json');
  await writeFile(sourcesFile, JSON.stringify(sources));
  const proxy = await startLinkProxy(() => ingestPort);
  const startIngest = () =>
    startService({
      args: [join(root, 'services/ingest/src/main.ts')],
      env: {
        TAILRACE_EVENT_LOG: 'embedded',
        TAILRACE_DATA_PATH: join(dir.path, 'log'),
        TAILRACE_HOST: '127.0.0.1',
        TAILRACE_PORT: String(ingestPort),
        TAILRACE_INTERNAL_PORT: '0',
        TAILRACE_TOKEN_SECRET: secret,
      },
      ready: { line: /accepting reports/ },
    });
  const startEdge = () =>
    startService({
      args: [join(root, 'services/edge/src/main.ts')],
      env: {
        TAILRACE_EDGE_PATH: 'plant1.edge1',
        TAILRACE_INGEST_URL: `http://127.0.0.1:${proxy.port}`,
        TAILRACE_TOKEN_FILE: tokenFile,
        TAILRACE_SOURCES_FILE: sourcesFile,
        TAILRACE_STORE_PATH: join(dir.path, 'store'),
        TAILRACE_INTERNAL_HOST: '127.0.0.1',
        TAILRACE_INTERNAL_PORT: String(internalPort),
      },
      ready: { line: /"running"/ },
    });
  const processes: { ingest: ServiceProcess; edge: ServiceProcess } = {
    ingest: await startIngest(),
    edge: await startEdge(),
  };
  t.after(async () => {
    await Promise.all([processes.edge.kill(), processes.ingest.kill()]);
    await proxy.stop();
    await dir.remove();
  });
  const metric = async (series: string): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${internalPort}/metrics`);
    const [name, label = ''] = series.split(/[{}]/);
    const lines = (await response.text())
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && line.includes(label));
    return Number(lines[0]?.split(' ').at(-1));
  };
  return {
    proxy,
    processes,
    startIngest,
    startEdge,
    metric,
    /** Resolves when ingest has acknowledged this many readings of the gateway as it runs now. */
    sent: (readings: number) =>
      eventually(async () => (await metric('tailrace_edge_sent_readings_total')) >= readings, {
        deadlineMs: 30_000,
        describe: `${readings} readings are sent`,
      }),
    /** Resolves when the gateway has read this many further values. */
    async read(values: number) {
      const until = (await metric('tailrace_edge_samples_total')) + values;
      await eventually(async () => (await metric('tailrace_edge_samples_total')) >= until, {
        deadlineMs: 30_000,
        describe: `${values} values are read`,
      });
    },
    /** Resolves when reports are on disk: the link has been down for two seconds. */
    onDisk: () =>
      eventually(async () => (await metric('tailrace_edge_store_bytes')) > 0, {
        deadlineMs: 30_000,
        describe: 'reports are on disk',
      }),
    /** Stops both in order, and returns what the log has. */
    async logged(): Promise<Report[]> {
      assert.equal((await processes.edge.stop()).code, 0, processes.edge.output());
      await processes.ingest.stop();
      const eventLog = createEmbeddedLog({
        ...{ path: join(dir.path, 'log'), clock: systemClock, logger: silentLogger },
        metrics: createMetrics({ service: 'ingest', node: 'test', processMetrics: false }),
      });
      await eventLog.start();
      const reports: Report[] = [];
      for (const partition of (await eventLog.bounds('tailrace.telemetry')).keys()) {
        for await (const batch of eventLog.read('tailrace.telemetry', partition, { from: 0 })) {
          for (const { value } of batch) reports.push(decodeReport(value));
        }
      }
      await eventLog.close();
      return reports;
    },
  };
}

/** Times of the readings of a tag, by report ID, so that a repetition does not count. */
function timesOf(reports: readonly Report[], tag: string): number[] {
  const byId = new Map(reports.map((report) => [report.id, report]));
  return [...byId.values()].flatMap((report) =>
    report.device === 'plant1.meter1'
      ? report.readings.filter((reading) => reading.tag === tag).map(({ time }) => time ?? report.time)
      : [],
  );
}

/** The longest time between two readings of a tag. */
function longestGapMs(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.max(...sorted.slice(1).map((time, index) => time - sorted[index]!));
}

const repeatedOf = (reports: readonly Report[]) => reports.length - new Set(reports.map(({ id }) => id)).size;

test('after a link that was down, and one that was stalled, every reading is in the log once, in order and with its own time', async (t) => {
  const { proxy, sent, read, onDisk, metric, logged } = await start(t);
  await sent(100);
  const lostAt = Date.now();
  await proxy.disconnect();
  await onDisk();
  assert.equal(await metric('tailrace_edge_links{state="down"}'), 1);
  const before = await metric('tailrace_edge_sent_readings_total');
  const backAt = Date.now();
  await proxy.restore();
  await sent(before + 1);
  const firstMs = Date.now() - backAt;
  await eventually(async () => (await metric('tailrace_edge_backlog_reports')) === 0, { deadlineMs: 30_000 });
  await eventually(async () => (await metric('tailrace_edge_live_lag_seconds')) < 2);
  await proxy.stall();
  // As many as in a time after which the link is suspected to be lost.
  await read(450);
  await proxy.restore();
  const stalled = await metric('tailrace_edge_sent_readings_total');
  await sent(stalled + 100);
  const samples = await metric('tailrace_edge_samples_total');
  const reports = await logged();
  const times = timesOf(reports, 't5');
  assert.ok(times.length * tagCount >= samples - tagCount, `${times.length} times ${tagCount} of ${samples} samples`);
  // Shorter than either time without a link.
  const gapMs = longestGapMs(times);
  assert.ok(gapMs < 2_000, `no reading for ${gapMs} ms`);
  const backlog = times.filter((time) => time > lostAt + 500 && time < backAt - 500);
  assert.deepEqual(
    backlog,
    backlog.toSorted((a, b) => a - b),
    'the backlog is in order',
  );
  assert.ok(backlog.length > 10);
  const repeated = repeatedOf(reports);
  t.diagnostic(
    `first batch ${firstMs} ms after the link was back; ${samples} samples; ${reports.length} records, ${repeated} repeated`,
  );
  assert.equal(repeated, 0);
  assert.ok(firstMs < 5_000, `${firstMs} ms`);
  const own = reports.filter(({ device }) => device === 'plant1.edge1').flatMap(({ readings }) => readings);
  const links = new Set(own.filter(({ tag }) => tag === 'link').map(({ value }) => value));
  assert.deepEqual(links, new Set(['up', 'down']));
  const states = new Set(own.filter(({ tag }) => tag === 'source.meters.state').map(({ value }) => value));
  assert.ok(states.has('connected'));
  const events = reports.filter(({ readings }) => readings.some(({ tag }) => tag === 't3_high'));
  assert.equal(events.length, 1);
});

test('after kill -9 of ingest and of the gateway, what was acknowledged is in the log, and no reading is missing in between', async (t) => {
  const { processes, startIngest, startEdge, sent, onDisk, metric, logged } = await start(t);
  await sent(100);
  const awayAt = Date.now();
  await processes.ingest.kill();
  await eventually(async () => (await metric('tailrace_edge_links{state="down"}')) === 1, { deadlineMs: 30_000 });
  processes.ingest = await startIngest();
  const awayMs = Date.now() - awayAt;
  const again = await metric('tailrace_edge_sent_readings_total');
  await sent(again + 100);
  await processes.ingest.kill();
  await onDisk();
  const killedAt = Date.now();
  await processes.edge.kill();
  processes.edge = await startEdge();
  processes.ingest = await startIngest();
  const restartedAt = Date.now();
  await sent(100);
  await eventually(async () => (await metric('tailrace_edge_waiting_reports')) < 10, { deadlineMs: 30_000 });
  const reports = await logged();
  const times = timesOf(reports, 't5');
  // What was in memory when the gateway was killed is lost: at most what was not yet on disk.
  const gapMs = longestGapMs(times.filter((time) => time < killedAt - 500));
  assert.ok(gapMs < Math.max(1_000, awayMs - 200), `no reading for ${gapMs} ms, ingest was away for ${awayMs} ms`);
  assert.ok(times.filter((time) => time > killedAt - 2_500 && time < killedAt - 500).length > 10, 'the store survives');
  assert.ok(times.some((time) => time > restartedAt));
  const reasons = reports.flatMap(({ readings }) => readings.filter(({ tag }) => tag === 'lost_reason'));
  assert.deepEqual([...new Set(reasons.map(({ value }) => value))], ['crash']);
  const ids = new Map<string, string>();
  for (const { id, readings } of reports) {
    const content = JSON.stringify(readings.filter(({ tag }) => !tag.startsWith('lost_')));
    assert.equal(ids.get(id!) ?? content, content, `the ID ${id} has two reports`);
    ids.set(id!, content);
  }
  t.diagnostic(`${reports.length} records, ${repeatedOf(reports)} repeated`);
});
