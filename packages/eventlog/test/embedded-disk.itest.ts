import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { deadlineMs, folder, kill, mountSmall, openLog, spec, startWriter } from './embedded-tools.ts';
import { seqsOf } from './member.ts';
import { eventually, numbersTo, readAll, recordOf, textOf } from './support.ts';

failOnLeaks();

/** Appends records one by one until one is refused. */
async function appendUntilRefused(append: (n: number) => Promise<unknown>): Promise<TailraceError> {
  for (let n = 0; ; n++) {
    try {
      await append(n);
    } catch (thrown) {
      assert.ok(isTailraceError(thrown));
      return thrown;
    }
  }
}

test('records acknowledged before kill -9 are in the log afterwards, and positions continue without a gap', async (t) => {
  const path = await folder(t);
  const answered = new Map<string, string>();
  for (const iteration of [1, 2, 3]) {
    const { child, lines } = await startWriter(t, path);
    await eventually('it is under load', deadlineMs, () => lines.length > iteration * 3_000);
    await kill(child);
    // An incomplete line was not acknowledged; a complete one has three words.
    for (const line of lines) {
      const [partition, seq, value] = line.split(' ');
      if (value !== undefined) answered.set(`${partition} ${seq}`, value);
    }
  }
  assert.ok(answered.size > 15_000);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic(spec);
  let found = 0;
  for (const partition of numbersTo(4)) {
    const records = await readAll(eventLog, 't', partition);
    for (const [seq, record] of records.entries()) {
      assert.equal(record.seq, seq, 'no hole');
      const value = answered.get(`${partition} ${seq}`);
      if (value === undefined) continue;
      assert.equal(textOf(record), value);
      found++;
    }
  }
  assert.equal(found, answered.size);
});

test('a report waits for at most two transactions of 500 records of another sender', async (t) => {
  const eventLog = await openLog(t, await folder(t));
  await eventLog.ensureTopic(spec);
  const large = eventLog.append(
    't',
    numbersTo(5_000).map((n) => recordOf(`${n}`, '')),
    { sender: 'large' },
  );
  // The first transaction is being written.
  await Promise.resolve();
  await eventLog.append('t', [recordOf('0', '')], { sender: 'small' });
  const written = (await eventLog.bounds('t')).reduce((sum, { next }) => sum + next, 0);
  assert.ok(written <= 1_001, `expected at most 1001 records on disk, got ${written}`);
  await large;
});

test('the file grows by a hundred megabytes with its records, and all are there', async (t) => {
  const path = await folder(t);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic(spec);
  const value = new Uint8Array(50_000);
  for (const iteration of numbersTo(100)) {
    await eventLog.append(
      't',
      numbersTo(20).map((n) => ({ key: `${iteration}.${n}`, value })),
    );
  }
  let count = 0;
  for (const partition of numbersTo(4)) {
    for await (const batch of eventLog.read('t', partition, { from: 0 })) count += batch.length;
  }
  assert.equal(count, 2_000);
  assert.ok((await stat(join(path, 'data.mdb'))).size > 100_000_000);
});

test('appends beyond the limit of pending bytes are refused as unavailable, and earlier ones are written', async (t) => {
  const path = await folder(t);
  const eventLog = await openLog(t, path, { pendingBytesMax: 200_000 });
  await eventLog.ensureTopic(spec);
  const value = new Uint8Array(10_000);
  const answers = await Promise.allSettled(numbersTo(100).map((n) => eventLog.append('t', [{ key: `${n}`, value }])));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  assert.ok(refused.length > 0 && refused.length < 100);
  for (const answer of refused) assert.equal(answer.reason.code, 'unavailable');
  const bounds = await eventLog.bounds('t');
  assert.equal(
    bounds.reduce((sum, { next }) => sum + next, 0),
    100 - refused.length,
  );
});

test('a full disk refuses appends as storage_full, in one line with the path; nothing is damaged, and with free space it continues', async (t) => {
  const path = await folder(t);
  mountSmall(t, path, 8);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic(spec);
  const ballast = join(path, 'ballast');
  await writeFile(ballast, new Uint8Array(2_000_000));
  const written: string[] = [];
  const append = async (n: number) => {
    await eventLog.append('t', [recordOf(`${n}`, `${n} ${'x'.repeat(2_000)}`)]);
    written.push(`${n}`);
  };
  const failure = await appendUntilRefused(append);
  assert.equal(failure.code, 'storage_full');
  assert.equal(failure.retryable, true);
  assert.ok(failure.message.includes(path));
  assert.match(failure.message, /free space/);
  assert.ok(!failure.message.includes('\n'));
  await assert.rejects(append(-1), { code: 'storage_full' });
  const readable = await eventLog.bounds('t');
  assert.equal(
    readable.reduce((sum, { next }) => sum + next, 0),
    written.length,
    'reading continues',
  );

  await writeFile(ballast, '');
  let n = 1_000_000;
  await eventually('there is space again', deadlineMs, async () => {
    await append(n++);
    return true;
  });
  await eventLog.close();
  const again = await openLog(t, path);
  const values: string[] = [];
  for (const partition of numbersTo(4)) {
    const records = await readAll(again, 't', partition);
    assert.deepEqual(seqsOf(records), numbersTo(records.length));
    values.push(...records.map((record) => textOf(record).split(' ')[0]!));
  }
  assert.deepEqual(values.sort(), written.sort());
  await again.close();
});

test('on a full disk retention frees space inside the file, and appends continue without intervention', async (t) => {
  const path = await folder(t);
  mountSmall(t, path, 16);
  // Retention runs only when the disk is full.
  const eventLog = await openLog(t, path, { retentionEveryMs: 3_600_000 });
  await eventLog.ensureTopic({ ...spec, retentionBytes: 100_000 });
  const append = (n: number) => eventLog.append('t', [recordOf(`${n}`, 'x'.repeat(1_500))]);
  for (const _ of numbersTo(3)) {
    const failure = await appendUntilRefused(append);
    assert.equal(failure.code, 'storage_full');
    await eventually('there is room again', deadlineMs, async () => {
      await append(0);
      return true;
    });
  }
  const before = (await eventLog.bounds('t')).map(({ first }) => first);
  assert.ok(before.every((first) => first > 1_000));
  await eventLog.close();
});

test('a record is delivered within the time of two flushes: 99 of 100, also on a busy machine', async (t) => {
  const flushMs = 20;
  const path = await folder(t);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic(spec);
  const delivered = new Map<string, () => void>();
  await eventLog.subscribe({
    topics: ['t'],
    group: 'g',
    member: 'a',
    flushMs,
    onAssigned: () => undefined,
    onBatches(batches) {
      for (const { records } of batches) for (const record of records) delivered.get(textOf(record))!();
    },
  });
  let late = 0;
  for (const n of numbersTo(500)) {
    const delivery = new Promise<void>((resolve) => delivered.set(`${n}`, resolve));
    await eventLog.append('t', [recordOf(`${n}`, `${n}`)]);
    // Timers of the same process are late on a busy machine, as the delivery is.
    const control = sleep(flushMs).then(() => sleep(flushMs));
    if (await Promise.race([delivery.then(() => false), control.then(() => true)])) late++;
    await delivery;
  }
  t.diagnostic(`${late} of 500 were late`);
  assert.ok(late <= 5, `expected at most 5 late records, got ${late}`);
});
