import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { Connection } from './connection.ts';
import { ConnectionBus } from './connection-bus.ts';
import { busLimits } from './limits.ts';

test('a subscription that is made while a new connection takes over the others reaches the server, too', async () => {
  const subjects: string[] = [];
  const flushes: (() => void)[] = [];
  const connection: Connection = {
    address: 'test:4222',
    payloadBytesMax: busLimits.payloadBytesMax,
    inbox: '_INBOX.test.',
    publish() {},
    subscribe(subject) {
      subjects.push(subject);
      return () => {};
    },
    flush: () => new Promise((resolve) => flushes.push(resolve)),
    async close() {},
  };
  const bus = new ConnectionBus({
    name: 'a',
    dial: async () => connection,
    clock: createFakeClock(),
    random: () => 0,
    logger: silentLogger,
    reconnectBackoff: { baseMs: 1, capMs: 1 },
    pendingBytesMax: 1_000,
    closeTimeoutMs: 0,
  });
  const started = bus.start();
  await nextTurn();
  assert.equal(flushes.length, 1, 'the server has not confirmed the first subscriptions yet');
  const subscribed = bus.subscribe('x.a', () => {});
  for (const confirm of flushes) confirm();
  await started;
  await subscribed;
  assert.deepEqual(subjects, ['_INBOX.test.*', 'x.a']);
});
