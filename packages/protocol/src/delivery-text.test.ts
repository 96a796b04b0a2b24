import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import { deliveryText } from './delivery-text.ts';
import { tailrace } from './generated/tailrace.js';
import { deliveryJson } from './report-json.ts';
import { decodeReport, encodeReport } from './report-proto.ts';

const jsonOf = (bytes: Uint8Array) => JSON.parse(deliveryText(bytes, 3, 2 ** 40));

test('the text equals the JSON of the decoded report', () => {
  fc.assert(
    fc.property(report, (sent) => {
      const bytes = encodeReport(sent);
      assert.deepEqual(jsonOf(bytes), JSON.parse(deliveryJson(decodeReport(bytes), 3, 2 ** 40)));
    }),
    { ...seeded, numRuns: 500 },
  );
});

test('characters that JSON requires to be escaped are escaped, and text beyond ASCII stays', () => {
  const all = Array.from({ length: 0xff }, (_, i) => String.fromCharCode(i + 1)).join('');
  const value = `${all}"\\ é 漢 😀 \u2028`;
  const bytes = encodeReport({ device: 'p.d', time: 1, readings: [{ tag: 't', value }] });
  assert.equal(jsonOf(bytes).readings[0].value, value);
});

test('fields in any order, unknown ones and repeated ones are read as Protobuf specifies', () => {
  const { Reading, Report } = tailrace.v1;
  const value = Reading.encode({ number: 1 }).finish();
  const again = Reading.encode({ number: 2.5, tag: 't', unit: 'Cel', quality: 7 as never }).finish();
  const reading = Buffer.concat([value, Uint8Array.of(0x7a, 1, 0), again]);
  const tail = Report.encode({ device: 'p.d', time: 5 }).finish();
  const bytes = Buffer.concat([Uint8Array.of(0x1a, reading.length), reading, tail]);
  assert.deepEqual(jsonOf(bytes), {
    device: 'p.d',
    partition: 3,
    seq: 2 ** 40,
    time: 5,
    readings: [{ tag: 't', value: 2.5, unit: 'Cel', quality: 'uncertain' }],
  });
});

test('a report larger than the reused buffer is complete', () => {
  const readings = Array.from({ length: 1_000 }, (_, i) => ({ tag: `tag${i}`, value: '"'.repeat(100) }));
  const bytes = encodeReport({ device: 'p.d', time: 1, readings });
  assert.deepEqual(jsonOf(bytes).readings, readings);
  assert.equal(jsonOf(encodeReport({ device: 'p.e', time: 1, readings: [{ tag: 't', value: 1 }] })).device, 'p.e');
});

test('invalid bytes throw, and never return a partial text', () => {
  errorOf(() => deliveryText(Uint8Array.of(0x1a, 0), 0, 1), 'invalid_report');
  const notUtf8 = Buffer.concat([encodeReport({ device: 'p.d', time: 1, readings: [{ tag: 't', value: 1 }] })]);
  notUtf8[notUtf8.indexOf('p.d')] = 0xff;
  assert.match(
    errorOf(() => deliveryText(notUtf8, 0, 1), 'invalid_report').message,
    /^report: expected UTF-8 texts, got 3 invalid bytes$/,
  );
  fc.assert(
    fc.property(report.map(encodeReport).chain(mutatedBytes), (bytes) => {
      const text = resultOrError(() => deliveryText(bytes, 0, 1), 'invalid_report');
      if (text !== undefined) JSON.parse(text);
    }),
    { ...seeded, numRuns: 500 },
  );
});
