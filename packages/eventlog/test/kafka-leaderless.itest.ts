import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import type { KafkaBroker } from '@tailrace/testkit/kafka';
import { startLocalKafkaCluster } from '@tailrace/testkit/kafka-local';
import { KafkaEventLog } from '../src/kafka.ts';
import { outcomesOf, settlementsOf } from './contract-append-each.ts';
import { createMember, stopAll } from './member.ts';
import {
  eventually,
  fill,
  keysByPartition,
  newTopic,
  numbersTo,
  readAll,
  recordOf,
  textOf,
  unique,
} from './support.ts';

const deadlineMs = 30_000;
const partitions = 6;
/** The offsets of the group are on both brokers; the records of the test are not. */
const settings = { 'offsets.topic.replication.factor': 2, 'offsets.topic.num.partitions': 2 };

describe('kafka: partitions without a leader', () => {
  let brokers: readonly KafkaBroker[];
  before(async () => {
    brokers = await startLocalKafkaCluster(2, { settings });
  });
  after(() => Promise.all(brokers.toReversed().map((broker) => broker.stop())));

  const open = async (t: TestContext, options: { readonly appendTimeoutMs?: number } = {}) => {
    const addresses = brokers.flatMap(({ brokers: own }) => own);
    const eventLog = new KafkaEventLog({
      logger: silentLogger,
      brokers: addresses,
      replicationFactor: 1,
      requestTimeoutMs: 2_000,
      ...options,
    });
    t.after(() => eventLog.close());
    await eventLog.start();
    return eventLog;
  };

  test('the other partitions are written and read by old and new clients, and all continue after the broker returns', async (t) => {
    const eventLog = await open(t);
    const spec = { name: unique('topic'), partitions, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };
    const { name } = spec;
    await eventLog.ensureTopic(spec);
    const member = await createMember(eventLog, { topics: [name], group: unique('group'), member: 'a' });
    await fill(eventLog, name, partitions, 3);
    await eventually('all is read', deadlineMs, () => member.receivedCount() === partitions * 3);

    await brokers[1]!.kill();
    const here = await eventually('some have no leader', deadlineMs, async () => {
      const bounds = await eventLog.bounds(name);
      const found = numbersTo(partitions).filter((partition) => bounds[partition] !== undefined);
      return found.length < partitions && found.length > 0 && found;
    });
    const away = numbersTo(partitions).filter((partition) => !here.includes(partition));
    const keys = keysByPartition(partitions);
    const waiting = away.map((partition) => eventLog.append(name, [recordOf(keys[partition]!, 'late')]));
    for (const wait of waiting) wait.catch(() => {});
    const slowest = { appendMs: 0, readMs: 0 };
    for (let n = 0; n < 20; n++) {
      for (const partition of here) {
        const startMs = performance.now();
        await eventLog.append(name, [recordOf(keys[partition]!, `now ${n}`)]);
        slowest.appendMs = Math.max(slowest.appendMs, performance.now() - startMs);
        await eventually('it is read', deadlineMs, () => {
          const last = member.received(name, partition).at(-1);
          return last !== undefined && textOf(last) === `now ${n}`;
        });
        slowest.readMs = Math.max(slowest.readMs, performance.now() - startMs);
      }
    }
    assert.ok(slowest.appendMs < 1_000 && slowest.readMs < 1_500, JSON.stringify(slowest));
    assert.equal((await readAll(eventLog, name, here[0]!)).length, 23);
    assert.equal((await eventLog.positionsAt(name, 0, here)).filter((seq) => seq === 0).length, here.length);
    await assert.rejects(eventLog.bounds(name, [away[0]!]), { code: 'unavailable' });

    const newcomer = await open(t);
    const startMs = performance.now();
    await newcomer.ensureTopic(spec);
    const other = await createMember(newcomer, {
      topics: [name],
      group: unique('group'),
      member: 'b',
      start: () => fromFirst,
    });
    const fromFirst = { [name]: Object.fromEntries(numbersTo(partitions).map((partition) => [partition, 0])) };
    await eventually('who comes reads what there is', deadlineMs, () =>
      here.every((partition) => other.received(name, partition).length === 23),
    );
    assert.ok(performance.now() - startMs < 10_000, `${performance.now() - startMs} ms`);

    await brokers[1]!.restart();
    await eventually('they are written and read again', deadlineMs, async () => {
      await Promise.all(away.map((partition) => eventLog.append(name, [recordOf(keys[partition]!, 'again')])));
      return [member, other].every((each) =>
        away.every((partition) => {
          const last = each.received(name, partition).at(-1);
          return last !== undefined && textOf(last) === 'again';
        }),
      );
    });
    await stopAll([member, other]);
  });

  test('appendEach settles the records of a partition without a leader as unavailable, and the others as durable', async (t) => {
    const eventLog = await open(t, { appendTimeoutMs: 3_000 });
    const name = await newTopic(eventLog, partitions);
    const keys = keysByPartition(partitions);
    const records = keys.map((key) => recordOf(key, 'each'));
    const before = await settlementsOf(eventLog, name, records);
    assert.deepEqual(outcomesOf(before), new Array(partitions).fill(0));

    await brokers[1]!.kill();
    t.after(() => brokers[1]!.restart());
    const here = await eventually('some have no leader', deadlineMs, async () => {
      const bounds = await eventLog.bounds(name);
      const found = numbersTo(partitions).filter((partition) => bounds[partition] !== undefined);
      return found.length < partitions && found.length > 0 && found;
    });
    const order: number[] = [];
    const settlements = await settlementsOf(eventLog, name, records, (index) => order.push(index));
    const expected = numbersTo(partitions).map((partition) => (here.includes(partition) ? 1 : 'unavailable'));
    assert.deepEqual(outcomesOf(settlements), expected);
    assert.deepEqual(order.slice(0, here.length).sort(), here, 'those that are durable do not wait for the others');
  });
});
