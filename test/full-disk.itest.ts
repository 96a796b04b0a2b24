import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tailrace/testkit/eventually';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { HonestClients } from './attack/honest-clients.ts';
import { StandaloneTarget } from './attack/standalone-target.ts';

const diskMb = 96;
const ballastBytes = 24_000_000;
/** How long the attack lasts after the disk is full. */
const fullMs = 3_000;
const noViolations = { lost: 0, named: 0, doubled: 0, disordered: 0, invalid: 0 };

test('a sender that fills the disk is refused by storage_full; readers stay, and with space again no accepted report is lost', async (t) => {
  const dir = await createTempDir('full-disk');
  const data = join(dir.path, 'data');
  await mkdir(data);
  // Mounting needs root; without it the test fails with that reason.
  assert.equal(process.getuid?.(), 0, 'run this test as root: it mounts a small tmpfs to fill it');
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMb}m`, 'tmpfs', data]);
  const ballast = join(data, 'ballast');
  await writeFile(ballast, new Uint8Array(ballastBytes));
  const target = await StandaloneTarget.start({ folder: dir.path, heapMb: undefined });
  const { ingestPort, streamPort } = target.addresses;
  const subscriberToken = await target.issueToken({ subject: 's', publish: [], subscribe: ['b.>'] });
  const honest = new HonestClients({
    ...{ ingestPort, streamPort, subscriberToken, devices: 10, intervalMs: 100, visitIntervalMs: 100 },
    ...{ probes: [], probeDeadlineMs: 1_000 },
    deviceToken: await target.issueToken({ subject: 'd', publish: ['b.>'], subscribe: [] }),
    visits: [{ streamPort, token: subscriberToken, channel: 'b.>', options: {} }],
  });
  t.after(async () => {
    await honest.close();
    await target.stop();
    execFileSync('umount', [data]);
    await dir.remove();
  });
  await honest.start();

  const attackerToken = await target.issueToken({ subject: 'a', tenant: 'a', publish: ['a.>'], subscribe: [] });
  const attack = async (): Promise<string> => {
    const readings = Array.from({ length: 40 }, (_, i) => ({
      tag: `t${i}`,
      value: randomBytes(1_900).toString('hex'),
    }));
    const answer = await fetch(`http://127.0.0.1:${ingestPort}/v1/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${attackerToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ device: 'a.device', readings }),
    });
    const body = await answer.text();
    return answer.ok ? 'accepted' : ((JSON.parse(body) as { error: { code: string } }).error.code ?? body);
  };
  const isFull = async () => {
    const codes = await Promise.all(Array.from({ length: 8 }, attack));
    for (const code of codes) assert.ok(code === 'accepted' || code === 'storage_full', code);
    return codes.includes('storage_full');
  };
  await eventually(isFull, { deadlineMs: 120_000, describe: 'the disk is full' });
  honest.measure();
  for (const endMs = performance.now() + fullMs; performance.now() < endMs; await sleep(20)) await attack();
  const full = honest.measure();
  assert.deepEqual(full.disconnects, [], 'subscribers stay');
  assert.deepEqual(full.visits.failures, [], 'new clients get their last values');
  assert.ok(full.visits.count > 0);
  for (const refusal of full.refused) assert.match(refusal, /503 .*"storage_full"/);

  await rm(ballast);
  await eventually(() => honest.measure().samples > 0, { deadlineMs: 30_000, describe: 'reports are accepted again' });
  await honest.settle({ deadlineMs: 20_000, isLast: false });
  await target.restart('SIGKILL');
  assert.deepEqual(await honest.withoutLastValues(), [], 'after a restart all last values are there');
  honest.measure();
  await honest.resume();
  await eventually(() => honest.measure().samples > 0, { deadlineMs: 30_000, describe: 'reports are accepted' });
  await honest.settle({ deadlineMs: 20_000, isLast: true });
  assert.deepEqual(honest.measure().verdict, noViolations);
});
