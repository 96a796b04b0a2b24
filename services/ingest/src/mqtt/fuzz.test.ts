import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePacket, type Packet } from '@tailrace/mqtt/codec';
import { encodePublish } from '@tailrace/mqtt/publish';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { nextTurn } from '../../test/device-fixture.ts';
import { startMqtt } from '../../test/mqtt-fixture.ts';

const seeded = fuzzed(300);
const burst = 10_000_000;
const unlimited = { deviceMessagesBurst: burst, deviceEventsBurst: burst, tenantMessagesBurst: burst } as const;
const topic = 'plant1/line2/press7/telemetry';
const good = '{"readings":[{"tag":"t","value":1}]}';

const published = (name: string, payload: string, qos: 0 | 1, packetId: number) =>
  encodePublish({ topic: name, payload: Buffer.from(payload), qos }, 5, { packetId, dup: false });
const packets: readonly Buffer[] = [
  published(topic, good, 1, 1),
  published(topic, `[${good},7]`, 1, 2),
  published(`${topic}/speed`, '1.5', 0, 0),
  published(`${topic}/pb`, '\n\x05\n\x03a.b', 1, 3),
  published('plant1/line2/press7/presence', 'online', 1, 4),
  published('plant1/line2/press7/reply', '{}', 1, 5),
  encodePacket(
    { cmd: 'subscribe', messageId: 6, subscriptions: [{ topic: 'plant1/line2/press7/command', qos: 1 }] } as Packet,
    5,
  ),
  encodePacket({ cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['a'] } as Packet, 5),
  encodePacket({ cmd: 'pingreq' }, 5),
  Buffer.of(0x62, 2, 0, 1),
];

/** Whole packets with some bytes changed, removed or doubled, and bytes that are no packets. */
const sent = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...packets), { minLength: 1, maxLength: 6 }).map((each) => Buffer.concat(each)),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.array(fc.constantFrom(...packets), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.nat({ max: 3 }),
        fc.uint8Array({ maxLength: 3 }),
      )
      .map(([list, place, remove, insert]) => {
        const bytes = Buffer.concat(list);
        const at = place % bytes.length;
        return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
);
const payloads = fc.oneof(
  fc.json({ maxDepth: 5 }),
  fc.nat({ max: 60_000 }).map((depth) => '['.repeat(depth)),
  fc.constantFrom(good, `[${good}]`, '', '\ufeff[', '[', '[]', 'null', '{"readings":[{"tag":"t","value":1e999}]}'),
);
const topics = fc.oneof(
  fc.constantFrom(topic, `${topic}/pb`, `${topic}/x`, 'plant1/a/presence', 'plant1/a/reply', 'plant2/a/telemetry'),
  fc.stringMatching(/^[a-z/.$ ]{1,20}$/),
);

test('whatever a device sends, its connection has an answer or is closed, and another device is served', async (t) => {
  const { login, confirmAll, held, metric } = await startMqtt(t, { settings: unlimited });
  const other = await login({ clientId: 'other', username: 'plant1.other', keepalive: 0 });
  let packetId = 0;
  await fc.assert(
    fc.asyncProperty(sent, async (bytes) => {
      const device = await login({ clientId: 'fuzz' });
      device.wire.send(bytes);
      await nextTurn();
      await confirmAll();
      packetId = (packetId % 65_535) + 1;
      other.publish('plant1/other/telemetry', good, { packetId });
      await confirmAll();
      assert.deepEqual(other.take(), [`puback ${packetId}`]);
      device.wire.close();
      await nextTurn();
      assert.equal(held.length, 0);
    }),
    seeded,
  );
  assert.equal(await metric('tailrace_ingest_unsettled_messages'), 0);
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
});

test('each message has exactly one acknowledgment, whatever its topic and payload', async (t) => {
  const { login, confirmAll } = await startMqtt(t, { settings: unlimited });
  const device = await login();
  let packetId = 0;
  await fc.assert(
    fc.asyncProperty(topics, payloads, fc.constantFrom(1, 2), async (name, payload, qos) => {
      packetId = (packetId % 65_535) + 1;
      device.publish(name, payload, { qos: qos as 1 | 2, packetId });
      await confirmAll();
      const answers = device.take();
      assert.equal(answers.length, 1, `${name} ${payload.slice(0, 50)}: ${answers}`);
      assert.match(answers[0]!, new RegExp(`^${qos === 1 ? 'puback' : 'pubrec'} ${packetId}( |$)`));
      if (qos === 2 && !answers[0]!.includes(' 0x')) {
        device.pubrel(packetId);
        await nextTurn();
        device.take();
      }
    }),
    seeded,
  );
});

test('a packet that is larger than allowed is refused by its header', async (t) => {
  const { dial, login, metric } = await startMqtt(t);
  // Before the client is known: 16 KiB.
  const first = dial();
  first.wire.send(Buffer.of(0x10, 0x80, 0x80, 0x01));
  await nextTurn();
  assert.equal(first.isClosed, true);
  const second = dial();
  second.wire.send(Buffer.concat([Buffer.of(0x10, 0x90, 0x4e), Buffer.alloc(9_000, 0xff)]));
  await nextTurn();
  assert.equal(second.isClosed, false, 'a CONNECT of 10,000 bytes is allowed, and not complete');
  const device = await login();
  device.wire.send(Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f));
  assert.deepEqual(await device.next(), ['disconnect 0x95']);
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
});
