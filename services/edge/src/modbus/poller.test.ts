import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Timer } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzSeeds } from '@tailrace/testkit/fuzz';
import { seededWholeNumbers } from '@tailrace/testkit/random';
import { type DeviceRequest, MemoryDevice } from '../../test/modbus-device.ts';
import type { Sample } from '../sample.ts';
import type { ModbusTagOptions } from './modbus-tag.ts';
import { ModbusPoller } from './poller.ts';
import { rtuFraming } from './rtu-frame.ts';
import { tcpFraming } from './tcp-frame.ts';

const timeoutMs = 1_000;
const format = { type: 'u16', wordOrder: 'big', byteOrder: 'big', scale: 1, offset: 0 } as const;

/** Returns tags of type u16 at these holding registers. The tag numbers follow each other over all units. */
function tagsAt(addresses: readonly number[], first = 0, pollMs = 1_000): ModbusTagOptions[] {
  return addresses.map((address, index) => ({ tag: first + index, table: 'holding', address, format, pollMs }));
}

interface Options {
  readonly units: Readonly<Record<number, readonly ModbusTagOptions[]>>;
  readonly framing?: typeof tcpFraming;
  readonly inFlightMax?: number;
  readonly gapMax?: number;
}

async function polling(t: TestContext, { units, framing = tcpFraming, inFlightMax = 4, gapMax = 16 }: Options) {
  const clock = createFakeClock();
  const device = new MemoryDevice(framing);
  const samples: Sample[] = [];
  const poller = new ModbusPoller({
    name: 'test',
    units: Object.entries(units).map(([unit, tags]) => ({
      unit: Number(unit),
      tags,
      limitsOf: () => ({ lengthMax: 125, gapMax }),
    })),
    openStream: device.openStream,
    framing,
    inFlightMax,
    timeoutMs,
    sink: (sample) => samples.push(sample),
    clock,
    random: () => 0.5,
    logger: silentLogger,
  });
  const delayed: Timer[] = [];
  /** Runs later, as a slow device answers. */
  const later = (delayMs: number, call: () => void) => void delayed.push(clock.after(delayMs, call));
  t.after(() => {
    poller.stop();
    for (const timer of delayed) timer.cancel();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  const unit = (number: number) => poller.units.find((each) => each.unit === number)!;
  return { clock, device, samples, poller, unit, later };
}

const readOf = ({ unit, pdu }: DeviceRequest) => [unit, (pdu[1]! << 8) | pdu[2]!, (pdu[3]! << 8) | pdu[4]!];

test('tags are read in few requests, on a grid, with the time of the reply', async (t) => {
  const { clock, device, samples, poller } = await polling(t, { units: { 1: tagsAt([0, 1, 10]) } });
  device.registers.set([7, 8], 0);
  device.registers[10] = 9;
  poller.start();
  await clock.advance(0);
  assert.deepEqual(device.requests.map(readOf), [[1, 0, 11]]);
  assert.deepEqual(
    samples.map(({ tag, value, quality }) => [tag, value, quality]),
    [
      [0, 7, 'good'],
      [1, 8, 'good'],
      [2, 9, 'good'],
    ],
  );
  assert.equal(samples[0]!.time, clock.now());
  await clock.advance(2_999);
  assert.equal(device.requests.length, 3);
  await clock.advance(1);
  assert.equal(device.requests.length, 4);
});

test('coils and discrete inputs are read as bits', async (t) => {
  const bits = [0, 9].map((address, tag): ModbusTagOptions => {
    return { tag, table: 'coil', address, format: { ...format, type: 'bool' }, pollMs: 1_000 };
  });
  const { clock, device, samples, poller } = await polling(t, { units: { 1: bits } });
  device.coils[9] = 1;
  poller.start();
  await clock.advance(0);
  assert.deepEqual(
    samples.map(({ value }) => value),
    [false, true],
  );
});

test('a unit has one request in flight, and a unit that does not answer delays no other', async (t) => {
  const units = { 1: tagsAt([0, 200]), 2: tagsAt([0], 2), 3: tagsAt([0], 3) };
  const { clock, device, samples, poller } = await polling(t, { units });
  device.answer = ({ unit }, pass) => (unit === 1 ? undefined : pass());
  poller.start();
  for (let n = 0; n < 60; n++) {
    await clock.advance(1_000);
    const ofFirst = device.requests.filter(({ unit }) => unit === 1).length;
    assert.ok(ofFirst <= n + 2);
  }
  const times = samples.filter(({ tag, quality }) => tag === 2 && quality === 'good').map(({ time }) => time);
  assert.equal(times.length, 61);
  for (const [index, time] of times.entries()) assert.equal(time - times[0]!, index * 1_000, 'each on its grid');
});

test('a unit that does not answer is asked less and less often, by its smallest block, and then in full', async (t) => {
  const { clock, device, samples, poller, unit } = await polling(t, { units: { 1: tagsAt([0, 1, 2, 200]) } });
  device.answer = () => undefined;
  poller.start();
  const sentMs: number[] = [];
  let seen = 0;
  for (let n = 0; n < 1_200; n++) {
    await clock.advance(100);
    for (; seen < device.requests.length; seen++) sentMs.push(clock.monotonic());
  }
  const waits = sentMs.map((ms, index) => Math.round((ms - (sentMs[index - 1] ?? 0)) / 1_000));
  // The timeout of a second, and 2, 4, 8, 16, then 30 s.
  assert.deepEqual(waits.slice(1), [3, 5, 9, 17, 31, 31]);
  assert.deepEqual(readOf(device.requests.at(-1)!), [1, 200, 1]);
  assert.equal(unit(1).badTags, 4);
  assert.deepEqual(
    samples.map(({ reason, quality, value }) => [reason, quality, value]),
    Array(4).fill(['no_answer', 'bad', undefined]),
  );
  device.answer = (_, pass) => pass();
  await clock.advance(40_000);
  assert.equal(unit(1).badTags, 0);
  assert.equal(unit(1).state, 'idle');
});

test('one timeout of a unit that answered is repeated at once', async (t) => {
  const { clock, device, samples, poller } = await polling(t, { units: { 1: tagsAt([0]) } });
  poller.start();
  await clock.advance(9_500);
  let isLost = false;
  device.answer = (_, pass) => {
    if (isLost) return pass();
    isLost = true;
    return undefined;
  };
  device.requests.length = 0;
  await clock.advance(500 + timeoutMs);
  // The one that was lost, its repetition, and the next cycle.
  assert.equal(device.requests.length, 3);
  assert.ok(samples.every(({ quality }) => quality === 'good'));
});

test('a register that the device does not have makes only its own tag bad', async (t) => {
  const { clock, device, samples, poller, unit } = await polling(t, { units: { 1: tagsAt([0, 1, 2, 3, 9, 10]) } });
  const has = (address: number) => address !== 2 && address !== 5;
  device.answer = (request, pass) => {
    const [, start, length] = readOf(request) as [number, number, number];
    for (let at = start; at < start + length; at++) if (!has(at)) return 2;
    return pass();
  };
  poller.start();
  await clock.advance(0);
  const quality = (tag: number) => samples.findLast((sample) => sample.tag === tag)?.quality;
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(quality), ['good', 'good', 'bad', 'good', 'good', 'good'], 'in one cycle');
  assert.equal(samples.find((sample) => sample.quality === 'bad')!.reason, 'modbus_exception_2');
  assert.equal(unit(1).state, 'idle');
  device.requests.length = 0;
  await clock.advance(1_000);
  assert.deepEqual(device.requests.map(readOf).sort(), [
    [1, 0, 2],
    [1, 3, 1],
    [1, 9, 2],
  ]);
  // The refused one is tried alone after a minute, and then read again.
  device.answer = (_, pass) => pass();
  await clock.advance(60_000);
  assert.equal(quality(2), 'good');
  // After ten minutes, the plan is tried whole.
  device.requests.length = 0;
  await clock.advance(600_000);
  assert.deepEqual(readOf(device.requests.at(-1)!), [1, 0, 11]);
});

test('a busy device is asked again after 200 ms, at most five times', async (t) => {
  const { clock, device, samples, poller, unit } = await polling(t, { units: { 1: tagsAt([0], 0, 60_000) } });
  device.answer = () => 6;
  poller.start();
  await clock.advance(2_000);
  assert.equal(device.requests.length, 6);
  assert.equal(samples.at(-1)!.reason, 'modbus_exception_6');
  assert.equal(unit(1).state, 'idle');
});

test('an exception of a gateway without an answer backs the unit off, as a timeout does', async (t) => {
  const { clock, device, poller, unit } = await polling(t, { units: { 1: tagsAt([0]) } });
  device.answer = () => 11;
  poller.start();
  await clock.advance(0);
  assert.equal(unit(1).state, 'backing_off');
  await clock.advance(1_999);
  assert.equal(device.requests.length, 1);
});

test('a wrong reply fails one request and leaves the connection', async (t) => {
  const { clock, device, samples, poller, unit } = await polling(t, { units: { 1: tagsAt([0]), 2: tagsAt([0], 1) } });
  device.answer = ({ unit: number }, pass) => (number === 1 ? new Uint8Array([3, 4, 0, 0, 0, 0]) : pass());
  poller.start();
  await clock.advance(60_000);
  assert.equal(device.connections, 1);
  assert.equal(unit(1).tags[0]!.badReason, 'malformed_reply');
  assert.equal(samples.filter(({ tag, quality }) => tag === 1 && quality === 'good').length, 61);
});

test('a cycle that is not finished in time skips the next ones, and they never queue', async (t) => {
  const { clock, device, poller, unit, later } = await polling(t, { units: { 1: tagsAt([0], 0, 100) } });
  device.answer = (request) => {
    later(350, () => device.send(request.transaction, 1, new Uint8Array([3, 2, 0, 1])));
    return undefined;
  };
  poller.start();
  await clock.advance(10_000);
  assert.ok(device.requests.length >= 24 && device.requests.length <= 26, `${device.requests.length} requests`);
  assert.ok(unit(1).groups[0]!.overruns >= 70);
});

test('a lost connection makes the tags bad after five seconds, and they are good with the next one', async (t) => {
  const { clock, device, samples, poller } = await polling(t, { units: { 1: tagsAt([0]) } });
  poller.start();
  await clock.advance(1_000);
  device.isRefusing = true;
  device.disconnect();
  await clock.advance(4_999);
  assert.ok(samples.every(({ quality }) => quality === 'good'));
  await clock.advance(1);
  assert.equal(samples.at(-1)!.reason, 'no_connection');
  const bad = samples.length;
  await clock.advance(60_000);
  assert.equal(samples.length, bad, 'once');
  device.isRefusing = false;
  await clock.advance(10_000);
  assert.equal(samples.at(-1)!.quality, 'good');
});

test('a device that is away from the start makes the tags bad', async (t) => {
  const { clock, device, samples, poller } = await polling(t, { units: { 1: tagsAt([0]) } });
  device.isRefusing = true;
  poller.start();
  await clock.advance(5_000);
  assert.equal(samples[0]!.reason, 'no_connection');
});

test('with RTU framing one request is in flight over all units, and an idle unit costs one timeout each time', async (t) => {
  const units = { 1: tagsAt([0]), 2: tagsAt([0], 1), 3: tagsAt([0], 2) };
  const { clock, device, samples, poller, later } = await polling(t, { units, framing: rtuFraming });
  let inFlight = 0;
  device.answer = (request, pass) => {
    if (request.unit === 1) return undefined;
    assert.equal(inFlight, 0);
    inFlight++;
    const reply = pass() as Uint8Array;
    later(10, () => {
      inFlight--;
      device.send(0, request.unit, reply);
    });
    return undefined;
  };
  poller.start();
  await clock.advance(120_000);
  const times = samples.filter(({ tag, quality }) => tag === 1 && quality === 'good').map(({ time }) => time);
  const gaps = times.map((time, index) => time - (times[index - 1] ?? time));
  // One timeout, the reconnect with its pause, and the grid.
  assert.ok(Math.max(...gaps) <= 3_000, `${Math.max(...gaps)} ms`);
  assert.ok(times.length > 100);
});

test('requests beyond the limit in flight wait for their turn', async (t) => {
  const all = [1, 2, 3, 4, 5, 6];
  const units = Object.fromEntries(all.map((unit) => [unit, tagsAt([0], unit)]));
  const { clock, device, poller } = await polling(t, { units, inFlightMax: 3 });
  device.answer = () => undefined;
  poller.start();
  await clock.advance(0);
  assert.deepEqual(
    device.requests.map(({ unit }) => unit),
    [1, 2],
  );
  for (const { transaction, unit } of device.requests.slice())
    device.send(transaction, unit, new Uint8Array([3, 2, 0, 0]));
  await clock.advance(0);
  assert.deepEqual(
    device.requests.map(({ unit }) => unit),
    [1, 2, 3, 4],
  );
});

test('requests of commands go before reads, and those that cannot be sent in time are not sent', async (t) => {
  const { clock, device, poller, unit } = await polling(t, { units: { 1: tagsAt([0, 200, 400]) } });
  device.isRefusing = true;
  poller.start();
  const request = { pdu: new Uint8Array([6, 0, 5, 0, 1]), replyBytes: 5, isWrite: true };
  const early = unit(1).exchange(request, 100);
  await clock.advance(100);
  assert.deepEqual(await early, { kind: 'not_sent' });
  device.isRefusing = false;
  const waits = unit(1).exchange(request, 10_000);
  await clock.advance(1_000);
  assert.equal((await waits).kind, 'data');
  assert.equal(device.requests[0]!.pdu[0], 6);
  assert.equal(device.registers[5], 1);
});

test('a request of a command waits for no timeout of another unit', async (t) => {
  const units = Object.fromEntries([1, 2, 3, 4, 5, 6].map((unit) => [unit, tagsAt([0, 200], 2 * unit)]));
  const { clock, device, poller, unit } = await polling(t, { units });
  device.answer = ({ unit }, pass) => (unit === 6 ? pass() : undefined);
  poller.start();
  await clock.advance(0);
  assert.ok(device.requests.length < 4, 'a place is left');
  const request = { pdu: new Uint8Array([6, 0, 5, 0, 1]), replyBytes: 5, isWrite: true };
  const written = unit(6).exchange(request, 10_000);
  await clock.advance(0);
  assert.equal((await written).kind, 'data');
});

test('with one request in flight, a request of a command comes before the reads of all other units', async (t) => {
  const units = Object.fromEntries([1, 2, 3, 4].map((unit) => [unit, tagsAt([0], unit)]));
  const { clock, device, poller, unit } = await polling(t, { units, inFlightMax: 1 });
  device.answer = ({ unit }, pass) => (unit === 4 ? pass() : undefined);
  poller.start();
  await clock.advance(0);
  const request = { pdu: new Uint8Array([6, 0, 5, 0, 1]), replyBytes: 5, isWrite: true };
  const written = unit(4).exchange(request, 10_000);
  await clock.advance(timeoutMs);
  assert.equal((await written).kind, 'data');
  assert.deepEqual(
    device.requests.slice(0, 2).map(({ unit }) => unit),
    [1, 4],
  );
});

for (const [name, framing] of [
  ['tcp', tcpFraming],
  ['rtu', rtuFraming],
] as const) {
  test(`whatever comes back, no tag gets the value of another, and all are read again afterwards: ${name}`, async (t) => {
    for (const seed of fuzzSeeds(5)) {
      await t.test(`seed ${seed}`, async (inner) => {
        const random = seededWholeNumbers(seed * 7_919);
        const addresses = [0, 1, 2, 40, 41, 200];
        const units = { 1: tagsAt(addresses, 0, 500), 2: tagsAt(addresses, 6, 700), 3: tagsAt(addresses, 12) };
        const { clock, device, samples, poller, unit, later } = await polling(inner, { units, framing });
        for (const address of addresses) device.registers[address] = 1_000 + address;
        device.answer = (request, pass) => {
          const good = pass() as Uint8Array;
          const { transaction } = request;
          switch (random(12)) {
            case 0:
              return undefined;
            case 1:
              return 1 + random(11);
            case 2:
              // Late, and for RTU framing on whatever connection there is then.
              later(framing === tcpFraming ? random(15_000) : random(1_200), () =>
                device.send(transaction, request.unit, good),
              );
              return undefined;
            case 3:
              return good.slice(0, random(good.length));
            case 4:
              // No read has seven bytes of data.
              return new Uint8Array([good[0]!, 7, ...Array.from({ length: 1 + random(20) }, () => random(256))]);
            case 5:
              later(0, () => device.sendBytes(Uint8Array.from({ length: random(300) }, () => random(256))));
              return good;
            case 6:
              later(0, () => device.disconnect());
              return good;
            case 7:
              // Of no request. With RTU framing nothing shows that, so a device must not do it.
              if (framing === tcpFraming) {
                later(1, () => device.send((transaction + 30_000) & 0xffff, request.unit, good));
              }
              return good;
            default:
              return good;
          }
        };
        poller.start();
        await clock.advance(120_000);
        device.answer = (_, pass) => pass();
        // The longest wait of a unit, and of a tag that was refused.
        await clock.advance(700_000);
        for (const { tag, value, quality } of samples) {
          if (quality === 'good') assert.equal(value, 1_000 + addresses[tag % 6]!);
        }
        for (const each of [1, 2, 3]) assert.equal(unit(each).badTags, 0, `unit ${each}`);
      });
    }
  });
}
