import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { resultOrError } from '../test/errors.ts';
import { hasReadingTags, parseReportHeader } from './report-header.ts';
import { encodeReport } from './report-proto.ts';

test('a header has device, message ID, times and clock of the report', () => {
  fc.assert(
    fc.property(report, (sent) => {
      const { device, id = '', received = 0, time, clock, historical: isHistorical = false } = sent;
      const number = clock === undefined ? 0 : clock === 'ahead' ? 1 : 2;
      const expected = { device, id, received, time, clock: number, isHistorical };
      assert.deepEqual(parseReportHeader(encodeReport(sent)), expected);
    }),
    seeded,
  );
});

test('hasReadingTags compares all tags of the readings, in order', () => {
  const tags = fc.array(fc.constantFrom('a', 'b', 'temperature', 'temperatura', 'é'), { maxLength: 3 });
  fc.assert(
    fc.property(tags, tags, fc.boolean(), (one, other, copied) => {
      const expected = copied ? one : other;
      const readings = one.map((tag) => ({ tag, value: 1, unit: 'Cel' }));
      const isAscii = !one.includes('é');
      assert.equal(
        hasReadingTags(encodeReport({ device: 'p.d', time: 1, readings, id: 'x' }), expected),
        isAscii && JSON.stringify(one) === JSON.stringify(expected),
      );
    }),
    { ...seeded, numRuns: 500 },
  );
});

test('hasReadingTags is false for a reading with a time of its own', () => {
  const bytes = (time?: number) =>
    encodeReport({
      device: 'p.d',
      time: 1,
      readings: [{ tag: 'a', value: 1, ...(time === undefined ? {} : { time }) }],
    });
  assert.equal(hasReadingTags(bytes(), ['a']), true);
  assert.equal(hasReadingTags(bytes(7), ['a']), false);
});

test('malformed bytes are an error, never a crash', () => {
  fc.assert(
    fc.property(report.map((each) => encodeReport(each)).chain(mutatedBytes), (bytes) => {
      resultOrError(() => parseReportHeader(bytes), 'invalid_report');
      resultOrError(() => hasReadingTags(bytes, ['t']), 'invalid_report');
    }),
    { ...seeded, numRuns: 500 },
  );
});
