import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type Answer, type DeviceRequest, MemoryDevice } from '../../test/modbus-device.ts';
import type { WriteResult } from '../read-back.ts';
import type { Value } from '../sample.ts';
import type { ModbusTagOptions } from './modbus-tag.ts';
import { ModbusPoller } from './poller.ts';
import type { RegisterFormat } from './register.ts';
import { tcpFraming } from './tcp-frame.ts';
import { writeTag } from './write.ts';

const timeoutMs = 1_000;
const u16 = { type: 'u16', wordOrder: 'big', byteOrder: 'big', scale: 1, offset: 0 } as const;

async function writing(t: TestContext, tag: Partial<ModbusTagOptions> & { format?: RegisterFormat } = {}) {
  const clock = createFakeClock();
  const device = new MemoryDevice();
  const poller = new ModbusPoller({
    name: 'test',
    units: [
      {
        unit: 1,
        tags: [{ tag: 0, table: 'holding', address: 5, format: u16, pollMs: 3_600_000, ...tag }],
        limitsOf: () => ({ lengthMax: 125, gapMax: 0 }),
      },
    ],
    openStream: device.openStream,
    framing: tcpFraming,
    inFlightMax: 1,
    timeoutMs,
    sink: () => {},
    clock,
    random: () => 0.5,
    logger: silentLogger,
  });
  t.after(() => {
    poller.stop();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  poller.start();
  await clock.advance(0);
  device.requests.length = 0;
  const [unit] = poller.units;
  const write = async (value: Value, writeWith: 'auto' | 'many' = 'auto'): Promise<WriteResult> => {
    let result: WriteResult | undefined;
    void writeTag({
      unit: unit!,
      tag: unit!.tags[0]!,
      value,
      writeWith,
      deadlineMs: 5_000,
      timeoutMs,
      clock,
    }).then((each) => {
      result = each;
    });
    for (let n = 0; n < 1_000 && result === undefined; n++) await clock.advance(100);
    assert.ok(result, 'the write has a result');
    return result;
  };
  const writes = () => device.requests.filter(({ pdu }) => pdu[0]! > 4).map(({ pdu }) => pdu[0]);
  return { clock, device, poller, write, writes };
}

const isWrite = ({ pdu }: DeviceRequest) => pdu[0]! > 4;

test('a register is written with function 6 and read back', async (t) => {
  const { device, write, writes } = await writing(t);
  device.registers[5] = 7;
  assert.deepEqual(await write(9), { state: 'done', before: 7, after: 9 });
  assert.deepEqual(writes(), [6]);
});

test('a value of two registers is written with function 16, in the order of its reads', async (t) => {
  const { device, write, writes } = await writing(t, { format: { ...u16, type: 'f32', wordOrder: 'little' } });
  assert.deepEqual(await write(21.3), { state: 'done', before: 0, after: Math.fround(21.3) });
  assert.deepEqual(writes(), [16]);
  assert.deepEqual([...device.registers.slice(5, 7)], [0x6666, 0x41aa]);
});

test('a float is read back as its registers can hold it, and another one is a failure', async (t) => {
  for (const [type, held, other] of [
    ['f32', Math.fround(0.1), 0.1000001],
    ['f64', 0.1, 0.100_000_01],
  ] as const) {
    const { device, write } = await writing(t, { format: { ...u16, type } });
    assert.deepEqual(await write(0.1), { state: 'done', before: 0, after: held });
    // The device keeps fewer digits.
    device.answer = (request, pass) => {
      if (!isWrite(request)) return pass();
      const { pdu } = request;
      const view = new DataView(pdu.buffer, pdu.byteOffset + 6);
      if (type === 'f32') view.setFloat32(0, other);
      else view.setFloat64(0, other);
      return pass();
    };
    const { state, code } = await write(0.1);
    assert.deepEqual([state, code], ['failed', 'conflict'], type);
  }
});

test('a scaled integer is read back at the nearest step of its scale', async (t) => {
  const { device, write } = await writing(t, { format: { ...u16, scale: 0.1, offset: -40 } });
  assert.deepEqual(await write(21.34), { state: 'done', before: -40, after: 21.3 });
  assert.equal(device.registers[5], 613);
});

test('a float that is no number yet can be written', async (t) => {
  const { device, write } = await writing(t, { format: { ...u16, type: 'f32' } });
  device.registers[5] = 0x7fc0;
  assert.deepEqual(await write(1.5), { state: 'done', after: 1.5 });
});

test('a coil is written with function 5', async (t) => {
  const { device, write, writes } = await writing(t, { table: 'coil', format: { ...u16, type: 'bool' } });
  assert.deepEqual(await write(true), { state: 'done', before: false, after: true });
  assert.equal(device.coils[5], 1);
  assert.deepEqual(writes(), [5]);
  assert.equal((await write(false)).state, 'done');
});

for (const [only, first] of [
  [16, 6],
  [6, 16],
] as const) {
  test(`a device that has only function ${only} is written with it, and asked once`, async (t) => {
    const { device, write, writes } = await writing(t);
    device.answer = (request, pass) => (request.pdu[0] === first ? 1 : pass());
    assert.equal((await write(9, first === 16 ? 'many' : 'auto')).state, first === 16 ? 'failed' : 'done');
    if (first === 16) assert.deepEqual(writes(), [16], 'many: function 16 is forced');
    assert.equal((await write(10)).state, 'done');
    assert.equal(device.registers[5], 10);
    assert.deepEqual(writes(), first === 16 ? [16, 6] : [6, 16, 16]);
  });
}

test('a coil of a device that has only function 15 is written with it', async (t) => {
  const { device, write, writes } = await writing(t, { table: 'coil', format: { ...u16, type: 'bool' } });
  device.answer = (request, pass) => (request.pdu[0] === 5 ? 1 : pass());
  assert.equal((await write(true)).state, 'done');
  assert.deepEqual(writes(), [5, 15]);
});

test('one bit of a register is written, and the others stay', async (t) => {
  const { device, write } = await writing(t, { format: { ...u16, type: 'bit', bit: 3 } });
  device.registers[5] = 0xff00;
  assert.deepEqual(await write(true), { state: 'done', before: false, after: true });
  assert.equal(device.registers[5], 0xff08);
});

test('a write that the device accepts and does not store has failed, with the value read back', async (t) => {
  const { device, write, writes } = await writing(t);
  device.registers[5] = 7;
  device.answer = (request, pass) => (isWrite(request) ? request.pdu.slice(0, 5) : pass());
  const { state, code, before, after } = await write(9);
  assert.deepEqual({ state, code, before, after }, { state: 'failed', code: 'conflict', before: 7, after: 7 });
  assert.deepEqual(writes(), [6], 'once');
});

test('a value that the device stores a little later is done', async (t) => {
  const { clock, device, write } = await writing(t);
  device.answer = (request, pass) => {
    if (!isWrite(request)) return pass();
    clock.after(600, () => device.tablesAnswer(request));
    return request.pdu.slice(0, 5);
  };
  assert.deepEqual(await write(9), { state: 'done', before: 0, after: 9 });
});

test('a write whose answer is lost is resolved by the read-back, and never sent again', async (t) => {
  const lost = async (name: string, apply: (request: DeviceRequest, pass: () => Answer) => void, value = 9) =>
    t.test(name, async (inner) => {
      const { device, write, writes } = await writing(inner);
      device.answer = (request, pass) => {
        if (!isWrite(request)) return pass();
        apply(request, pass);
        return undefined;
      };
      const result = await write(value);
      assert.deepEqual(writes(), [6], 'once');
      assert.equal(result.state, name.split(':')[0]);
    });
  await lost('done: it was stored', (_, pass) => pass());
  await lost('failed: it was not received', () => {});
  await lost('done: it had the value before', () => {}, 0);
});

test('a third value is unconfirmed, with the value', async (t) => {
  const { device, write } = await writing(t);
  device.answer = (request, pass) => {
    if (!isWrite(request)) return pass();
    device.registers[5] = 77;
    return undefined;
  };
  const { state, after } = await write(9);
  assert.deepEqual({ state, after }, { state: 'unconfirmed', after: 77 });
});

test('a write whose connection is lost is resolved on the next connection', async (t) => {
  const { device, write, writes } = await writing(t);
  device.answer = (request, pass) => {
    const answer = pass();
    if (!isWrite(request)) return answer;
    queueMicrotask(() => device.disconnect());
    return undefined;
  };
  assert.deepEqual(await write(9), { state: 'done', before: 0, after: 9 });
  assert.equal(device.connections, 2);
  assert.deepEqual(writes(), [6]);
});

test('a device that answers nothing after the write leaves it unconfirmed', async (t) => {
  const { device, write } = await writing(t);
  let isWritten = false;
  device.answer = (request, pass) => {
    isWritten ||= isWrite(request);
    return isWritten ? undefined : pass();
  };
  const { state, before } = await write(9);
  assert.deepEqual({ state, before }, { state: 'unconfirmed', before: 0 });
});

test('nothing is written where the write cannot succeed', async (t) => {
  const refusedWith = async (name: string, code: string, change: (device: MemoryDevice) => void, value: Value = 9) =>
    t.test(name, async (inner) => {
      const { device, write } = await writing(inner);
      change(device);
      const result = await write(value);
      assert.deepEqual([result.state, result.code], ['failed', code]);
      assert.equal(device.registers[5], 0);
    });
  await refusedWith('a value out of the range of the type', 'invalid_message', () => {}, 65_536);
  await refusedWith('a text for a number', 'invalid_message', () => {}, 'x');
  await refusedWith('a register that cannot be read', 'unavailable', (device) => {
    device.answer = () => 2;
  });
  await refusedWith('a device that refuses the value', 'forbidden', (device) => {
    device.answer = (request, pass) => (isWrite(request) ? 3 : pass());
  });
  await refusedWith('a device that is busy', 'unavailable', (device) => {
    device.answer = (request, pass) => (isWrite(request) ? 6 : pass());
  });
  await refusedWith('no connection', 'unavailable', (device) => {
    device.isRefusing = true;
    device.disconnect();
  });
});

test('a stop resolves a write as unconfirmed', async (t) => {
  const { device, poller, write } = await writing(t);
  device.answer = (request, pass) => {
    if (!isWrite(request)) return pass();
    queueMicrotask(() => poller.stop());
    return undefined;
  };
  assert.equal((await write(9)).state, 'unconfirmed');
});

test('an input register is read-only', async (t) => {
  const { write, writes } = await writing(t, { table: 'input' });
  assert.equal((await write(9)).code, 'forbidden');
  assert.deepEqual(writes(), []);
});
