import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientMessageFromBytes, clientMessageFromJson } from '@tailrace/protocol/client-message';
import type { Delivery } from '@tailrace/protocol/report';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import { type Codec, codecs } from './codec.ts';
import type { DataSink, NamedRange, Wish, Word } from './messages.ts';
import { type Channel, Plant } from './plant.ts';

/** What the product writes is read here, and the other way round, so that neither can change without the other. */
const plant = new Plant('loadtest.r7', 2000, 10);
const channel = plant.line(12);

interface Seen {
  readonly frames: { isSnapshot: boolean; named: readonly NamedRange[] }[];
  readonly reports: readonly number[][];
}

function framesOf(message: ServerMessage): [codec: Codec, frame: string | ArrayBuffer][] {
  const bytes = serverMessageBytes(message);
  return [
    [codecs.json, serverMessageJson(message)],
    // A buffer of its own, as k6 gives it.
    [codecs.proto, new Uint8Array(bytes).buffer],
  ];
}

function readBy(
  codec: Codec,
  frame: string | ArrayBuffer,
  of: Channel = channel,
): { word: Word | undefined; seen: Seen } {
  const seen = { frames: [] as Seen['frames'], reports: [] as number[][] };
  const sink: DataSink = {
    frame: (isSnapshot, named) => seen.frames.push({ isSnapshot, named }),
    report: (...report) => seen.reports.push(report),
  };
  return { word: codec.read(frame, of, sink), seen };
}

function delivery(device: string, n: number, rest: Partial<Delivery> = {}): Delivery {
  return {
    device,
    partition: 3,
    seq: 70_000,
    time: 1634567890123.25,
    received: 1634567890130,
    id: String(n),
    readings: [
      { tag: 'n', value: n },
      { tag: 'temperature', value: 42.5, unit: 'Cel' },
      { tag: 'running', value: true },
    ],
    ...rest,
  };
}

test('reports are read whatever their positions: one byte, two, many', () => {
  const reports = [0, 1, 127, 128, 300, 16_383, 16_384, 2 ** 31, 2 ** 53 - 2].flatMap((seq) =>
    [0, 1, 56, 127, 128, 4095].map((partition) => delivery(plant.device(125), 7, { seq, partition })),
  );
  for (const [codec, frame] of framesOf({ data: { view: 300, reports } })) {
    const { seen, word } = readBy(codec, frame);
    assert.equal(word, undefined);
    assert.deepEqual(
      seen.reports,
      reports.map(({ partition, seq, time }) => [5, partition, seq, 7, time]),
    );
  }
});

test('a report that another program sent is read as well: other order, other readings, no counter', () => {
  const other = delivery(plant.device(120), 0, { readings: [{ tag: 'text', value: 'x'.repeat(200) }], delta: true });
  const mixed = delivery(plant.device(121), 9, {
    readings: [
      { tag: 'state', value: 'on' },
      { tag: 'n', value: 9 },
    ],
  });
  const foreign = [
    delivery(plant.device(110), 1),
    delivery('loadtest.r8.line12.d125', 1),
    delivery('loadtest.r7.line13.d125', 1),
  ];
  for (const [codec, frame] of framesOf({ data: { view: 1, reports: [other, mixed, ...foreign] } })) {
    const { reports } = readBy(codec, frame, plant.line(12)).seen;
    assert.deepEqual(
      reports.map(([device]) => device),
      [0, 1, -1, -1, -1],
    );
    assert.ok(Number.isNaN(reports[0]![3]));
    if (codec === codecs.json) assert.equal(reports[1]![3], 9);
  }
});

test('marks and what was left out come before the reports', () => {
  const skipped = [
    { partition: 3, device: plant.device(120), from: 43, to: 57, count: 12, reason: 'slow' as const, tags: [] },
    { partition: 4, device: '', from: 1, to: 70_000, count: 0, reason: 'retention' as const, tags: [] },
  ];
  const data = { view: 5, snapshot: true, skipped, reports: [delivery(plant.device(120), 3)] };
  for (const [codec, frame] of framesOf({ data })) {
    const [first] = readBy(codec, frame).seen.frames;
    assert.equal(first!.isSnapshot, true);
    assert.deepEqual(
      first!.named.map(({ partition, device, from, to, reason }) => [partition, device, from, to, reason]),
      [
        [3, plant.device(120), 43, 57, 'slow'],
        [4, '', 1, 70_000, 'retention'],
      ],
    );
  }
});

test('the other messages that are heeded', () => {
  const subscribed = {
    id: 'a',
    view: 4,
    channel: channel.pattern,
    epoch: 'k3J9x',
    position: 'AQVrM0o5eAAr',
    snapshot: 1,
    recovered: false,
    missing: [{ partition: 3, from: 118, to: 204, reason: 'retention' as const }],
  };
  const messages: [ServerMessage, Word][] = [
    [
      {
        welcome: {
          session: 's',
          node: 'fanout-0',
          version: '0.1.0',
          heartbeatMs: 30_000,
          limits: { messageBytesMax: 16_384, subscriptionsMax: 1000 },
        },
      },
      { welcome: { node: 'fanout-0', version: '0.1.0' } },
    ],
    [
      { subscribed },
      {
        subscribed: {
          epoch: 'k3J9x',
          position: 'AQVrM0o5eAAr',
          recovered: false,
          missing: [{ partition: 3, device: '', from: 118, to: 204, reason: 'retention' }],
        },
      },
    ],
    [{ pong: { t: 17, time: 1634567890140.5 } }, { pong: { t: 17, time: 1634567890140.5 } }],
    [{ draining: { afterMs: 3200 } }, { draining: { afterMs: 3200 } }],
    [{ moved: { channel: 'a.b', url: 'wss://fanout-1.example' } }, { moved: { url: 'wss://fanout-1.example' } }],
    [
      { error: { id: 'a', code: 'unavailable', message: 'nobody serves “a”', retryable: true } },
      { error: { code: 'unavailable', message: 'nobody serves “a”', retryable: true } },
    ],
  ];
  for (const [message, word] of messages) {
    for (const [codec, frame] of framesOf(message)) {
      const { word: read } = readBy(codec, frame);
      const kind = Object.keys(word)[0] as keyof Word;
      assert.partialDeepStrictEqual(read, word, `${kind} as ${codec.subprotocol}`);
    }
  }
  const [[, json], [, proto]] = framesOf({ subscribed: { ...subscribed, missing: [] } }) as [
    [Codec, string],
    [Codec, ArrayBuffer],
  ];
  assert.deepEqual(readBy(codecs.json, json).word, readBy(codecs.proto, proto).word);
});

test('what a client says is read by the server as it was meant', () => {
  const wishes: Wish[] = [
    { auth: { token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkIn0.c2ln'.repeat(10) } },
    { subscribe: { id: 'a', channel: channel.pattern } },
    { subscribe: { id: 'a', channel: channel.pattern, after: 'AQVrM0o5eAAr' } },
    { ping: { t: 1634567890123 } },
  ];
  for (const wish of wishes) {
    const frame = codecs.proto.frameOf(wish);
    assert.ok(typeof frame !== 'string');
    assert.deepEqual(
      clientMessageFromBytes(new Uint8Array(frame)),
      clientMessageFromJson(codecs.json.frameOf(wish) as string),
    );
  }
});

test('a frame that is cut off is a fault that says so', () => {
  const [, [, frame]] = framesOf({ data: { view: 1, reports: [delivery(plant.device(120), 1)] } }) as [
    unknown,
    [Codec, ArrayBuffer],
  ];
  assert.throws(() => readBy(codecs.proto, frame.slice(0, -3)), /damaged Protobuf/);
  assert.throws(() => readBy(codecs.proto, '{}'), /text frame/);
  assert.throws(() => readBy(codecs.json, frame), /binary frame/);
});
