import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { limits } from '../test/cluster.ts';
import { fanoutOptions } from '../test/fanout-options.ts';
import { createFanout } from './app.ts';
import { MemoryTransport } from './memory-transport.ts';

test('a node that is stopped while it reads the control topic accepts no client, and leaves no timer', async () => {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const eventLog = createMemoryLog({ clock, epoch: () => 'epoch-1' }).connect();
  await eventLog.start();
  const [reading, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const bounds = eventLog.bounds.bind(eventLog);
  eventLog.bounds = async (topic, partitions) => {
    if (topic !== 'tailrace.control') return await bounds(topic, partitions);
    reading.resolve();
    await read.promise;
    return await bounds(topic, partitions);
  };
  const bus = createMemoryNetwork({ clock, random: () => 0 }).createBus({ node: 'a', logger: silentLogger });
  await bus.start();
  const transport = new MemoryTransport({ socketBytesMax: 1_000_000 });
  const fanout = createFanout(
    fanoutOptions({ node: 'a', eventLog, bus, clock, transport, partitions: 1, settings: limits }),
  );
  const started = fanout.start();
  await reading.promise;
  await fanout.stop();
  read.resolve();
  await assert.rejects(started, { code: 'closed' });
  assert.equal(transport.isListening, false);
  await Promise.all([bus.close(), eventLog.close()]);
  assert.equal(clock.pending(), 0);
});
