import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Timer } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type DeviceRequest, MemoryDevice } from '../../test/modbus-device.ts';
import type { WriteResult } from '../read-back.ts';
import { ModbusPoller } from './poller.ts';
import { tcpFraming } from './tcp-frame.ts';
import { writeTag } from './write.ts';

const timeoutMs = 1_000;
const answerMs = 100;
const format = { type: 'u16', wordOrder: 'big', byteOrder: 'big', scale: 1, offset: 0 } as const;
const blocks = 9;

/** Units with nine requests of reads in each cycle. The device takes `answerMs` for each request. */
async function flooded(t: TestContext, { units, inFlightMax }: { units: readonly number[]; inFlightMax: number }) {
  const clock = createFakeClock();
  const device = new MemoryDevice();
  const delayed: Timer[] = [];
  device.answer = (request, pass) => {
    const reply = pass() as Uint8Array;
    delayed.push(clock.after(answerMs, () => device.send(request.transaction, request.unit, reply)));
    return undefined;
  };
  const addresses = Array.from({ length: blocks }, (_, block) => block * 200);
  const poller = new ModbusPoller({
    name: 'test',
    units: units.map((unit, at) => ({
      unit,
      tags: addresses.map((address, index) => ({
        ...{ tag: at * blocks + index, table: 'holding', address, format, pollMs: 1_000 },
      })),
      limitsOf: () => ({ lengthMax: 125, gapMax: 0 }),
    })),
    openStream: device.openStream,
    framing: tcpFraming,
    inFlightMax,
    timeoutMs,
    sink: () => {},
    clock,
    random: () => 0.5,
    logger: silentLogger,
  });
  t.after(() => {
    poller.stop();
    for (const timer of delayed) timer.cancel();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  poller.start();
  await clock.advance(answerMs / 2);
  const results: WriteResult[] = [];
  const write = (number: number, value: number) => {
    const unit = poller.units.find((each) => each.unit === number)!;
    const options = { unit, tag: unit.tags[0]!, value, writeWith: 'auto' as const, deadlineMs: 20_000 };
    void writeTag({ ...options, timeoutMs, clock }).then((result) => results.push(result));
  };
  return { clock, device, write, results };
}

/** `w`: a write; `r0`: the read of its register; `r`: another read. */
function kindOf({ unit, pdu }: DeviceRequest): string {
  const address = (pdu[1]! << 8) | pdu[2]!;
  if (pdu[0] === 6) return `${unit}w`;
  return address === 0 && pdu[4] === 1 ? `${unit}r0` : `${unit}r`;
}

test('a write waits for the request in flight, and no read of its unit comes before its read-back', async (t) => {
  const { clock, device, write, results } = await flooded(t, { units: [1], inFlightMax: 4 });
  const before = device.requests.length;
  write(1, 7);
  await clock.advance(answerMs / 2 + 3 * answerMs);
  assert.deepEqual(results, [{ state: 'done', before: 0, after: 7 }]);
  assert.deepEqual(device.requests.slice(before).map(kindOf).slice(0, 4), ['1r0', '1w', '1r0', '1r']);
});

test('with one request in flight, no read of another unit comes between the requests of a write', async (t) => {
  const { clock, device, write, results } = await flooded(t, { units: [1, 2, 3], inFlightMax: 1 });
  const before = device.requests.length;
  write(2, 7);
  await clock.advance(answerMs / 2 + 3 * answerMs);
  assert.deepEqual(results, [{ state: 'done', before: 0, after: 7 }]);
  assert.deepEqual(device.requests.slice(before).map(kindOf).slice(0, 3), ['2r0', '2w', '2r0']);
});

test('reads go on while a write waits for the device to store its value', async (t) => {
  const { clock, device, write, results } = await flooded(t, { units: [1], inFlightMax: 1 });
  const answer = device.answer;
  device.answer = (request, pass) => answer(request, request.pdu[0] === 6 ? () => request.pdu.slice(0, 5) : pass);
  const before = device.requests.length;
  write(1, 7);
  await clock.advance(1_500);
  assert.equal(results.length, 0);
  const reads = device.requests.slice(before).filter((each) => kindOf(each) === '1r');
  assert.ok(reads.length >= 5, `${reads.length} reads`);
  await clock.advance(2_000);
  assert.equal(results[0]?.state, 'failed');
});

test('with one request in flight, a write to a unit that does not answer delays the reads of no other', async (t) => {
  const { clock, device, write, results } = await flooded(t, { units: [1, 2], inFlightMax: 1 });
  const answer = device.answer;
  device.answer = (request, pass) => (request.unit === 1 ? undefined : answer(request, pass));
  write(1, 7);
  await clock.advance(10_000);
  const reads = device.requests.filter((each) => each.unit === 2).length;
  // What the timeouts of the unit leave.
  assert.ok(reads >= 40, `${reads} reads`);
  await clock.advance(20_000);
  assert.equal(results[0]?.state, 'failed');
});

test('one write after the other leaves a place for a read of the unit between them', async (t) => {
  const { clock, device, write, results } = await flooded(t, { units: [1], inFlightMax: 4 });
  for (let value = 1; value <= 3; value++) {
    const before = device.requests.length;
    write(1, value);
    for (let n = 0; n < 20 && results.length < value; n++) await clock.advance(answerMs / 2);
    assert.equal(results.length, value);
    assert.ok(device.requests.slice(before).map(kindOf).includes('1r'), `write ${value}`);
  }
});
