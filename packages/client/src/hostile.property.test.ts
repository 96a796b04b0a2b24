import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';

import { type FakeSocket, fakeSockets } from '../test/fake-socket.ts';
import { hostileJson, withOnePartReplaced } from '../test/hostile-json.ts';
import { createPublisher } from './publish.ts';
import { createStream } from './stream.ts';
import type { Subscription } from './subscription.ts';

const runs = fuzzed(300);

const limits = [-1, 0, 1, 4095, 4096, 2 ** 31, 2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53, 1e300];
const extreme = fc.oneof(fc.constantFrom(...limits), fc.double({ noNaN: true }));
const number = fc.oneof({ weight: 15, arbitrary: fc.nat({ max: 50 }) }, { weight: 1, arbitrary: extreme });
const id = fc.constantFrom('s1', 's2', 's3', '', '__proto__');
const device = fc.constantFrom(
  'plant1.a',
  'plant1.a',
  'plant1.b',
  'plant2.a',
  '',
  '',
  '__proto__',
  'constructor',
  'a b',
  '>',
);
const partition = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 1) }, { weight: 1, arbitrary: extreme });
const seq = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 50 }) }, { weight: 1, arbitrary: extreme });
const view = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3) }, { weight: 1, arbitrary: extreme });
const epoch = fc.constantFrom('e1', 'e1', 'e2', '', 'x'.repeat(65), 'ü');
const position = fc.oneof(
  fc.nat({ max: 50 }).map((last) => tokenFromPositions(createPositions('e1', [[0, last]]))),
  fc.constantFrom('', 'AQ', '!', 'x'.repeat(100_000), 5, null),
);
const url = fc.constantFrom(
  'ws://a.test',
  'ws://b.test/v1/stream',
  'http://c.test',
  'ws://u:p@d.test',
  '',
  'x',
  'ws://[::',
  null,
);
const reading = fc.record({
  tag: fc.constantFrom('t', '__proto__', ''),
  value: fc.oneof(fc.double(), fc.string(), hostileJson),
  unit: fc.constantFrom('Cel', 'Cel', undefined, 5),
});
const delivery = fc.record({
  device,
  time: number,
  received: number,
  partition,
  seq,
  readings: fc.array(reading, { maxLength: 3 }),
  delta: fc.boolean(),
});
const skipped = fc.record({
  partition,
  device,
  from: number,
  to: seq,
  count: number,
  reason: fc.constantFrom('slow', 'rate', 'unreadable', ''),
});
const flag = fc.constantFrom(true, true, false, false, undefined, undefined, 'yes');

const messages: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  welcome: fc.record({ session: fc.string(), node: fc.string(), heartbeatMs: number, limits: hostileJson }),
  subscribed: fc.record({
    id,
    view,
    channel: fc.string(),
    epoch,
    position,
    snapshot: number,
    recovered: flag,
    missing: fc.array(skipped, { maxLength: 2 }),
  }),
  data: fc.record({
    view,
    reports: fc.array(delivery, { maxLength: 5 }),
    snapshot: flag,
    snapshotComplete: flag,
    replay: flag,
    skipped: fc.array(skipped, { maxLength: 3 }),
  }),
  cut: fc.record({
    view,
    at: number,
    reports: fc.array(delivery, { maxLength: 3 }),
    late: fc.constantFrom([], ['plant1.a'], 5),
    missing: fc.constantFrom([], [0], 'x'),
    page: number,
    more: flag,
  }),
  pong: fc.record({ t: number, time: number }),
  draining: fc.record({ afterMs: number }),
  error: fc.record({
    id,
    code: fc.constantFrom('invalid_position', 'unavailable', 'forbidden', 'weather'),
    message: fc.string(),
    retryable: flag,
  }),
  moved: fc.record({ channel: fc.constantFrom('plant1.>', 'plant1.a'), url }),
  live: fc.record({ id, position }),
  paused: fc.record({ id, position }),
  stale: fc.record({ device, since: number }),
  online: fc.record({ device }),
  offline: fc.record({ device, since: number }),
  interrupted: fc.record({ view, since: number, partitions: fc.array(number, { maxLength: 3 }) }),
  restored: fc.record({ view }),
  progress: fc.record({ view, position: fc.string() }),
  expiring: fc.record({ inMs: number }),
  notice: fc.record({ severity: fc.string(), message: fc.string(), time: number }),
  unsubscribed: fc.record({ id }),
  weather: hostileJson,
};
const message = fc.oneof(
  ...Object.entries(messages).map(([kind, fields]) => ({
    weight: kind === 'data' ? 12 : kind === 'subscribed' ? 3 : 1,
    arbitrary: fields.map((each) => ({ [kind]: each })),
  })),
);
const text = fc.oneof(
  { weight: 20, arbitrary: message.map((each) => JSON.stringify(each)) },
  {
    weight: 4,
    arbitrary: message.chain((each) => withOnePartReplaced(each)).map((each) => JSON.stringify(each) ?? ''),
  },
  { weight: 1, arbitrary: message.map((each) => JSON.stringify(each).slice(0, -2)) },
  { weight: 1, arbitrary: fc.string() },
);

/** Replies as an honest server: hostile messages must come to a stream that works. */
function serve(socket: FakeSocket): void {
  if (socket.sentOf('ping').length === 0) socket.welcome();
  const subscribeReply = tokenFromPositions(createPositions('e1', [[0, 0]]));
  for (const message of socket.sentOf('subscribe')) {
    if (!('subscribe' in message)) continue;
    const { id: name, channel, after } = message.subscribe;
    const position = after ?? subscribeReply;
    socket.deliver({
      subscribed: { id: name, view: Number(name.slice(1)), channel, epoch: 'e1', position, snapshot: 0 },
    });
  }
}

type Event =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'binary' | 'act' | 'welcome' }
  | { readonly kind: 'close'; readonly code: number };
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: text.map((each) => ({ kind: 'text' as const, text: each })) },
  { weight: 6, arbitrary: fc.constant({ kind: 'welcome' as const }) },
  { weight: 2, arbitrary: fc.nat({ max: 3000 }).map((ms) => ({ kind: 'pass' as const, ms })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'binary' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'act' as const }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(1000, 1002, 1006, 1011, 1012, 4001, 4400, 4401, 4999)
      .map((code) => ({ kind: 'close' as const, code })),
  },
);

test('any messages of a server cause no exception in the socket and no endless loop, and close leaves nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 10, maxLength: 80 }), fc.boolean(), async (events, delta) => {
      const clock = createFakeClock();
      const { WebSocket, sockets, last } = fakeSockets();
      const stream = createStream({
        url: ['ws://a.test', 'ws://b.test'],
        token: () => 'token',
        WebSocket,
        clock,
        random: () => 0.5,
      });
      stream.onError((error) => assert.ok(error instanceof TailraceError));
      const subscriptions: Subscription[] = [
        stream.subscribe('plant1.>', { delta, onReports: () => {}, onPresence: () => {} }),
        stream.subscribe('plant1.a', { align: 1000, onCut: () => {} }),
        stream.subscribe('>', { from: 0, speed: 2 }),
      ];
      const loop = (async () => {
        for await (const _ of subscriptions[2]!);
      })().catch((error: unknown) => assert.ok(error instanceof TailraceError));
      await clock.advance(0);
      let acts = 0;
      for (const each of events) {
        // Two, while the stream moves.
        const open = sockets.filter(({ closedWith }) => closedWith === undefined);
        if (each.kind === 'text') for (const socket of open) socket.deliverRaw(each.text);
        else if (each.kind === 'binary') last()?.deliverRaw(new ArrayBuffer(3));
        else if (each.kind === 'welcome') for (const socket of open) serve(socket);
        else if (each.kind === 'close') last()?.end(each.code);
        else if (each.kind === 'pass') await clock.advance(each.ms);
        else {
          const subscription = subscriptions[acts++ % subscriptions.length]!;
          if (acts % 4 < 2) subscription.pause();
          else subscription.resume();
          if (acts === 7) subscription.unsubscribe();
        }
        for (const { position } of subscriptions) assert.ok(position === undefined || typeof position === 'string');
      }
      const before = sockets.length;
      await clock.advance(60_000);
      // Bounded by the backoff: from 250 ms to 15 s.
      assert.ok(sockets.length - before <= 30, `${sockets.length - before} connections in a minute`);
      stream.close();
      await loop;
      assert.equal(clock.pending(), 0);
    }),
    runs,
  );
});

test('a server that sends only invalid messages does not cause a reconnect loop', async () => {
  await fc.assert(
    fc.asyncProperty(text, async (nonsense) => {
      const clock = createFakeClock();
      const { WebSocket, sockets, last } = fakeSockets();
      const stream = createStream({ url: 'ws://a.test', WebSocket, clock, random: () => 0.5 });
      stream.subscribe('plant1.>');
      for (let second = 0; second < 120; second++) {
        const socket = last();
        if (socket.closedWith === undefined) {
          if (socket.sent.length === 0) socket.welcome();
          socket.deliverRaw(nonsense);
        }
        await clock.advance(1000);
      }
      assert.ok(sockets.length <= 30, `${sockets.length} connections in two minutes`);
      stream.close();
      assert.equal(clock.pending(), 0);
    }),
    fuzzed(150),
  );
});

test('with any responses each call of a publisher settles within giveUpMs, and with few requests', async () => {
  const header = fc.constantFrom(
    '',
    '0',
    '5',
    '99999999999',
    '-1',
    '1e9',
    'Wed, 01 May 2124 12:00:30 GMT',
    'soon',
    '\t',
  );
  const rejected = fc.array(fc.record({ index: number, code: hostileJson, message: hostileJson }), { maxLength: 3 });
  const body = fc.oneof(
    fc.string(),
    hostileJson.map((value) => JSON.stringify(value) ?? ''),
    fc.record({ accepted: number, rejected }).map((value) => JSON.stringify(value)),
    fc
      .record({ error: fc.oneof(hostileJson, fc.record({ code: hostileJson, message: hostileJson })) })
      .map((value) => JSON.stringify(value)),
  );
  const answer = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    header,
    body,
    fails: fc.constantFrom('no', 'no', 'no', 'network', 'hangs'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 10 }), async (answers) => {
      const clock = createFakeClock();
      let requests = 0;
      const fetch = async (_url: unknown, init?: RequestInit) => {
        const { status, header: wait, body: content, fails } = answers[requests++ % answers.length]!;
        if (fails === 'network') throw new TypeError('fetch failed');
        if (fails === 'hangs')
          return await new Promise<Response>((_resolve, reject) =>
            init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
          );
        const isEmpty = status === 204 || status === 205 || status === 304;
        return new Response(isEmpty ? null : content, { status, headers: { 'retry-after': wait } });
      };
      const publisher = createPublisher({
        url: 'http://a.test',
        fetch: fetch as typeof globalThis.fetch,
        clock,
        random: () => 0.5,
      });
      const report = (value: number) => ({ device: 'plant1.a', time: 1, readings: [{ tag: 't', value }] });
      const calls = [publisher.publish(report(1)), publisher.publish([report(2), report(3)])].map((call) =>
        call.then(
          ({ accepted, refused }) => accepted + refused.length,
          (error: unknown) => assert.ok(error instanceof TailraceError),
        ),
      );
      await clock.advance(90_000 + 15_000);
      assert.equal(publisher.stats().queuedReports, 0);
      const settled = await Promise.all(calls);
      for (const [index, count] of settled.entries()) assert.ok(count === undefined || count === index + 1);
      assert.ok(requests <= 60, `${requests} requests`);
      publisher.close();
      assert.equal(clock.pending(), 0);
    }),
    runs,
  );
});
