import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceSettingsFrom } from './settings.ts';

const valid = { MQTT: 'mqtt://localhost:1883', TOKEN: 'eyJ', RUN: 'a' };

test('settings have defaults, and processes follow the number of devices', () => {
  const { protocol, path, devices, rate, seconds, processes } = deviceSettingsFrom(
    { ...valid, DEVICES: '25000', DURATION: '2m' },
    0,
  );
  assert.deepEqual(
    { protocol, path, devices, rate, seconds, processes },
    { protocol: 'mqtt', path: 'loadtest.a', devices: 25_000, rate: 100, seconds: 120, processes: 3 },
  );
});

test('one error has all invalid variables', () => {
  const env = {
    PROTOCOL: 'websocket',
    RATE: '0',
    DURATION: '3',
    RUN: 'a b',
    TARGET: 'http://x',
    PROCESSES: '100',
    DEVICES: '5',
  };
  assert.throws(
    () => deviceSettingsFrom(env, 0),
    ({ message }: Error) => {
      for (const name of ['RATE', 'DURATION', 'PREFIX, RUN', 'TARGET', 'PROCESSES', 'DEVICE', 'TOKEN'])
        assert.match(message, new RegExp(`^ {2}${name}: expected .*, got`, 'm'));
      return true;
    },
  );
  assert.throws(() => deviceSettingsFrom({ PROTOCOL: 'coap' }, 0), /PROTOCOL: expected one of mqtt, websocket, got/);
});
