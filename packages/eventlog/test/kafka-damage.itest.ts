import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { crc32c } from '../src/kafka/crc32c.ts';
import { KafkaEventLog } from '../src/kafka.ts';
import { createMember, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, readAll, unique } from './support.ts';

const deadlineMs = 30_000;
/** A broker of this machine, whose files the test changes. */
const ownBroker = { ...process.env, TAILRACE_TEST_KAFKA: '', TAILRACE_TEST_BROKERS: 'local' };

describe('kafka: batches that are damaged on the disk of the broker', () => {
  let dir: TempDir;
  let broker: KafkaBroker;
  let eventLog: KafkaEventLog;
  before(async () => {
    dir = await createTempDir('kafka-damage');
    broker = await startKafka({ env: ownBroker, dataDir: dir.path });
    eventLog = new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger });
    await eventLog.start();
  });
  after(async () => {
    await eventLog?.close();
    await broker?.stop();
    await dir?.remove();
  });

  /** Changes the batch at a position, in the first segment of the partition. */
  async function damage(topic: string, partition: number, seq: number, change: (batch: Buffer) => void): Promise<void> {
    const file = await open(join(dir.path, `${topic}-${partition}`, `${'0'.repeat(20)}.log`), 'r+');
    try {
      const bytes = await file.readFile();
      for (let at = 0; at + 61 <= bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
        if (bytes.readBigInt64BE(at) !== BigInt(seq)) continue;
        const batch = bytes.subarray(at, at + 12 + bytes.readInt32BE(at + 8));
        change(batch);
        await file.write(batch, 0, batch.length, at);
        return;
      }
      assert.fail(`no batch at ${seq}`);
    } finally {
      await file.close();
    }
  }

  /** A changed bit of a value, which the checksum of the batch detects. */
  const flip = (batch: Buffer) => {
    batch[batch.length - 3] = batch[batch.length - 3]! ^ 1;
  };
  const withCodec = (attribute: number) => (batch: Buffer) => {
    batch.writeInt16BE(attribute, 21);
    batch.writeUInt32BE(crc32c(batch, 21), 17);
  };

  test('damaged batches are gaps with a reason; later records and other partitions are read, and a restart changes nothing', async () => {
    const topic = await newTopic(eventLog, 3);
    // Ten batches of five records in each partition.
    for (let n = 0; n < 10; n++) await fill(eventLog, topic, 3, 5, n * 5);
    await damage(topic, 1, 10, flip);
    await damage(topic, 1, 25, withCodec(6));
    await damage(topic, 1, 30, withCodec(3));
    await damage(topic, 1, 45, flip);
    await damage(topic, 2, 0, withCodec(4));
    const member = await createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
    await eventually('all is read', deadlineMs, () =>
      [50, 30 + 4, 45 + 1].every((count, partition) => member.received(topic, partition).length === count),
    );
    const gaps = (partition: number) =>
      member
        .received(topic, partition)
        .flatMap(({ seq, unreadable }) => (unreadable ? [`${seq}-${unreadable.until - 1} ${unreadable.reason}`] : []));
    assert.deepEqual(gaps(0), []);
    assert.deepEqual(gaps(1), ['10-14 checksum', '25-29 codec', '30-34 malformed', '45-49 checksum']);
    assert.deepEqual(gaps(2), ['0-4 malformed']);
    assert.ok(
      member.errors.some(({ message }) => /positions \d+ to \d+ of partition [12] of .* cannot be read/.test(message)),
    );
    const ranges = await readAll(eventLog, topic, 1);
    assert.deepEqual(ranges, member.received(topic, 1), 'a range has the same gaps');
    assert.deepEqual(
      (await readAll(eventLog, topic, 1, 12)).slice(0, 2).map(({ seq, unreadable }) => unreadable?.until ?? seq),
      [15, 15],
      'from within a gap on',
    );
    await broker.restart();
    await eventually('it is read on', deadlineMs, async () => {
      await fill(eventLog, topic, 3, 1, 50);
      return numbersTo(3).every((partition) => (member.received(topic, partition).at(-1)?.seq ?? 0) >= 50);
    });
    await stopAll([member]);
  });
});
