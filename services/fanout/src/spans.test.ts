import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createCluster } from '../test/cluster.ts';
import { createSpanRecorder, type RecordedSpan } from '../test/span-recorder.ts';

const device = 'plant.line1.press';
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const request = `00-${trace}-00f067aa0ba902b7-01`;
const otherRequest = `00-${trace}-00f067aa0ba902b8-01`;

const unsampled = request.replace(/1$/, '0');

/** Two nodes, each with a client of the device: one owns it, the other has it by relay. */
async function twoNodes(t: TestContext) {
  const recorders = { a: createSpanRecorder(), b: createSpanRecorder() };
  const cluster = await createCluster({
    partitions: 1,
    tracing: (name) => recorders[name as keyof typeof recorders].tracing,
  });
  t.after(() => cluster.close());
  const nodes = [await cluster.node('a'), await cluster.node('b')];
  await cluster.clock.advance(1_000);
  const clients = nodes.map((node) => node.client(device));
  await cluster.clock.advance(1_000);
  const owner = nodes.find(({ ownership }) => ownership.partitions[0]!.role === 'owned')!.name;
  const { a, b } = recorders;
  return { cluster, clients, own: owner === 'a' ? a : b, other: owner === 'a' ? b : a };
}

const named = (spans: readonly RecordedSpan[], name: string) => spans.filter((span) => span.name === name);

test('a batch with a traced report is a span with links, followed to the sockets here and on another node', async (t) => {
  const { cluster, clients, own, other } = await twoNodes(t);
  await Promise.all([
    cluster.append(device, 1, undefined, { traceparent: unsampled }),
    cluster.append(device, 2, undefined, { traceparent: request }),
    cluster.append(device, 3, undefined, { traceparent: otherRequest }),
    cluster.append(device, 4),
  ]);
  await cluster.clock.advance(100);
  for (const { live } of clients)
    assert.deepEqual(
      live.map(({ value }) => value),
      [1, 2, 3, 4],
    );

  const batches = named(own.spans, 'process tailrace.telemetry');
  assert.deepEqual(
    new Set(batches.flatMap(({ options }) => options.links)),
    new Set([unsampled, request, otherRequest]),
  );
  const [batch] = batches;
  assert.ok(batch);
  assert.equal(batch.options.parent, undefined, 'a batch has many origins and no parent');
  assert.equal(batch.options.kind, 'consumer');
  assert.equal(batch.attributes['messaging.consumer.group.name'], 'tailrace.fanout');
  assert.ok(Number(batch.attributes['messaging.batch.message_count']) >= 1);

  const published = named(own.spans, 'publish views').find(({ options }) => options.parent === batch.traceparent);
  assert.equal(published?.attributes['tailrace.deliveries'], batch.attributes['messaging.batch.message_count']);
  const sent = named(own.spans, 'send tailrace.v1.relay').find(({ options }) => options.parent === batch.traceparent);
  const frame = named(other.spans, 'process tailrace.v1.relay').find(
    ({ options }) => options.parent === sent?.traceparent,
  );
  assert.deepEqual(frame?.options.links, [sent?.traceparent]);
  const there = named(other.spans, 'publish views').find(({ options }) => options.parent === frame?.traceparent);
  assert.equal(there?.attributes['tailrace.deliveries'], published?.attributes['tailrace.deliveries']);
  for (const span of [...own.spans, ...other.spans]) assert.ok(span.ended, span.name);
  assert.doesNotMatch(JSON.stringify([own.spans, other.spans]), new RegExp(device), 'no span names a device');
});

test('without a trace in the records there is no span on any node, and what is sampled by chance has no links', async (t) => {
  const { cluster, own, other } = await twoNodes(t);
  await cluster.append(device, 1);
  await cluster.append(device, 2, undefined, { traceparent: unsampled });
  await cluster.append(device, 3, undefined, { traceparent: 'garbage', other: 'header' });
  await cluster.clock.advance(2_000);
  assert.deepEqual([own.spans, other.spans], [[], []]);
  own.all = true;
  await cluster.append(device, 4);
  await cluster.clock.advance(100);
  assert.deepEqual(named(own.spans, 'process tailrace.telemetry')[0]?.options.links, []);
});

test('what a new owner reads back was traced when it was new, and is not again', async (t) => {
  const recorder = createSpanRecorder();
  const cluster = await createCluster({ partitions: 1, tracing: () => recorder.tracing });
  t.after(() => cluster.close());
  for (let n = 0; n < 10; n++) await cluster.append(device, n, undefined, { traceparent: request });
  const node = await cluster.node('a');
  await cluster.clock.advance(1_000);
  assert.equal(node.ownership.counts.partition.reports, 10);
  assert.deepEqual(recorder.spans, []);
});
