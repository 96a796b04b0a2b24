import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import type { KafkaBroker } from '@tailrace/testkit/kafka';
import { startLocalKafkaCluster } from '@tailrace/testkit/kafka-local';
import { KafkaEventLog } from '../src/kafka.ts';
import { assertOnceAndInOrder, assertReceivedAtLeastOnce, partitions, startAppending, until } from './appending.ts';
import { createMember, stopAll } from './member.ts';
import { newTopic, recordOf, unique } from './support.ts';

/**
 * The cluster for production (deploy/strimzi): three brokers, three replicas of each record, acknowledged with two.
 */
const settings = {
  'default.replication.factor': 3,
  'offsets.topic.replication.factor': 3,
  'min.insync.replicas': 2,
};

describe('kafka: three brokers', () => {
  let brokers: readonly KafkaBroker[];
  before(async () => {
    brokers = await startLocalKafkaCluster(3, { settings });
  });
  after(() => Promise.all(brokers.toReversed().map((broker) => broker.stop())));

  test('an unresponsive broker hides the end positions of its own partitions only, and gets one request', async () => {
    const paused = brokers[2]!;
    const eventLog = new KafkaEventLog({ logger: silentLogger, brokers: brokers.flatMap(({ brokers: own }) => own) });
    await eventLog.start();
    try {
      const topic = await newTopic(eventLog, partitions);
      const all = await eventLog.endOffsets(topic, 10_000);
      assert.deepEqual(all, new Array(partitions).fill(0));
      await paused.signal('SIGSTOP');
      const startMs = performance.now();
      const known: number[] = [];
      for (let poll = 0; poll < 5; poll++) {
        known.push((await eventLog.endOffsets(topic, 1_000)).filter((end) => end !== undefined).length);
      }
      // The first call waits for the missing answer; the others send no request.
      assert.ok(performance.now() - startMs < 2_500, `${performance.now() - startMs} ms`);
      for (const count of known) assert.ok(count > 0 && count < partitions, `${known}`);
      await paused.signal('SIGCONT');
      await until('it answers again', async () => (await eventLog.endOffsets(topic, 1_000)).every((end) => end === 0));
    } finally {
      await paused.signal('SIGCONT');
      await eventLog.close();
    }
  });

  test('with one broker killed under load no acknowledged record is lost, and all partitions continue; with two nothing is acknowledged until one returns', async () => {
    const [, second, third] = brokers as readonly [KafkaBroker, KafkaBroker, KafkaBroker];
    const eventLog = new KafkaEventLog({
      logger: silentLogger,
      brokers: brokers.flatMap(({ brokers: own }) => own),
      requestTimeoutMs: 2000,
      appendTimeoutMs: 30_000,
    });
    // A short timeout, for the refusal.
    const impatient = new KafkaEventLog({ logger: silentLogger, brokers: brokers[0]!.brokers, appendTimeoutMs: 1000 });
    await Promise.all([eventLog.start(), impatient.start()]);
    try {
      const topic = await newTopic(eventLog, partitions);
      const other = await newTopic(eventLog, 1);
      const member = await createMember(eventLog, {
        topics: [topic],
        group: unique('group'),
        member: 'a',
        commits: true,
      });
      const load = startAppending(eventLog, topic);
      await until('records are received', () => member.receivedCount() > 200);

      await third.kill();
      const afterKill = load.acknowledged.length;
      await until('each partition is written again', () => {
        const since = new Set(load.acknowledged.slice(afterKill + partitions).map((text) => text.split(':')[0]));
        return since.size === partitions;
      });
      await until('and it is read', () => member.receivedCount() > afterKill + 100);

      await second.kill();
      await until('the error has the reason why nothing is acknowledged', async () => {
        await assert.rejects(impatient.append(other, [recordOf('a', 'x')]), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'unavailable');
          assert.match(error.message, /NOT_ENOUGH_REPLICAS/);
          return true;
        });
        return true;
      });

      const beforeReturn = load.acknowledged.length;
      await second.restart();
      await until('it continues', () => load.acknowledged.length > beforeReturn + 200);
      await load.stop();
      assert.deepEqual(load.failures, []);
      const found = await assertOnceAndInOrder(eventLog, topic);
      for (const text of load.acknowledged) assert.ok(found.has(text), `${text} is there`);
      await assertReceivedAtLeastOnce(eventLog, topic, member);
      await stopAll([member]);
    } finally {
      await Promise.all([eventLog.close(), impatient.close()]);
    }
  });
});
