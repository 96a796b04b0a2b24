import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, packet, pingreq, publish } from '../test/raw-packets.ts';
import { PacketFramer } from './framer.ts';

/** Pushes chunks as a wire does, whose buffer is used again afterwards. */
function framed(chunks: readonly Buffer[], packetBytesMax = 1_000_000): string[] {
  const framer = new PacketFramer(packetBytesMax);
  const packets: string[] = [];
  for (const chunk of chunks) {
    const reused = Buffer.from(chunk);
    framer.push(reused);
    for (let next = framer.next(); next !== undefined; next = framer.next()) packets.push(next.toString('hex'));
    framer.retain();
    reused.fill(0xff);
  }
  assert.equal(framer.pendingBytes, 0);
  return packets;
}

const sample = [connect(), publish({ payload: 'x'.repeat(300) }), pingreq, publish({ payload: '' })];
const expected = sample.map((bytes) => bytes.toString('hex'));

test('reads packets split at every byte', () => {
  const all = Buffer.concat(sample);
  for (let at = 0; at <= all.length; at++) {
    assert.deepEqual(framed([all.subarray(0, at), all.subarray(at)]), expected, `at ${at}`);
  }
  assert.deepEqual(framed([...all].map((byte) => Buffer.of(byte))), expected);
});

test('reads 1,000 packets in one chunk', () => {
  assert.equal(framed([Buffer.concat(Array.from({ length: 1000 }, () => sample[1]!))]).length, 1000);
});

test('refuses a packet of 256 MB by its header, and buffers nothing of it', () => {
  const framer = new PacketFramer(262_144);
  framer.push(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f, 0, 0));
  assert.throws(() => framer.next(), { reason: 0x95, message: /at most 262144 bytes, got 268435460/ });
});

test('the limit counts the whole packet', () => {
  const bytes = packet(0x30, Buffer.alloc(98));
  assert.equal(bytes.length, 100);
  assert.deepEqual(framed([bytes], 100), [bytes.toString('hex')]);
  assert.throws(() => framed([bytes], 99), { reason: 0x95 });
});

test('a remaining length of five bytes, or not in its shortest form, is malformed', () => {
  for (const bytes of ['3080808080', '308000', '30ff8000', '30ffff8000']) {
    assert.throws(() => framed([Buffer.from(bytes, 'hex')]), { reason: 0x81 }, bytes);
  }
});

test('the first byte of the next packet is known before the packet is whole', () => {
  const framer = new PacketFramer(100);
  assert.equal(framer.firstByte, undefined);
  framer.push(Buffer.concat([pingreq, Buffer.of(0x30)]));
  framer.next();
  framer.retain();
  assert.equal(framer.firstByte, 0x30);
  framer.clear();
  assert.equal(framer.firstByte, undefined);
});

test('a slow sender of a large packet makes it hold at most twice what has come', () => {
  const framer = new PacketFramer(262_144);
  framer.push(Buffer.of(0x30, 0xf0, 0xff, 0x0f));
  framer.next();
  framer.retain();
  const before = process.memoryUsage().arrayBuffers;
  for (let bytes = 0; bytes < 10_000; bytes++) {
    framer.push(Buffer.of(0));
    framer.next();
    framer.retain();
  }
  assert.equal(framer.pendingBytes, 10_004);
  // The buffer grows by doubling: what was replaced on the way is garbage, of the same order.
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000);
});
