import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientMessageFromBytes, clientMessageFromJson } from '@tailrace/protocol/client-message';
import type { Delivery } from '@tailrace/protocol/report';
import { serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import type { ClientMessage, ServerMessage } from '../generated/protocol.js';
import { type Codec, codecs } from './codec.ts';
import type { DataSink, MissingRange } from './data-frame.ts';
import { type Channel, Plant } from './plant.ts';

/** The bundle that k6 runs reads what the product writes, and the product reads what the bundle writes. */
const plant = new Plant('loadtest.r7', 2000, 10);
const channel = plant.line(12);

interface Received {
  readonly frames: { isSnapshot: boolean; missing: readonly MissingRange[] }[];
  readonly reports: readonly number[][];
}

function framesOf(message: ServerMessage): [codec: Codec, frame: string | ArrayBuffer][] {
  const bytes = serverMessageBytes(message);
  return [
    [codecs.json, serverMessageJson(message)],
    // A buffer of its own, as k6 passes it.
    [codecs.proto, new Uint8Array(bytes).buffer],
  ];
}

function decodedBy(
  codec: Codec,
  frame: string | ArrayBuffer,
  of: Channel = channel,
): { message: ServerMessage | undefined; received: Received } {
  const received = { frames: [] as Received['frames'], reports: [] as number[][] };
  const sink: DataSink = {
    frame: (isSnapshot, missing) => received.frames.push({ isSnapshot, missing }),
    report: (...report) => received.reports.push(report),
  };
  return { message: codec.decode(frame, of, sink), received };
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

test('reports are decoded at positions of one byte, two, and many', () => {
  const reports = [0, 1, 127, 128, 300, 16_383, 16_384, 2 ** 31, 2 ** 53 - 2].flatMap((seq) =>
    [0, 1, 56, 127, 128, 4095].map((partition) => delivery(plant.device(125), 7, { seq, partition })),
  );
  for (const [codec, frame] of framesOf({ data: { view: 300, reports } })) {
    const { received, message } = decodedBy(codec, frame);
    assert.equal(message, undefined);
    assert.deepEqual(
      received.reports,
      reports.map(({ partition, seq, time }) => [5, partition, seq, 7, time]),
    );
  }
});

test('a report of another program is decoded as well: other order, other readings, no counter', () => {
  const other = delivery(plant.device(120), 0, { readings: [{ tag: 'text', value: 'x'.repeat(200) }], delta: true });
  const mixed = delivery(plant.device(121), 9, {
    readings: [
      { tag: 'state', value: 'on' },
      { tag: 'n', value: 9 },
    ],
  });
  const notCovered = [
    delivery(plant.device(110), 1),
    delivery('loadtest.r8.line12.d125', 1),
    delivery('loadtest.r7.line13.d125', 1),
  ];
  for (const [codec, frame] of framesOf({ data: { view: 1, reports: [other, mixed, ...notCovered] } })) {
    const { reports } = decodedBy(codec, frame, plant.line(12)).received;
    assert.deepEqual(
      reports.map(([device]) => device),
      [0, 1, -1, -1, -1],
    );
    assert.ok(Number.isNaN(reports[0]![3]));
    assert.equal(reports[1]![3], 9);
  }
});

test('flags and missing ranges come before the reports, with the number of their device', () => {
  const skipped = [
    { partition: 3, device: plant.device(120), from: 43, to: 57, count: 12, reason: 'slow' as const, tags: [] },
    { partition: 3, device: plant.device(110), from: 43, to: 57, count: 12, reason: 'slow' as const, tags: [] },
    { partition: 4, device: '', from: 1, to: 70_000, count: 0, reason: 'retention' as const, tags: [] },
  ];
  const data = { view: 5, snapshot: true, skipped, reports: [delivery(plant.device(120), 3)] };
  for (const [codec, frame] of framesOf({ data })) {
    const [first] = decodedBy(codec, frame).received.frames;
    assert.equal(first!.isSnapshot, true);
    assert.deepEqual(first!.missing, [
      { partition: 3, device: 0, from: 43, to: 57, reason: 'slow' },
      { partition: 3, device: -1, from: 43, to: 57, reason: 'slow' },
      { partition: 4, device: undefined, from: 1, to: 70_000, reason: 'retention' },
    ]);
  }
});

test('other messages are returned', () => {
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
  const messages: ServerMessage[] = [
    {
      welcome: {
        session: 's',
        node: 'fanout-0',
        version: '0.1.0',
        heartbeatMs: 30_000,
        limits: { messageBytesMax: 16_384, subscriptionsMax: 1000 },
      },
    },
    { subscribed },
    { pong: { t: 17, time: 1634567890140.5 } },
    { draining: { afterMs: 3200 } },
    { moved: { channel: 'a.b', url: 'wss://fanout-1.example' } },
    { error: { id: 'a', code: 'unavailable', message: 'no node serves “a”', retryable: true } },
  ];
  for (const message of messages) {
    for (const [codec, frame] of framesOf(message)) {
      assert.deepEqual(decodedBy(codec, frame).message, message, codec.subprotocol);
    }
  }
});

test('the server decodes what a client encodes', () => {
  const messages: ClientMessage[] = [
    { auth: { token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkIn0.c2ln'.repeat(10) } },
    { subscribe: { id: 'a', channel: channel.pattern } },
    { subscribe: { id: 'a', channel: channel.pattern, after: 'AQVrM0o5eAAr' } },
    { ping: { t: 1634567890123 } },
  ];
  for (const message of messages) {
    const frame = codecs.proto.encode(message);
    assert.ok(typeof frame !== 'string');
    assert.deepEqual(clientMessageFromBytes(new Uint8Array(frame)), message);
    assert.deepEqual(clientMessageFromJson(codecs.json.encode(message) as string), message);
  }
});

test('a truncated frame, or one of the other encoding, is an error', () => {
  const [, [, frame]] = framesOf({ data: { view: 1, reports: [delivery(plant.device(120), 1)] } }) as [
    unknown,
    [Codec, ArrayBuffer],
  ];
  assert.throws(() => decodedBy(codecs.proto, frame.slice(0, -3)), { code: 'invalid_message' });
  assert.throws(() => decodedBy(codecs.proto, '{}'), /expected bytes, got text/);
  assert.throws(() => decodedBy(codecs.json, frame), /expected text, got bytes/);
});
