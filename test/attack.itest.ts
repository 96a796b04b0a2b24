import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { AttackRun, ClientProcesses } from './attack/attack-run.ts';
import { attacks } from './attack/attacks.ts';
import { disturbanceOf, faultsOf } from './attack/judgement.ts';
import { unplaced } from './attack/process-placement.ts';
import { StandaloneTarget } from './attack/standalone-target.ts';

/** MB, of all services in one process. */
const heapMb = 512;
/** Receive buffers of a size of their own need a network namespace, which `make attack` makes. */
const chosen = attacks.filter(
  ({ targets, receiveBufferBytes }) => targets.includes('standalone') && receiveBufferBytes === undefined,
);

test('honest clients see nothing of an attack, the attacker is refused by name, and a restart finds everything', async (t) => {
  const dir = await createTempDir('attack');
  const clients = new ClientProcesses(unplaced);
  const startedAtMs = performance.now();
  const target = await StandaloneTarget.start({ folder: dir.path, heapMb });
  t.after(async () => {
    await clients.stop();
    await target.stop();
    await dir.remove();
  });
  const run = new AttackRun({
    target,
    firstStartMs: performance.now() - startedAtMs,
    size: 'small',
    clients,
    folder: dir.path,
  });
  await run.start(chosen);
  for (const attack of chosen) {
    await t.test(`${attack.name}: ${attack.words}`, async () => {
      const isLast = attack === chosen.at(-1);
      const figures = await run.run(attack, isLast);
      // Other tests run at the same time: where they took the processor, times say nothing.
      if (disturbanceOf(figures, 'small') !== undefined)
        t.diagnostic(`${attack.name}: times are not judged, the machine had no time`);
      else {
        assert.deepEqual(
          faultsOf(figures, 'small').map(({ words }) => words),
          [],
        );
      }
    });
  }
  await run.stop();
});
