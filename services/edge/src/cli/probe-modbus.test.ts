import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MemoryDevice } from '../../test/modbus-device.ts';
import { probeModbus } from './probe-modbus.ts';

function device() {
  const memory = new MemoryDevice();
  // 21.5 as ABCD at 3059 and 3060 of the protocol.
  memory.registers.set([0x41ac, 0x0000, 0x0007], 3_059);
  return memory;
}

test('two registers are shown with both offsets, in every order, and the plausible floats are marked', async () => {
  const memory = device();
  const clock = createFakeClock();
  const output = await probeModbus({ address: '3060' }, { openStream: memory.openStream, clock });
  const [, one] = output.split('"addressing": "one"');
  assert.match(one!, /^, "address": 3060 \(3059 of the protocol\): registers 41ac 0000 in hexadecimal/);
  assert.match(one!, /f32 ABCD +21\.5 {2}plausible: "wordOrder": "big", "byteOrder": "big"/);
  assert.equal(output.match(/^ {2}[uif]\d\d /gm)!.length, 28);
  assert.match(output, /"addressing": "zero", "address": 3060 \(3060 of the protocol\): registers 0000 0007/);
  assert.equal(clock.pending(), 0);
});

test('a refused register and a bit are shown as such', async () => {
  const memory = device();
  memory.coils[9] = 1;
  const clock = createFakeClock();
  const bits = await probeModbus({ table: 'coil', address: '10' }, { openStream: memory.openStream, clock });
  assert.match(bits, /"addressing": "zero", "address": 10 \(10 of the protocol\): false/);
  assert.match(bits, /"addressing": "one", "address": 10 \(9 of the protocol\): true/);
  memory.answer = () => 2;
  const refused = await probeModbus({ address: '0' }, { openStream: memory.openStream, clock });
  assert.match(refused, /the device refuses it with exception 2/);
  assert.ok(!refused.includes('"one"'), 'there is no register before the first');
});

test('a device without a connection or an answer is an error, and an invalid command another one', async () => {
  const memory = device();
  memory.isRefusing = true;
  const clock = createFakeClock();
  const options = { openStream: memory.openStream, clock };
  const failed = assert.rejects(probeModbus({}, options), { code: 'unavailable', message: /no connection/ });
  await clock.advance(7_000);
  await failed;
  for (const command of [{ unit: '256' }, { table: 'holdin' }, { address: 'x' }, { framing: 'ascii' }]) {
    await assert.rejects(probeModbus(command, options), { code: 'invalid_config' });
  }
});
