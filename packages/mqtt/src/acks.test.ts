import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IPubackPacket } from 'mqtt-packet';
import { parsedByOther } from '../test/other-parser.ts';
import { field, packet, properties, uint16 } from '../test/raw-packets.ts';
import { statement } from '../test/statements.ts';
import { decodeAck, encodeAck, truncatedReason } from './acks.ts';

test('what is written is read by another parser, with and without a reason and its text', () => {
  for (const type of [4, 5, 6, 7] as const) {
    for (const reason of type < 6 ? [0, 0x10, 0x87] : [0, 0x92]) {
      for (const reasonString of [undefined, 'a reason', 'ä'.repeat(100)]) {
        const packetBytes = encodeAck(type, 513, { version: 5, reason, reasonString });
        const parsed = parsedByOther<IPubackPacket>(packetBytes, 5);
        assert.deepEqual(
          [parsed.messageId, parsed.reasonCode, parsed.properties?.reasonString],
          [513, reason, reasonString],
        );
        assert.deepEqual(decodeAck(packetBytes, 5), { packetId: 513, reason, reasonString });
      }
    }
    const old = encodeAck(type, 513, { version: 4, reason: 0x87, reasonString: 'a reason' });
    assert.deepEqual([...old], [(type << 4) | (type === 6 ? 2 : 0), 2, 2, 1]);
  }
});

statement({ v5: '3.4.2-1' }, 'reads all codes of PUBACK, and refuses others', (version) => {
  const codes = new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
  for (let code = 0; code < 256; code++) {
    const read = () => decodeAck(packet(0x40, uint16(1), Buffer.of(code)), version);
    if (codes.has(code)) assert.equal(read().reason, code);
    else assert.throws(read, { reason: 0x81 });
  }
});

test('an acknowledgment of 3.1.1 has no further byte, and one of 5 none behind its properties', () => {
  assert.throws(() => decodeAck(packet(0x40, uint16(1), Buffer.of(0)), 4), { reason: 0x81 });
  const block = properties([31, field('t')]);
  assert.equal(decodeAck(packet(0x40, uint16(1), Buffer.of(0), block), 5).reasonString, 't');
  assert.throws(() => decodeAck(packet(0x40, uint16(1), Buffer.of(0), block, Buffer.of(0)), 5), { reason: 0x81 });
  assert.throws(() => decodeAck(packet(0x40, uint16(0)), 5), { reason: 0x82 });
});

test('a reason is truncated to 200 bytes at a whole character, without U+0000 and lone surrogates', () => {
  assert.equal(truncatedReason('a'.repeat(300)), 'a'.repeat(200));
  assert.equal(truncatedReason(`a${'ä'.repeat(150)}`), `a${'ä'.repeat(99)}`);
  assert.equal(truncatedReason('😀'.repeat(60)), '😀'.repeat(50));
  assert.equal(truncatedReason('a\0b\ud800'), 'ab\ufffd');
});
