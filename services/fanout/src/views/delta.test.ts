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

/** Decodes a publication as a client does, and asserts that both encodings are the same. */
function read(publication: Publication) {
  const [json, proto] = (['json', 'proto'] as const).map((encoding) => {
    const frame = new View(1, encoding, {}).frame([publication], {});
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    assert.ok(message !== undefined && 'data' in message);
    return message.data.reports[0];
  });
  assert.deepEqual(json, proto);
  const { seq, delta = false, readings } = json!;
  return { seq, delta, values: Object.fromEntries(readings.map(({ tag, value }) => [tag, value])) };
}

function filtered(filter: DeltaFilter, seq: number, values: Values, nowMs = 0) {
  return read(filter.filter(logReport('p.d', seq, values), nowMs));
}

test('a new device is sent with all its tags, then with changes only, and a report without a change is sent as an empty delta', () => {
  const filter = filterOf();
  assert.deepEqual(filtered(filter, 1, { t: 1, u: 'on' }), { seq: 1, delta: false, values: { t: 1, u: 'on' } });
  assert.deepEqual(filtered(filter, 2, { t: 2, u: 'on' }), { seq: 2, delta: true, values: { t: 2 } });
  assert.deepEqual(filtered(filter, 3, { t: 2, u: 'on' }), { seq: 3, delta: true, values: {} });
  assert.deepEqual(filtered(filter, 4, { t: 3, u: 'off' }), { seq: 4, delta: false, values: { t: 3, u: 'off' } });
  assert.deepEqual(filtered(filter, 5, { t: 3, u: 'off', v: 1 }), {
    seq: 5,
    delta: false,
    values: { t: 3, u: 'off', v: 1 },
  });
});

test('a whole report is the report itself, encoded once for all views', () => {
  const whole = logReport('p.d', 1);
  assert.equal(filterOf().filter(whole, 0), whole);
});

test('an unchanged reading is sent again after the key frame time, with the whole report', () => {
  const filter = filterOf();
  filtered(filter, 1, { t: 1, u: 1 }, 0);
  assert.deepEqual(filtered(filter, 2, { t: 2, u: 1 }, 10_000), { seq: 2, delta: true, values: { t: 2 } });
  assert.deepEqual(filtered(filter, 3, { t: 2, u: 1 }, 10_001), { seq: 3, delta: false, values: { t: 2, u: 1 } });
  assert.deepEqual(filtered(filter, 4, { t: 2, u: 1 }, 20_001).delta, true);
});

test('a device that sends its tags alternately gets a key frame for each of them', () => {
  const filter = filterOf();
  const whole = (seq: number, values: Values, nowMs: number) => !filtered(filter, seq, values, nowMs).delta;
  assert.deepEqual([whole(1, { t: 1 }, 0), whole(2, { u: 1 }, 1)], [true, true]);
  assert.deepEqual([whole(3, { t: 1 }, 5_000), whole(4, { u: 1 }, 5_001)], [false, false]);
  assert.deepEqual([whole(5, { t: 1 }, 10_001), whole(6, { u: 1 }, 10_002)], [true, true]);
});

test('of several readings of one tag in a report none is left out, since each has its own time', () => {
  const filter = filterOf();
  const four = (seq: number, ...values: number[]) =>
    logReportOf(
      { readings: [...values.map((value, i) => ({ tag: 't', value, time: seq * 10 + i })), { tag: 'u', value: 1 }] },
      seq,
    );
  const readingsOf = (publication: Publication) => publication.report.readings.map(({ tag, value }) => [tag, value]);
  assert.deepEqual(readingsOf(filter.filter(four(1, 1, 1, 2, 2), 0)).length, 5);
  assert.deepEqual(
    readingsOf(filter.filter(four(2, 2, 2, 3, 2), 0)),
    [2, 2, 3, 2].map((value) => ['t', value]),
    'the other tag is as before',
  );
  assert.deepEqual(readingsOf(filter.filter(four(3, 2), 0)), []);
  assert.deepEqual(readingsOf(filter.filter(four(4, 3), 0)), [['t', 3]]);
});

test('a late report is sent whole, and later reports are compared with what was newer', () => {
  const filter = filterOf();
  const filteredAt = (seq: number, time: number, ...readings: Reading[]) =>
    filter.filter(logReportOf({ time, readings }, seq), 0);
  const [t, u] = ['t', 'u'].map((tag) => (value: number) => ({ tag, value })) as [
    (value: number) => Reading,
    (value: number) => Reading,
  ];
  filteredAt(1, 100, t(1), u(1));
  filteredAt(2, 200, t(1), u(1));
  const late = filteredAt(3, 150, t(2), u(1));
  assert.deepEqual([late.report.readings, late instanceof FilteredPublication], [[t(2), u(1)], false]);
  assert.deepEqual(filteredAt(4, 300, t(1), u(1)).report.readings, [], 'as it was before the late one');
  assert.deepEqual(filteredAt(5, 400, t(2), u(1)).report.readings, [t(2)]);
});

test('a historical report is sent whole, and later reports are not compared with it', () => {
  const filter = filterOf();
  filtered(filter, 1, { t: 1 });
  const historical = logReportOf({ historical: true, readings: [{ tag: 't', value: 2 }] }, 2);
  assert.equal(filter.filter(historical, 0), historical);
  assert.deepEqual(filtered(filter, 3, { t: 1 }), { seq: 3, delta: true, values: {} });
});

test('if one client received something else, the next report is sent to all', () => {
  const filter = filterOf();
  filtered(filter, 1, { t: 1, u: 1 });
  filter.noteSentToOne('p.d', { tag: 't', value: 1 });
  assert.deepEqual(filtered(filter, 2, { t: 1, u: 1 }).values, {});
  filter.noteSentToOne('p.d', { tag: 't', value: 9 });
  assert.deepEqual(filtered(filter, 3, { t: 1, u: 1 }).values, { t: 1, u: 1 });
});
