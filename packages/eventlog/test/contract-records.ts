import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import type { Contract } from './contract.ts';
import { fill, keysByPartition, newTopic, numbersTo, readAll, recordOf, textOf } from './support.ts';

export function recordPromises(contract: Contract): void {
  test('append resolves with the position of each record in the order given; the key selects the partition', async () => {
    const topic = await newTopic(contract.eventLog(), 5);
    const keys = Array.from({ length: 40 }, (_, n) => `plant1.line${n % 3}.press${n % 11}`);
    const nexts = new Map<number, number>();
    for (let iteration = 0; iteration < 2; iteration++) {
      const positions = await contract.eventLog().append(
        topic,
        keys.map((key) => recordOf(key, 'x')),
      );
      const expected = keys.map((key) => {
        const partition = partitionOf(key, 5);
        const seq = nexts.get(partition) ?? 0;
        nexts.set(partition, seq + 1);
        return { partition, seq };
      });
      assert.deepEqual(positions, expected);
    }
  });

  test('an append without records resolves with no positions', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    assert.deepEqual(await contract.eventLog().append(topic, []), []);
    assert.equal((await readAll(contract.eventLog(), topic, 0)).length, 0);
  });

  test('the records of one caller keep their order across overlapping calls', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    const keys = keysByPartition(3);
    const calls = Array.from({ length: 200 }, (_, call) =>
      contract.eventLog().append(
        topic,
        keys.flatMap((key) => [recordOf(key, `${call}a`), recordOf(key, `${call}b`)]),
      ),
    );
    const answers = await Promise.all(calls);
    for (const partition of [0, 1, 2]) {
      const records = await readAll(contract.eventLog(), topic, partition);
      assert.deepEqual(
        records.map(textOf),
        numbersTo(200).flatMap((call) => [`${call}a`, `${call}b`]),
      );
      const answered = answers.flatMap((positions) =>
        positions.filter((position) => position.partition === partition).map((position) => position.seq),
      );
      assert.deepEqual(
        answered,
        records.map((record) => record.seq),
      );
    }
  });

  test('the records of each sender keep their order across overlapping calls, whatever others append', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    const [key] = keysByPartition(1);
    const senders = [{}, {}, undefined];
    const calls = Array.from({ length: 150 }, (_, call) => {
      const name = call % senders.length;
      // Some calls are larger than what a log writes at once.
      const records = Array.from({ length: call % 50 === 0 ? 700 : 2 }, (_each, n) =>
        recordOf(key!, `${name}:${call}.${n}`),
      );
      return contract.eventLog().append(topic, records, senders[name]);
    });
    await Promise.all(calls);
    const texts = (await readAll(contract.eventLog(), topic, 0)).map(textOf);
    for (const name of senders.keys()) {
      const expected = numbersTo(150)
        .filter((call) => call % senders.length === name)
        .flatMap((call) => numbersTo(call % 50 === 0 ? 700 : 2).map((n) => `${name}:${call}.${n}`));
      assert.deepEqual(
        texts.filter((text) => text.startsWith(`${name}:`)),
        expected,
      );
    }
  });

  test('a thousand concurrent callers get a thousand different positions, without gaps', async () => {
    const topic = await newTopic(contract.eventLog(), 4);
    const answers = await Promise.all(
      numbersTo(1000).map((n) => contract.eventLog().append(topic, [recordOf(`device${n}`, String(n))])),
    );
    const positions = answers.flat();
    for (const partition of numbersTo(4)) {
      const seqs = positions.filter((position) => position.partition === partition).map((position) => position.seq);
      assert.deepEqual(
        seqs.sort((a, b) => a - b),
        numbersTo(seqs.length),
      );
    }
  });

  test('values of any bytes, empty values, headers and keys beyond ASCII are read as they were appended', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    const records = [
      { key: 'empty', value: new Uint8Array(0) },
      { key: 'bytes', value: Uint8Array.from({ length: 256 }, (_, n) => n) },
      { key: 'Prüfstand-7 測定', value: Uint8Array.of(0) },
      { key: 'headers', value: Uint8Array.of(1), headers: { traceparent: '00-ab-cd-01', größe: 'groß', none: '' } },
      { key: 'large', value: new Uint8Array(200_000).fill(7) },
    ];
    await contract.eventLog().append(topic, records);
    const back = await readAll(contract.eventLog(), topic, 0);
    assert.equal(back.length, records.length);
    for (const [n, record] of records.entries()) {
      assert.equal(back[n]!.key, record.key);
      assert.ok(back[n]!.value instanceof Uint8Array);
      assert.deepEqual(Uint8Array.from(back[n]!.value), record.value);
      assert.deepEqual({ ...back[n]!.headers }, record.headers ?? {});
      assert.ok(Math.abs(back[n]!.timeMs - Date.now()) < 3_600_000, 'the time of the append, epoch ms');
    }
  });

  test('the log does not change with the bytes of the caller after the append', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    const value = Uint8Array.of(1, 2, 3);
    await contract.eventLog().append(topic, [{ key: 'a', value }]);
    value.fill(9);
    const [record] = await readAll(contract.eventLog(), topic, 0);
    assert.deepEqual(Uint8Array.from(record!.value), Uint8Array.of(1, 2, 3));
  });

  test('a record over the limit is refused as too_large with its size, and later ones are accepted', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    const value = new Uint8Array(contract.options.tooLargeBytes);
    await assert.rejects(contract.eventLog().append(topic, [{ key: 'a', value }]), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'too_large');
      assert.match(error.message, new RegExp(String(value.length).slice(0, 3)));
      return true;
    });
    await fill(contract.eventLog(), topic, 1, 3);
    assert.equal((await readAll(contract.eventLog(), topic, 0)).length, 3);
  });

  test('a compacted topic keeps at least the last record of every key', async () => {
    const topic = await newTopic(contract.eventLog(), 1, { compacted: true });
    for (let iteration = 0; iteration < 5; iteration++) {
      await contract.eventLog().append(
        topic,
        ['a', 'b', 'c'].map((key) => recordOf(key, `${key}${iteration}`)),
      );
    }
    const latest = new Map<string, string>();
    for (const record of await readAll(contract.eventLog(), topic, 0)) latest.set(record.key, textOf(record));
    assert.deepEqual(Object.fromEntries(latest), { a: 'a4', b: 'b4', c: 'c4' });
  });

  test('an empty value removes its key from a compacted topic: the last record of the key, if any, is empty', async () => {
    const topic = await newTopic(contract.eventLog(), 1, { compacted: true });
    await contract.eventLog().append(topic, [recordOf('a', 'a0'), recordOf('b', 'b0'), recordOf('a', '')]);
    await contract.eventLog().append(topic, [recordOf('c', 'c0')]);
    const latest = new Map<string, string>();
    for (const record of await readAll(contract.eventLog(), topic, 0)) latest.set(record.key, textOf(record));
    assert.deepEqual([latest.get('a') ?? '', latest.get('b'), latest.get('c')], ['', 'b0', 'c0']);
  });
}
