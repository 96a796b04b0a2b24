import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { ControlTopic } from '../src/control-topic.ts';
import type { KafkaEventLogOptions } from '../src/kafka/settings.ts';
import { KafkaEventLog } from '../src/kafka.ts';
import { eventLogContract } from './contract.ts';
import { deleteRecords, deleteTopic, groupIds } from './kafka-tools.ts';
import { createMember, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, readAll, recordOf, textOf, unique } from './support.ts';

let broker: KafkaBroker;
before(async () => {
  broker = await startKafka();
});
after(() => broker.stop());

eventLogContract('kafka', {
  tooLargeBytes: 1_200_000,
  async create(options = {}) {
    const settings: KafkaEventLogOptions = { brokers: broker.brokers, logger: silentLogger, ...options };
    const logs: KafkaEventLog[] = [];
    const open = async () => {
      const eventLog = new KafkaEventLog(settings);
      logs.push(eventLog);
      await eventLog.start();
      return eventLog;
    };
    return {
      eventLog: await open(),
      reopen: open,
      forget: (topic, partition, first) => deleteRecords(settings, topic, partition, first),
      async dispose() {
        await Promise.all(logs.map((eventLog) => eventLog.close()));
      },
    };
  },
});

describe('kafka: what only this adapter promises', () => {
  const deadlineMs = 30_000;
  const spec = { partitions: 2, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };
  let eventLog: KafkaEventLog;
  const open = async (options: Partial<KafkaEventLogOptions> = {}) => {
    const opened = new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger, ...options });
    await opened.start();
    return opened;
  };
  before(async () => {
    eventLog = await open();
  });
  after(() => eventLog.close());

  test('a re-created topic has another epoch, and a subscriber reads it from its first record', async () => {
    const name = unique('again');
    const first = await eventLog.ensureTopic({ name, ...spec });
    const member = await createMember(eventLog, { topics: [name], group: unique('group'), member: 'a' });
    await fill(eventLog, name, 2, 10);
    await eventually('the old ones came', deadlineMs, () => member.receivedCount() === 20);
    await deleteTopic({ brokers: broker.brokers }, name);
    const other = await open();
    const again = await eventually('it is re-created', deadlineMs, async () => {
      const info = await other.ensureTopic({ name, ...spec });
      return info.epoch !== first.epoch && info;
    });
    await other.close();
    assert.deepEqual(await eventLog.describeTopic(name), again);
    assert.deepEqual(await eventLog.ensureTopic({ name, ...spec }), again);
    await eventually('appends find the new one', deadlineMs, async () => {
      await eventLog.append(name, [recordOf('a', 'new')]);
      return true;
    });
    await eventually('its first record came', deadlineMs, () =>
      numbersTo(2).some((partition) => {
        const last = member.received(name, partition).at(-1);
        return last !== undefined && last.seq === 0 && textOf(last) === 'new';
      }),
    );
    assert.ok(member.errors.some(({ message }) => /was re-created/.test(message)));
    await member.subscription.stop();
  });

  test('each record of a re-created control topic is received once', async () => {
    const clock = createFakeClock();
    const topicPrefix = unique('control');
    const notices: string[] = [];
    const controlTopicOf = (from: KafkaEventLog, received: string[]) =>
      new ControlTopic({
        ...{ eventLog: from, topicPrefix, clock, logger: silentLogger },
        onCredentials() {},
        onRevocations() {},
        onNotice: ({ message }) => received.push(message),
      });
    const notify = (topic: ControlTopic, message: string) => topic.notify({ severity: 'info', message, time: 0 });
    const reader = controlTopicOf(eventLog, notices);
    await reader.start();
    for (const message of ['a', 'b']) await notify(reader, message);
    const name = `${topicPrefix}.control`;
    const { epoch } = await eventLog.describeTopic(name);
    await deleteTopic({ brokers: broker.brokers }, name);
    const other = await open();
    const compacted = { name, partitions: 1, retentionMs: Infinity, retentionBytes: Infinity, compacted: true };
    await eventually('it is re-created', deadlineMs, async () => (await other.ensureTopic(compacted)).epoch !== epoch);
    const writer = controlTopicOf(other, []);
    await writer.start();
    for (const message of ['c', 'd', 'e']) {
      await notify(writer, message);
      await eventually(`${message} is received`, deadlineMs, async () => {
        await reader.poll();
        return notices.at(-1) === message;
      });
      // The epoch is checked again.
      await clock.advance(5_000);
      await reader.poll();
    }
    assert.deepEqual(notices, ['a', 'b', 'c', 'd', 'e']);
    for (const topic of [reader, writer]) topic.stop();
    await other.close();
  });

  test('the meta topic has the epoch of each topic once', async () => {
    const other = await open({ prefix: unique('prefix') });
    const name = unique('meta');
    const { epoch } = await eventLog.ensureTopic({ name, ...spec });
    await Promise.all([eventLog.ensureTopic({ name, ...spec }), other.ensureTopic({ name, ...spec })]);
    const notes = (await readAll(eventLog, 'tailrace.meta', 0)).filter(({ key }) => key === name);
    assert.equal(notes.length, 1);
    assert.equal((JSON.parse(textOf(notes[0]!)) as { epoch: string }).epoch, epoch);
    await other.close();
  });

  test('many nodes that start at once write the epochs of all their topics', async (t) => {
    const prefix = unique('prefix');
    const warnings: unknown[] = [];
    const logger = {
      ...silentLogger,
      warn: (facts: object, message?: string) => void warnings.push({ facts, message }),
    };
    const names = numbersTo(24).map(() => unique('started'));
    const logs = await Promise.all(numbersTo(4).map(() => open({ prefix, logger })));
    t.after(() => Promise.all(logs.map((log) => log.close())));
    await Promise.all(names.map((name, n) => logs[n % logs.length]!.ensureTopic({ name, ...spec })));
    assert.deepEqual(warnings, []);
    const noted = new Set((await readAll(eventLog, `${prefix}.meta`, 0)).map(({ key }) => key));
    assert.deepEqual([...noted].sort(), [...names].sort());
  });

  test('a re-created meta topic has the epochs again', async () => {
    const prefix = unique('prefix');
    const log = await open({ prefix });
    const [one, two] = [unique('noted'), unique('noted')];
    const metaKeys = async () => (await readAll(eventLog, `${prefix}.meta`, 0)).map(({ key }) => key);
    for (const name of [one, two]) await log.ensureTopic({ name, ...spec });
    await log.ensureTopic({ name: one, ...spec });
    assert.deepEqual(await metaKeys(), [one, two]);
    await deleteTopic({ brokers: broker.brokers }, `${prefix}.meta`);
    await eventually('it has both', deadlineMs, async () => {
      for (const name of [one, two]) await log.ensureTopic({ name, ...spec });
      assert.deepEqual((await metaKeys()).sort(), [one, two].sort());
      return true;
    });
    await log.close();
  });

  test('reading ranges leaves no group on the broker', async () => {
    const topic = await newTopic(eventLog, 2);
    await fill(eventLog, topic, 2, 10);
    const before = await groupIds({ brokers: broker.brokers });
    await Promise.all(numbersTo(50).map((n) => readAll(eventLog, topic, n % 2)));
    assert.deepEqual((await groupIds({ brokers: broker.brokers })).sort(), before.sort());
  });

  for (const compression of ['zstd', 'gzip'] as const) {
    test(`batches that one node compresses by ${compression} are read by another`, async () => {
      const writer = await open({ compression });
      const topic = await newTopic(eventLog, 1);
      // Above and below the size from which zstd compresses on a thread.
      for (const count of [5, 20_000]) await fill(writer, topic, 1, count);
      const texts = (await readAll(eventLog, topic, 0)).map(textOf);
      assert.deepEqual(
        texts,
        [...numbersTo(5), ...numbersTo(20_000)].map((n) => `0:${n}`),
      );
      await writer.close();
    });
  }

  test('a second process under the same name replaces the first one, which reports it and continues without partitions', async () => {
    const topic = await newTopic(eventLog, 4);
    const group = unique('group');
    const first = await createMember(eventLog, { topics: [topic], group, member: 'node-a' });
    await eventually('assigned', deadlineMs, () => first.partitions().length === 4);
    const second = await createMember(eventLog, { topics: [topic], group, member: 'node-a' });
    await eventually('the second has all', deadlineMs, () => second.partitions().length === 4);
    await eventually('the first has none', deadlineMs, () => first.partitions().length === 0);
    assert.ok(first.errors.some((error) => (error as { code?: string }).code === 'conflict'));
    await second.subscription.stop();
    await eventually('the first has them back', deadlineMs, () => first.partitions().length === 4);
    await stopAll([first, second]);
  });
});

test('a broker that does not allow the session timeout gets the lowest common one, with a warning', async () => {
  const strict = await startKafka({
    env: { ...process.env, TAILRACE_TEST_KAFKA: '' },
    settings: { 'group.min.session.timeout.ms': 6000 },
  });
  const warnings: string[] = [];
  const logger: KafkaEventLogOptions['logger'] = { ...silentLogger, warn: (_, sentence) => warnings.push(sentence) };
  const eventLog = new KafkaEventLog({ brokers: strict.brokers, logger });
  try {
    await eventLog.start();
    const topic = await newTopic(eventLog, 2);
    const member = await createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
    await fill(eventLog, topic, 2, 3);
    await eventually('everything came', 30_000, () => member.receivedCount() === 6);
    assert.ok(warnings.some((message) => /session timeout/.test(message)));
    await stopAll([member]);
  } finally {
    await eventLog.close();
    await strict.stop();
  }
});
