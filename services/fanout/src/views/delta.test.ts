import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading } from '@tailrace/protocol/report';
import { serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { logReport, logReportOf, type Values } from '../../test/records.ts';
import { DeltaFilter } from './delta.ts';
import { LastSentBudget } from './last-sent-readings.ts';
import { FilteredPublication, type Publication } from './publication.ts';
import { View } from './view.ts';

const filterOf = () => new DeltaFilter(10_000, new LastSentBudget(1_000));

/** As a client reads it, the same in both encodings. */
function read(shown: Publication) {
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
  return read(filter.telling(logReport('p.d', seq, values), nowMs));
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
  const whole = logReport('p.d', 1);
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

test('of several readings of one tag in a report none is left out, for each has a time of its own', () => {
  const filter = filterOf();
  const four = (seq: number, ...values: number[]) =>
    logReportOf(
      { readings: [...values.map((value, i) => ({ tag: 't', value, time: seq * 10 + i })), { tag: 'u', value: 1 }] },
      seq,
    );
  const readingsOf = (shown: Publication) => shown.report.readings.map(({ tag, value }) => [tag, value]);
  assert.deepEqual(readingsOf(filter.telling(four(1, 1, 1, 2, 2), 0)).length, 5);
  assert.deepEqual(
    readingsOf(filter.telling(four(2, 2, 2, 3, 2), 0)),
    [2, 2, 3, 2].map((value) => ['t', value]),
    'the other tag is as before',
  );
  assert.deepEqual(readingsOf(filter.telling(four(3, 2), 0)), []);
  assert.deepEqual(readingsOf(filter.telling(four(4, 3), 0)), [['t', 3]]);
});

test('a late report is told whole, and what comes after it is compared with what was newer', () => {
  const filter = filterOf();
  const tellingAt = (seq: number, time: number, ...readings: Reading[]) =>
    filter.telling(logReportOf({ time, readings }, seq), 0);
  const [t, u] = ['t', 'u'].map((tag) => (value: number) => ({ tag, value })) as [
    (value: number) => Reading,
    (value: number) => Reading,
  ];
  tellingAt(1, 100, t(1), u(1));
  tellingAt(2, 200, t(1), u(1));
  const late = tellingAt(3, 150, t(2), u(1));
  assert.deepEqual([late.report.readings, late instanceof FilteredPublication], [[t(2), u(1)], false]);
  assert.deepEqual(tellingAt(4, 300, t(1), u(1)).report.readings, [], 'as it was before the late one');
  assert.deepEqual(tellingAt(5, 400, t(2), u(1)).report.readings, [t(2)]);
});

test('where one client was told something else, the next report tells it to all', () => {
  const filter = filterOf();
  telling(filter, 1, { t: 1, u: 1 });
  filter.toldBeside('p.d', { tag: 't', value: 1 });
  assert.deepEqual(telling(filter, 2, { t: 1, u: 1 }).values, {});
  filter.toldBeside('p.d', { tag: 't', value: 9 });
  assert.deepEqual(telling(filter, 3, { t: 1, u: 1 }).values, { t: 1, u: 1 });
});
