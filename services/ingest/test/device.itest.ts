import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { WebSocket } from 'ws';
import { startIngest, tokenFor } from './ingest-fixture.ts';
import { connectDevice, loginDevice } from './raw-device.ts';

failOnLeaks();

const press = 'plant1.line2.press7';

test('a device sends over a real socket, and what is acknowledged is in the log', async (t) => {
  const { port, token, logged } = await startIngest(t);
  const device = await loginDevice({ port, token });
  assert.equal(device.socket.protocol, 'tailrace.device.v1.json');
  assert.equal(device.socket.extensions, undefined);
  device.status('a1', 1);
  assert.equal(await device.ack(), 'a1 accepted');
  device.send({
    type: 'batch',
    msgid: 'b1',
    payload: { messages: [{ type: 'event', payload: { name: 'valve_open' } }] },
  });
  assert.equal(await device.ack(), 'b1 accepted');
  assert.deepEqual(
    (await logged()).map(({ device: path, id, readings }) => [path, id, readings]),
    [
      [press, 'a1', [{ tag: 'n', value: 1 }]],
      [press, 'b1/0', [{ tag: 'valve_open', value: true }]],
    ],
  );
  device.send({ type: 'bye' });
  assert.deepEqual(await device.socket.closed, { code: 1000, reason: 'bye' });
});

test('a device that uses the library ws is served', async (t) => {
  const { port, token } = await startIngest(t);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/device`, 'tailrace.device.v1.json', {
    headers: { authorization: `Bearer ${token}` },
  });
  t.after(() => socket.terminate());
  const acks = await new Promise<string[]>((resolve, reject) => {
    const found: string[] = [];
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('message', (data) => {
      const { type, msgid, payload } = JSON.parse(String(data));
      if (type === 'hello')
        // The token is that of the handshake.
        socket.send(JSON.stringify({ type: 'auth', payload: { device: press, challenge: payload.challenge } }));
      else if (type === 'welcome') {
        for (let count = 0; count < 100; count++)
          socket.send(
            JSON.stringify({ type: 'status', msgid: `${count}`, payload: { readings: [{ tag: 'n', value: count }] } }),
          );
      } else if (type === 'ack' && found.push(`${msgid} ${payload.status}`) === 100) resolve(found);
    });
  });
  assert.deepEqual(
    acks,
    Array.from({ length: 100 }, (_, count) => `${count} accepted`),
  );
});

test('an unacknowledged message is sent again after a reconnect, and is in the log once', async (t) => {
  const { port, token, logged, hold, metricIs } = await startIngest(t);
  const first = await loginDevice({ port, token });
  const release = hold();
  first.status('a1', 1);
  await metricIs('tailrace_ingest_unsettled_messages', 1);
  first.socket.socket.close();
  const second = await loginDevice({ port, token });
  second.status('a1', 1);
  await metricIs('tailrace_ingest_resent_messages_total', 1);
  release();
  assert.equal(await second.ack(), 'a1 accepted');
  second.status('a1', 1);
  assert.equal(await second.ack(), 'a1 duplicate');
  assert.equal((await logged()).length, 1);
});

test('a newer session of a device closes the one before with 4409', async (t) => {
  const { port, token } = await startIngest(t);
  const first = await loginDevice({ port, token });
  const second = await loginDevice({ port, token });
  assert.deepEqual(await first.socket.closed, {
    code: 4409,
    reason: 'replaced by a session from 127.0.0.1 on ingest',
  });
  second.status('a1', 1);
  assert.equal(await second.ack(), 'a1 accepted');
});

test('a connection without auth is closed with 4408, and a recorded auth with 4401', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const { port } = await startIngest(t, { clock });
  const token = await tokenFor(['plant1.>'], { clock });
  const unauthenticated = await connectDevice({ port });
  const recorded = { device: press, token, time: clock.now(), nonce: 'b7f3b7f3' };
  const first = await connectDevice({ port });
  first.send({ type: 'auth', payload: recorded });
  assert.equal((await first.next()).type, 'welcome');
  const second = await connectDevice({ port });
  second.send({ type: 'auth', payload: recorded });
  assert.equal((await second.socket.closed).code, 4401);
  await clock.advance(11_000);
  assert.equal((await unauthenticated.socket.closed).code, 4408);
  first.socket.socket.close();
});

test('a device that answers no ping is disconnected, and one that does is not', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const { port, metricIs } = await startIngest(t, { clock });
  const token = await tokenFor(['plant1.>'], { clock });
  const answering = await loginDevice({ port, token, device: 'plant1.answering' });
  const idle = await loginDevice({ port, token, device: 'plant1.idle', answersPings: false });
  await clock.advance(31_000);
  await Promise.all([answering, idle].map(({ socket }) => socket.nextFrame(opcodes.ping)));
  // The pong is on its way: a message behind it shows that it was received.
  answering.status('a1', 1);
  assert.equal(await answering.ack(), 'a1 accepted');
  await clock.advance(10_000);
  assert.equal((await idle.socket.closed).code, 4001);
  await metricIs('tailrace_ingest_live_devices', 1);
  answering.socket.socket.close();
});

test('a device that reads no answers is closed with 4002, so that it does not grow the process', async (t) => {
  const { port, token, metricIs } = await startIngest(t, {
    settings: { deviceMessagesBurst: 1, deviceMessagesPerSecond: 1_000, deviceSocketBytesMax: 65_536 },
  });
  const device = await loginDevice({ port, token });
  device.socket.socket.stopReading();
  const flood = JSON.stringify({ type: 'status', msgid: 'a', payload: { readings: [{ tag: 'n', value: 1 }] } });
  for (let count = 0; count < 60_000; count++) device.socket.sendText(flood);
  await metricIs('tailrace_ingest_device_sessions', 0);
  await metricIs('tailrace_ingest_device_closes_total{code="4002"', 1);
  device.socket.socket.close();
});

test('a device that sends without waiting is stopped by TCP, and nothing is lost', async (t) => {
  const { port, token, logged } = await startIngest(t, {
    settings: { deviceMessagesBurst: 100_000, tenantMessagesBurst: 100_000 },
  });
  const device = await loginDevice({ port, token });
  const count = 5_000;
  for (let index = 0; index < count; index++) device.status(`${index}`, index);
  const acks: string[] = [];
  while (acks.length < count) acks.push(await device.ack());
  assert.deepEqual(
    acks,
    Array.from({ length: count }, (_, index) => `${index} accepted`),
  );
  const values = (await logged()).map(({ readings }) => readings[0]?.value);
  assert.deepEqual(
    values,
    Array.from({ length: count }, (_, index) => index),
  );
  device.socket.socket.close();
});
