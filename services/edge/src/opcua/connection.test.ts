import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { double, MemoryServer } from '../../test/opcua-memory-server.ts';
import type { Sample } from '../sample.ts';
import { sourcesFrom } from '../sources-file.ts';
import type { OpcuaSource } from './opcua-source.ts';
import { SubscribedSource } from './subscribed-source.ts';

type Json = Record<string, unknown>;

const startMs = Date.UTC(2026, 0, 1);

/** Returns nodes `ns=2;s=t0` and so on, one for each tag. */
function sourceOf(tags: readonly Json[], opcua: Json = {}): OpcuaSource {
  const named = tags.map((tag, index) => ({ device: 'p.m', tag: `t${index}`, node: `ns=2;s=t${index}`, ...tag }));
  const source = { name: 'plc', opcua: { endpoint: 'opc.tcp://plc:4840', security: 'None', ...opcua }, tags: named };
  return sourcesFrom(JSON.stringify({ sources: [source] })).sources[0] as OpcuaSource;
}

function connecting(t: TestContext, tags: readonly Json[] = [{}], opcua: Json = {}) {
  const clock = createFakeClock({ nowMs: startMs });
  const server = new MemoryServer();
  server.nowMs = () => clock.now();
  for (let tag = 0; tag < tags.length; tag++) server.values.set(`ns=2;s=t${tag}`, double(tag, startMs - 1_000));
  const samples: Sample[] = [];
  const source = new SubscribedSource({
    source: sourceOf(tags, opcua),
    pkiPath: '',
    connector: server,
    sink: (sample) => samples.push(sample),
    clock,
    random: () => 0.5,
    logger: silentLogger,
  });
  t.after(async () => {
    const stopped = source.stop();
    await clock.advance(3_000);
    await stopped;
    assert.equal(clock.pending(), 0, 'no timer is left');
    assert.equal(server.sessions.size, 0, 'no session is left');
  });
  source.start();
  /** Lets the time pass, in which the server reports its time each second. */
  const live = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      await clock.advance(1_000);
      server.tick();
    }
    await clock.advance(0);
  };
  const set = (tag: number, value: number) => server.set(`ns=2;s=t${tag}`, double(value, clock.now()));
  const take = () => samples.splice(0);
  const values = () => take().map(({ tag, value }) => [tag, value]);
  return { clock, server, samples, source, live, set, take, values };
}

test('the first values come with their own times, and changes follow', async (t) => {
  const { clock, source, set, live, take } = connecting(t, [{}, {}]);
  await clock.advance(0);
  assert.equal(source.state, 'live');
  assert.deepEqual(take(), [
    { tag: 0, time: startMs - 1_000, value: 0, quality: 'good' },
    { tag: 1, time: startMs - 1_000, value: 1, quality: 'good' },
  ]);
  await live(1);
  set(0, 5);
  await clock.advance(0);
  assert.deepEqual(take(), [{ tag: 0, time: startMs + 1_000, value: 5, quality: 'good' }]);
});

test('two values within one millisecond are two samples, in their order, and a repeated one is none', async (t) => {
  const { clock, server, take } = connecting(t);
  await clock.advance(0);
  take();
  server.set('ns=2;s=t0', double(1, startMs + 0.25));
  server.set('ns=2;s=t0', double(2, startMs + 0.5));
  server.set('ns=2;s=t0', double(2, startMs + 0.5));
  await clock.advance(0);
  assert.deepEqual(
    take().map(({ value, time }) => [value, time]),
    [
      [1, startMs + 0.25],
      [2, startMs + 0.5],
    ],
  );
});

test('items are created in chunks, which shrink when the server refuses one', async (t) => {
  const { clock, server, source } = connecting(
    t,
    Array.from({ length: 60 }, () => ({})),
    { profile: 'small' },
  );
  server.itemsMax = 20;
  await clock.advance(0);
  const sizes = server.calls.filter((call) => call.startsWith('createItems')).map((call) => Number(call.split(' ')[1]));
  assert.deepEqual(sizes, [1, 50, 25, 12, 12, 12, 12, 12]);
  assert.equal(source.connection.sizes.items, 12);
});

test('the limits that a server reports lower the chunks', async (t) => {
  const { clock, server, source } = connecting(t, [{}, {}, {}]);
  server.values.set('i=11714', {
    value: { dataType: 7, arrayType: 0, value: 2 },
    statusCode: { value: 0, name: 'Good' },
  });
  await clock.advance(0);
  assert.equal(source.connection.sizes.items, 2);
  assert.deepEqual(
    server.calls.filter((call) => call.startsWith('createItems')),
    ['createItems 1', 'createItems 2', 'createItems 1'],
  );
});

test('tags beyond the subscriptions of a profile are bad', async (t) => {
  const { clock, samples } = connecting(
    t,
    Array.from({ length: 500 }, () => ({})),
    { profile: 'small' },
  );
  await clock.advance(0);
  assert.equal(samples.filter(({ reason }) => reason === 'no_subscription_left').length, 2);
  assert.equal(samples.filter(({ quality }) => quality === 'good').length, 498);
});

test('a node that is unknown makes only its own tag bad, and delivers when it appears', async (t) => {
  const { clock, server, live, take, values, source } = connecting(t, [{}, {}]);
  server.itemStatus.set('ns=2;s=t0', 'BadNodeIdUnknown');
  await clock.advance(0);
  const [bad, good] = take();
  assert.deepEqual([bad!.tag, bad!.quality, bad!.reason], [0, 'bad', 'BadNodeIdUnknown']);
  assert.deepEqual([good!.tag, good!.value], [1, 1]);
  assert.equal(source.badTags, 1);
  server.itemStatus.clear();
  await live(61);
  assert.ok(values().some(([tag, value]) => tag === 0 && value === 0));
  assert.equal(source.badTags, 0);
});

test('a namespace that the server does not have makes its tags bad', async (t) => {
  const { clock, take } = connecting(t, [{ node: 'nsu=urn:other;s=x' }, { node: 'nsu=urn:plc;s=t1' }]);
  await clock.advance(0);
  assert.deepEqual(
    take().map(({ tag, reason }) => [tag, reason]),
    [
      [0, 'BadNodeIdUnknown'],
      [1, undefined],
    ],
  );
});

test('a deadband that the server refuses is left out', async (t) => {
  const { clock, server, take } = connecting(t, [{ serverDeadband: 0.5 }]);
  server.itemStatus.set('ns=2;s=t0', 'BadFilterNotAllowed');
  await clock.advance(0);
  assert.equal(take()[0]!.value, 0);
});

test('after a cable pull the session goes on, and each change of the break comes once, in order', async (t) => {
  const { clock, server, source, live, set, values } = connecting(t);
  await live(3);
  values();
  set(0, 10);
  await clock.advance(0);
  server.disconnect();
  set(0, 11);
  set(0, 12);
  await clock.advance(600);
  assert.equal(source.state, 'live');
  set(0, 13);
  await live(2);
  assert.deepEqual(values(), [
    [0, 10],
    [0, 11],
    [0, 12],
    [0, 13],
  ]);
  assert.equal(server.sessions.size, 1);
  assert.equal(server.subscriptions.size, 1);
  assert.equal(source.connection.counts.lostMessages, 0);
});

test('the first change of a break comes also after a keep-alive, whose number is that of the next message', async (t) => {
  const { clock, server, live, set, values } = connecting(t);
  await live(1);
  server.keepAlive();
  await clock.advance(0);
  values();
  const [session] = server.sessions;
  const { channel } = session!;
  session!.channel = undefined;
  set(0, 10);
  session!.channel = channel;
  // The change was sent, and is lost with the cable.
  server.disconnect();
  await live(2);
  assert.deepEqual(values(), [[0, 10]]);
});

test('changes that come before the first message are not lost with the cable', async (t) => {
  const { clock, server, live, set, values } = connecting(t);
  server.failures.set('publish', 'closed');
  await clock.advance(0);
  set(0, 10);
  server.failures.clear();
  server.disconnect();
  await live(2);
  assert.deepEqual(values(), [
    [0, 0],
    [0, 10],
  ]);
});

test('a missing message is fetched before those after it', async (t) => {
  const { clock, server, live, set, values, source } = connecting(t);
  await live(1);
  values();
  const [subscription] = server.subscriptions.values();
  const { session } = subscription!;
  const { channel } = session;
  session.channel = undefined;
  set(0, 1);
  set(0, 2);
  subscription!.queue.length = 0;
  session.channel = channel;
  set(0, 3);
  set(0, 4);
  await clock.advance(0);
  assert.deepEqual(values(), [
    [0, 1],
    [0, 2],
    [0, 3],
    [0, 4],
  ]);
  assert.equal(source.connection.counts.lostMessages, 0);
});

test('where a missing message is gone, the tags are read and the loss is counted', async (t) => {
  const { server, live, set, values, source } = connecting(t, [{}, {}]);
  await live(1);
  values();
  const [subscription] = server.subscriptions.values();
  const { session } = subscription!;
  const { channel } = session;
  session.channel = undefined;
  set(1, 7);
  subscription!.queue.length = 0;
  subscription!.kept.clear();
  session.channel = channel;
  set(0, 3);
  await live(2);
  const got = values();
  assert.deepEqual(got[0], [0, 3]);
  assert.ok(got.some(([tag, value]) => tag === 1 && value === 7));
  assert.equal(source.connection.counts.lostMessages, 1);
});

test('after a restart of the server the subscriptions are created again, and only changes come', async (t) => {
  const { clock, server, live, values, source } = connecting(t, [{}, {}]);
  await live(2);
  values();
  server.restart();
  server.values.set('ns=2;s=t1', double(9, clock.now()));
  await live(3);
  assert.equal(source.state, 'live');
  assert.ok(values().some(([tag, value]) => tag === 1 && value === 9));
  assert.equal(server.subscriptions.size, 1);
  assert.equal(server.sessions.size, 1);
});

test('a new session takes over the subscriptions of one that the server has closed', async (t) => {
  const { clock, server, live, set, values } = connecting(t);
  await live(2);
  values();
  const [id] = server.subscriptions.keys();
  for (const session of server.sessions) {
    server.sessions.delete(session);
    session.channel!.disconnect('closed by the server');
  }
  set(0, 10);
  await clock.advance(600);
  set(0, 11);
  await live(1);
  assert.deepEqual([...server.subscriptions.keys()], [id]);
  assert.deepEqual(values(), [
    [0, 10],
    [0, 11],
  ]);
  assert.ok(server.calls.includes('transfer 1'));
});

test('what a new session cannot take over is created again', async (t) => {
  const { server, live, values, source } = connecting(t);
  server.canTransfer = false;
  await live(2);
  values();
  for (const session of server.sessions) {
    server.sessions.delete(session);
    session.channel!.disconnect('closed by the server');
  }
  await live(3);
  assert.equal(source.state, 'live');
  assert.equal(server.calls.filter((call) => call === 'createSubscription').length, 2);
});

test('a subscription that stops while its session answers is created again, and its tags are bad meanwhile', async (t) => {
  const { clock, server, live, take, source } = connecting(t);
  await live(3);
  take();
  // The server goes on, and the subscription reports nothing: neither its time nor the change.
  server.values.set('ns=2;s=t0', double(8, clock.now()));
  await clock.advance(12_000);
  const [bad, good] = take();
  assert.deepEqual([bad!.quality, bad!.reason], ['bad', 'no_data']);
  assert.deepEqual([good!.quality, good!.value], ['good', 8]);
  assert.equal(source.connection.counts.idleSubscriptions, 1);
  assert.equal(server.subscriptions.size, 1);
  assert.equal(source.state, 'live');
});

test('a value that is good again after a bad sample has a later time', async (t) => {
  const { clock, live, take } = connecting(t);
  await live(3);
  take();
  await clock.advance(12_000);
  await live(3);
  const samples = take();
  const bad = samples.find(({ quality }) => quality === 'bad')!;
  const last = samples.at(-1)!;
  assert.equal(last.quality, 'good');
  assert.ok(last.time > bad.time, `${last.time} after ${bad.time}`);
});

test('the third idle subscription within five minutes makes the session again', async (t) => {
  const { clock, server, live, source } = connecting(t);
  await live(3);
  await clock.advance(50_000);
  assert.equal(source.connection.counts.rebuilds, 1);
  await live(20);
  assert.equal(source.state, 'live');
  assert.equal(server.sessions.size, 1);
});

test('a server that does not answer the check loses its channel, and the session goes on', async (t) => {
  const { clock, server, live, source } = connecting(t);
  await live(3);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.failures.set('read', promise);
  await clock.advance(13_500);
  assert.notEqual(source.state, 'live');
  server.failures.clear();
  resolve();
  await live(2);
  assert.equal(source.state, 'live');
  assert.equal(server.sessions.size, 1);
});

test('a server without its time in subscriptions is watched by its messages', async (t) => {
  const { clock, server, source } = connecting(t);
  await clock.advance(0);
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    server.keepAlive();
  }
  assert.equal(source.connection.subscriptions[0]!.proof, 'messages');
  assert.equal(source.connection.counts.idleSubscriptions, 0);
  assert.equal(source.state, 'live');
  await clock.advance(30_000);
  assert.ok(source.connection.counts.idleSubscriptions > 0);
});

test('an unchanged tag is read after its longest time, and a dead one has no sample', async (t) => {
  const { server, live, take, source } = connecting(t, [{ filter: { deadband: 1, maxSilenceMs: 10_000 } }]);
  await live(2);
  take();
  await live(11);
  const [heartbeat, ...rest] = take();
  assert.deepEqual([heartbeat!.value, heartbeat!.quality, rest.length], [0, 'good', 0]);
  assert.ok(heartbeat!.time >= startMs + 10_000);
  server.disconnect();
  server.refusal = 'closed';
  await live(60);
  assert.deepEqual(
    take().map(({ reason }) => reason),
    ['no_connection'],
  );
  // At the stop, the session of a server that cannot be reached stays.
  server.refusal = undefined;
  await live(60);
  assert.equal(source.isLive, true);
});

test('a change that the server does not notify is found by the heartbeat, and the third creates the subscription again', async (t) => {
  const { clock, server, live, values, source } = connecting(t, [{ filter: { deadband: 0, maxSilenceMs: 5_000 } }]);
  await live(2);
  values();
  for (let change = 1; change <= 3; change++) {
    server.values.set('ns=2;s=t0', double(100 + change, clock.now()));
    await live(10);
  }
  assert.equal(source.connection.reads.unreportedChanges, 3);
  const got = values().map(([, value]) => value);
  for (const value of [101, 102, 103]) assert.ok(got.includes(value));
  assert.equal(server.calls.filter((call) => call === 'createSubscription').length, 2);
});

test('a change that is about to be notified is not sent twice', async (t) => {
  const { clock, server, live, set, values } = connecting(t, [{ filter: { deadband: 0, maxSilenceMs: 5_000 } }]);
  await live(5);
  values();
  await clock.advance(900);
  const value = double(7, clock.now());
  server.values.set('ns=2;s=t0', value);
  await clock.advance(200);
  assert.deepEqual(values(), []);
  server.set('ns=2;s=t0', value);
  await live(1);
  assert.deepEqual(values(), [[0, 7]]);
  set(0, 8);
  await clock.advance(0);
  assert.deepEqual(values(), [[0, 8]]);
});

test('the tags are bad five seconds after the connection is lost, once, and good again with a later time', async (t) => {
  const { clock, server, live, take, source } = connecting(t, [{}, {}]);
  await live(2);
  take();
  server.disconnect();
  server.refusal = 'closed';
  await clock.advance(4_900);
  assert.deepEqual(take(), []);
  await clock.advance(20_000);
  const bad = take();
  assert.deepEqual(
    bad.map(({ tag, quality, reason }) => [tag, quality, reason]),
    [
      [0, 'bad', 'no_connection'],
      [1, 'bad', 'no_connection'],
    ],
  );
  server.refusal = undefined;
  await live(65);
  const good = take().filter(({ tag }) => tag === 0);
  assert.equal(good[0]!.quality, 'good');
  assert.ok(good[0]!.time > bad[0]!.time);
  assert.equal(source.badTags, 0);
});

test('attempts that fail wait longer and longer, and those of a refused user half a minute', async (t) => {
  const { clock, server, source } = connecting(t);
  const attempts = () => server.calls.filter((call) => call === 'open').length;
  server.refusal = 'closed';
  await clock.advance(15_000);
  // After 0, 0.5, 1.5, 3.5 and 7.5 s.
  assert.equal(attempts(), 5);
  server.refusal = 'BadIdentityTokenRejected';
  await clock.advance(8_000);
  const before = attempts();
  await clock.advance(90_000);
  assert.equal(attempts() - before, 3);
  assert.equal(source.state, 'waiting');
});

test('a certificate that is not trusted is a state of its own, and tried again each half minute', async (t) => {
  const { clock, server, source } = connecting(t);
  server.refusal = 'untrusted';
  await clock.advance(1_000);
  assert.equal(source.state, 'untrusted');
  await clock.advance(60_000);
  assert.equal(server.calls.length, 3);
  server.refusal = undefined;
  await clock.advance(30_000);
  assert.equal(source.state, 'live');
});

test('when the server has no session left, the next attempt follows after a minute', async (t) => {
  const { clock, server, source } = connecting(t);
  await clock.advance(0);
  server.restart();
  server.refusal = 'BadTooManySessions';
  await clock.advance(30_000);
  const before = server.calls.filter((call) => call === 'open').length;
  await clock.advance(30_000);
  server.refusal = undefined;
  assert.equal(server.calls.filter((call) => call === 'open').length, before);
  await clock.advance(40_000);
  assert.equal(source.state, 'live');
});

test('nodes are resolved again when the server has other namespaces after a break', async (t) => {
  const { server, live, values } = connecting(t, [{ node: 'nsu=urn:plc;s=t0' }]);
  await live(2);
  values();
  server.restart();
  server.namespaces = ['http://opcfoundation.org/UA/', 'urn:server', 'urn:new', 'urn:plc'];
  server.values.set('ns=3;s=t0', double(42, startMs + 1));
  await live(3);
  assert.deepEqual(values().at(-1), [0, 42]);
});

test('a server without places for more Publish requests gets fewer', async (t) => {
  const { clock, server, live, set, values } = connecting(t);
  await live(1);
  server.failures.set('publish', 'BadTooManyPublishRequests');
  set(0, 1);
  await clock.advance(0);
  server.failures.clear();
  set(0, 2);
  await live(2);
  assert.deepEqual(values().slice(-2), [
    [0, 1],
    [0, 2],
  ]);
});

test('a server whose messages become too large sends fewer values in each', async (t) => {
  const { clock, server, live, source } = connecting(t);
  await live(1);
  server.failures.set('publish', 'BadResponseTooLarge');
  server.set('ns=2;s=t0', double(1, startMs + 1));
  await clock.advance(0);
  server.failures.clear();
  await live(12);
  assert.equal(source.state, 'live');
  assert.equal(server.valuesMax, 625);
  assert.equal(server.sessions.size, 1);
});

test('the stop closes the session while the connection is being opened', async (t) => {
  const { clock, server, source, live } = connecting(t);
  await live(1);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.failures.set('open', promise);
  server.restart();
  await clock.advance(1_000);
  const stopped = source.stop();
  await clock.advance(3_000);
  await stopped;
  assert.equal(source.state, 'closed');
  resolve();
  await clock.advance(0);
  assert.equal(server.sessions.size, 0);
});
