import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord, ReadRange } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { alarmEvent, alarmOf, bytesOf } from '../../test/alarm-events.ts';
import { EventBoard } from './event-board.ts';
import { EventReader } from './event-reader.ts';

/** A node that owns the one partition of a log with `last` events, from `first` on. */
function createFixture() {
  const log = { first: 0, last: 0, isShort: false };
  const counts = { accepted: 0, repeated: 0, invalid: 0, dropped: 0 };
  const board = new EventBoard(0, { windowBytesMax: 1_000_000, alarmsMax: 100 }, counts);
  const eventLog = {
    endOffsets: async () => [log.last],
    bounds: async () => [{ first: log.first, next: log.last }],
    read: () => assert.fail('expected reads by `range`'),
  };
  async function* range(topic: string, _: number, { from, until = log.last }: ReadRange) {
    if (topic !== 'events' || log.isShort) return;
    const records: LogRecord[] = [];
    for (let seq = Math.max(from, log.first); seq < until; seq++) {
      const value = bytesOf(alarmEvent(alarmOf('plant.press', seq + 1)));
      records.push({ seq, key: 'plant.press', value } as unknown as LogRecord);
    }
    if (records.length > 0) yield records;
  }
  const reader = new EventReader({
    ...{ eventLog: eventLog as never, topic: 'events', alarmsTopic: 'alarms', range, boards: [board] },
    ...{ partitions: [{ number: 0, role: 'owned' }], clock: createFakeClock(), logger: silentLogger },
    ...{ onRead: () => {}, onGained: () => {}, onLost: () => {} },
  });
  const poll = async () => {
    await reader.poll();
    // The restore of a board is not awaited.
    await new Promise(setImmediate);
  };
  return { log, counts, board, poll };
}

test('events that a read did not reach are read at the next poll', async () => {
  const { log, counts, board, poll } = createFixture();
  await poll();
  assert.equal(board.isReady, true);
  log.last = 3;
  log.isShort = true;
  await poll();
  assert.deepEqual([board.next, counts.accepted], [0, 0]);
  log.isShort = false;
  await poll();
  assert.deepEqual([board.next, counts.accepted], [3, 3]);
});

test('events that retention has removed are passed over', async () => {
  const { log, counts, board, poll } = createFixture();
  await poll();
  Object.assign(log, { first: 4, last: 4 });
  await poll();
  assert.deepEqual([board.next, counts.accepted], [4, 0]);
});
