import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventLog, emptyRecord, type LogRecord, recordEnd, unreadableRecord } from '@tailrace/eventlog/event-log';
import { createLocalNode } from '../../test/local-node.ts';
import { record } from '../../test/records.ts';
import { IdLookback } from './id-lookback.ts';
import { IdMemory } from './recent-ids.ts';

const recordMs = 1_000;
const idWindowMs = 20_000;

/** A log with one record a second, and these instead. */
function lookbackOver(count: number, instead: readonly LogRecord[]) {
  const { partitions } = createLocalNode({ partitions: 1 });
  const log: LogRecord[] = [];
  for (let seq = 0; seq < count; seq++) {
    const other = instead.find((each) => each.seq === seq);
    log.push(other ?? { ...record('p.d', seq), timeMs: seq * recordMs });
    if (other !== undefined) seq = recordEnd(other) - 1;
  }
  const read: number[] = [];
  const memory = new IdMemory({ idWindowMs, idsMax: 1_000 }, () => count * recordMs);
  const eventLog: Pick<EventLog, 'read' | 'positionsAt'> = {
    async *read(_topic, _partition, { from, until = count }) {
      for (const each of log) {
        if (recordEnd(each) <= from || each.seq >= until) continue;
        read.push(each.seq);
        yield [each];
      }
    },
    positionsAt: async (_topic, timeMs) => [Math.max(0, Math.ceil(timeMs / recordMs))],
  };
  const lookback = new IdLookback({
    eventLog,
    topic: 't',
    reader: { range: (partition, range) => eventLog.read('t', partition, range) },
    partitions,
    memory,
  });
  return { lookback, read };
}

test('the lookback reads the window before the first record, also where a marker or a gap stands before it', async () => {
  const from = 400;
  const plain = lookbackOver(600, []);
  await plain.lookback.before(0, from, 0);
  const expected = Math.min(...plain.read);
  assert.ok(expected > from - 100, `${expected}`);
  for (const instead of [
    emptyRecord(from, from + 1),
    unreadableRecord(from, { until: from + 1, reason: 'checksum', message: 'broken' }),
    emptyRecord(from, from + 150),
  ]) {
    const { lookback, read } = lookbackOver(600, [instead]);
    await lookback.before(0, from, 0);
    assert.ok(Math.abs(Math.min(...read) - expected) <= recordEnd(instead) - from, `${Math.min(...read)}`);
    assert.equal(lookback.counts.shortened, 0);
  }
});
