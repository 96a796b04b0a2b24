import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IPublishPacket } from 'mqtt-packet';
import { parsedByOther } from '../test/other-parser.ts';
import { field, properties, publish, split, uint16, uint32 } from '../test/raw-packets.ts';
import { statement } from '../test/statements.ts';
import { decodePublish, encodePublish, type OutboundMessage } from './publish.ts';

test('reads topic, flags, packet identifier, properties and payload', () => {
  const block = properties([35, uint16(3)], [2, uint32(9)]);
  for (const version of [4, 5] as const) {
    const bytes = publish({
      version,
      topic: 'a/ä',
      qos: 2,
      packetId: 258,
      retain: true,
      dup: true,
      payload: 'p',
      properties: block,
    });
    const message = decodePublish(bytes, version);
    assert.deepEqual(
      [message.topic, message.qos, message.packetId, message.retain, message.dup, message.payload.toString()],
      ['a/ä', 2, 258, true, true, 'p'],
    );
    assert.deepEqual(message.properties, version === 5 ? { topicAlias: 3, messageExpiry: 9 } : undefined);
  }
});

test('what is written is read by another parser', () => {
  const message: OutboundMessage = {
    topic: 'plant/ä/command',
    payload: Buffer.alloc(20_000, 1),
    qos: 1,
    retain: true,
    properties: {
      isText: true,
      contentType: 'application/json',
      responseTopic: 'a/reply',
      correlationData: Buffer.of(0, 1),
      userProperties: [['n', 'v']],
    },
  };
  for (const version of [4, 5] as const) {
    const bytes = encodePublish(message, version, { packetId: 65_535, dup: true, expirySeconds: 70_000 });
    const parsed = parsedByOther<IPublishPacket>(bytes, version);
    assert.deepEqual(
      [parsed.topic, parsed.qos, parsed.messageId, parsed.retain, parsed.dup, parsed.payload.length],
      ['plant/ä/command', 1, 65_535, true, true, 20_000],
    );
    if (version === 4) continue;
    assert.equal(parsed.properties?.messageExpiryInterval, 70_000);
    assert.equal(parsed.properties?.responseTopic, 'a/reply');
    assert.equal(parsed.properties?.payloadFormatIndicator, true);
    assert.deepEqual(parsed.properties?.correlationData, Buffer.of(0, 1));
    assert.deepEqual(decodePublish(bytes, 5).properties?.userProperties, [['n', 'v']]);
  }
});

const small = (qos: 0 | 1): OutboundMessage => ({ topic: 'a', payload: Buffer.from('p'), qos });

statement({ v4: '2.3.1-5', v5: '2.2.1-2' }, 'writes no packet ID into a QoS 0 PUBLISH', (version) => {
  const [written] = split(encodePublish(small(0), version, { packetId: 9, dup: true }));
  const block = version === 5 ? Buffer.of(0) : Buffer.alloc(0);
  assert.deepEqual(written?.content, Buffer.concat([field('a'), block, Buffer.from('p')]));
  assert.equal(written?.firstByte, 0x30);
});

statement({ v5: '2.2.2-1' }, 'writes property length 0 where there are no properties', (version) => {
  const bytes = encodePublish(small(1), version, { packetId: 1, dup: false });
  assert.equal(bytes.toString('hex'), '320700016100010070');
});

statement({ v5: '1.5.5-1' }, 'writes the shortest variable byte integer', () => {
  for (const [payload, lengthBytes] of [
    [124, 1],
    [125, 2],
    [16_380, 2],
    [16_381, 3],
    [2_097_148, 3],
    [2_097_149, 4],
  ] as const) {
    const bytes = encodePublish({ topic: 'a', payload: Buffer.alloc(payload), qos: 0 }, 4, { packetId: 0, dup: false });
    assert.equal(bytes.length, 1 + lengthBytes + 3 + payload, `${payload}`);
    assert.equal(split(bytes).length, 1);
  }
});
