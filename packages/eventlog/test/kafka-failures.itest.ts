import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@tailrace/platform/logger';
import { silentLogger } from '@tailrace/platform/logger';
import { freePort } from '@tailrace/testkit/free-port';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import type { KafkaEventLogOptions } from '../src/kafka/settings.ts';
import { KafkaEventLog } from '../src/kafka.ts';
import {
  assertOnceAndInOrder,
  assertReceivedAll,
  assertReceivedAtLeastOnce,
  partitions,
  startAppending,
  until,
} from './appending.ts';
import { createMember, seqsOf, stopAll } from './member.ts';
import { fill, newTopic, numbersTo, unique } from './support.ts';

/** A separate broker, which the tests stop: that of the environment is shared. */
const ownBroker = { ...process.env, TAILRACE_TEST_KAFKA: '', TAILRACE_TEST_BROKERS: 'local' };

/** Closed after the test, also if it fails. */
async function openLog(
  t: TestContext,
  options: Omit<KafkaEventLogOptions, 'logger'> & { logger?: Logger },
): Promise<KafkaEventLog> {
  const eventLog = new KafkaEventLog({ logger: silentLogger, ...options });
  t.after(() => eventLog.close());
  await eventLog.start();
  return eventLog;
}

describe('kafka: a broker that fails', () => {
  let broker: KafkaBroker;
  before(async () => {
    broker = await startKafka({ env: ownBroker });
  });
  after(() => broker.stop());

  /** Starts a member in its own process. */
  function startMemberProcess(topic: string, group: string, member: string) {
    const script = fileURLToPath(new URL('./kafka-member.process.ts', import.meta.url));
    const args = [script, broker.brokers[0]!, topic, group, member];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    return {
      child,
      output: () => output,
      async kill() {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  }

  test('restarted under load: acknowledged records are in the log once and in order, and the subscriber gets each once', async (t) => {
    const eventLog = await openLog(t, { brokers: broker.brokers, appendTimeoutMs: 60_000 });
    const topic = await newTopic(eventLog, partitions);
    const member = await createMember(eventLog, {
      topics: [topic],
      group: unique('group'),
      member: 'a',
      commits: true,
    });
    const load = startAppending(eventLog, topic);
    await until('records are received', () => member.receivedCount() > 200);
    await broker.restart();
    const before = load.acknowledged.length;
    await until('it continues', () => load.acknowledged.length > before + 200);
    await load.stop();
    assert.deepEqual(load.failures, []);
    const found = await assertOnceAndInOrder(eventLog, topic);
    for (const text of load.acknowledged) assert.ok(found.has(text), `${text} is there`);
    assert.equal(found.size, load.acknowledged.length);
    await assertReceivedAll(eventLog, topic, member);
    await stopAll([member]);
  });

  test('paused for longer than the timeouts of requests and the watchdog: nothing is lost or duplicated, and reading continues', async (t) => {
    const eventLog = await openLog(t, {
      brokers: broker.brokers,
      requestTimeoutMs: 1000,
      stallMs: 2000,
      appendTimeoutMs: 60_000,
    });
    const topic = await newTopic(eventLog, partitions);
    const member = await createMember(eventLog, {
      topics: [topic],
      group: unique('group'),
      member: 'a',
      commits: true,
    });
    const load = startAppending(eventLog, topic);
    await until('records are received', () => member.receivedCount() > 200);
    await broker.signal('SIGSTOP');
    try {
      await until('the watchdog reports', () => member.errors.some(({ message }) => /has stalled/.test(message)));
    } finally {
      await broker.signal('SIGCONT');
    }
    const before = load.acknowledged.length;
    await until('it continues', () => load.acknowledged.length > before + 200);
    await load.stop();
    assert.deepEqual(load.failures, []);
    const found = await assertOnceAndInOrder(eventLog, topic);
    assert.equal(found.size, load.acknowledged.length);
    await assertReceivedAtLeastOnce(eventLog, topic, member);
    await stopAll([member]);
  });

  test('paused for longer than the session: both members rejoin, and read all partitions again', async (t) => {
    const group = unique('group');
    const options = { brokers: broker.brokers, requestTimeoutMs: 1000, connectTimeoutMs: 1000, stallMs: 2000 };
    const logs = [await openLog(t, { ...options, appendTimeoutMs: 60_000 }), await openLog(t, options)];
    const topic = await newTopic(logs[0]!, partitions);
    const members = await Promise.all(
      logs.map((eventLog, n) => createMember(eventLog, { topics: [topic], group, member: `node-${n}`, commits: true })),
    );
    const owned = () => members.flatMap((member) => member.partitions());
    await until('both have partitions', () => members.every((member) => member.partitions().length > 0));
    await until('the partitions are shared', () => owned().length === partitions);
    const load = startAppending(logs[0]!, topic);
    t.after(() => load.stop());
    await until('both read', () => members.every((member) => member.receivedCount() > 0));
    await broker.signal('SIGSTOP');
    try {
      // The broker expires sessions after it is resumed.
      await until('both have failed to reach it several times', () =>
        members.every(({ errors }) => errors.length >= 4),
      );
    } finally {
      await broker.signal('SIGCONT');
    }
    const countsOf = () =>
      Array.from({ length: partitions }, (_, partition) =>
        members.reduce((sum, member) => sum + member.received(topic, partition).length, 0),
      );
    const before = countsOf();
    await until('each partition is read again', () => countsOf().every((count, n) => count > before[n]! + 20));
    await until('the partitions are shared again', () => {
      const all = owned();
      return all.length === partitions && new Set(all).size === partitions;
    });
    await load.stop();
    await stopAll(members);
  });

  test('stopped for longer than the append timeout: the append is refused as unavailable in time, and later ones succeed', async (t) => {
    const eventLog = await openLog(t, { brokers: broker.brokers, appendTimeoutMs: 1000, requestTimeoutMs: 1000 });
    const topic = await newTopic(eventLog, 1);
    await fill(eventLog, topic, 1, 1);
    await broker.kill();
    const startMs = performance.now();
    await assert.rejects(fill(eventLog, topic, 1, 1, 1), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'unavailable');
      assert.match(error.message, new RegExp(broker.brokers[0]!));
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
    assert.ok(performance.now() - startMs < 10_000);
    assert.equal(eventLog.stats().pendingBytes, 0);
    await broker.restart();
    await until('appends succeed again', async () => {
      await fill(eventLog, topic, 1, 1, 2);
      return true;
    });
  });

  test('the partitions of a killed member continue at its commits on another member', async (t) => {
    const eventLog = await openLog(t, { brokers: broker.brokers });
    const topic = await newTopic(eventLog, partitions);
    const group = unique('group');
    const other = startMemberProcess(topic, group, 'node-b');
    try {
      await until('the other has all partitions', () => other.output().includes(`owns ${partitions}\n`));
      const member = await createMember(eventLog, { topics: [topic], group, member: 'node-a', commits: true });
      await until('they share', () => member.partitions().length > 0 && /owns [1-5]\n$/.test(other.output()));
      assert.ok(member.partitions().length < partitions);
      await fill(eventLog, topic, partitions, 20);
      await until('all records are committed', async () =>
        (await eventLog.lag(group, topic)).every((records) => records === 0),
      );
      const generation = member.generation();
      const killedMs = performance.now();
      await other.kill();
      await until('the survivor has all partitions', () => member.partitions().length === partitions);
      assert.ok(performance.now() - killedMs < 12_000, 'the session timeout, and some time');
      assert.ok(member.generation() > generation);
      await fill(eventLog, topic, partitions, 5, 20);
      await until('the rest is received', () =>
        numbersTo(partitions).every((partition) => member.received(topic, partition).at(-1)?.seq === 24),
      );
      for (const partition of member.assignments.at(-1)!.gained) {
        assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(25, 20));
      }
      await stopAll([member]);
    } finally {
      await other.kill();
    }
  });

  test('a member that was paused for longer than its session loses all partitions before it gains any', async (t) => {
    const eventLog = await openLog(t, { brokers: broker.brokers });
    const topic = await newTopic(eventLog, partitions);
    const group = unique('group');
    const other = startMemberProcess(topic, group, 'node-b');
    try {
      await until('the other has all partitions', () => other.output().includes(`owns ${partitions}\n`));
      const member = await createMember(eventLog, { topics: [topic], group, member: 'node-a', commits: true });
      await until('they share', () => member.partitions().length > 0 && /owns [1-5]\n$/.test(other.output()));
      const shared = other.output();
      other.child.kill('SIGSTOP');
      await until('the group has expelled it', () => member.partitions().length === partitions);
      other.child.kill('SIGCONT');
      await until('they share again', () => /owns 0\nowns [1-5]\n$/.test(other.output().slice(shared.length)));
      await until('the first has its partitions', () => member.partitions().length < partitions);
      await stopAll([member]);
    } finally {
      await other.kill();
    }
  });

  test('no broker at the start: unavailable in one line with the address, before the deadline', async (t) => {
    const address = `127.0.0.1:${await freePort()}`;
    const startMs = performance.now();
    await assert.rejects(
      openLog(t, { brokers: [address], startTimeoutMs: 500 }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'unavailable');
        assert.ok(error.message.includes(address), error.message);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
    assert.ok(performance.now() - startMs < 5000);
  });
});
