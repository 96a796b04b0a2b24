import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '../event-log.ts';
import { KafkaCounts } from './counts.ts';
import type { KafkaLink } from './link.ts';
import { KafkaRanges } from './read.ts';

const recordsFrom = (from: number, to: number): LogRecord[] =>
  Array.from({ length: to - from }, (_, n) => ({
    partition: 0,
    seq: from + n,
    timeMs: 0,
    key: 'a',
    value: new Uint8Array(),
  }));

/**
 * A leader that answers with so much at a time, and takes `ends` for the end, one after the other. `sure`: when it has
 * asked the others.
 */
function linkTo(ends: readonly number[], sure: number): { ranges: KafkaRanges; asked: string[] } {
  const asked: string[] = [];
  const left = [...ends];
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
  const link: Partial<KafkaLink> = {
    topic: async () => ({ name: 't', errorCode: 0, id: '', leaders: [0] }),
    broker: async () => ({ connectionPool: { send } }) as never,
    offsets: async () => {
      asked.push('end');
      return [sure];
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
  return { ranges: new KafkaRanges(link as KafkaLink, new KafkaCounts()), asked };
}

async function seqsOf(ranges: KafkaRanges, until?: number): Promise<number[]> {
  const seqs: number[] = [];
  const range = until === undefined ? { from: 0 } : { from: 0, until };
  for await (const records of ranges.read('t', 0, range)) seqs.push(...records.map(({ seq }) => seq));
  return seqs;
}

test('a range that lies before the end costs one request', async () => {
  const { ranges, asked } = linkTo([9], 9);
  assert.deepEqual(await seqsOf(ranges, 3), [0, 1, 2]);
  assert.deepEqual(asked, ['fetch 0 of 9']);
});

for (const until of [undefined, 5, 100]) {
  test(`a leader that has just become one does not cut a range short (until ${until})`, async () => {
    const { ranges } = linkTo([3, 3, 3, 5], 5);
    assert.deepEqual(await seqsOf(ranges, until), [0, 1, 2, 3, 4]);
  });
}

test('an empty partition has nothing to read', async () => {
  assert.deepEqual(await seqsOf(linkTo([0], 0).ranges), []);
});
