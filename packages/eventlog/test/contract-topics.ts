import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Contract } from './contract.ts';
import { createMember, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, readAll, recordOf, unique } from './support.ts';

const spec = { retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };

export function topicPromises(contract: Contract): void {
  test('a topic is created once; ensuring it again resolves with the same topic', async () => {
    const name = unique('contract');
    const made = await contract.eventLog().ensureTopic({ name, partitions: 3, ...spec });
    assert.equal(made.name, name);
    assert.equal(made.partitions, 3);
    assert.match(made.epoch, /^\S{8,64}$/);
    assert.deepEqual(await contract.eventLog().ensureTopic({ name, partitions: 3, ...spec }), made);
  });

  test('a topic is described as it was created, and describing creates none', async () => {
    const name = unique('contract');
    await assert.rejects(contract.eventLog().describeTopic(name), { code: 'not_found' });
    await assert.rejects(contract.eventLog().describeTopic(name), { code: 'not_found' });
    const made = await contract.eventLog().ensureTopic({ name, partitions: 3, ...spec });
    assert.deepEqual(await contract.eventLog().describeTopic(name), made);
  });

  test('two concurrent requests for a topic create it once', async () => {
    const name = unique('contract');
    const [one, two] = await Promise.all([
      contract.eventLog().ensureTopic({ name, partitions: 2, ...spec }),
      contract.eventLog().ensureTopic({ name, partitions: 2, ...spec }),
    ]);
    assert.deepEqual(one, two);
  });

  test('another number of partitions is refused with both numbers, and changes nothing', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    await assert.rejects(contract.eventLog().ensureTopic({ name: topic, partitions: 4, ...spec }), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'invalid_config');
      assert.match(error.message, /\b3\b/);
      assert.match(error.message, /\b4\b/);
      return true;
    });
    assert.equal((await contract.eventLog().bounds(topic)).length, 3);
  });

  test('an invalid name or number of partitions is refused with the value', async () => {
    for (const name of ['', 'with space', 'slash/ed', '.', '..', 'x'.repeat(201)]) {
      const refused = contract.eventLog().ensureTopic({ name, partitions: 1, ...spec });
      await assert.rejects(refused, { code: 'invalid_config' }, JSON.stringify(name));
    }
    for (const partitions of [0, -1, 1.5, Number.NaN]) {
      const refused = contract.eventLog().ensureTopic({ name: unique('contract'), partitions, ...spec });
      await assert.rejects(refused, { code: 'invalid_config' }, String(partitions));
    }
  });

  test('every topic has its own epoch', async () => {
    const one = await contract.eventLog().ensureTopic({ name: unique('contract'), partitions: 1, ...spec });
    const two = await contract.eventLog().ensureTopic({ name: unique('contract'), partitions: 1, ...spec });
    assert.notEqual(one.epoch, two.epoch);
  });

  test('a topic that was never created is not_found in every call', async () => {
    const eventLog = contract.eventLog();
    const topic = unique('missing');
    await assert.rejects(eventLog.append(topic, [recordOf('a', '1')]), { code: 'not_found' });
    await assert.rejects(readAll(eventLog, topic, 0), { code: 'not_found' });
    await assert.rejects(eventLog.bounds(topic), { code: 'not_found' });
    await assert.rejects(eventLog.positionsAt(topic, 0), { code: 'not_found' });
    await assert.rejects(eventLog.lag(unique('group'), topic), { code: 'not_found' });
    const subscribing = createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
    await assert.rejects(subscribing, { code: 'not_found' });
  });

  test('a partition that the topic does not have is not_found', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    await assert.rejects(readAll(contract.eventLog(), topic, 2), { code: 'not_found' });
  });

  test('epoch, records and commits survive a restart', async () => {
    const harness = await contract.options.create();
    try {
      const name = unique('contract');
      const group = unique('group');
      const made = await harness.eventLog.ensureTopic({ name, partitions: 2, ...spec });
      await fill(harness.eventLog, name, 2, 5);
      const member = await createMember(harness.eventLog, { topics: [name], group, member: 'a', commits: true });
      await eventually('everything came', contract.deadlineMs, () => member.receivedCount() === 10);
      await stopAll([member]);

      const eventLog = await harness.reopen();
      assert.deepEqual(await eventLog.ensureTopic({ name, partitions: 2, ...spec }), made);
      await fill(eventLog, name, 2, 1, 5);
      for (const partition of [0, 1]) {
        const records = await readAll(eventLog, name, partition);
        assert.deepEqual(
          records.map((record) => record.seq),
          numbersTo(6),
        );
      }
      const again = await createMember(eventLog, { topics: [name], group, member: 'a' });
      await eventually('the rest came', contract.deadlineMs, () => again.receivedCount() === 2);
      assert.equal(again.received(name, 0)[0]?.seq, 5);
      await stopAll([again]);
    } finally {
      await harness.dispose();
    }
  });

  test('after close every call is refused as closed, and close is idempotent', async () => {
    const harness = await contract.options.create();
    try {
      const { eventLog } = harness;
      const topic = await newTopic(eventLog, 1);
      await eventLog.append(topic, [recordOf('a', '1')]);
      await eventLog.close();
      await eventLog.close();
      const closed = { code: 'closed' };
      await assert.rejects(eventLog.ensureTopic({ name: topic, partitions: 1, ...spec }), closed);
      await assert.rejects(eventLog.describeTopic(topic), closed);
      await assert.rejects(eventLog.append(topic, [recordOf('a', '2')]), closed);
      await assert.rejects(readAll(eventLog, topic, 0), closed);
      await assert.rejects(eventLog.bounds(topic), closed);
      await assert.rejects(eventLog.positionsAt(topic, 0), closed);
      await assert.rejects(eventLog.lag(unique('group'), topic), closed);
      await assert.rejects(createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' }), closed);
    } finally {
      await harness.dispose();
    }
  });

  test('a partition with a single record has it after reopening, and assigns its position once', async () => {
    const harness = await contract.options.create();
    try {
      const topic = await newTopic(harness.eventLog, 1);
      await harness.eventLog.append(topic, [recordOf('a', 'only')]);
      const reopened = await harness.reopen();
      assert.deepEqual(await reopened.bounds(topic), [{ first: 0, next: 1 }]);
      assert.equal((await readAll(reopened, topic, 0)).length, 1);
      assert.deepEqual(await reopened.append(topic, [recordOf('a', 'next')]), [{ partition: 0, seq: 1 }]);
    } finally {
      await harness.dispose();
    }
  });

  test('close waits for appends in progress and stops subscriptions', async () => {
    const harness = await contract.options.create();
    try {
      const { eventLog } = harness;
      const topic = await newTopic(eventLog, 1);
      const member = await createMember(eventLog, { topics: [topic], group: unique('group'), member: 'a' });
      await eventLog.append(topic, [recordOf('a', 'first')]);
      await eventually('the first came', contract.deadlineMs, () => member.receivedCount() > 0);
      const running = eventLog.append(topic, [recordOf('a', 'second')]);
      await eventLog.close();
      assert.deepEqual(await running, [{ partition: 0, seq: 1 }]);
      const calls = member.calls.length;
      const reopened = await harness.reopen();
      assert.equal((await readAll(reopened, topic, 0)).length, 2);
      assert.equal(member.calls.length, calls);
      assert.deepEqual(member.violations(), []);
    } finally {
      await harness.dispose();
    }
  });
}
