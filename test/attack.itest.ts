import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { AttackRun, ClientProcesses } from './attack/attack-run.ts';
import { attacks } from './attack/attacks.ts';
import { disturbanceOf, failuresOf } from './attack/judgement.ts';
import { unplaced } from './attack/process-placement.ts';
import { StandaloneTarget } from './attack/standalone-target.ts';

/** Heap of all services in one process, MB. */
const heapMb = 512;
/** Other receive buffers need a network namespace, which `make attack` creates. */
const chosen = attacks.filter(
  ({ targets, receiveBufferBytes }) => targets.includes('standalone') && receiveBufferBytes === undefined,
);

test('honest clients do not notice an attack, the attacker is refused with the expected code, and a restart loses nothing', async (t) => {
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
      // Other tests run at the same time: where they used the processor or the disk, times prove nothing.
      if (disturbanceOf(figures, 'small') !== undefined)
        t.diagnostic(`${attack.name}: times are ignored, the machine was overloaded`);
      else {
        assert.deepEqual(
          failuresOf(figures, 'small').map(({ words }) => words),
          [],
        );
      }
    });
  }
  await run.stop();
});
