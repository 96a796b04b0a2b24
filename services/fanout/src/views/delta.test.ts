import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/servermessage';
import { arrival, type Values } from '../../test/records.ts';
import { DeltaFilter } from './delta.ts';
import type { Shown } from './shown.ts';
import { ToldBudget } from './told.ts';
import { View } from './view.ts';

const filterOf = () => new DeltaFilter(10_000, new ToldBudget(1_000));

/** As a client reads it, the same in both encodings. */
function read(shown: Shown) {
  const [json, proto] = (['json', 'proto'] as const).map((encoding) => {
    const frame = new View(1, encoding, {}).frame([shown], {});
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    assert.ok(message !== undefined && 'data' in message);
    return message.data.reports[0];
  });
  assert.deepEqual(json, proto);
  const { seq, delta = false, readings } = json!;
  return { seq, delta, values: Object.fromEntries(readings.map(({ tag, value }) => [tag, value])) };
}

function telling(filter: DeltaFilter, seq: number, values: Values, nowMs = 0) {
  return read(filter.telling(arrival('p.d', seq, values), nowMs));
}

test('a device that is new comes whole, then only what changes, and a report without change says that it lives', () => {
  const filter = filterOf();
  assert.deepEqual(telling(filter, 1, { t: 1, u: 'on' }), { seq: 1, delta: false, values: { t: 1, u: 'on' } });
  assert.deepEqual(telling(filter, 2, { t: 2, u: 'on' }), { seq: 2, delta: true, values: { t: 2 } });
  assert.deepEqual(telling(filter, 3, { t: 2, u: 'on' }), { seq: 3, delta: true, values: {} });
  assert.deepEqual(telling(filter, 4, { t: 3, u: 'off' }), { seq: 4, delta: false, values: { t: 3, u: 'off' } });
  assert.deepEqual(telling(filter, 5, { t: 3, u: 'off', v: 1 }), {
    seq: 5,
    delta: false,
    values: { t: 3, u: 'off', v: 1 },
  });
});

test('what says the whole report is the report, encoded for all views together', () => {
  const whole = arrival('p.d', 1);
  assert.equal(filterOf().telling(whole, 0), whole);
});

test('a reading that does not change is told again after the key frame time, with the whole report', () => {
  const filter = filterOf();
  telling(filter, 1, { t: 1, u: 1 }, 0);
  assert.deepEqual(telling(filter, 2, { t: 2, u: 1 }, 10_000), { seq: 2, delta: true, values: { t: 2 } });
  assert.deepEqual(telling(filter, 3, { t: 2, u: 1 }, 10_001), { seq: 3, delta: false, values: { t: 2, u: 1 } });
  assert.deepEqual(telling(filter, 4, { t: 2, u: 1 }, 20_001).delta, true);
});

test('a device that sends its tags by turns gets a key frame for each of them', () => {
  const filter = filterOf();
  const whole = (seq: number, values: Values, nowMs: number) => !telling(filter, seq, values, nowMs).delta;
  assert.deepEqual([whole(1, { t: 1 }, 0), whole(2, { u: 1 }, 1)], [true, true]);
  assert.deepEqual([whole(3, { t: 1 }, 5_000), whole(4, { u: 1 }, 5_001)], [false, false]);
  assert.deepEqual([whole(5, { t: 1 }, 10_001), whole(6, { u: 1 }, 10_002)], [true, true]);
});

test('where one client was told something else, the next report tells it to all', () => {
  const filter = filterOf();
  telling(filter, 1, { t: 1, u: 1 });
  filter.toldBeside('p.d', { tag: 't', value: 1 });
  assert.deepEqual(telling(filter, 2, { t: 1, u: 1 }).values, {});
  filter.toldBeside('p.d', { tag: 't', value: 9 });
  assert.deepEqual(telling(filter, 3, { t: 1, u: 1 }).values, { t: 1, u: 1 });
});
