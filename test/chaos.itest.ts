import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';

/** A small `make chaos`: a full one needs an idle machine. */
const root = resolve(import.meta.dirname, '..');

test('60 SDK clients receive every report once and in order when a node is killed, returns, and all are restarted in turn', async () => {
  const dir = await createTempDir('chaos');
  const log = join(dir.path, 'log');
  try {
    const run = await startSupervised({
      command: 'make',
      args: [
        '--no-print-directory',
        'chaos',
        'CLIENTS=60',
        'DEVICES=20',
        'FAULTS=kill,roll',
        'SECONDS=1',
        'DRAIN_MS=1000',
        'LIMIT_SECONDS=150',
        `DATA=${join(dir.path, 'data')}`,
      ],
      cwd: root,
      env: process.env,
      output: { file: log },
    });
    const { code } = await run.exited;
    const output = await readFile(log, 'utf8');
    assert.equal(code, 0, output);
    for (const disruption of ['kill', 'return', 'roll']) {
      // Clients hit and moved, reports, pauses, times until the next report, and the counts that must be 0.
      assert.match(
        output,
        new RegExp(
          `^\\| ${disruption} +\\| \\d+ of 60 +\\| \\d+ +\\| \\d+ +\\|[^|]+\\|[^|]+\\| 0 +\\| 0 +\\| 0 +\\| 0 +\\|`,
          'm',
        ),
      );
    }
    // Clients that are notified in time move without losing a connection: the kill must hit some, the restarts need
    // not.
    assert.match(output, /^\| kill +\| [1-9]\d* of 60/m);
    for (const node of [0, 1, 2]) assert.match(output, new RegExp(`fanout-${node} is ready`));
    assert.match(output, /No loss, no repeat, no disorder\./);
  } finally {
    await dir.remove();
  }
});
