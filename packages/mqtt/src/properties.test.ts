import assert from 'node:assert/strict';
import { test } from 'node:test';
import { field, properties, uint16, uint32, varint } from '../test/raw-packets.ts';
import { PacketReader } from './packet-reader.ts';
import { packetTypes, readProperties, willProperties } from './properties.ts';
import { MqttError } from './reason.ts';

/** Table 2-4 of the specification: the packets of each property, and one valid value. 0 is a will. */
const table: [id: number, value: Buffer, packets: number[], canRepeat?: boolean][] = [
  [1, Buffer.of(1), [0, 3]],
  [2, uint32(1), [0, 3]],
  [3, field('t'), [0, 3]],
  [8, field('t'), [0, 3]],
  [9, field('t'), [0, 3]],
  [11, varint(300), [3, 8]],
  [17, uint32(1), [1, 2, 14]],
  [18, field('t'), [2]],
  [19, uint16(1), [2]],
  [21, field('t'), [1, 2, 15]],
  [23, Buffer.of(1), [1]],
  [24, uint32(1), [0]],
  [25, Buffer.of(1), [1]],
  [26, field('t'), [2]],
  [28, field('t'), [2, 14]],
  [31, field('t'), [2, 4, 5, 6, 7, 9, 11, 14, 15]],
  [33, uint16(1), [1, 2]],
  [34, uint16(1), [1, 2]],
  [35, uint16(1), [3]],
  [36, Buffer.of(1), [2]],
  [37, Buffer.of(1), [2]],
  [38, Buffer.concat([field('n'), field('v')]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15], true],
  [39, uint32(1), [1, 2]],
  [40, Buffer.of(1), [2]],
  [41, Buffer.of(1), [2]],
  [42, Buffer.of(1), [2]],
];

function read(block: Buffer, type: number) {
  const reader = new PacketReader();
  reader.open(Buffer.concat([Buffer.of(0, 0), block]));
  const result = readProperties(reader, type);
  assert.equal(reader.left, 0);
  return result;
}

function reasonOf(block: Buffer, type: number): number | undefined {
  try {
    read(block, type);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof MqttError, String(error));
    return error.reason;
  }
}

test('each property is accepted in its packets, and is malformed in every other', () => {
  for (const [id, value, packets] of table) {
    for (let type = 0; type <= 15; type++) {
      const expected = packets.includes(type) ? undefined : 0x81;
      assert.equal(reasonOf(properties([id, value]), type), expected, `property ${id} in packet ${type}`);
    }
  }
});

test('each property but user properties and subscription identifiers of PUBLISH is a protocol error when it comes twice', () => {
  for (const [id, value, packets, canRepeat] of table) {
    for (const type of packets) {
      const isAllowed = canRepeat === true || (id === 11 && type === 3);
      const expected = isAllowed ? undefined : 0x82;
      assert.equal(reasonOf(properties([id, value], [id, value]), type), expected, `property ${id} in packet ${type}`);
    }
  }
});

test('identifiers that the specification has not are malformed', () => {
  const known = new Set([...table.map(([id]) => id), 22]);
  for (let id = 0; id < 200; id++) {
    if (known.has(id)) continue;
    const block = Buffer.concat([varint(id), Buffer.of(0)]);
    assert.equal(reasonOf(Buffer.concat([varint(block.length), block]), 3), 0x81, `identifier ${id}`);
  }
});

test('values out of their range are protocol errors', () => {
  for (const [id, value, type] of [
    [1, Buffer.of(2), 3],
    [11, varint(0), 8],
    [23, Buffer.of(2), 1],
    [25, Buffer.of(2), 1],
    [33, uint16(0), 1],
    [33, uint16(0), 2],
    [36, Buffer.of(2), 2],
    [37, Buffer.of(2), 2],
    [39, uint32(0), 1],
    [40, Buffer.of(2), 2],
    [41, Buffer.of(255), 2],
    [42, Buffer.of(2), 2],
  ] as const) {
    assert.equal(reasonOf(properties([id, value]), type), 0x82, `property ${id}`);
  }
});

test('authentication data without a method is a protocol error', () => {
  assert.equal(reasonOf(properties([22, field('d')]), 1), 0x82);
  assert.equal(reasonOf(properties([21, field('m')], [22, field('d')]), 1), undefined);
});

test('a block that is longer than its packet, or whose last property is truncated, is malformed', () => {
  assert.equal(reasonOf(Buffer.of(5, 1, 1), 3), 0x81);
  assert.equal(reasonOf(Buffer.of(4, 3, 0, 5, 0x61), 3), 0x81);
  // The length of the text reaches behind the block, where the packet has bytes.
  assert.equal(reasonOf(Buffer.of(3, 3, 0, 1, 0x61), 3), 0x81);
});

test('at most 32 user properties and 8 KiB of properties are accepted', () => {
  const user = [38, Buffer.concat([field('n'), field('v')])] as const;
  assert.equal(reasonOf(properties(...Array.from({ length: 32 }, () => user)), 3), undefined);
  assert.equal(reasonOf(properties(...Array.from({ length: 33 }, () => user)), 3), 0x81);
  assert.equal(reasonOf(properties([3, field('t'.repeat(8192 - 3))]), 3), undefined);
  assert.equal(reasonOf(properties([3, field('t'.repeat(8192 - 2))]), 3), 0x81);
});

test('the values of a message are read, user properties in order', () => {
  const block = properties(
    [1, Buffer.of(1)],
    [2, uint32(60)],
    [3, field('text/plain')],
    [8, field('a/reply')],
    [9, field(Buffer.of(0, 255))],
    [35, uint16(7)],
    [38, Buffer.concat([field('id'), field('1')])],
    [38, Buffer.concat([field('id'), field('2')])],
  );
  assert.deepEqual(read(block, packetTypes.publish), {
    payloadFormat: 1,
    messageExpiry: 60,
    contentType: 'text/plain',
    responseTopic: 'a/reply',
    correlationData: Buffer.of(0, 255),
    topicAlias: 7,
    userProperties: [
      ['id', '1'],
      ['id', '2'],
    ],
  });
  assert.equal(read(properties(), willProperties), undefined);
});
