import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { openStore } from '../src/store/open-store.ts';
import { Outbox, type OutboxOptions } from '../src/store/outbox.ts';

failOnLeaks();

const limits = { reportsMax: 500, bytesMax: 200_000 };

/** Opens an outbox on a folder. The caller closes it. */
async function openOutbox(path: string, options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = new Outbox({
    openDisk: () => openStore({ path, clock: systemClock, logger: silentLogger }),
    device: 'p.edge',
    drops: 'oldest',
    memoryBytesMax: 4_000_000,
    storeBytesMax: 1_000_000_000,
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    ...options,
  });
  await outbox.open();
  return outbox;
}

function putReports(outbox: Outbox, from: number, until: number, text = ''): void {
  for (let value = from; value < until; value++) {
    const readings = [{ tag: 'n', value }, ...(text === '' ? [] : [{ tag: 'text', value: text }])];
    outbox.put({ device: 'p.d', time: 1_700_000_000_000 + value, readings });
  }
}

interface Received {
  readonly id: string;
  readonly value: number;
}

/** Receives the whole backlog, in its order. Reports of losses are left out. */
async function drain(outbox: Outbox): Promise<Received[]> {
  const received: Received[] = [];
  outbox.linkUp();
  await eventually(
    () => {
      for (const queue of ['backlog', 'live'] as const) {
        for (let batch = outbox.next(queue, limits); batch !== undefined; batch = outbox.next(queue, limits)) {
          for (const { report } of batch.entries) {
            const { id = '', readings } = decodeReport(report);
            received.push({ id, value: readings[0]!.value as number });
          }
          outbox.acked(batch);
        }
      }
      return outbox.reports === 0;
    },
    { deadlineMs: 30_000, describe: 'the outbox is empty' },
  );
  return received;
}

const valuesOf = (received: readonly Received[]) => received.map(({ value }) => value);
const numbers = (from: number, until: number) => Array.from({ length: until - from }, (_, index) => from + index);

async function folder(t: TestContext): Promise<string> {
  const dir = await createTempDir('outbox');
  t.after(() => dir.remove());
  return dir.path;
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

test('after kill -9 at any time every stored report arrives, once per ID, and no ID is used twice', async (t) => {
  const path = join(await folder(t), 'store');
  const byId = new Map<string, number>();
  const received = new Set<number>();
  const stored = new Set<number>();
  const receive = (id: string, value: number) => {
    assert.equal(byId.get(id) ?? value, value, `the ID ${id} is used twice`);
    byId.set(id, value);
    received.add(value);
  };
  let first = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const script = join(import.meta.dirname, 'outbox-writer.ts');
    const args = [script, path, String(first), String(seed * 31)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => (child.exitCode === null && child.signalCode === null ? killed(child) : undefined));
    const lines: string[] = [];
    createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
    await eventually(() => lines.some((line) => line.startsWith('stored')), {
      deadlineMs: 30_000,
      describe: 'reports are stored',
    });
    await sleep(seed * 60);
    await killed(child);
    for (const line of lines) {
      const [word, ...rest] = line.split(' ');
      if (word === 'got') for (const each of rest) receive(each.split('=')[0]!, Number(each.split('=')[1]));
      if (word === 'stored') for (let value = first; value < Number(rest[0]); value++) stored.add(value);
    }
    first += 1_000_000;
  }
  const outbox = await openOutbox(path);
  assert.equal(outbox.losses.toStored().next?.reason, 'crash');
  for (const { id, value } of await drain(outbox)) receive(id, value);
  await outbox.close();
  assert.ok(stored.size > 1_000, `${stored.size} reports were stored`);
  assert.deepEqual(
    [...stored].filter((value) => !received.has(value)),
    [],
  );
  assert.equal(byId.size, received.size, 'no report has two IDs');
  t.diagnostic(`${stored.size} stored, ${received.size} received`);
});

test('a store that is closed in order has everything, and reports no loss', async (t) => {
  const path = join(await folder(t), 'store');
  const outbox = await openOutbox(path);
  putReports(outbox, 0, 3_000);
  await outbox.close();
  const again = await openOutbox(path);
  assert.deepEqual(valuesOf(await drain(again)), numbers(0, 3_000));
  assert.equal(again.losses.place, undefined);
  await again.close();
});

test('on a full disk the outbox goes on in memory, reports the loss, and stores again when there is space', async (t) => {
  const { path, remove } = await createTempDir('outbox');
  // Mounting needs root: without it the test fails instead of being skipped.
  assert.equal(process.getuid?.(), 0, 'run this test as root: it mounts a small tmpfs to fill it');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'tmpfs', path]);
  t.after(async () => {
    execFileSync('umount', ['-l', path]);
    await remove();
  });
  const ballast = join(path, 'ballast');
  await writeFile(ballast, new Uint8Array(3_000_000));
  const outbox = await openOutbox(join(path, 'store'), { memoryBytesMax: 1_000_000 });
  let count = 0;
  const put = (more: number) => {
    putReports(outbox, count, count + more, 'x'.repeat(500));
    count += more;
  };
  await eventually(
    () => {
      if (outbox.state !== 'full') put(100);
      assert.ok(outbox.memoryBytes <= 1_000_000);
      return outbox.state === 'full';
    },
    { deadlineMs: 30_000, describe: 'the disk is full' },
  );
  const storedBytes = outbox.storeBytes;
  assert.ok(storedBytes > 500_000);
  // Far more than memory and disk hold.
  for (let n = 0; n < 150; n++) {
    put(200);
    assert.ok(outbox.memoryBytes <= 1_000_000);
    if (n % 10 === 0) await sleep(60);
  }
  const { losses } = outbox;
  assert.ok(losses.byReason.disk_full > 0, JSON.stringify(losses.byReason));
  await writeFile(ballast, '');
  await eventually(() => outbox.state === 'disk', { deadlineMs: 10_000, describe: 'the disk is used again' });
  const lost = losses.reports;
  const received = valuesOf(await drain(outbox));
  assert.deepEqual(
    received,
    received.toSorted((a, b) => a - b),
    'in order',
  );
  assert.equal(new Set(received).size, received.length, 'once');
  assert.equal(received.length + lost, count, 'received or reported as lost');
  assert.equal(received.at(-1), count - 1, 'the newest is there');
  await outbox.close();
});

test('a damaged store is put aside, and a new one reports the loss', async (t) => {
  const parent = await folder(t);
  const path = join(parent, 'store');
  for (let n = 1; n <= 4; n++) {
    const outbox = await openOutbox(path);
    if (n > 1) {
      putReports(outbox, 0, 1);
      outbox.linkUp();
      const { loss } = outbox.next('live', limits)!;
      const reason = decodeReport(loss!).readings.find(({ tag }) => tag === 'lost_reason');
      assert.equal(reason?.value, 'damaged_store');
    }
    await outbox.close();
    const file = join(path, 'data.mdb');
    await truncate(file, 100);
    await writeFile(file, Buffer.alloc(100_000, 'damage'));
  }
  const aside = (await readdir(parent)).filter((name) => name.startsWith('store.damaged-'));
  assert.equal(aside.length, 2, 'the oldest is removed');
});

test('a folder that another process uses is refused', async (t) => {
  const path = join(await folder(t), 'store');
  const outbox = await openOutbox(path);
  await assert.rejects(openOutbox(path), { code: 'conflict' });
  await outbox.close();
});

test('a folder that cannot be made leaves the reports in memory', async (t) => {
  const parent = await folder(t);
  await mkdir(parent, { recursive: true });
  await writeFile(join(parent, 'file'), '');
  const outbox = await openOutbox(join(parent, 'file', 'store'));
  assert.equal(outbox.state, 'full');
  outbox.linkUp();
  putReports(outbox, 0, 10);
  assert.deepEqual(valuesOf(await drain(outbox)), numbers(0, 10));
  await outbox.close();
});
