import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { resultOrFault } from '../test/faults.ts';
import { hasReadingTags, parseReportHeader } from './report-header.ts';
import { encodeReport } from './report-proto.ts';

test('a skim says whose report it is, under which ID and when it came, whatever its readings', () => {
  fc.assert(
    fc.property(report, (sent) => {
      const { device, id = '', received = 0, time, clock } = sent;
      const number = clock === undefined ? 0 : clock === 'ahead' ? 1 : 2;
      assert.deepEqual(parseReportHeader(encodeReport(sent)), { device, id, received, time, clock: number });
    }),
    seeded,
  );
});

test('a report has the tags of its readings, in their order, and no others', () => {
  const tags = fc.array(fc.constantFrom('a', 'b', 'temperature', 'temperatura', 'é'), { maxLength: 3 });
  fc.assert(
    fc.property(tags, tags, fc.boolean(), (one, other, copied) => {
      const asked = copied ? one : other;
      const readings = one.map((tag) => ({ tag, value: 1, unit: 'Cel' }));
      const isAscii = !one.includes('é');
      assert.equal(
        hasReadingTags(encodeReport({ device: 'p.d', time: 1, readings, id: 'x' }), asked),
        isAscii && JSON.stringify(one) === JSON.stringify(asked),
      );
    }),
    { ...seeded, numRuns: 500 },
  );
});

test('a report with a reading of another time is not the usual case', () => {
  const bytes = (time?: number) =>
    encodeReport({
      device: 'p.d',
      time: 1,
      readings: [{ tag: 'a', value: 1, ...(time === undefined ? {} : { time }) }],
    });
  assert.equal(hasReadingTags(bytes(), ['a']), true);
  assert.equal(hasReadingTags(bytes(7), ['a']), false);
});

test('damaged bytes are a fault, never a crash', () => {
  fc.assert(
    fc.property(report.map((each) => encodeReport(each)).chain(mutatedBytes), (bytes) => {
      resultOrFault(() => parseReportHeader(bytes), 'invalid_report');
      resultOrFault(() => hasReadingTags(bytes, ['t']), 'invalid_report');
    }),
    { ...seeded, numRuns: 500 },
  );
});
