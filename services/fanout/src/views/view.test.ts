import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/servermessage';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { arrival } from '../../test/records.ts';
import { viewLimits } from '../../test/viewlimits.ts';
import { Tap } from '../catchup/tap.ts';
import { Views } from './view.ts';

function views() {
  const published: { topic: string; frame: string | Uint8Array }[] = [];
  return {
    published,
    views: new Views({ publish: (topic, frame) => published.push({ topic, frame }) }, createFakeClock(), viewLimits),
  };
}

test('reports gather and leave in one frame, in order', () => {
  const { views: made, published } = views();
  const view = made.create('json');
  view.sockets = 3;
  made.add(view, arrival('p.d', 4));
  made.add(view, arrival('p.e', 5));
  assert.equal(published.length, 0);
  made.flush();
  made.flush();
  assert.equal(published.length, 1);
  const message = serverMessageFromJson(String(published[0]?.frame));
  assert.ok(message !== undefined && 'data' in message);
  assert.equal(published[0]?.topic, view.topic);
  assert.equal(message.data.view, view.number);
  assert.equal(message.data.snapshot, undefined);
  assert.deepEqual(
    message.data.reports.map(({ device, seq }) => [device, seq]),
    [
      ['p.d', 4],
      ['p.e', 5],
    ],
  );
  assert.deepEqual([made.counts.frames, made.counts.deliveries], [1, 6]);
});

test('JSON and Protobuf views of the same report say the same, each encoded once', () => {
  const { views: made, published } = views();
  const [first, second, third] = [made.create('json'), made.create('json'), made.create('proto')];
  const shared = arrival('p.d', 4, { temperature: 42.5, state: 'on' });
  for (const view of [first, second, third]) {
    view.sockets = 1;
    made.add(view, shared);
  }
  made.flush();
  const [a, b, c] = published.map(({ frame }) =>
    typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame),
  );
  assert.ok(a !== undefined && 'data' in a && b !== undefined && 'data' in b && c !== undefined && 'data' in c);
  assert.deepEqual(b.data.reports, a.data.reports);
  assert.deepEqual(c.data.reports, a.data.reports);
  assert.equal(shared.json, shared.json);
  assert.equal(shared.delivery, shared.delivery);
});

test('a view that nobody is on gathers nothing', () => {
  const { views: made, published } = views();
  const view = made.create('json');
  made.add(view, arrival('p.d', 4));
  made.flush();
  assert.equal(view.pending.length, 0);
  assert.deepEqual(published, []);
});

test('numbers and topics are never given twice', () => {
  const { views: made } = views();
  const all = Array.from({ length: 100 }, () => made.create('json'));
  assert.equal(new Set(all.map((view) => view.number)).size, 100);
  assert.equal(new Set(all.map((view) => view.topic)).size, 100);
});

test('what can no longer be had is told to every view of the channel, after what came before', () => {
  const { views: made, published } = views();
  const json = made.create('json');
  const proto = made.create('proto');
  json.sockets = 1;
  proto.sockets = 1;
  const tap = new Tap(1_000);
  made.add(json, arrival('p.d', 4));
  made.tellMissing(
    {
      taps: new Set([tap]),
      views: new Map([
        ['json', json],
        ['proto', proto],
      ] as const),
    },
    3,
    5,
    9,
    'retention',
  );
  assert.deepEqual(
    published.map(({ topic }) => topic),
    [json.topic, json.topic, proto.topic],
  );
  const skipped = [{ partition: 3, device: '', from: 5, to: 8, count: 0, reason: 'retention' }];
  const told = (view: number) => ({ data: { view, reports: [], skipped } });
  assert.deepEqual(JSON.parse(String(published[1]?.frame)), told(json.number));
  assert.deepEqual(serverMessageFromBytes(published[2]?.frame as Uint8Array), told(proto.number));
  assert.ok(tap.overflowed, 'who catches up looks for it in the log');
});
