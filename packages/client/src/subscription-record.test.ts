import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { SubscriptionRecord } from './subscription-record.ts';

test('where a snapshot is of an earlier position than the last event, the events after the snapshot come again', () => {
  const record = new SubscriptionRecord('a', '>', { alarms: true });
  const received: number[] = [];
  const take = (seq: number) =>
    record.events({ events: [{ partition: 0, seq }] }, (events) => received.push(...events.map((each) => each.seq!)));
  const subscribed = (last: number, recovered: boolean) =>
    record.subscribed({
      ...{ id: 'a', view: 1, channel: '>', epoch: 'e', snapshot: 0, recovered },
      position: tokenFromPositions(createPositions('e', [[0, last]])),
    });
  subscribed(5, false);
  for (const seq of [5, 6, 7]) take(seq);
  assert.deepEqual(received.splice(0), [6, 7]);
  subscribed(7, true);
  for (const seq of [7, 8]) take(seq);
  assert.deepEqual(received.splice(0), [8]);
  subscribed(6, false);
  for (const seq of [6, 7, 8]) take(seq);
  assert.deepEqual(received, [7, 8]);
});
