import assert from 'node:assert/strict';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createEmbeddedLog } from '../src/embedded.ts';
import { folder, kill, openLog, startWriter } from './embedded-tools.ts';

failOnLeaks();

test('a second process on the same folder is refused with the process ID of the first; the lock of a dead one is replaced', async (t) => {
  const path = await folder(t);
  const { child } = await startWriter(t, path, 'hold');
  const second = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
  await assert.rejects(second.start(), (error: Error) => {
    assert.equal((error as { code?: string }).code, 'conflict');
    assert.match(error.message, new RegExp(`\\b${child.pid}\\b`));
    assert.ok(error.message.includes(path));
    assert.ok(!error.message.includes('\n'));
    return true;
  });
  await kill(child);
  const third = await openLog(t, path);
  assert.equal((await third.bounds('t')).length, 4);
});

test('two logs in one process on the same folder are refused; after close the folder is free', async (t) => {
  const path = await folder(t);
  const first = await openLog(t, path);
  await assert.rejects(createEmbeddedLog({ path, clock: systemClock, logger: silentLogger }).start(), {
    code: 'conflict',
  });
  await first.close();
  await openLog(t, path);
});

test('a log that is closed while it starts releases its folder, and its start is refused', async (t) => {
  const path = await folder(t);
  const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
  await Promise.all([assert.rejects(eventLog.start(), { code: 'closed' }), eventLog.close()]);
  await openLog(t, path);
});

test('the lock of a dead process whose ID is reused, and one left incomplete by a crash, are replaced', async (t) => {
  const path = await folder(t);
  const lock = join(path, 'tailrace.lock');
  const leftovers = [
    { pid: process.ppid, startedAt: '1', host: hostname() },
    { pid: process.pid, startedAt: '1', host: hostname() },
  ].map((holder) => JSON.stringify(holder));
  for (const text of [...leftovers, '{"pid":', '']) {
    await writeFile(lock, text);
    const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
    await eventLog.start();
    assert.equal(JSON.parse(await readFile(lock, 'utf8')).pid, process.pid);
    await eventLog.close();
    await assert.rejects(stat(lock), { code: 'ENOENT' });
  }
});

test('a lock of another host counts as long as it is touched', async (t) => {
  const path = await folder(t);
  await writeFile(join(path, 'tailrace.lock'), JSON.stringify({ pid: 7, startedAt: '1', host: 'elsewhere' }));
  const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
  await assert.rejects(eventLog.start(), { code: 'conflict', message: /elsewhere/ });
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(join(path, 'tailrace.lock'), longAgo, longAgo);
  await openLog(t, path);
});

test('the error of an unusable folder is one line with the path and what to check', async (t) => {
  const path = await folder(t);
  await writeFile(join(path, 'file'), '');
  const eventLog = createEmbeddedLog({ path: join(path, 'file', 'data'), clock: systemClock, logger: silentLogger });
  await assert.rejects(eventLog.start(), (error: Error) => {
    assert.equal((error as { code?: string }).code, 'unavailable');
    assert.ok(error.message.includes(join(path, 'file', 'data')));
    assert.ok(!error.message.includes('\n'));
    return true;
  });
});
