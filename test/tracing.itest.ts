import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { run } from '@tailrace/testkit/run';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { StackCluster } from '../scripts/stack-cluster.ts';
import { freePortBase } from './ports.ts';
import { createWatcher } from './watcher.ts';

/**
 * Ingest and two fanout nodes as processes on real Kafka and NATS, a collector in this process, and a real Prometheus.
 * With a sample ratio of 0 they trace only requests with a `traceparent`.
 */
const device = 'traced.line1.press';
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const deviceSpanId = '00f067aa0ba902b7';

const dir = await createTempDir('tracing');
let receiver: OtlpReceiver;
let cluster: StackCluster;
let prometheus: Supervised;
let prometheusUrl: string;

before(async () => {
  receiver = await startOtlpReceiver();
  cluster = new StackCluster({
    ...{ nodes: 2, data: join(dir.path, 'stack'), keepsData: false, drainMs: 0, print: () => {} },
    portBase: await freePortBase(2),
  });
  cluster.common['TAILRACE_TRACING_URL'] = receiver.url;
  cluster.common['TAILRACE_TRACING_SAMPLE_RATIO'] = '0';
  // A setting of OpenTelemetry: spans are sent at once, not after five seconds.
  cluster.common['OTEL_BSP_SCHEDULE_DELAY'] = '100';
  await cluster.start();
  [prometheus, prometheusUrl] = await startPrometheus();
});

after(async () => {
  await prometheus?.stop();
  await cluster.stop();
  await receiver.stop();
  await dir.remove();
});

test('a traced request has spans from its device through the log and two nodes to the sockets; others have none', async () => {
  const [first, second] = await Promise.all(
    cluster.fanout.map(({ port }) =>
      createWatcher({ url: `ws://127.0.0.1:${port}`, token: cluster.token, channel: device }),
    ),
  );
  assert.ok(first && second);
  await post(1);
  await Promise.all([first.until(1, 20_000), second.until(1, 20_000)]);
  await post(2, `00-${traceId}-${deviceSpanId}-01`);
  await Promise.all([first.until(2, 20_000), second.until(2, 20_000)]);

  const request = await spanWhere('POST /v1/ingest', () => true);
  assert.deepEqual([request.traceId, request.parentSpanId], [traceId, deviceSpanId]);
  assert.equal(request.attributes['http.response.status_code'], 202);
  const append = await spanWhere('send tailrace.telemetry', childOf(request));
  assert.equal(append.attributes['messaging.system'], 'kafka');
  assert.deepEqual(await recordHeaders(), [undefined, { traceparent: `00-${traceId}-${append.spanId}-01` }]);

  const batch = await spanWhere('process tailrace.telemetry', ({ links }) => links[0]?.spanId === append.spanId);
  assert.deepEqual([batch.parentSpanId, batch.links[0]?.traceId], [undefined, traceId]);
  assert.equal(batch.attributes['messaging.system'], 'kafka');
  const published = await spanWhere('publish views', childOf(batch));
  assert.equal(published.attributes['tailrace.deliveries'], 1);
  const sent = await spanWhere('send tailrace.v1.relay', childOf(batch));
  const frame = await spanWhere('process tailrace.v1.relay', childOf(sent));
  assert.equal(frame.links[0]?.spanId, sent.spanId);
  assert.equal(frame.attributes['messaging.system'], 'nats');
  const publishedThere = await spanWhere('publish views', childOf(frame));
  assert.equal(publishedThere.attributes['tailrace.deliveries'], 1);

  const nodes = [batch, frame].map(({ resource }) => resource['service.instance.id']);
  assert.deepEqual(nodes.toSorted(), ['fanout-0', 'fanout-1']);
  const known = [request, append, batch, published, sent, frame, publishedThere];
  // A process sends its spans in order: those of the report that is not traced would be earlier.
  assert.equal(receiver.spans.all.length, known.length, receiver.spans.all.map(({ name }) => name).join());
  assert.doesNotMatch(JSON.stringify(receiver.spans.all), new RegExp(device), 'no span names a device');
  first.close();
  second.close();
});

test('a traced message of a WebSocket has spans from its device through the log to a node', async () => {
  const sender = 'traced.line1.robot';
  const socket = await connectRawWebSocket({ port: Number(new URL(cluster.ingest.url).port), path: '/v1/device' });
  const { payload } = (await socket.nextJson()) as { payload: { challenge: string } };
  const send = (message: object) => socket.sendText(JSON.stringify(message));
  send({ type: 'auth', payload: { device: sender, token: cluster.token, challenge: payload.challenge } });
  assert.equal(((await socket.nextJson()) as { type: string }).type, 'welcome');
  const status = { type: 'status', msgid: 'r1', payload: { readings: [{ tag: 'n', value: 1 }] } };
  send({ ...status, traceparent: `00-${traceId}-${deviceSpanId}-01` });
  assert.equal(((await socket.nextJson()) as { msgid: string }).msgid, 'r1');
  const message = await spanWhere('receive websocket', () => true);
  assert.deepEqual([message.traceId, message.parentSpanId], [traceId, deviceSpanId]);
  const append = await spanWhere('send tailrace.telemetry', childOf(message));
  assert.equal(append.attributes['messaging.system'], 'kafka');
  await spanWhere('process tailrace.telemetry', ({ links }) => links[0]?.spanId === append.spanId);
  socket.close();
});

test('a real Prometheus scrapes the metrics, with exemplars whose traces the collector has', async () => {
  await eventually(
    async () => {
      const found = await exemplarsOf('{__name__=~"tailrace_.+_bucket"}');
      const names = new Set(found.map(({ series }) => series));
      // Of requests, messages and their appends in ingest, and of delivery in a node.
      assert.ok(names.size >= 4 && [...names].some((name) => name.startsWith('tailrace_fanout_')), [...names].join());
      assert.ok(names.has('tailrace_ingest_request_duration_seconds_bucket'), [...names].join());
      assert.ok(names.has('tailrace_ingest_ack_duration_seconds_bucket'), [...names].join());
      const known = new Set(receiver.spans.all.map((span) => `${span.traceId} ${span.spanId}`));
      for (const { series, span } of found) assert.ok(known.has(span), `${series}: ${span}`);
    },
    { deadlineMs: 30_000, describe: 'Prometheus has exemplars of spans that the collector has' },
  );
  const allScraped = async () => {
    const { data } = (await ask('query', 'min(up)')) as { data: { result: { value: [number, string] }[] } };
    assert.equal(data.result[0]?.value[1], '1', 'every scrape succeeded');
  };
  await eventually(allScraped, { deadlineMs: 20_000 });
});

async function post(value: number, traceparent?: string): Promise<void> {
  const answer = await fetch(`${cluster.ingest.url}/v1/ingest`, {
    method: 'POST',
    headers: {
      ...{ authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' },
      ...(traceparent !== undefined && { traceparent }),
    },
    body: JSON.stringify({ device, time: Date.now(), readings: [{ tag: 'n', value }] }),
  });
  assert.equal(answer.status, 202, await answer.text());
}

const childOf = (parent: ReceivedSpan) => (span: ReceivedSpan) =>
  span.traceId === parent.traceId && span.parentSpanId === parent.spanId;

function spanWhere(name: string, where: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> {
  return eventually(
    () => {
      const found = receiver.spans.all.find((span) => span.name === name && where(span));
      assert.ok(found, receiver.spans.all.map((span) => span.name).join());
      return found;
    },
    { deadlineMs: 20_000, describe: `the collector has the span ${name}` },
  );
}

/** Returns the headers of the device's records, in order. */
async function recordHeaders(): Promise<unknown[]> {
  const eventLog = new KafkaEventLog({ brokers: cluster.kafka.brokers, prefix: 'tailrace', logger: silentLogger });
  await eventLog.start();
  const headers: unknown[] = [];
  for (const partition of (await eventLog.bounds('tailrace.telemetry')).keys()) {
    for await (const records of eventLog.read('tailrace.telemetry', partition, { from: 0 }))
      headers.push(...records.filter(({ key }) => key === device).map((record) => record.headers));
  }
  await eventLog.close();
  return headers;
}

async function startPrometheus(): Promise<[Supervised, string]> {
  const targets = [cluster.ingest, ...cluster.fanout].map(({ internal }) => internal.replace('http://', ''));
  const config = { job_name: 'tailrace', scrape_interval: '1s', static_configs: [{ targets }] };
  const file = join(dir.path, 'prometheus.yml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ scrape_configs: [config] }));
  await run(await findTool('promtool'), ['check', 'config', file], { deadlineMs: 10_000 });
  const address = `127.0.0.1:${await freePort()}`;
  const log = join(dir.path, 'prometheus.log');
  const started = await startSupervised({
    command: await findTool('prometheus'),
    args: [
      ...[`--config.file=${file}`, `--storage.tsdb.path=${join(dir.path, 'prometheus')}`],
      ...[`--web.listen-address=${address}`, '--enable-feature=exemplar-storage'],
    ],
    cwd: dir.path,
    env: process.env,
    output: { file: log },
  });
  return [started, `http://${address}`];
}

async function ask(what: string, query: string): Promise<object> {
  const answer = await fetch(
    `${prometheusUrl}/api/v1/${what}?query=${encodeURIComponent(query)}&start=${Date.now() / 1_000 - 3_600}&end=${Date.now() / 1_000 + 60}`,
  );
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as object;
}

async function exemplarsOf(query: string): Promise<{ series: string; span: string }[]> {
  const { data } = (await ask('query_exemplars', query)) as {
    data: {
      seriesLabels: { __name__: string };
      exemplars: { labels: { trace_id: string; span_id: string } }[];
    }[];
  };
  return data.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels }) => ({ series: seriesLabels.__name__, span: `${labels.trace_id} ${labels.span_id}` })),
  );
}
