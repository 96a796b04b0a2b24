import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assignPartitions } from '../src/rendezvous.ts';
import type { Contract } from './contract.ts';
import { createMember, type Member, seqsOf, settled, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, unique } from './support.ts';

const partitions = 12;

export function groupPromises(contract: Contract): void {
  const until = <T>(promise: string, check: () => T | Promise<T>) => eventually(promise, contract.deadlineMs, check);

  function joiner(topics: readonly string[], group: string, commits = true) {
    return (member: string) => createMember(contract.eventLog(), { topics, group, member, commits });
  }

  /** Appends without pause until stopped. `stop` resolves with the number of records of each partition. */
  function startLoad(topics: readonly string[]) {
    let stopped = false;
    let appendCount = 0;
    const running = (async () => {
      while (!stopped) {
        for (const topic of topics) await fill(contract.eventLog(), topic, partitions, 1, appendCount);
        appendCount++;
        // A log in memory answers in the same turn: without this no other code would run.
        await nextTurn();
      }
    })();
    return {
      appendCount: () => appendCount,
      async stop(): Promise<number> {
        stopped = true;
        await running;
        return appendCount;
      },
    };
  }

  /**
   * Asserts that the members together have every record, and that a member has no duplicates and gaps in a partition
   * that it has never lost.
   */
  function assertComplete(topic: string, members: readonly Member[], count: number): void {
    for (const partition of numbersTo(partitions)) {
      const seqs = new Set(members.flatMap((member) => seqsOf(member.received(topic, partition))));
      assert.equal(seqs.size, count, `all ${count} records of partition ${partition} were received`);
      for (const member of members) {
        if (member.assignments.some((assignment) => assignment.lost.includes(partition))) continue;
        const own = seqsOf(member.received(topic, partition));
        if (own.length === 0) continue;
        assert.deepEqual(own, numbersTo(own[0]! + own.length, own[0]!), `${member.name} retained partition ${partition}`);
      }
    }
  }

  test('two members, then three, share the partitions, by rendezvous hashing over their names', async () => {
    const topic = await newTopic(contract.eventLog(), partitions);
    const join = joiner([topic], unique('group'));
    const members = [await join('node-a')];
    await settled(members, partitions, contract.deadlineMs);
    let generation = members[0]!.generation();
    for (const name of ['node-b', 'node-c']) {
      members.push(await join(name));
      await settled(members, partitions, contract.deadlineMs);
      assert.ok(members[0]!.generation() > generation, 'the generation increases');
      generation = members[0]!.generation();
      const expected = assignPartitions(
        members.map((member) => member.name),
        partitions,
      );
      for (const member of members) {
        assert.deepEqual(
          [...member.partitions()].sort((a, b) => a - b),
          expected.get(member.name),
        );
      }
    }
    await stopAll(members);
  });

  test('the partitions of a stopped member continue at its commits', async () => {
    const topic = await newTopic(contract.eventLog(), partitions);
    const group = unique('group');
    const join = joiner([topic], group);
    const [a, b] = [await join('node-a'), await join('node-b')];
    await settled([a, b], partitions, contract.deadlineMs);
    const before = a.generation();
    await fill(contract.eventLog(), topic, partitions, 10);
    await until('both have received their records', () => a.receivedCount() + b.receivedCount() === partitions * 10);
    const handedOver = a.partitions();
    assert.ok(handedOver.length > 0);
    await a.subscription.stop();
    await settled([b], partitions, contract.deadlineMs);
    assert.ok(b.generation() > before);
    await fill(contract.eventLog(), topic, partitions, 10, 10);
    await until('the next owner has received the rest', () => a.receivedCount() + b.receivedCount() === partitions * 20);
    for (const partition of numbersTo(partitions)) {
      const expected = handedOver.includes(partition) ? numbersTo(20, 10) : numbersTo(20);
      assert.deepEqual(seqsOf(b.received(topic, partition)), expected);
    }
    await stopAll([a, b]);
  });

  test('under load, members join and leave: retained partitions continue at their position, and nothing is skipped', async () => {
    const topics = [await newTopic(contract.eventLog(), partitions), await newTopic(contract.eventLog(), partitions)];
    const group = unique('group');
    const join = joiner(topics, group);
    const load = startLoad(topics);
    const a = await join('node-a');
    await settled([a], partitions, contract.deadlineMs);
    await until('it receives', () => a.receivedCount() > 200);
    const b = await join('node-b');
    await settled([a, b], partitions, contract.deadlineMs);
    await until('the second receives', () => b.receivedCount() > 200);
    const c = await join('node-c');
    await settled([a, b, c], partitions, contract.deadlineMs);
    await until('the third receives', () => c.receivedCount() > 200);
    await b.subscription.stop();
    await settled([a, c], partitions, contract.deadlineMs);
    const appendCount = load.appendCount();
    await until('it continues', () => load.appendCount() > appendCount + 10);
    const count = await load.stop();
    for (const topic of topics) {
      await until('everything is received', () => {
        assertComplete(topic, [a, b, c], count);
        return true;
      });
    }
    assert.ok(
      a.partitions().some((partition) => a.assignments.every((assignment) => !assignment.lost.includes(partition))),
      'the first kept something all along',
    );
    await stopAll([a, b, c]);
  });

  test('a member that restarts under its name gets the partitions that it had', async () => {
    const topic = await newTopic(contract.eventLog(), partitions);
    const join = joiner([topic], unique('group'));
    const [a, b] = [await join('node-a'), await join('node-b')];
    await settled([a, b], partitions, contract.deadlineMs);
    const had = [...b.partitions()].sort((x, y) => x - y);
    await b.subscription.stop();
    await settled([a], partitions, contract.deadlineMs);
    const again = await join('node-b');
    await settled([a, again], partitions, contract.deadlineMs);
    assert.deepEqual(
      [...again.partitions()].sort((x, y) => x - y),
      had,
    );
    await stopAll([a, b, again]);
  });

  test('the next owner may start at its own position instead of the commit', async () => {
    const topic = await newTopic(contract.eventLog(), partitions);
    const group = unique('group');
    await fill(contract.eventLog(), topic, partitions, 10);
    const a = await createMember(contract.eventLog(), { topics: [topic], group, member: 'node-a' });
    await until('everything is received', () => a.receivedCount() === partitions * 10);
    const b = await createMember(contract.eventLog(), {
      topics: [topic],
      group,
      member: 'node-b',
      start: ({ gained }) => ({ [topic]: Object.fromEntries(gained.map((partition) => [partition, 8])) }),
    });
    await settled([a, b], partitions, contract.deadlineMs);
    await until('the next owner has received its records', () => b.receivedCount() === b.partitions().length * 2);
    for (const partition of b.partitions()) assert.deepEqual(seqsOf(b.received(topic, partition)), [8, 9]);
    for (const partition of a.partitions()) assert.deepEqual(seqsOf(a.received(topic, partition)), numbersTo(10));
    await stopAll([a, b]);
  });

  test('with more members than partitions the others have none, and wait', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    const join = joiner([topic], unique('group'));
    const members = [await join('node-a'), await join('node-b'), await join('node-c')];
    await settled(members, 1, contract.deadlineMs);
    await fill(contract.eventLog(), topic, 1, 10);
    await until('the owner has received all', () => members.reduce((sum, member) => sum + member.receivedCount(), 0) === 10);
    const owner = members.find((member) => member.partitions().length === 1)!;
    await owner.subscription.stop();
    const rest = members.filter((member) => member !== owner);
    await settled(rest, 1, contract.deadlineMs);
    await fill(contract.eventLog(), topic, 1, 10, 10);
    await until('another one continues', () => rest.reduce((sum, member) => sum + member.receivedCount(), 0) === 10);
    await stopAll(members);
  });
}
