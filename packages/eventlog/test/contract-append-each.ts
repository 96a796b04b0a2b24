import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import type { EventLog, NewRecord, Position } from '../src/event-log.ts';
import type { Contract } from './contract.ts';
import { keysByPartition, newTopic, numbersTo, readAll, recordOf, textOf, unique } from './support.ts';

/** What `appendEach` has reported of one record. */
export type Settlement = Position | TailraceError;

/**
 * Appends the records. Resolves with what is reported of each when all are settled. Rejects if one is settled twice, or
 * before the call returns. `onSettled` is called for each at once.
 */
export function settlementsOf(
  eventLog: Pick<EventLog, 'appendEach'>,
  topic: string,
  records: readonly NewRecord[],
  onSettled?: (index: number, error: TailraceError | undefined) => void,
): Promise<Settlement[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Settlement[]>();
  const settlements: Settlement[] = [];
  let unsettled = records.length;
  let hasReturned = false;
  eventLog.appendEach(topic, records, (index, error, partition, seq) => {
    if (!hasReturned) reject(new Error(`record ${index} is settled before the call returns`));
    if (settlements[index] !== undefined) reject(new Error(`record ${index} is settled twice`));
    if (error !== undefined && (partition !== -1 || seq !== -1))
      reject(new Error(`position of a failed record: ${seq}`));
    settlements[index] = error ?? { partition, seq };
    onSettled?.(index, error);
    if (--unsettled === 0) resolve(settlements);
  });
  hasReturned = true;
  if (unsettled === 0) resolve(settlements);
  return promise;
}

/** Returns the positions, or the code of the error. */
export const outcomesOf = (settlements: readonly Settlement[]) =>
  settlements.map((each) => ('seq' in each ? each.seq : each.code));

export function appendEachPromises(contract: Contract): void {
  test('appendEach settles each record once, with the position at which it is read', async () => {
    const topic = await newTopic(contract.eventLog(), 4);
    const keys = numbersTo(50).map((n) => `plant1.press${n % 13}`);
    const records = keys.map((key, n) => ({
      ...recordOf(key, String(n)),
      ...(n === 7 && { headers: { trace: 'x' } }),
    }));
    const settlements = await settlementsOf(contract.eventLog(), topic, records);
    for (const partition of numbersTo(4)) {
      const read = await readAll(contract.eventLog(), topic, partition);
      const expected = keys.flatMap((key, n) => (partitionOf(key, 4) === partition ? [String(n)] : []));
      assert.deepEqual(read.map(textOf), expected);
      const positions = expected.map((n) => settlements[Number(n)]);
      assert.deepEqual(
        positions,
        read.map(({ seq }) => ({ partition, seq })),
      );
      for (const record of read) assert.deepEqual({ ...record.headers }, textOf(record) === '7' ? { trace: 'x' } : {});
    }
    assert.deepEqual(await settlementsOf(contract.eventLog(), topic, []), []);
  });

  test('appendEach: a record that is too large does not affect the others', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const keys = keysByPartition(2);
    const tooLarge = { key: keys[0]!, value: new Uint8Array(contract.options.tooLargeBytes) };
    const records = [recordOf(keys[0]!, 'a'), tooLarge, recordOf(keys[0]!, 'b'), recordOf(keys[1]!, 'c'), tooLarge];
    const settlements = await settlementsOf(contract.eventLog(), topic, records);
    assert.deepEqual(outcomesOf(settlements), [0, 'too_large', 1, 0, 'too_large']);
    assert.deepEqual((await readAll(contract.eventLog(), topic, 0)).map(textOf), ['a', 'b']);
    assert.deepEqual((await readAll(contract.eventLog(), topic, 1)).map(textOf), ['c']);
    assert.deepEqual(outcomesOf(await settlementsOf(contract.eventLog(), topic, [tooLarge])), ['too_large']);
  });

  test('appendEach keeps the order of a key over overlapping calls, and with append', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    const keys = keysByPartition(3);
    const calls = numbersTo(200).map((call): Promise<unknown> => {
      const records = keys.flatMap((key) => [recordOf(key, `${call}a`), recordOf(key, `${call}b`)]);
      if (call % 3 === 2) return contract.eventLog().append(topic, records);
      return settlementsOf(contract.eventLog(), topic, records);
    });
    await Promise.all(calls);
    for (const partition of numbersTo(3)) {
      assert.deepEqual(
        (await readAll(contract.eventLog(), topic, partition)).map(textOf),
        numbersTo(200).flatMap((call) => [`${call}a`, `${call}b`]),
      );
    }
  });

  test('appendEach to a topic that does not exist fails each record as not_found', async () => {
    const settlements = await settlementsOf(contract.eventLog(), unique('never'), [
      recordOf('a', '1'),
      recordOf('b', '2'),
    ]);
    assert.deepEqual(outcomesOf(settlements), ['not_found', 'not_found']);
  });

  test('appendEach after close fails each record as closed; those of before are settled', async () => {
    const own = await contract.options.create();
    try {
      const topic = await newTopic(own.eventLog, 1);
      const before = settlementsOf(own.eventLog, topic, [recordOf('a', '1')]);
      const closed = own.eventLog.close();
      assert.deepEqual(outcomesOf(await before), [0]);
      await closed;
      assert.deepEqual(outcomesOf(await settlementsOf(own.eventLog, topic, [recordOf('a', '2')])), ['closed']);
    } finally {
      await own.dispose();
    }
  });
}
