import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Subscribe } from '@tailrace/protocol/client-message';
import { clientMessageBytes } from '@tailrace/protocol/client-message';
import { type Data, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode, type TestNode } from './node.ts';
import { welcomed } from './stream-client.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ viewsPerConnectionMax: 4, keyFrameMs: 60_000 });
});
after(() => node.stop());

type Options = Omit<Subscribe, 'id' | 'channel'>;

/** Connects and subscribes a client, and returns its frames as they come. */
async function watch(channel: string, options: Options, encoding: 'json' | 'proto' = 'json') {
  const ws = await welcomed(node, encoding);
  const request = { subscribe: { id: 'a', channel, ...options } };
  if (encoding === 'json') ws.sendText(JSON.stringify(request));
  else ws.sendBinary(clientMessageBytes(request));
  const next = async () => {
    const { payload, type } = await ws.nextMessage();
    const message = type === 'text' ? serverMessageFromJson(payload.toString('utf8')) : serverMessageFromBytes(payload);
    return { payload, message: message ?? assert.fail('an unknown message') };
  };
  const { message } = await next();
  assert.ok('subscribed' in message, JSON.stringify(message));
  const data = async () => {
    const { payload, message: frame } = await next();
    assert.ok('data' in frame, JSON.stringify(frame));
    return { payload, data: frame.data };
  };
  /** Frames until one has this value of tag `n`. */
  const until = async (value: number) => {
    const frames: { payload: Buffer; data: Data }[] = [];
    const has = ({ data: { reports } }: { data: Data }) =>
      reports.some(({ readings }) => readings.some((reading) => reading.tag === 'n' && reading.value === value));
    do frames.push(await data());
    while (!has(frames.at(-1)!));
    return frames;
  };
  const close = async () => {
    ws.close();
    await ws.closed;
  };
  const { view, position, recovered } = message.subscribed;
  return { view, position, recovered, next, data, until, close };
}

type Watching = Awaited<ReturnType<typeof watch>>;
const closeAll = (clients: readonly Watching[]) => Promise.all(clients.map((client) => client.close()));

test('clients with equal options get the same bytes, which the node has encoded once', async () => {
  const options = { tags: ['n', 'u'], deadband: { percent: 1 } };
  const [first, second, proto, plain] = [
    await watch('views-equal.>', options),
    await watch('views-equal.>', { ...options, tags: ['u', 'n'] }),
    await watch('views-equal.>', options, 'proto'),
    await watch('views-equal.>', {}),
  ];
  assert.equal(first.view, second.view);
  const framesBefore = await node.metric('tailrace_fanout_frames_total');
  for (const n of [100, 100.5, 102]) {
    await node.append('views-equal.d', [
      { tag: 'n', value: n },
      { tag: 'v', value: n },
    ]);
  }
  const bytes = async (client: Watching) => (await client.until(102)).map(({ payload }) => payload.toString('hex'));
  assert.deepEqual(await bytes(first), await bytes(second));
  const received = (await proto.until(102)).flatMap(({ data }) => data.reports);
  assert.deepEqual(
    received.map(({ readings }) => readings),
    [[{ tag: 'n', value: 100 }], [{ tag: 'n', value: 102 }]],
  );
  const whole = (await plain.until(102)).flatMap(({ data }) => data.reports);
  assert.deepEqual(
    whole.map(({ readings }) => readings.length),
    [2, 2, 2],
  );
  // Two of each shaped view, three of the plain one, or fewer where reports shared a batch.
  assert.ok((await node.metric('tailrace_fanout_frames_total')) - framesBefore <= 7);
  assert.equal(await node.metric('tailrace_fanout_deadband_reports_total'), 2);
  assert.equal(await node.metric('tailrace_fanout_shaped_views'), 2);
  await closeAll([first, second, proto, plain]);
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_views'), 0));
});

test('with a rate, every report is delivered or in a named range, and the last one is delivered', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const startMs = performance.now();
    const client = await watch(`views-rate.${encoding}`, { maxRate: 20 }, encoding);
    const reports = 300;
    for (let n = 1; n <= reports; n++) await node.append(`views-rate.${encoding}`, [{ tag: 'n', value: n }]);
    const frames = await client.until(reports);
    const delivered = frames.flatMap(({ data }) => data.reports);
    const skipped = frames.flatMap(({ data }) => data.skipped ?? []);
    for (let i = 1; i < delivered.length; i++) assert.ok(delivered[i]!.seq > delivered[i - 1]!.seq);
    const received = delivered.length + skipped.reduce((sum, { count }) => sum + count, 0);
    assert.equal(received, reports);
    assert.ok(skipped.length > 0 && skipped.every(({ reason }) => reason === 'rate'));
    const values = skipped.flatMap(({ tags = [] }) => tags.flatMap(({ min = 0, max = 0 }) => [min, max]));
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
    );
    assert.ok(frames.length <= ((performance.now() - startMs) / 1_000) * 20 + 2);
    await client.close();
  }
  assert.ok((await node.metric('tailrace_fanout_conflated_reports_total')) > 0);
});

test('with delta, clients that joined at different times arrive at the same values', async () => {
  const screen = (frames: readonly { data: Data }[], values: Map<string, unknown> = new Map()) => {
    for (const { readings } of frames.flatMap(({ data }) => data.reports))
      for (const { tag, value } of readings) values.set(tag, value);
    return values;
  };
  const report = (n: number, u: string) =>
    node.append('views-delta.d', [
      { tag: 'n', value: n },
      { tag: 'u', value: u },
      { tag: 'constant', value: true },
    ]);
  const early = await watch('views-delta.>', { delta: true });
  await report(1, 'on');
  await report(2, 'on');
  const earlyScreen = screen(await early.until(2));
  const late = await watch('views-delta.>', { delta: true }, 'proto');
  const lateScreen = screen([await late.data()]);
  assert.deepEqual(lateScreen, earlyScreen);
  await report(3, 'off');
  const changes = await early.until(3);
  assert.deepEqual(
    changes.flatMap(({ data }) => data.reports).map(({ delta, readings }) => [delta, readings.length]),
    [[true, 2]],
  );
  assert.deepEqual(screen(await late.until(3), lateScreen), screen(changes, earlyScreen));
  assert.deepEqual(lateScreen.get('u'), 'off');
  await closeAll([early, late]);
});

test('a client that resumes gets its backlog with its options, then live data', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const device = `views-back.${encoding}`;
    const options = { tags: ['n'], deadband: { absolute: 1 }, delta: true };
    const report = (n: number) =>
      node.append(device, [
        { tag: 'n', value: n },
        { tag: 'v', value: n },
      ]);
    const stays = await watch(device, options, encoding);
    const { position, close } = await watch(device, options, encoding);
    await close();
    for (const n of [10, 10.5, 20]) await report(n);
    await stays.until(20);
    const back = await watch(device, { ...options, after: position }, encoding);
    assert.equal(back.recovered, true);
    const backlog = (await back.until(20)).flatMap(({ data }) => data.reports);
    assert.deepEqual(
      backlog.map(({ seq, readings }) => [seq, readings]),
      [
        [backlog[0]!.seq, [{ tag: 'n', value: 10 }]],
        [backlog[0]!.seq + 2, [{ tag: 'n', value: 20 }]],
      ],
    );
    for (const n of [20.5, 30]) await report(n);
    const received = (await back.until(30)).flatMap(({ data }) => data.reports);
    assert.deepEqual(
      received.map(({ readings }) => readings),
      [[{ tag: 'n', value: 30 }]],
    );
    await closeAll([stays, back]);
  }
});

test('a client reaches the limit of views with options, and is still served without options', async () => {
  const ws = await welcomed(node);
  for (let i = 0; i < 5; i++) ws.sendText(`{"subscribe":{"id":"${i}","channel":"views-max.d","maxRate":${i + 1}}}`);
  ws.sendText('{"subscribe":{"id":"p","channel":"views-max.d"}}');
  const answers: unknown[] = [];
  for (let i = 0; i < 6; i++) answers.push(await ws.nextJson());
  const kinds = answers.map((answer) => Object.keys(answer as object)[0]);
  assert.deepEqual(kinds, ['subscribed', 'subscribed', 'subscribed', 'subscribed', 'error', 'subscribed']);
  assert.match(JSON.stringify(answers[4]), /limit_reached.*at most 4 subscriptions with maxRate/);
  assert.equal(await node.metric('tailrace_fanout_connection_views'), 4);
  assert.equal(await node.metric('tailrace_fanout_limit_connection_views'), 4);
  ws.close();
  await ws.closed;
});
