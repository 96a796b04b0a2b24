import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createStream } from '@tailrace/client';
import { createControl } from '@tailrace/client/control';
import { DeviceConnection } from '@tailrace/client/device';
import { eventually } from '@tailrace/testkit/eventually';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import { freePortBase } from './ports.ts';

/**
 * Control, ingest and fanout as processes on real PostgreSQL, Kafka and NATS, with a collector in this process. With a
 * sample ratio of 0 they trace only requests with a `traceparent`.
 */
const device = 'traced.line1.press';
const away = 'traced.line1.away';
const browserSpanId = '00f067aa0ba902b7';
const cleanup: (() => Promise<unknown>)[] = [];

let receiver: OtlpReceiver;
let cluster: StackCluster;

before(async () => {
  const dir = await createTempDir('command-tracing');
  receiver = await startOtlpReceiver();
  cluster = new StackCluster({
    ...{ nodes: 1, data: join(dir.path, 'stack'), keepsData: false, drainMs: 0, print: () => {} },
    portBase: await freePortBase(),
  });
  cleanup.push(
    () => dir.remove(),
    () => receiver.stop(),
    () => cluster.stop(),
  );
  cluster.common['TAILRACE_TRACING_URL'] = receiver.url;
  cluster.common['TAILRACE_TRACING_SAMPLE_RATIO'] = '0';
  // A setting of OpenTelemetry: spans are sent at once, not after five seconds.
  cluster.common['OTEL_BSP_SCHEDULE_DELAY'] = '100';
  await cluster.start();
  await cluster.startControl();
});

after(async () => {
  for (const stop of cleanup.reverse()) await stop();
});

async function connect(name: string): Promise<void> {
  const connection = new DeviceConnection({
    ...{ url: cluster.ingest.url.replace('http', 'ws'), device: name, token: cluster.token },
    onCommand(_command, answer) {
      answer.delivered();
      answer.reply({ state: 'done' });
    },
  });
  connection.start();
  cleanup.push(async () => connection.close());
  await eventually(() => assert.equal(connection.state.name, 'live'));
}

const traceOf = (traceId: string) => receiver.spans.all.filter((span) => span.traceId === traceId);

function spanIn(traceId: string, name: string, where: (span: ReceivedSpan) => boolean = () => true) {
  return eventually(
    () => {
      const found = traceOf(traceId).find((span) => span.name === name && where(span));
      assert.ok(found, receiver.spans.all.map((span) => `${span.traceId} ${span.name}`).join());
      return found;
    },
    { deadlineMs: 20_000, describe: `the collector has the span ${name}` },
  );
}

const childOf = (parent: ReceivedSpan) => (span: ReceivedSpan) => span.parentSpanId === parent.spanId;
const instanceOf = ({ resource }: ReceivedSpan) => resource['service.instance.id'];
const isFinal = ({ attributes }: ReceivedSpan) => attributes['tailrace.command.final'] === true;

/** The spans from the request of a command at control to its final state. */
async function deliveryOf(traceId: string, request: ReceivedSpan): Promise<void> {
  const sent = await spanIn(traceId, 'send tailrace.v1.command', childOf(request));
  assert.deepEqual([sent.kind, sent.attributes['messaging.system'], instanceOf(sent)], [4, 'nats', 'control-0']);
  const received = await spanIn(traceId, 'process tailrace.v1.command', childOf(sent));
  assert.equal(received.resource['service.name'], 'tailrace-ingest');
  const delivered = await spanIn(traceId, 'send websocket', childOf(received));
  assert.deepEqual(delivered.attributes['tailrace.command.state'], 'done');
  const final = await spanIn(traceId, 'process tailrace.v1.outcome', (span) => childOf(request)(span) && isFinal(span));
  assert.deepEqual([final.attributes['tailrace.command.state'], instanceOf(final)], ['done', 'control-0']);
}

test('a command of a page is one trace: fanout, control, ingest, the device, and its outcome', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  await connect(device);
  const stream = createStream({ url: cluster.fanout[0]!.url, token: cluster.token });
  cleanup.push(async () => stream.close());
  const control = createControl(stream);
  const untraced = await control.command({ device, name: 'set', params: { n: 1 } }).result;
  assert.equal(untraced.state, 'done');
  const traceparent = `00-${traceId}-${browserSpanId}-01`;
  const { state } = await control.command({ device, name: 'set', params: { n: 2 }, traceparent }).result;
  assert.equal(state, 'done');
  const page = await spanIn(traceId, 'receive websocket', ({ parentSpanId }) => parentSpanId === browserSpanId);
  assert.deepEqual([instanceOf(page), page.attributes['tailrace.message']], ['fanout-0', 'command']);
  const request = await spanIn(traceId, 'process tailrace.v1.control', childOf(page));
  await deliveryOf(traceId, request);
  assert.equal(receiver.spans.all.length, traceOf(traceId).length, 'the other command has no span');
  assert.doesNotMatch(JSON.stringify(receiver.spans.all), new RegExp(device), 'no span names a device');
});

test('a command that waits for its device while control is killed stays in the trace of its request', async () => {
  const traceId = 'af7651916cd43dd8448eb211c80319c4';
  const answer = await fetch(`${cluster.control[0]!.url}/v1/commands`, {
    method: 'POST',
    headers: {
      ...{ authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' },
      traceparent: `00-${traceId}-${browserSpanId}-01`,
    },
    body: JSON.stringify({ id: 'traced', device: away, name: 'set', params: { n: 3 }, deadline: Date.now() + 60_000 }),
  });
  assert.equal(answer.status, 202, await answer.text());
  const request = await spanIn(traceId, 'POST /v1/commands', ({ parentSpanId }) => parentSpanId === browserSpanId);
  assert.equal(request.attributes['http.response.status_code'], 202);
  await cluster.control[0]!.end('SIGKILL');
  await cluster.control[0]!.start();
  await connect(away);
  await deliveryOf(traceId, request);
});
