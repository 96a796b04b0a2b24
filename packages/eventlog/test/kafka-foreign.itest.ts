import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { KafkaEventLog } from '../src/kafka.ts';
import {
  CompressionTypes,
  type ForeignProducer,
  type ForeignRecord,
  startForeignProducer,
} from './foreign-producer.ts';
import { createMember, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, readAll, textOf, unique } from './support.ts';

const deadlineMs = 30_000;

describe('kafka: what other programs write to the topics', () => {
  let broker: KafkaBroker;
  let eventLog: KafkaEventLog;
  let foreign: ForeignProducer;
  before(async () => {
    broker = await startKafka();
    eventLog = new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger });
    await eventLog.start();
    foreign = await startForeignProducer(broker.brokers);
  });
  after(async () => {
    await foreign?.close();
    await eventLog?.close();
    await broker?.stop();
  });

  for (const [name, compression] of [
    ['gzip', CompressionTypes.GZIP],
    ['snappy', CompressionTypes.Snappy],
    ['lz4', CompressionTypes.LZ4],
    ['zstd', CompressionTypes.ZSTD],
  ] as const) {
    test(`batches that another producer compresses by ${name} are read, by a subscriber and in ranges`, async () => {
      const topic = await newTopic(eventLog, 2);
      const member = await createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
      const values = numbersTo(500).map((n) => `${n}:${'x'.repeat(n % 50)}`);
      await foreign.send(
        topic,
        values.map((value) => ({ key: 'k', value, partition: 1 })),
        compression,
      );
      await fill(eventLog, topic, 2, 3);
      await eventually('all came', deadlineMs, () => member.receivedCount() === 506);
      assert.deepEqual(member.received(topic, 1).slice(0, 500).map(textOf), values);
      assert.deepEqual((await readAll(eventLog, topic, 1)).slice(0, 500).map(textOf), values);
      assert.deepEqual((await readAll(eventLog, topic, 1, 250)).slice(0, 250).map(textOf), values.slice(250));
      assert.deepEqual(member.errors, []);
      await stopAll([member]);
    });
  }

  for (const codec of ['lz4', 'snappy', 'gzip', 'zstd']) {
    test(`a topic whose broker compresses by ${codec} is read, written by any client`, async () => {
      const topic = unique(codec);
      await foreign.createTopic(topic, 2, { 'compression.type': codec });
      const member = await createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
      await fill(eventLog, topic, 2, 2_000);
      await foreign.send(topic, [{ key: 'k', value: 'other', partition: 0 }]);
      await eventually('all came', deadlineMs, () => member.receivedCount() === 4_001);
      assert.deepEqual(
        member.received(topic, 1).map(textOf),
        numbersTo(2_000).map((n) => `1:${n}`),
      );
      assert.equal((await readAll(eventLog, topic, 0)).length, 2_001);
      for (const { value } of Object.values(eventLog.counts.unreadable)) assert.equal(value, 0);
      await stopAll([member]);
    });
  }

  test('records without key or value, and of a megabyte, are read', async () => {
    const topic = await newTopic(eventLog, 1);
    const strange: readonly ForeignRecord[] = [
      { value: '' },
      { key: '', value: '' },
      { key: null, value: null },
      { key: 'p.d', value: null },
      { key: Buffer.from([0xff, 0xfe]), value: 'no text' },
      { key: 'large', value: Buffer.alloc(1_000_000, 7) },
      { key: 'last', value: 'last' },
    ];
    for (const record of strange) await foreign.send(topic, [record]);
    const read = await readAll(eventLog, topic, 0);
    assert.deepEqual(
      read.map(({ seq, key, value }) => [seq, key, value.length]),
      [
        [0, '', 0],
        [1, '', 0],
        [2, '', 0],
        [3, 'p.d', 0],
        [4, '\ufffd\ufffd', 7],
        [5, 'large', 1_000_000],
        [6, 'last', 4],
      ],
    );
  });

  test('records of other programs in the meta topic do not affect a start or an epoch', async () => {
    const prefix = unique('prefix');
    const open = async () => {
      const opened = new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger, prefix });
      await opened.start();
      return opened;
    };
    const spec = { name: unique('noted'), partitions: 2, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };
    const first = await open();
    const { epoch } = await first.ensureTopic(spec);
    await first.close();
    const note = { epoch: 'other', topicId: 'x', partitions: 99 };
    for (const record of [
      { key: spec.name, value: 'garbage' },
      { key: spec.name, value: 'null' },
      { key: spec.name, value: JSON.stringify(note) },
      { key: 'another', value: Buffer.alloc(900_000, 1) },
      { key: '', value: JSON.stringify(note) },
      { key: spec.name, value: null },
      { key: spec.name, value: '[]' },
    ]) {
      await foreign.send(`${prefix}.meta`, [record]);
      const again = await open();
      assert.equal((await again.ensureTopic(spec)).epoch, epoch, String(record.value).slice(0, 20));
      await again.close();
    }
    const notes = (await readAll(eventLog, `${prefix}.meta`, 0)).filter(({ key }) => key === spec.name);
    assert.equal((JSON.parse(textOf(notes.at(-1)!)) as { epoch: string }).epoch, epoch, 'the record is written again');
  });

  test('a compacted topic refuses a record without a key', async () => {
    const topic = await newTopic(eventLog, 1, { compacted: true });
    await assert.rejects(foreign.send(topic, [{ value: 'no key' }]));
    assert.deepEqual(await readAll(eventLog, topic, 0), []);
  });
});
