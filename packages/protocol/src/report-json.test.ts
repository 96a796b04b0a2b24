import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { delivery, seeded } from '../test/arbitraries.ts';
import { deliveryFromJson } from './delivery.ts';
import { deliveryJson } from './report-json.ts';

test('is the JSON of the delivery', () => {
  fc.assert(
    fc.property(delivery, (expected) => {
      const { partition, seq, ...report } = expected;
      const json = deliveryJson(report, partition, seq);
      assert.deepEqual(JSON.parse(json), expected);
      assert.deepEqual(deliveryFromJson(JSON.parse(json)), expected);
    }),
    { ...seeded, numRuns: 400 },
  );
});

test('leaves out default values, and keeps the order of the protocol', () => {
  const readings = [
    { tag: 'a', value: -0, quality: 'good', unit: '' },
    { tag: 'b"\\\n\u2028', value: '"', quality: 'bad', unit: 'm/s', time: 5 },
  ] as const;
  assert.equal(
    deliveryJson({ device: 'p.d', time: 1.5, received: 2, readings, id: '' }, 3, 4),
    '{"device":"p.d","partition":3,"seq":4,"time":1.5,"received":2,"readings":[{"tag":"a","value":0},' +
      '{"tag":"b\\"\\\\\\n\u2028","value":"\\"","unit":"m/s","quality":"bad","time":5}]}',
  );
  assert.equal(
    deliveryJson({ device: 'p', time: 1e21, readings: [{ tag: 't', value: 5e-324 }], id: 'i' }, 0, 0),
    '{"device":"p","partition":0,"seq":0,"time":1e+21,"readings":[{"tag":"t","value":5e-324}],"id":"i"}',
  );
});
