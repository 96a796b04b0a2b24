import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { open } from 'lmdb';
import { recordKey } from '../src/embedded/partition.ts';
import { createEmbeddedLog } from '../src/embedded.ts';
import { createMember, stopAll } from './member.ts';
import { eventually, fill, readAll, unique } from './support.ts';

const spec = { name: 't', partitions: 2, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };

test('a damaged record is a gap of its partition with a reason: the others are read, also after a restart', async () => {
  const dir = await createTempDir('embedded-damage');
  const start = async () => {
    const eventLog = createEmbeddedLog({ path: dir.path, clock: systemClock, logger: silentLogger });
    await eventLog.start();
    return eventLog;
  };
  try {
    const before = await start();
    await before.ensureTopic(spec);
    await fill(before, 't', 2, 5);
    await before.close();
    const root = open({ path: dir.path, noSubdir: false, maxDbs: 8 });
    const records = root.openDB({ name: 'records', encoding: 'binary', keyEncoding: 'binary' });
    await records.put(recordKey(1, 0, 2), Buffer.from('damage'));
    await root.close();

    const eventLog = await start();
    const shape = [0, 1, '2-2 malformed', 3, 4];
    const shapeOf = (found: Awaited<ReturnType<typeof readAll>>) =>
      found.map(({ seq, unreadable }) => (unreadable ? `${seq}-${unreadable.until - 1} ${unreadable.reason}` : seq));
    assert.deepEqual(shapeOf(await readAll(eventLog, 't', 0)), shape);
    assert.equal((await readAll(eventLog, 't', 1)).length, 5);
    const member = await createMember(eventLog, { topics: ['t'], group: unique('group'), member: 'a' });
    await eventually('all came', 10_000, () => member.receivedCount() === 10);
    assert.deepEqual(shapeOf([...member.received('t', 0)]), shape);
    await fill(eventLog, 't', 2, 1, 5);
    await eventually('and goes on', 10_000, () => member.receivedCount() === 12);
    await stopAll([member]);
    await eventLog.close();
  } finally {
    await dir.remove();
  }
});
