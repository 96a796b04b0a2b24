import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { delivery, fakeSockets } from '../test/fake-socket.ts';
import type { SubscriptionState } from './state.ts';
import { createStream, type StreamOptions } from './stream.ts';

function setUp(options: Partial<StreamOptions> = {}) {
  const clock = createFakeClock({ nowMs: 1_000_000 });
  const fake = fakeSockets();
  const stream = createStream({
    url: 'ws://node:8081',
    token: 'secret',
    WebSocket: fake.WebSocket,
    clock,
    random: () => 0.5,
    ...options,
  });
  const got: { snapshot: number[]; live: number[]; states: SubscriptionState['name'][] } = {
    snapshot: [],
    live: [],
    states: [],
  };
  const listener = {
    onSnapshot: (reports: readonly { seq: number }[]) => got.snapshot.push(...reports.map((report) => report.seq)),
    onReports: (reports: readonly { seq: number }[]) => got.live.push(...reports.map((report) => report.seq)),
    onState: (state: SubscriptionState) => got.states.push(state.name),
  };
  return { clock, stream, got, listener, ...fake };
}

test('the token is in the first message and never in the URL', () => {
  const { last } = setUp();
  last().open();
  assert.equal(last().url, 'ws://node:8081/v1/stream');
  assert.equal(last().protocol, 'tailrace.v1.json');
  assert.deepEqual(last().sent, [{ auth: { token: 'secret' } }]);
});

test('subscriptions made before `welcome` are requested after it', () => {
  const { stream, last, listener } = setUp();
  stream.subscribe('plant1.>', listener);
  last().open();
  assert.equal(last().sentOf('subscribe').length, 0);
  last().welcome();
  assert.deepEqual(last().sentOf('subscribe'), [{ subscribe: { id: 's1', channel: 'plant1.>' } }]);
  assert.equal(stream.state.name, 'live');
});

test('a snapshot comes first, then live reports, each once', () => {
  const { stream, last, listener, got } = setUp();
  stream.subscribe('plant1.>', listener);
  last().welcome();
  last().subscribed('plant1.>');
  last().data(1, [4, 7], { snapshot: true });
  last().data(1, [7, 8, 8, 6, 9]);
  assert.deepEqual(got, { snapshot: [4, 7], live: [8, 9], states: ['live'] });
});

test('two subscriptions share a view, and an unsubscribed one receives nothing more', () => {
  const { stream, last, listener, got } = setUp();
  const other: number[] = [];
  const subscription = stream.subscribe('plant1.>', listener);
  stream.subscribe('plant1.>', { onReports: (reports) => other.push(...reports.map((report) => report.seq)) });
  last().welcome();
  last().deliver({ subscribed: { id: 's1', view: 3, channel: 'plant1.>', epoch: 'e', position: '', snapshot: 0 } });
  last().deliver({ subscribed: { id: 's2', view: 3, channel: 'plant1.>', epoch: 'e', position: '', snapshot: 0 } });
  last().data(3, [1]);
  subscription.unsubscribe();
  last().data(3, [2]);
  assert.deepEqual(got.live, [1]);
  assert.deepEqual(other, [1, 2]);
  assert.deepEqual(last().sentOf('unsubscribe'), [{ unsubscribe: { id: 's1' } }]);
  assert.equal(subscription.state.name, 'ended');
});

test('a connection that fails before the welcome names its address, without the token', () => {
  const { stream, last } = setUp({ url: 'ws://node:8080/tailrace?token=secret' });
  last().end(1006);
  const { state } = stream;
  assert.ok(state.name === 'waiting');
  assert.equal(state.loss.message, 'no Tailrace stream answers at ws://node:8080/tailrace/v1/stream');
});

test('after a disconnect it reconnects with full jitter, subscribes again, and delivers no duplicates', async () => {
  const { clock, stream, sockets, last, listener, got } = setUp({ backoff: { baseMs: 1000, capMs: 3000 } });
  stream.subscribe('plant1.>', listener);
  last().welcome();
  last().subscribed('plant1.>');
  last().data(1, [1, 2]);
  last().end(1006);
  assert.deepEqual(stream.state, {
    name: 'waiting',
    attempt: 1,
    retryAt: clock.now() + 500,
    loss: { code: 1006, message: 'the connection to ws://node:8081 was lost', mayReconnect: true },
  });
  await clock.advance(499);
  assert.equal(sockets.length, 1);
  await clock.advance(1);
  assert.equal(sockets.length, 2);
  last().welcome();
  last().subscribed('plant1.>', 9);
  last().data(9, [2, 3], { snapshot: true });
  last().data(9, [3, 4]);
  assert.deepEqual(got, { snapshot: [3], live: [1, 2, 4], states: ['live', 'waiting', 'live'] });
});

test('the backoff grows up to the cap, and is reset by a stable connection', async () => {
  const { clock, stream, last } = setUp({ backoff: { baseMs: 1000, capMs: 3000 } });
  const waits: number[] = [];
  stream.onState((state) => {
    if (state.name === 'waiting') waits.push(state.retryAt - clock.now());
  });
  for (let attempt = 0; attempt < 4; attempt++) {
    last().end(1006);
    await clock.advanceToNext();
  }
  last().welcome();
  last().end(1012);
  await clock.advanceToNext();
  assert.deepEqual(waits, [500, 1000, 1500, 1500, 1500]);
  last().welcome();
  last().deliver({ pong: { t: 1, time: 0 } });
  await clock.advance(5000);
  last().end(1012);
  assert.equal(waits.at(-1), 500);
});

test("a close code of 44xx closes the stream, with the server's error, until reconnect is called", async () => {
  const { clock, stream, sockets, last, listener, got } = setUp();
  stream.subscribe('plant1.>', listener);
  last().open();
  last().deliver({ error: { code: 'unauthorized', message: 'the token expired at 12:00', retryable: false } });
  last().end(4401);
  assert.deepEqual(stream.state, {
    name: 'closed',
    loss: { code: 4401, message: 'the token expired at 12:00', mayReconnect: false },
  });
  await clock.advance(3_600_000);
  assert.equal(sockets.length, 1);
  stream.reconnect();
  last().welcome();
  last().subscribed('plant1.>');
  assert.deepEqual(got.states, ['failed', 'waiting', 'live']);
});

test('when the server closes the stream permanently, its subscriptions and loops fail with the reason, and new ones at once', async () => {
  for (const [closeCode, code] of [
    [4401, 'unauthorized'] as const,
    [4403, 'forbidden'] as const,
    [4400, 'closed'] as const,
  ]) {
    const { stream, last } = setUp();
    const subscription = stream.subscribe('plant1.>');
    const paused = stream.subscribe('plant2.>');
    const iterator = subscription[Symbol.asyncIterator]();
    const next = iterator.next();
    last().open();
    paused.pause();
    last().deliver({ error: { code: 'unauthorized', message: 'expected a signed token', retryable: false } });
    last().end(closeCode);
    await assert.rejects(next, { code, message: 'expected a signed token', retryable: false });
    for (const each of [subscription, paused, stream.subscribe('plant3.>')]) {
      assert.ok(each.state.name === 'failed', each.state.name);
      assert.equal(each.state.error.code, code);
    }
    stream.reconnect();
    assert.equal(subscription.state.name, 'waiting');
    assert.equal(paused.state.name, 'paused');
    last().welcome();
    assert.deepEqual(
      last()
        .sentOf('subscribe')
        .map((message) => 'subscribe' in message && message.subscribe.channel),
      ['plant1.>', 'plant3.>'],
    );
  }
});

test('the error of a stream without a token that the server does not answer mentions the token', async () => {
  const lossOf = async (options: Partial<StreamOptions>) => {
    const { clock, stream, last } = setUp(options);
    await clock.advance(0);
    last().open();
    await clock.advance(10_000);
    return stream.state.name === 'waiting' ? stream.state.loss.message : stream.state.name;
  };
  const none = 'no token was given, and the server did not answer within 10 s';
  assert.equal(await lossOf({ token: '' }), none);
  assert.equal(await lossOf({ token: () => ' ' }), none);
  assert.equal(await lossOf({}), 'the server did not answer within 10 s');
  assert.equal(
    await lossOf({ token: '', url: 'ws://node:8081?token=secret' }),
    'the server did not answer within 10 s',
    'the URL has it',
  );
});

test('a connection without pongs is closed as lost', async () => {
  const { clock, stream, sockets, last } = setUp({ pingMs: 5000, deadlineMs: 2000 });
  last().welcome();
  last().deliver({ pong: { t: 1, time: clock.now() } });
  await clock.advance(5000);
  assert.deepEqual(last().sentOf('ping').at(-1), { ping: { t: 2 } });
  await clock.advance(2000);
  assert.equal(stream.state.name, 'waiting');
  assert.equal(sockets[0]?.closedWith, 1000);
  // Messages of the closed socket are ignored.
  sockets[0]?.welcome();
  assert.equal(stream.state.name, 'waiting');
});

test('a connection without `welcome` is closed as lost', async () => {
  const { clock, stream, last } = setUp({ deadlineMs: 2000 });
  last().open();
  await clock.advance(2000);
  assert.equal(stream.state.name, 'waiting');
});

test('pings measure the round trip and the server clock', async () => {
  const { clock, stream, last } = setUp();
  last().welcome();
  assert.equal(stream.roundTripMs, undefined);
  await clock.advance(40);
  // In the middle of those 40 ms the server's clock was 5 s ahead.
  last().deliver({ pong: { t: 1, time: clock.now() - 20 + 5000 } });
  assert.equal(stream.roundTripMs, 40);
  assert.equal(stream.serverNow(), clock.now() + 5000);
});

test('after a reconnect the round trip is undefined, and the server clock continues', async () => {
  const { clock, stream, last } = setUp();
  last().welcome();
  await clock.advance(40);
  last().deliver({ pong: { t: 1, time: clock.now() - 20 + 5000 } });
  last().end(4002, 'too slow; after=AAAA');
  assert.equal(stream.state.name === 'waiting' && stream.state.loss.message, 'too slow');
  assert.equal(stream.roundTripMs, undefined);
  await clock.advanceToNext();
  last().welcome();
  assert.equal(stream.roundTripMs, undefined);
  assert.equal(stream.serverNow(), clock.now() + 5000);
});

test('a refused subscription has the error, and is requested again only where that is retryable', async () => {
  const { clock, stream, last } = setUp();
  const states: string[] = [];
  const watch = {
    onState: (state: SubscriptionState) =>
      states.push(state.name === 'failed' ? `failed: ${state.error.message}` : state.name),
  };
  stream.subscribe('secret.>', watch);
  stream.subscribe('plant1.>', watch);
  last().welcome();
  last().deliver({ error: { id: 's1', code: 'forbidden', message: 'not yours', retryable: false } });
  last().deliver({ error: { id: 's2', code: 'unavailable', message: 'no owner yet', retryable: true } });
  assert.deepEqual(states, ['failed: not yours', 'failed: no owner yet']);
  await clock.advance(500);
  assert.deepEqual(
    last()
      .sentOf('subscribe')
      .map((message) => 'subscribe' in message && message.subscribe.id),
    ['s1', 's2', 's2'],
  );
});

test('a new epoch clears the positions of the previous one', async () => {
  const { clock, stream, last, listener, got } = setUp();
  stream.subscribe('plant1.>', listener);
  last().welcome();
  last().subscribed('plant1.>', 1, 'e1');
  last().data(1, [100]);
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  last().subscribed('plant1.>', 1, 'e2');
  last().data(1, [1]);
  assert.deepEqual(got.live, [100, 1]);
});

test('an invalid message from a server costs the connection, not the program', async () => {
  for (const invalid of ['{', '[]', '{"data":{"view":1,"reports":5}}', '{"stale":5}', new ArrayBuffer(4)]) {
    const { stream, last } = setUp();
    last().welcome();
    last().deliverRaw(invalid);
    assert.equal(stream.state.name, 'waiting', String(invalid));
  }
  const { stream, last } = setUp();
  last().welcome();
  last().deliverRaw('{"weather":{"of":"a later version"}}');
  assert.equal(stream.state.name, 'live');
});

test('a token function is called for every attempt, and its failure is retried', async () => {
  let asked = 0;
  const token = () => {
    asked++;
    return asked === 1 ? Promise.reject(new TypeError('no network')) : Promise.resolve(`t${asked}`);
  };
  const { clock, stream, last, sockets } = setUp({ token });
  await clock.advance(0);
  assert.equal(stream.state.name, 'waiting');
  assert.equal(sockets.length, 0);
  await clock.advanceToNext();
  last().open();
  assert.deepEqual(last().sent, [{ auth: { token: 't2' } }]);
});

test('a closed stream leaves no timer and accepts no subscription', () => {
  const { clock, stream, last, listener, got } = setUp();
  stream.subscribe('plant1.>', listener);
  last().welcome();
  stream.close();
  stream.close();
  assert.equal(clock.pending(), 0);
  assert.equal(last().closedWith, 1000);
  assert.deepEqual(got.states, ['ended']);
  assert.throws(() => stream.subscribe('plant1.>', {}), { code: 'closed' });
});

test('an invalid pattern is rejected at once', () => {
  const { stream } = setUp();
  assert.throws(() => stream.subscribe('plant1.*', {}), { code: 'invalid_pattern' });
});

test('after a disconnect it resumes from its position, and the backlog comes as live reports', async () => {
  const { clock, stream, last, listener, got } = setUp();
  const states: SubscriptionState[] = [];
  const subscription = stream.subscribe('plant1.>', { ...listener, onState: (state) => states.push(state) });
  const answer = (fields: object) => {
    const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
    const subscribed = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0, ...fields };
    last().deliver({ subscribed });
  };
  const requestedAfter = () => {
    const [request] = last().sentOf('subscribe').slice(-1) as { subscribe: { after?: string } }[];
    return request?.subscribe.after === undefined ? undefined : positionsFromToken(request.subscribe.after).last(0);
  };
  last().welcome();
  assert.equal(requestedAfter(), undefined, 'no position before the first reply');
  answer({});
  last().data(1, [1], { snapshot: true });
  last().data(1, [2, 3]);
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  assert.equal(requestedAfter(), 3);
  answer({ recovered: true });
  last().data(1, [4, 5]);
  assert.deepEqual(got.live, [2, 3, 4, 5]);
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  const missing = [{ partition: 0, from: 6, to: 9, reason: 'retention' }];
  answer({ recovered: false, missing });
  assert.deepEqual(subscription.state, { name: 'live', devices: 0, recovered: false, missing });
  assert.deepEqual(
    states.map(({ name }) => name),
    ['live', 'waiting', 'live', 'waiting', 'live'],
  );
});

test('where the server refuses its position it starts again with last values', async () => {
  const { clock, stream, last, listener } = setUp();
  stream.subscribe('plant1.>', listener);
  last().welcome();
  const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
  last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 } });
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  last().deliver({ error: { id: 's1', code: 'invalid_position', message: 'ahead of the log', retryable: false } });
  assert.deepEqual(
    last()
      .sentOf('subscribe')
      .map((message) => 'subscribe' in message && message.subscribe.after),
    [position, undefined],
  );
});

test('where the server refuses `after`, the next state has the error, once', async () => {
  const { clock, stream, last } = setUp();
  const subscription = stream.subscribe('plant1.>', { after: 'garbage' });
  const answer = () => {
    const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
    last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 } });
  };
  last().welcome();
  last().deliver({ error: { id: 's1', code: 'invalid_position', message: 'no position token', retryable: false } });
  answer();
  const { state } = subscription;
  assert.ok(state.name === 'live' && state.recovered === false);
  assert.equal(state.missing, undefined);
  assert.equal(state.error?.code, 'invalid_position');
  assert.equal(state.error.message, 'no position token');
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  answer();
  assert.deepEqual(subscription.state, { name: 'live', devices: 0 });
});

test('a cut of several frames is delivered when it is complete, and discarded where frames are missing', () => {
  const { WebSocket, last } = fakeSockets();
  const cuts: [at: number, devices: string[], late: readonly string[] | undefined][] = [];
  const stream = createStream({ url: 'ws://node:8081', WebSocket, clock: createFakeClock() });
  stream.subscribe('plant1.>', {
    align: 1_000,
    onCut: ({ at, reports, late }) => cuts.push([at, reports.map(({ device }) => device), late]),
  });
  last().welcome();
  last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e', position: '', snapshot: 0 } });
  const frame = (at: number, device: string, fields: object) =>
    last().deliver({
      cut: { view: 1, at, reports: [{ device, partition: 0, seq: 1, time: 1, readings: [] }], ...fields },
    });
  frame(1_000, 'plant1.b', { page: 1, more: true });
  frame(1_000, 'plant1.c', { page: 2 });
  frame(2_000, 'plant1.a', { more: true, late: ['plant1.c'] });
  frame(2_000, 'plant1.b', { page: 1, more: true });
  frame(2_000, 'plant1.c', { page: 2 });
  frame(3_000, 'plant1.a', { more: true });
  frame(3_000, 'plant1.c', { page: 2 });
  frame(4_000, 'plant1.a', {});
  assert.deepEqual(cuts, [
    [2_000, ['plant1.a', 'plant1.b', 'plant1.c'], ['plant1.c']],
    [4_000, ['plant1.a'], undefined],
  ]);
  stream.close();
});

test('a cut of 500 frames is delivered, a larger one is discarded, and the next one is delivered', () => {
  const { WebSocket, last } = fakeSockets();
  const cuts: [at: number, reports: number][] = [];
  const stream = createStream({ url: 'ws://node:8081', WebSocket, clock: createFakeClock() });
  stream.subscribe('plant1.>', { align: 1_000, onCut: ({ at, reports }) => cuts.push([at, reports.length]) });
  last().welcome();
  last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e', position: '', snapshot: 0 } });
  const deliver = (at: number, frames: number) => {
    for (let page = 0; page < frames; page++)
      last().deliver({ cut: { view: 1, at, reports: [delivery(page)], page, more: page < frames - 1 } });
  };
  deliver(1_000, 500);
  deliver(2_000, 501);
  deliver(3_000, 1);
  assert.deepEqual(cuts, [
    [1_000, 500],
    [3_000, 1],
  ]);
  stream.close();
});

test('a cut whose connection is lost between its frames is discarded', async () => {
  const { WebSocket, last } = fakeSockets();
  const cuts: number[] = [];
  const clock = createFakeClock();
  const stream = createStream({ url: 'ws://node:8081', WebSocket, clock, random: () => 0.5 });
  stream.subscribe('plant1.>', { align: 1_000, onCut: ({ at }) => cuts.push(at) });
  const accept = () => {
    last().welcome();
    last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e', position: '', snapshot: 0 } });
  };
  accept();
  last().deliver({ cut: { view: 1, at: 1_000, reports: [delivery(1)], more: true } });
  last().end(1006);
  await clock.advance(1000);
  accept();
  last().deliver({ cut: { view: 1, at: 1_000, reports: [delivery(2)], page: 1 } });
  last().deliver({ cut: { view: 1, at: 2_000, reports: [delivery(3)] } });
  assert.deepEqual(cuts, [2_000]);
  stream.close();
});
