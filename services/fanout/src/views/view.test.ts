import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { logReport } from '../../test/records.ts';
import { viewLimits } from '../../test/view-limits.ts';
import { Channel, LiveBuffer } from '../channels/channels.ts';
import { Views } from './view.ts';

const channelOf = (pattern = 'p.>') => new Channel(pattern, [0]);

function views() {
  const published: { topic: string; frame: string | Uint8Array }[] = [];
  return {
    published,
    views: new Views({ publish: (topic, frame) => published.push({ topic, frame }) }, createFakeClock(), viewLimits),
  };
}

test('the reports of a batch are sent in one frame, in order', () => {
  const { views: made, published } = views();
  const channel = channelOf();
  const view = made.enter(channel, 'json');
  view.sockets = 3;
  made.add(channel, logReport('p.d', 4));
  made.add(channel, logReport('p.e', 5));
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

test('JSON and Protobuf views of a report are equal, each encoded once', () => {
  const { views: made, published } = views();
  const [channel, other] = [channelOf('p.>'), channelOf('p.d')];
  const shared = logReport('p.d', 4, { temperature: 42.5, state: 'on' });
  for (const view of [made.enter(channel, 'json'), made.enter(other, 'json'), made.enter(channel, 'proto')]) {
    view.sockets = 1;
  }
  for (const each of [channel, other]) made.add(each, shared);
  made.flush();
  const [a, b, c] = published.map(({ frame }) =>
    typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame),
  );
  assert.ok(a !== undefined && 'data' in a && b !== undefined && 'data' in b && c !== undefined && 'data' in c);
  assert.equal(published.filter(({ frame }) => typeof frame === 'string').length, 2);
  assert.deepEqual(b.data.reports, a.data.reports);
  assert.deepEqual(c.data.reports, a.data.reports);
  assert.equal(shared.json, shared.json);
  assert.equal(shared.delivery, shared.delivery);
});

test('a view without sockets collects nothing', () => {
  const { views: made, published } = views();
  const channel = channelOf();
  const someViews = [made.enter(channel, 'json'), made.enter(channel, 'json', { tags: ['t'] })];
  made.add(channel, logReport('p.d', 4));
  made.flush();
  for (const view of someViews) assert.equal(view.pending.length, 0);
  assert.deepEqual(published, []);
});

test('numbers and topics are never assigned twice', () => {
  const { views: made } = views();
  const all = Array.from({ length: 100 }, (_, i) => made.enter(channelOf(`p.d${i}`), 'json'));
  assert.equal(new Set(all.map((view) => view.number)).size, 100);
  assert.equal(new Set(all.map((view) => view.topic)).size, 100);
});

test('a missing range is reported to every view of the channel, after what came before', () => {
  const { views: made, published } = views();
  const channel = channelOf();
  const json = made.enter(channel, 'json');
  json.sockets = 1;
  made.add(channel, logReport('p.d', 4));
  const proto = made.enter(channel, 'proto', { tags: ['t'] });
  proto.sockets = 1;
  const liveBuffer = new LiveBuffer(1_000);
  channel.liveBuffers.add(liveBuffer);
  made.publishMissing(channel, 3, 5, 9, 'retention');
  assert.deepEqual(
    published.map(({ topic }) => topic),
    [json.topic, json.topic, proto.topic],
  );
  const skipped = [{ partition: 3, device: '', from: 5, to: 8, count: 0, reason: 'retention' }];
  const expected = (view: number) => ({ data: { view, reports: [], skipped } });
  assert.deepEqual(JSON.parse(String(published[1]?.frame)), expected(json.number));
  assert.deepEqual(serverMessageFromBytes(published[2]?.frame as Uint8Array), expected(proto.number));
  assert.ok(liveBuffer.overflowed, 'a subscription that is catching up reads it from the log');
});

test('views without options send first; views with options process a batch after it', () => {
  const { views: made, published } = views();
  const channel = channelOf();
  const shaped = made.enter(channel, 'json', { tags: ['n'] });
  const plain = made.enter(channel, 'json');
  for (const view of [shaped, plain]) view.sockets = 1;
  for (let seq = 0; seq < 3; seq++) made.add(channel, logReport('p.d', seq, { n: seq, other: 1 }));
  made.flush();
  assert.deepEqual(
    published.map(({ topic }) => topic),
    [plain.topic, shaped.topic],
  );
  const seqs = published.map(({ frame }) => {
    const message = serverMessageFromJson(String(frame));
    assert.ok(message !== undefined && 'data' in message);
    return message.data.reports.map(({ seq, readings }) => [seq, readings.length]);
  });
  assert.deepEqual(seqs, [
    [
      [0, 2],
      [1, 2],
      [2, 2],
    ],
    [
      [0, 1],
      [1, 1],
      [2, 1],
    ],
  ]);
  assert.equal(channel.unshaped.length, 0);
});
