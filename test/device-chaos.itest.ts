import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';

/** A short `make device-chaos`, without the outage. */
const root = resolve(import.meta.dirname, '..');
const faults = ['ingest', 'nats', 'broker', 'gateway', 'kafka'];
const protocols = ['HTTP', 'WebSocket', 'MQTT QoS 1', 'MQTT QoS 2', 'bridge', 'Sparkplug', 'gateway', 'OPC UA'];

test('ingest, NATS, the broker, the gateway and Kafka are killed under load of each protocol: every acknowledged message is in the log', async (t) => {
  const dir = await createTempDir('device-chaos');
  const log = join(dir.path, 'log');
  try {
    const run = await startSupervised({
      command: process.execPath,
      args: [
        join(root, 'test/device-chaos/device-chaos.ts'),
        ...['--faults', faults.join(), '--ingest', '2', '--rate', '50', '--seconds', '0', '--limit-seconds', '300'],
        ...['--data', join(dir.path, 'data')],
      ],
      cwd: root,
      env: process.env,
      output: { file: log },
    });
    const { code } = await run.exited;
    const output = await readFile(log, 'utf8');
    assert.equal(code, 0, output);
    for (const fault of faults) assert.match(output, new RegExp(`^${fault}: kill -9 of `, 'm'));
    for (const protocol of protocols) {
      // Sent, acknowledged, distinct, records, duplicates, and what must be 0.
      const line = new RegExp(`^\\| ${protocol} +\\|( [1-9]\\d* +\\|){4} \\d+ +\\| 0 +\\| \\d+ +\\|$`, 'm');
      assert.match(output, line);
    }
    t.diagnostic(output.slice(output.indexOf('| protocol')));
  } finally {
    await dir.remove();
  }
});
