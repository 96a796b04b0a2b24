import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { systemClock } from '@tailrace/platform/clock';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { silentLogger } from '@tailrace/platform/logger';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from './ports.ts';

const root = resolve(import.meta.dirname, '..');

test('kill -9 of the standalone process under load: no report that was answered 202 is lost', async () => {
  const dir = await createTempDir('durability');
  const data = join(dir.path, 'data');
  const acknowledged = new Set<string>();
  try {
    for (let run = 0; run < 3; run++) {
      const process = await startSupervised({
        command: globalThis.process.execPath,
        args: ['services/standalone/src/main.ts'],
        cwd: root,
        env: {
          ...globalThis.process.env,
          TAILRACE_DATA_DIR: data,
          TAILRACE_PORT_BASE: String(await freePortBase()),
          TAILRACE_PLANT: 'false',
          TAILRACE_HOUSE: 'false',
          TAILRACE_HOST_READINGS: 'false',
        },
        output: { file: join(dir.path, 'standalone.log') },
      });
      const { ingest, token } = await eventually(
        async () => {
          assert.equal(process.exit(), undefined, await readFile(join(dir.path, 'standalone.log'), 'utf8'));
          const endpoints = JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints;
          // The file of a killed run still exists.
          assert.equal(endpoints.ingest[0]!.pid, process.pid);
          return endpoints;
        },
        { deadlineMs: 30_000, describe: 'standalone is ready' },
      );
      const already = acknowledged.size;
      const senders = Array.from({ length: 8 }, (_, sender) =>
        send(ingest[0]!.url, token, `r${run}s${sender}`, acknowledged),
      );
      await eventually(() => acknowledged.size >= already + 2_000, {
        deadlineMs: 30_000,
        describe: '2,000 reports acknowledged',
      });
      process.signal('SIGKILL');
      await process.exited;
      await Promise.all(senders);
    }
    const found = await idsInLog(join(data, 'log'));
    const missing = [...acknowledged].filter((id) => !found.has(id));
    assert.deepEqual(missing, [], `${missing.length} of ${acknowledged.size} acknowledged reports are missing`);
    assert.ok(acknowledged.size >= 6_000);
  } finally {
    await dir.remove();
  }
});

/** Posts batches of ten until the server is killed; adds the IDs of those that were answered 202. */
async function send(url: string, token: string, name: string, acknowledged: Set<string>): Promise<void> {
  for (let n = 0; ; n++) {
    const ids = Array.from({ length: 10 }, (_, i) => `${name}n${n}i${i}`);
    const reports = ids.map((id, i) => ({
      device: `durable.${name}.d${i}`,
      time: Date.now(),
      id,
      readings: [{ tag: 'n', value: n }],
    }));
    try {
      const answer = await fetch(`${url}/v1/ingest`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(reports),
      });
      if (answer.status !== 202) return;
      // The status acknowledges the reports, also where the body is lost.
      for (const id of ids) acknowledged.add(id);
      await answer.arrayBuffer();
    } catch {
      return;
    }
  }
}

async function idsInLog(path: string): Promise<Set<string>> {
  const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
  await eventLog.start();
  const ids = new Set<string>();
  const bounds = await eventLog.bounds('tailrace.telemetry');
  for (const [partition, { first }] of bounds.entries()) {
    for await (const records of eventLog.read('tailrace.telemetry', partition, { from: first })) {
      for (const record of records) ids.add(decodeReport(record.value).id ?? '');
    }
  }
  await eventLog.close();
  return ids;
}
