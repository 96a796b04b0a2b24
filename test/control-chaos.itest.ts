import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';

/** A short `make control-chaos`: the kills, and PostgreSQL away for 20 s. */
const root = resolve(import.meta.dirname, '..');
const killed = ['alarms', 'control', 'postgres', 'nats', 'kafka', 'ingest', 'fanout'];
const faults = [...killed, 'postgres-outage'];

test('alarms, control, PostgreSQL, NATS, Kafka, ingest and fanout are killed under load, and PostgreSQL is away for some time: alarms are those of the reference, each command is executed at most once, and the audit is complete', async (t) => {
  const dir = await createTempDir('control-chaos');
  const log = join(dir.path, 'log');
  try {
    const run = await startSupervised({
      command: process.execPath,
      args: [
        join(root, 'test/control-chaos/control-chaos.ts'),
        ...['--faults', faults.join(), '--machines', '10', '--seconds', '1', '--outage-seconds', '20'],
        ...['--limit-seconds', '900', '--data', join(dir.path, 'data')],
      ],
      cwd: root,
      env: process.env,
      output: { file: log },
    });
    const { code } = await run.exited;
    const output = await readFile(log, 'utf8');
    assert.equal(code, 0, output);
    for (const fault of killed) assert.match(output, new RegExp(`^${fault}: kill -9 of `, 'm'));
    assert.match(output, /PostgreSQL is away for 20 s/);
    for (const what of ['transitions and refusals that equal those of the reference', 'executions at devices'])
      assert.match(output, new RegExp(`^\\| ${what} \\| [1-9]\\d* \\|$`, 'm'));
    t.diagnostic(output.slice(output.indexOf('postgres-outage:')));
  } finally {
    await dir.remove();
  }
});
