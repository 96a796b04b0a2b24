import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createLocalNode } from '../../test/local-node.ts';
import { LocalNode } from './announcer.ts';
import { Assignments, type AssignmentsOptions } from './assignments.ts';
import type { Prepared } from './take-over.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Gains a partition and loses it while it is prepared. Returns what is left of what was prepared. */
async function loseWhilePreparing(): Promise<WeakRef<Prepared>> {
  const { partitions } = createLocalNode({ partitions: 1, owned: false });
  const prepared = Promise.withResolvers<Prepared>();
  const assignments = new Assignments({
    topic: 't',
    partitions,
    relays: [],
    takeOver: { prepare: () => prepared.promise } as unknown as AssignmentsOptions['takeOver'],
    reader: {} as AssignmentsOptions['reader'],
    failover: { setGeneration() {}, revoked() {} } as unknown as AssignmentsOptions['failover'],
    clock: createFakeClock(),
    logger: silentLogger,
    announcer: { announce() {} },
    random: () => 0.5,
    localNode: new LocalNode(),
  });
  assignments.take({ generation: 1, partitions: [0], gained: [0], lost: [] });
  assignments.take({ generation: 2, partitions: [], gained: [], lost: [0] });
  const values = { size: 1_000_000 } as unknown as Prepared;
  prepared.resolve(values);
  return new WeakRef(values);
}

test('what was prepared of a partition that was lost meanwhile is freed', async () => {
  const left = await loseWhilePreparing();
  for (let i = 0; i < 20 && left.deref() !== undefined; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  assert.equal(left.deref(), undefined);
});
