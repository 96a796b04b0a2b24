import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogRecord } from '../event-log.ts';
import { bytesOf, RecordList } from './record-list.ts';

const steps = fc.array(
  fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ drop: fc.nat(6) }),
    fc.constant({ thin: true }),
  ),
  { maxLength: 120 },
);

test('a list behaves like an array under any pushes, drops and filters', () => {
  fc.assert(
    fc.property(steps, fc.nat(200), fc.nat(200), (given, from, until) => {
      const list = new RecordList();
      let model: LogRecord[] = [];
      let seq = 0;
      for (const step of given) {
        if ('push' in step) {
          seq += step.push;
          const record = { seq, timeMs: seq * 10, key: 'k', value: new Uint8Array(seq % 7) };
          list.push(record);
          model.push(record);
        } else if ('drop' in step) {
          list.drop(step.drop);
          model = model.slice(step.drop);
        } else {
          list.filter((record) => record.seq % 3 !== 0);
          model = model.filter((record) => record.seq % 3 !== 0);
        }
        assert.equal(list.length, model.length);
        assert.equal(
          list.bytes,
          model.reduce((sum, record) => sum + bytesOf(record), 0),
        );
        assert.equal(list.at(0), model[0]);
      }
      const expected = model.filter((record) => record.seq >= from && record.seq < until);
      assert.deepEqual(list.slice(from, until, 1_000, 1_000_000), expected);
      assert.deepEqual(list.slice(from, until, 3, 1_000_000), expected.slice(0, 3));
      assert.deepEqual(list.slice(from, until, 1_000, 1), expected.slice(0, 1));
      const at = model.findIndex((record) => record.timeMs >= from);
      assert.equal(list.indexAt(from), at < 0 ? model.length : at);
    }),
  );
});
