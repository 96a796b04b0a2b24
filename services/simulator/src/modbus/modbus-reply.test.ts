import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createRandom } from '../plant/random.ts';
import { modbusReply } from './modbus-reply.ts';
import { ModbusUnit, type RegisterEntry } from './modbus-unit.ts';
import { plantUnits } from './plant-units.ts';

const entries: readonly RegisterEntry[] = [
  { tag: 'a', table: 'input', address: 0, type: 'f32' },
  { tag: 'b', table: 'input', address: 2, type: 'f32', wordOrder: 'little' },
  { tag: 'c', table: 'input', address: 5, type: 'i16', scale: 0.1 },
  { tag: 'd', table: 'holding', address: 10, type: 'u32', scale: 0.01, isWritable: true },
  { tag: 'e', table: 'holding', address: 12, type: 'u16', isWritable: true },
  { tag: 'f', table: 'holding', address: 13, type: 'u16' },
  { tag: 'g', table: 'coil', address: 0, type: 'bit', isWritable: true },
  { tag: 'h', table: 'discrete', address: 9, type: 'bit' },
];

function setUp() {
  const writes: unknown[] = [];
  const unit = new ModbusUnit('plant1.a', entries, (device, tag, value) => {
    if (value === 666) throw new TailraceError('forbidden', 'no');
    writes.push([device, tag, value]);
  });
  const reply = (hex: string) => modbusReply(unit, Buffer.from(hex.replaceAll(' ', ''), 'hex')).toString('hex');
  return { unit, writes, reply };
}

test('values are in their registers: floating point in both word orders, scaled integers, bits', () => {
  const { unit, reply } = setUp();
  unit.take([
    { tag: 'a', value: 42.5 },
    { tag: 'b', value: 42.5 },
    { tag: 'c', value: -12.34 },
    { tag: 'd', value: 700.01 },
    { tag: 'e', value: 1e9 },
    { tag: 'g', value: true },
    { tag: 'h', value: true },
    { tag: 'unknown', value: 1 },
  ]);
  assert.equal(reply('04 0000 0004'), '0408422a00000000422a');
  assert.equal(reply('04 0005 0001'), '0402ff85');
  assert.equal(reply('03 000a 0003'), '030600011171ffff');
  assert.equal(reply('01 0000 0001'), '010101');
  assert.equal(reply('02 0009 0001'), '020101');
});

test('a write changes whole writable values, and is read back at once', () => {
  const { writes, reply } = setUp();
  assert.equal(reply('06 000c 0005'), '06000c0005');
  assert.equal(reply('10 000a 0003 06 0000 03e8 0007'), '10000a0003');
  assert.equal(reply('05 0000 ff00'), '050000ff00');
  assert.equal(reply('0f 0000 0001 01 00'), '0f00000001');
  assert.deepEqual(writes, [
    ['plant1.a', 'e', 5],
    ['plant1.a', 'd', 10],
    ['plant1.a', 'e', 7],
    ['plant1.a', 'g', true],
    ['plant1.a', 'g', false],
  ]);
  assert.equal(reply('03 000a 0003'), '0306000003e80007');
});

test('what the unit does not have is an exception, and changes nothing', () => {
  const { writes, reply } = setUp();
  // A register that does not exist, a read-only one, half of a value.
  assert.equal(reply('04 0004 0002'), '8402');
  assert.equal(reply('06 000d 0001'), '8602');
  assert.equal(reply('06 000b 0001'), '8602');
  assert.equal(reply('06 000a 0001'), '8603');
  assert.equal(reply('10 000c 0002 04 0001 0001'), '9002');
  // The device refuses the value.
  assert.equal(reply('06 000c 029a'), '8603');
  // Quantities and lengths.
  assert.equal(reply('03 000a 0000'), '8303');
  assert.equal(reply('03 000a 007e'), '8303');
  assert.equal(reply('01 0000 07d1'), '8103');
  assert.equal(reply('10 000c 0001 04 0001'), '9003');
  assert.equal(reply('05 0000 0001'), '8503');
  assert.equal(reply('03 00'), '8303');
  assert.equal(reply('07'), '8701');
  assert.equal(reply(''), '8001');
  assert.deepEqual(writes, []);
});

test('every request, also a senseless one, gets a reply of its function within 253 bytes', () => {
  const { unit } = setUp();
  const random = createRandom(12);
  const byte = () => Math.floor(random() * 256);
  for (let run = 0; run < 20_000; run++) {
    const request = Buffer.from(Array.from({ length: Math.floor(random() * 12) }, byte));
    if (request.length > 0 && random() < 0.8) request[0] = [1, 2, 3, 4, 5, 6, 15, 16][byte() & 7]!;
    if (request.length > 2 && random() < 0.8) request.writeUInt16BE(byte() & 15, 1);
    const reply = modbusReply(unit, request);
    assert.equal(reply[0]! & 0x7f, (request[0] ?? 0) & 0x7f);
    assert.ok(reply.length >= 2 && reply.length <= 253);
  }
});

test('the units of the plant have no register twice', () => {
  for (const { device, entries } of plantUnits) {
    const used = entries.flatMap(({ table, address, type }) =>
      Array.from({ length: type === 'u32' || type === 'f32' ? 2 : 1 }, (_, index) => `${table} ${address + index}`),
    );
    assert.equal(new Set(used).size, used.length, device);
  }
});
