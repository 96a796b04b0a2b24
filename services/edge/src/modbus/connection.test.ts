import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MemoryDevice } from '../../test/modbus-device.ts';
import { ModbusConnection } from './connection.ts';
import { readRequest } from './pdu.ts';
import { rtuFraming } from './rtu-frame.ts';
import { tcpFraming } from './tcp-frame.ts';

const request = readRequest('holding', 0, 1);
const timeoutMs = 1_000;

async function connected(t: TestContext, framing = tcpFraming) {
  const clock = createFakeClock();
  const device = new MemoryDevice(framing);
  const changes: string[] = [];
  const connection = new ModbusConnection({
    openStream: device.openStream,
    framing,
    timeoutMs,
    clock,
    random: () => 0.5,
    onChange: (isConnected, reason) => changes.push(isConnected ? 'connected' : reason),
  });
  t.after(() => {
    connection.stop();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  connection.start();
  await clock.advance(0);
  assert.equal(connection.state, 'connected');
  return { clock, device, connection, changes, send: (unit = 1) => connection.send(unit, request, timeoutMs) };
}

const value = (word: number) => new Uint8Array([3, 2, word >> 8, word & 0xff]);

test('a reply that comes after its timeout is dropped, and the next request gets its own reply', async (t) => {
  const { clock, device, connection, send } = await connected(t);
  device.answer = () => undefined;
  const first = send();
  await clock.advance(timeoutMs);
  assert.deepEqual(await first, { kind: 'timeout' });
  const second = send();
  const [late, next] = device.requests;
  device.send(late!.transaction, 1, value(111));
  device.send(next!.transaction, 1, value(222));
  assert.deepEqual(await second, { kind: 'data', data: new Uint8Array([0, 222]) });
  assert.equal(connection.lateReplies, 1);
  // Once more, while nothing is in flight.
  device.send(late!.transaction, 1, value(111));
  assert.equal(connection.lateReplies, 2);
});

test('replies to several units come in any order, and reach the request of their transaction', async (t) => {
  const { device, send } = await connected(t);
  device.answer = () => undefined;
  const replies = [send(1), send(2), send(3)];
  for (const { transaction, unit } of device.requests.toReversed()) device.send(transaction, unit, value(unit));
  assert.deepEqual(
    (await Promise.all(replies)).map((reply) => (reply.kind === 'data' ? reply.data[1] : reply)),
    [1, 2, 3],
  );
});

test('a server without units may answer as unit 0 or 255', async (t) => {
  const { clock, device, send } = await connected(t);
  device.answer = () => undefined;
  for (const unit of [0, 255]) {
    const reply = send(7);
    await clock.advance(0);
    device.send(device.requests.at(-1)!.transaction, unit, value(unit));
    await clock.advance(0);
    assert.equal((await reply).kind, 'data');
  }
});

test('a reply of another unit, or with a transaction that is not in flight, is dropped', async (t) => {
  const { clock, device, connection, send } = await connected(t);
  device.answer = () => undefined;
  const reply = send(1);
  const { transaction } = device.requests[0]!;
  device.send(transaction, 2, value(5));
  device.send(transaction + 1, 1, value(6));
  assert.equal(connection.lateReplies, 2);
  await clock.advance(timeoutMs);
  assert.deepEqual(await reply, { kind: 'timeout' });
});

test('the transaction of a timeout is not used again while its reply may come', async (t) => {
  const { clock, device, connection, send } = await connected(t);
  device.answer = () => undefined;
  void send();
  await clock.advance(timeoutMs);
  const { transaction } = device.requests[0]!;
  device.answer = (_, pass) => pass();
  const used = new Set<number>();
  for (let n = 0; n < 65_535; n++) {
    await send();
    used.add(device.requests.at(-1)!.transaction);
    device.requests.length = 0;
  }
  assert.ok(!used.has(transaction), 'not within the time');
  assert.ok(!used.has(0));
  assert.equal(used.size, 65_534);
  await clock.advance(10_001);
  for (let n = 0; n < 65_535; n++) await send();
  assert.ok(
    device.requests.some((each) => each.transaction === transaction),
    'used again later',
  );
  assert.equal(connection.state, 'connected');
});

test('with RTU framing a timeout closes the connection, and the late reply is never taken for another', async (t) => {
  const { clock, device, connection, send } = await connected(t, rtuFraming);
  device.answer = () => undefined;
  const first = send();
  await clock.advance(timeoutMs);
  assert.deepEqual(await first, { kind: 'timeout' });
  assert.equal(connection.state, 'waiting');
  await clock.advance(250);
  assert.equal(device.connections, 2);
  assert.equal(connection.state, 'quiet');
  // A converter sends it on the new connection.
  device.send(0, 1, value(111));
  await clock.advance(200);
  const second = send();
  device.send(0, 1, value(222));
  assert.deepEqual(await second, { kind: 'data', data: new Uint8Array([0, 222]) });
});

test('with RTU framing a reply to the connection before is not taken for another', async (t) => {
  const { clock, device, connection, send } = await connected(t, rtuFraming);
  device.answer = () => undefined;
  const first = send();
  device.disconnect();
  assert.deepEqual(await first, { kind: 'disconnected' });
  await clock.advance(250 + timeoutMs - 1);
  assert.equal(connection.state, 'quiet');
  device.send(0, 1, value(111));
  await clock.advance(1);
  const second = send();
  device.send(0, 1, value(222));
  assert.deepEqual(await second, { kind: 'data', data: new Uint8Array([0, 222]) });
});

test('bytes without a frame close the connection, and what is in flight is disconnected', async (t) => {
  const { clock, device, connection, changes, send } = await connected(t);
  device.answer = () => undefined;
  const reply = send();
  device.sendBytes(new Uint8Array([0, 1, 0, 9, 0, 3, 1, 3, 2]));
  assert.deepEqual(await reply, { kind: 'disconnected' });
  assert.match(changes[1]!, /protocol 0, got 9/);
  assert.deepEqual(await connection.send(1, request, timeoutMs), { kind: 'disconnected' });
  await clock.advance(500);
  assert.equal(connection.state, 'connected');
});

test('a device that sends replies without end to no request is disconnected, and asked again later', async (t) => {
  const { clock, device, connection, changes, send } = await connected(t);
  for (let n = 0; n < 5_000 && connection.state === 'connected'; n++) device.send(n % 65_535, 1, value(1));
  assert.notEqual(connection.state, 'connected');
  assert.match(changes.at(-1)!, /^expected replies, got 2049 frames that are none/);
  await clock.advance(1_000);
  assert.equal(connection.state, 'connected');
  device.answer = () => value(7);
  assert.deepEqual(await send(), { kind: 'data', data: new Uint8Array([0, 7]) });
});

test('the waits between attempts double up to ten seconds, and start again after a reply', async (t) => {
  const { clock, device, connection, send } = await connected(t);
  device.isRefusing = true;
  device.disconnect();
  const waits: number[] = [];
  for (let n = 0; n < 7; n++) waits.push(await clock.advanceToNext());
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  device.isRefusing = false;
  await clock.advance(5_000);
  assert.equal(connection.state, 'connected');
  await send();
  device.disconnect();
  assert.equal(clock.nextInMs(), 250);
});

test('an attempt without an answer is abandoned after five seconds', async (t) => {
  const clock = createFakeClock();
  let opened = 0;
  const connection = new ModbusConnection({
    openStream: () => {
      opened++;
      return { write: () => {}, destroy: () => {} };
    },
    framing: tcpFraming,
    timeoutMs,
    clock,
    random: () => 1,
    onChange: () => {},
  });
  t.after(() => connection.stop());
  connection.start();
  await clock.advance(5_000);
  assert.equal(connection.state, 'waiting');
  await clock.advance(500);
  assert.equal(opened, 2);
});

test('a connection on which nothing arrives for 30 s is renewed', async (t) => {
  const { clock, device, send } = await connected(t);
  device.answer = () => undefined;
  for (let n = 0; n < 30; n++) {
    void send();
    await clock.advance(timeoutMs);
  }
  assert.equal(device.connections, 1);
  void send();
  await clock.advance(timeoutMs + 500);
  assert.equal(device.connections, 2);
});
