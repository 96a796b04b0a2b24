import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '../event-log.ts';
import type { KafkaClient } from './client.ts';
import { KafkaCounts } from './counts.ts';
import { KafkaRangeReader } from './range-reader.ts';

const recordsFrom = (from: number, to: number): LogRecord[] =>
  Array.from({ length: to - from }, (_, n) => ({
    partition: 0,
    seq: from + n,
    timeMs: 0,
    key: 'a',
    value: new Uint8Array(),
  }));

/**
 * A reader on a leader that reports the end positions `reportedEndOffsets`, one in each response, and `confirmedEnd` to
 * ListOffsets.
 */
function createReader(
  reportedEndOffsets: readonly number[],
  confirmedEnd: number,
): { reader: KafkaRangeReader; asked: string[] } {
  const asked: string[] = [];
  const left = [...reportedEndOffsets];
  let from = 0;
  const send = async () => {
    const end = left.length > 1 ? left.shift()! : left[0]!;
    const records = recordsFrom(from, Math.max(from, end));
    const next = from + records.length;
    asked.push(`fetch ${from} of ${end}`);
    from = next;
    return {
      partitions: [
        { topic: 't', partition: 0, errorCode: 0, end, first: 0, records, next, bytes: 1, heldBytes: 1, unreadable: 0 },
      ],
    };
  };
  const client: Partial<KafkaClient> = {
    topic: async () => ({ name: 't', errorCode: 0, id: '', leaders: [0], leaderEpochs: [0] }),
    broker: async () => ({ connectionPool: { send } }) as never,
    offsets: async () => {
      asked.push('end');
      return [confirmedEnd];
    },
    async retry(_, __, attempt) {
      for (;;) {
        try {
          return await attempt();
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'unavailable');
        }
      }
    },
  };
  return { reader: new KafkaRangeReader(client as KafkaClient, new KafkaCounts()), asked };
}

async function seqsOf(reader: KafkaRangeReader, until?: number): Promise<number[]> {
  const seqs: number[] = [];
  const range = until === undefined ? { from: 0 } : { from: 0, until };
  for await (const records of reader.read('t', 0, range)) seqs.push(...records.map(({ seq }) => seq));
  return seqs;
}

test('a range before the end needs one request', async () => {
  const { reader, asked } = createReader([9], 9);
  assert.deepEqual(await seqsOf(reader, 3), [0, 1, 2]);
  assert.deepEqual(asked, ['fetch 0 of 9']);
});

for (const until of [undefined, 5, 100]) {
  test(`a new leader does not shorten a range (until ${until})`, async () => {
    const { reader } = createReader([3, 3, 3, 5], 5);
    assert.deepEqual(await seqsOf(reader, until), [0, 1, 2, 3, 4]);
  });
}

test('a record that is appended between the first response and the look-up of the end is read', async () => {
  const { reader, asked } = createReader([0, 1], 1);
  assert.deepEqual(await seqsOf(reader), [0]);
  assert.deepEqual(asked, ['fetch 0 of 0', 'end', 'fetch 0 of 1']);
});

test('an empty partition has no records', async () => {
  assert.deepEqual(await seqsOf(createReader([0], 0).reader), []);
});

test('a leader that does not have all acknowledged records does not shorten a range', async () => {
  for (const { end, records } of [
    { end: 0, records: 0 },
    { end: 9, records: 3 },
  ]) {
    const send = async ({ request }: { request: { encode(): Promise<{ buffer: Buffer }> } }) => {
      const from = Number((await request.encode()).buffer.readBigInt64BE(25 + 4 + 3 + 4 + 4 + 4));
      const errorCode = from < records ? 0 : 1;
      const some = recordsFrom(from, Math.max(from, records));
      const sizes = { bytes: 1, heldBytes: 1, unreadable: 0 };
      const next = from + some.length;
      return { partitions: [{ topic: 't', partition: 0, errorCode, end, first: 0, records: some, next, ...sizes }] };
    };
    const client: Partial<KafkaClient> = {
      topic: async () => ({ name: 't', errorCode: 0, id: '', leaders: [0], leaderEpochs: [0] }),
      broker: async () => ({ connectionPool: { send } }) as never,
      offsets: async (_, timeMs) => [timeMs === -2 ? 0 : 9],
      retry: async (_, __, attempt) => await attempt(),
    };
    const reader = new KafkaRangeReader(client as KafkaClient, new KafkaCounts());
    await assert.rejects(seqsOf(reader, 9), { code: 'unavailable', message: new RegExp(`position ${records} `) });
  }
});
