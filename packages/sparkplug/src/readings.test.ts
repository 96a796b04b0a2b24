import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportLimits } from '@tailrace/protocol/report';
import { createNode, data, message, metricOf, nodeBirth, startMs } from '../test/fixture.ts';
import { dataTypes } from './data-type.ts';
import type { Metric } from './payload.ts';

/** Returns the node after a birth with these metrics, and what the messages after it reported. */
function bornWith(metrics: readonly Metric[]) {
  const created = createNode();
  created.receive(nodeBirth({ metrics: [...metrics] }));
  created.seen.batches.length = 0;
  created.seen.letters.length = 0;
  return created;
}

const readingsOf = ({ seen }: ReturnType<typeof createNode>) => seen.batches.flatMap(({ readings }) => readings);

test('[tck-id-topics-nbirth-metrics] [tck-id-operational-behavior-data-publish-nbirth-values] values of a birth are readings, with their own times', () => {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [metricOf('Speed', 12.5, { timestamp: startMs - 60_000 }), metricOf('State', 'run')] }),
  );
  assert.deepEqual(created.seen.batches, [
    {
      device: undefined,
      time: startMs,
      isHistorical: false,
      seq: 0,
      part: 0,
      readings: [
        { tag: 'Speed', value: 12.5, time: startMs - 60_000 },
        { tag: 'State', value: 'run' },
      ],
    },
  ]);
});

test('[tck-id-topics-dbirth-metrics] [tck-id-operational-behavior-data-publish-dbirth-values] values of a DBIRTH are readings of the device', () => {
  const created = bornWith([]);
  created.receive(message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('Level', 3)] }));
  assert.deepEqual(
    created.seen.batches.map(({ device, readings }) => [device, readings]),
    [['d1', [{ tag: 'Level', value: 3 }]]],
  );
});

test('[tck-id-topics-nbirth-rebirth-metric] bdSeq, Node Control and Device Control make no tags', () => {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [metricOf('Node Control/Reboot', false), metricOf('Device Control/Reboot', false)] }),
    data(1, 'Node Control/Rebirth', false),
  );
  assert.deepEqual(created.seen.batches, []);
});

test('[tck-id-case-sensitivity-metric-names] names that differ in case alone are two tags', () => {
  const created = createNode();
  created.receive(nodeBirth({ metrics: [metricOf('speed', 1), metricOf('Speed', 2)] }));
  assert.deepEqual(created.seen.texts, ['speed=1', 'Speed=2']);
});

test('[tck-id-operational-behavior-data-publish-nbirth-order] [tck-id-operational-behavior-data-publish-dbirth-order] two values of one tag in one millisecond are kept in their order', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(message('NDATA', { seq: 1, metrics: [metricOf('a', 1), metricOf('a', 2), metricOf('a', 1)] }));
  assert.deepEqual(created.seen.texts, ['a=1', 'a=2', 'a=1']);
});

test('historical values are a second batch, marked, and never the last value', () => {
  const created = bornWith([metricOf('a', 7), metricOf('b', 0)]);
  created.receive(
    message('NDATA', {
      seq: 1,
      metrics: [
        metricOf('a', 1, { isHistorical: true, timestamp: startMs - 2_000 }),
        metricOf('b', 5),
        metricOf('a', 2, { isHistorical: true, timestamp: startMs - 1_000 }),
      ],
    }),
    message('NDATA', { seq: 2, metrics: [{ name: 'a', isNull: true }] }),
  );
  assert.deepEqual(
    created.seen.batches.map(({ isHistorical, part, readings }) => [isHistorical, part, readings]),
    [
      [false, 0, [{ tag: 'b', value: 5 }]],
      [
        true,
        1,
        [
          { tag: 'a', value: 1, time: startMs - 2_000 },
          { tag: 'a', value: 2, time: startMs - 1_000 },
        ],
      ],
      [false, 0, [{ tag: 'a', value: 7, quality: 'bad' }]],
    ],
  );
});

test('a null value, NaN and infinity are of quality bad, with the last value or zero', () => {
  const created = bornWith([
    metricOf('n', 4),
    { name: 'never', datatype: dataTypes.int32, isNull: true },
    { name: 'text', datatype: dataTypes.string, isNull: true },
    { name: 'flag', datatype: dataTypes.boolean, isNull: true },
  ]);
  created.receive(
    message('NDATA', {
      seq: 1,
      metrics: [
        { name: 'n', isNull: true },
        { name: 'n', doubleValue: Number.NaN },
        { name: 'never', isNull: true },
        { name: 'text', isNull: true },
        { name: 'flag', isNull: true },
      ],
    }),
  );
  assert.deepEqual(readingsOf(created), [
    { tag: 'n', value: 4, quality: 'bad' },
    { tag: 'n', value: 4, quality: 'bad' },
    { tag: 'never', value: 0, quality: 'bad' },
    { tag: 'text', value: '', quality: 'bad' },
    { tag: 'flag', value: false, quality: 'bad' },
  ]);
  assert.equal(created.counts.notFinite, 1);
});

test('[tck-id-payloads-timestamp-in-UTC] [tck-id-payloads-metric-timestamp-in-UTC] a time outside 1973 to 5138 counts as absent', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(
    message('NDATA', { seq: 1, timestamp: 1_700_000_000, metrics: [metricOf('a', 1, { timestamp: 5 })] }),
    message('NDATA', { seq: 2, metrics: [metricOf('a', 2, { timestamp: 2n ** 63n })] }),
  );
  assert.deepEqual(
    created.seen.batches.map(({ time, readings }) => [time, readings[0]!.time]),
    [
      [0, undefined],
      [startMs, undefined],
    ],
  );
  assert.equal(created.counts.invalidTimes, 3);
});

test('[tck-id-payloads-dbirth-timestamp] [tck-id-topics-dbirth-timestamp] [tck-id-payloads-ddata-timestamp] [tck-id-topics-ddata-timestamp] [tck-id-payloads-ndata-timestamp] [tck-id-topics-ndata-timestamp] the time of a message is that of its readings, whatever its type', () => {
  for (const [type, device] of [
    ['DBIRTH', 'd1'],
    ['DDATA', 'd1'],
    ['NDATA', undefined],
  ] as const) {
    for (const [timestamp, expected] of [
      [startMs + 5, startMs + 5],
      [1_700_000_000, 0],
      [null, 0],
    ] as const) {
      const created = bornWith([]);
      const metrics = [{ name: 'a', datatype: dataTypes.double, doubleValue: 1 }];
      created.receive(message(type, { seq: 1, timestamp, metrics, ...(device === undefined ? {} : { device }) }));
      const [batch] = created.seen.batches;
      assert.deepEqual([batch?.time, batch?.device, batch?.readings], [expected, device, [{ tag: 'a', value: 1 }]]);
    }
  }
});

test('[tck-id-topics-ndata-payload] [tck-id-topics-ddata-payload] data are readings of the node, or of the device of the topic', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('a', 0)] }));
  created.seen.batches.length = 0;
  created.receive(data(2, 'a', 1), data(3, 'a', 2, { device: 'd1' }));
  assert.deepEqual(
    created.seen.batches.map(({ device, seq, readings }) => [device, seq, readings]),
    [
      [undefined, 2, [{ tag: 'a', value: 1 }]],
      ['d1', 3, [{ tag: 'a', value: 2 }]],
    ],
  );
});

test('[tck-id-payloads-name-birth-data-requirement] a metric without a time takes that of the payload, else none', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(
    message('NDATA', { seq: 1, metrics: [{ name: 'a', doubleValue: 1 }] }),
    message('NDATA', { seq: 2, timestamp: null, metrics: [{ name: 'a', doubleValue: 2 }] }),
    message('NDATA', { seq: 3, timestamp: null, metrics: [metricOf('a', 3)] }),
  );
  assert.deepEqual(
    created.seen.batches.map(({ time, readings }) => [time, readings[0]]),
    [
      [startMs, { tag: 'a', value: 1 }],
      [0, { tag: 'a', value: 2 }],
      [0, { tag: 'a', value: 3, time: startMs }],
    ],
  );
});

test('[tck-id-payloads-alias-data-cmd-requirement] a metric has the alias, the name, or both if they agree', () => {
  const created = bornWith([metricOf('a', 0, { alias: 0 }), metricOf('b', 0, { alias: 2n ** 63n })]);
  created.receive(
    message('NDATA', {
      seq: 1,
      metrics: [
        { alias: 0, doubleValue: 1 },
        { alias: 2n ** 63n, doubleValue: 2 },
        { name: 'a', doubleValue: 3 },
        { name: 'a', alias: 0, doubleValue: 4 },
        { name: 'a', alias: 2n ** 63n, doubleValue: 5 },
      ],
    }),
  );
  assert.deepEqual(created.seen.texts, ['a=1', 'b=2', 'a=3', 'a=4']);
  assert.deepEqual(
    created.seen.letters.map(({ reason, metrics }) => [reason, metrics]),
    [['invalid_report', 1]],
  );
});

test('[tck-id-payloads-name-requirement] a metric with neither name nor known alias is unreadable; the others are kept', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(
    message('NDATA', { seq: 1, metrics: [{ doubleValue: 1 }, metricOf('a', 2), { alias: 9, doubleValue: 3 }] }),
  );
  assert.deepEqual(created.seen.texts, ['a=2']);
  const [letter] = created.seen.letters;
  assert.equal(created.seen.letters.length, 1);
  assert.deepEqual([letter!.reason, letter!.metrics, letter!.type], ['unknown_alias', 2, 'NDATA']);
  assert.match(letter!.message, /expected a name or an alias of the birth, got neither/);
});

test('[tck-id-payloads-alias-uniqueness] of two metrics of a birth with one alias the first counts', () => {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [metricOf('a', 1, { alias: 5 }), metricOf('b', 2, { alias: 5 })] }),
    message('NDATA', { seq: 1, metrics: [{ alias: 5, doubleValue: 3 }] }),
  );
  assert.deepEqual(created.seen.texts, ['a=1', 'a=3']);
  assert.deepEqual(created.seen.letters[0]!.reason, 'invalid_report');
});

test('[tck-id-payloads-alias-birth-requirement] a metric of a birth needs a name; without an alias it is known by name', () => {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [{ alias: 3, datatype: dataTypes.double, doubleValue: 1 }, metricOf('b', 2)] }),
    data(1, 'b', 3),
  );
  assert.deepEqual(created.seen.texts, ['b=2', 'b=3']);
  assert.match(created.seen.letters[0]!.message, /expected a name, got none/);
});

test('[tck-id-payloads-metric-datatype-req] without a data type the value field of the birth decides', () => {
  const created = createNode();
  created.receive(
    nodeBirth({
      metrics: [
        { name: 'n', intValue: 5 },
        { name: 't', stringValue: 'x' },
        { name: 'b', booleanValue: true },
        { name: 'none' },
      ],
    }),
    message('NDATA', { seq: 1, metrics: [{ name: 'n', intValue: 6 }] }),
  );
  assert.deepEqual(created.seen.texts, ['n=5', 't=x', 'b=true', 'n=6']);
  assert.deepEqual(
    created.seen.letters.map(({ reason, message: text }) => [reason, text]),
    [['invalid_report', 'metric "none": expected a data type or a value, got neither']],
  );
});

test('[tck-id-payloads-metric-datatype-not-req] the data type of the birth counts, another one is counted', () => {
  const created = bornWith([metricOf('a', -1, { dataType: dataTypes.int8 })]);
  created.receive(
    message('NDATA', { seq: 1, metrics: [{ name: 'a', intValue: 254 }] }),
    message('NDATA', { seq: 2, metrics: [{ name: 'a', intValue: 253, datatype: dataTypes.uint8 }] }),
  );
  assert.deepEqual(created.seen.texts, ['a=-2', 'a=-3']);
  assert.equal(created.counts.dataTypeMismatches, 1);
});

test('[tck-id-payloads-metric-datatype-value-type] a metric of an unknown data type is unreadable, the others are kept', () => {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [{ name: 'x', datatype: 4_000_000_000, intValue: 1 }, metricOf('a', 1)] }),
    message('NDATA', { seq: 1, metrics: [{ name: 'x', intValue: 2 }] }),
  );
  assert.deepEqual(created.seen.texts, ['a=1']);
  assert.deepEqual(
    created.seen.letters.map(({ reason, message: text }) => [reason, text]),
    [['unsupported_type', 'metric "x": expected a number, boolean, text, time or array, got data type 4000000000']],
  );
  // After the birth it is only counted.
  assert.equal(created.counts.unsupportedTypes, 1);
});

test('[tck-id-topics-nbirth-metric-reqs] [tck-id-topics-dbirth-metric-reqs] a name that the birth lacks is a new tag, counted', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(data(1, 'late', 5));
  assert.deepEqual(created.seen.texts, ['late=5']);
  assert.equal(created.counts.unknownNames, 1);
  assert.deepEqual(created.seen.causes, []);
});

test('[tck-id-payloads-template-definition-nbirth] [tck-id-topics-nbirth-templates] a template makes no tag, and is reported once by name', () => {
  const created = createNode();
  const template: Metric = { name: 'Motor', datatype: dataTypes.template, templateValue: Uint8Array.of(0x28, 1) };
  created.receive(
    nodeBirth({ metrics: [template, metricOf('a', 1)] }),
    message('NDATA', { seq: 1, metrics: [template, metricOf('a', 2)] }),
  );
  assert.deepEqual(created.seen.texts, ['a=1', 'a=2']);
  assert.equal(created.seen.letters.length, 1);
  assert.match(created.seen.letters[0]!.message, /metric "Motor": .* got Template$/);
});

const quality = (code: number, more: object = { type: dataTypes.int32 }) => ({
  properties: { keys: ['Quality'], values: [{ intValue: code, ...more }] },
});

test('[tck-id-payloads-propertyset-quality-value-value] Quality 0, 192 and 500 is bad, good and uncertain; others are ignored', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(
    message('NDATA', { seq: 1, metrics: [0, 192, 500, 1].map((code, at) => metricOf('a', at, quality(code))) }),
  );
  assert.deepEqual(
    readingsOf(created).map((each) => each.quality),
    ['bad', undefined, 'uncertain', undefined],
  );
});

test('[tck-id-payloads-propertyset-quality-value-type] [tck-id-payloads-metric-propertyvalue-type-value] [tck-id-payloads-metric-propertyvalue-type-type] Quality of another type than Int32 is ignored', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(
    message('NDATA', {
      seq: 1,
      metrics: [
        metricOf('a', 1, quality(0, { type: dataTypes.uint32 })),
        metricOf('a', 2, quality(0, { type: 4_000_000_000 })),
        metricOf('a', 3, quality(0, { type: dataTypes.int32, intValue: null, stringValue: '0' })),
      ],
    }),
  );
  assert.deepEqual(
    readingsOf(created).map((each) => each.quality),
    [undefined, undefined, undefined],
  );
});

test('[tck-id-payloads-metric-propertyvalue-type-req] a property without a type is read by its value field', () => {
  const created = bornWith([metricOf('a', 0)]);
  created.receive(message('NDATA', { seq: 1, metrics: [metricOf('a', 1, quality(0, {}))] }));
  assert.equal(readingsOf(created)[0]!.quality, 'bad');
});

test('[tck-id-payloads-propertyset-keys-array-size] [tck-id-payloads-propertyset-values-array-size] keys and values of different number are ignored, and the metric is kept', () => {
  const created = bornWith([metricOf('a', 0)]);
  const properties = { keys: ['Quality', 'engUnit'], values: [{ type: dataTypes.int32, intValue: 0 }] };
  created.receive(message('NDATA', { seq: 1, metrics: [metricOf('a', 1, { properties })] }));
  assert.deepEqual(readingsOf(created), [{ tag: 'a', value: 1 }]);
  assert.equal(created.counts.invalidProperties, 1);
});

test('the unit of the birth is that of all readings', () => {
  const unit = (text: string, key = 'engUnit') => ({
    properties: { keys: [key], values: [{ type: dataTypes.string, stringValue: text }] },
  });
  const created = bornWith([
    metricOf('a', 0, unit('bar')),
    metricOf('b', 0, unit('mm/s', 'Engineering Units')),
    metricOf('c', 0, unit('x'.repeat(33))),
  ]);
  created.receive(message('NDATA', { seq: 1, metrics: [metricOf('a', 1), metricOf('b', 2), metricOf('c', 3)] }));
  assert.deepEqual(
    readingsOf(created).map((each) => each.unit),
    ['bar', 'mm/s', undefined],
  );
});

test('a name over the limit of a tag is unreadable', () => {
  const created = createNode();
  const longest = 'x'.repeat(reportLimits.tagCharactersMax);
  created.receive(nodeBirth({ metrics: [metricOf(longest, 1), metricOf(`${longest}x`, 2), metricOf('a\nb', 3)] }));
  assert.deepEqual(created.seen.texts, [`${longest}=1`]);
  assert.deepEqual(
    created.seen.letters.map(({ reason, metrics }) => [reason, metrics]),
    [['invalid_report', 2]],
  );
});

test('many readings are several batches, in order, each within the limits of a report', () => {
  const created = createNode();
  const metrics = Array.from({ length: 2_500 }, (_, at) => metricOf(`m${at}`, at));
  created.receive(nodeBirth({ metrics }));
  assert.deepEqual(
    created.seen.batches.map(({ part, readings }) => [part, readings.length]),
    [
      [0, 1_000],
      [1, 1_000],
      [2, 500],
    ],
  );
  assert.equal(created.seen.texts.at(-1), 'm2499=2499');
  const texts = Array.from({ length: 40 }, (_, at) => metricOf(`t${at}`, 'x'.repeat(4_000)));
  const other = createNode();
  other.receive(nodeBirth({ metrics: texts }));
  assert.equal(other.seen.texts.length, 40);
  assert.ok(other.seen.batches.length >= 2);
});
