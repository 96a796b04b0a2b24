import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTurn, startDevices } from '../../test/device-fixture.ts';

const presenceOf = (from: string, online: unknown, rest: object = {}) => ({
  ...{ type: 'presence', from, payload: { online }, ...rest },
});

test('a gateway announces its devices over WebSocket, until it publishes that they are gone or is disconnected', async (t) => {
  const { login, events, clock, metric } = await startDevices(t);
  const gateway = await login();
  const announced = async () => [
    await metric('tailrace_ingest_announced_devices'),
    await metric('tailrace_ingest_identity_announced_devices'),
  ];
  const send = async (...messages: readonly object[]) => {
    gateway.send(...messages);
    await nextTurn();
    return events();
  };
  await nextTurn();
  events();
  const [a, b] = ['plant1.a', 'plant1.b'] as const;
  assert.deepEqual(await send(presenceOf(a, true, { qos: 1, msgid: 'p1' })), [`started ${a}`]);
  assert.deepEqual(gateway.acks(), ['p1 accepted']);
  assert.deepEqual(await send(presenceOf(a, true), presenceOf(b, true)), [`started ${b}`], 'once');
  assert.deepEqual(await announced(), [2, 2], 'also without MQTT');
  assert.deepEqual(await send(presenceOf(b, false)), [`closed ${b}: bye, 2000 ms, no report`]);
  gateway.socket.abort();
  await clock.advance(10);
  assert.ok((await send()).includes(`closed ${a}: lost, 5000 ms, no report`));
  assert.deepEqual(await announced(), [0, 0]);
});

test('a presence that is invalid, of a device that is not covered, or of the own device changes nothing', async (t) => {
  const { login, events } = await startDevices(t);
  const gateway = await login();
  await nextTurn();
  events();
  gateway.send(
    presenceOf('plant2.a', true, { qos: 1, msgid: 'p1' }),
    presenceOf('plant1.a', 'yes', { qos: 1, msgid: 'p2' }),
    { type: 'presence', payload: { online: false }, qos: 1, msgid: 'p3' },
  );
  await nextTurn();
  assert.deepEqual(gateway.acks(), ['p1 forbidden', 'p2 invalid_message', 'p3 accepted']);
  assert.deepEqual(events(), []);
});
