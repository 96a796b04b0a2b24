import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { readCheckpointedAlarms } from './alarm-checkpoints.ts';
import { alarmsTopicSpec } from './alarm-topics.ts';
import { createMemoryLog } from './memory.ts';

const { AlarmCheckpoint } = tailrace.v1;

test('a checkpoint of a process that has lost the partition does not replace a later one', async () => {
  const log = createMemoryLog({ clock: createFakeClock() }).connect();
  await log.start();
  await log.ensureTopic(alarmsTopicSpec('x.alarms', 1));
  const write = async (key: string, owner: number, numbers: readonly number[]) => {
    const transitions = numbers.map((number) => ({ device: key, rule: 'hot', number }));
    const value = AlarmCheckpoint.encode({ epoch: 'e', owner, transitions }).finish();
    await log.append('x.alarms', [{ key, value }]);
  };
  await write('plant.press', 5, [1]);
  await write('plant.press', 9, [3]);
  await write('plant.press', 5, [2]);
  await write('plant.oven', 5, [1]);
  await write('plant.lamp', 9, [1]);
  await log.append('x.alarms', [{ key: 'plant.lamp', value: new Uint8Array(0) }]);
  const { transitions, owner } = await readCheckpointedAlarms(log, 'x.alarms', 0);
  assert.equal(owner, 9);
  assert.deepEqual(
    transitions.map(({ device, number }) => [device, number]),
    [
      ['plant.press', 3],
      // Its only state: better an old one than none, and the events since then follow.
      ['plant.oven', 1],
    ],
  );
  await log.close();
});
