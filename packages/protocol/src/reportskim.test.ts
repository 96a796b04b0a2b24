import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { resultOrFault } from '../test/faults.ts';
import { encodeReport } from './reportproto.ts';
import { sameReadingTags, skimReport } from './reportskim.ts';

test('a skim says whose report it is, under which ID and when it came, whatever its readings', () => {
  fc.assert(
    fc.property(report, (sent) => {
      const { device, id = '', received = 0 } = sent;
      assert.deepEqual(skimReport(encodeReport(sent)), { device, id, received });
    }),
    seeded,
  );
});

test('two reports have the same tags if and only if their readings are of the same tags in the same order', () => {
  const tags = fc.array(fc.constantFrom('a', 'b', 'temperature', 'temperatura', 'é'), { maxLength: 3 });
  fc.assert(
    fc.property(tags, tags, fc.boolean(), (one, other, copied) => {
      const second = copied ? one : other;
      const bytesOf = (list: readonly string[], value: number) =>
        encodeReport({
          device: 'p.d',
          time: value,
          readings: list.map((tag) => ({ tag, value, unit: 'Cel' })),
          id: `${value}`,
        });
      assert.equal(
        sameReadingTags(bytesOf(one, 1), bytesOf(second, 2)),
        JSON.stringify(one) === JSON.stringify(second),
      );
    }),
    { ...seeded, numRuns: 500 },
  );
});

test('damaged bytes are a fault, never a crash', () => {
  const good = encodeReport({ device: 'p.d', time: 1, readings: [{ tag: 't', value: 1 }] });
  fc.assert(
    fc.property(report.map((each) => encodeReport(each)).chain(mutatedBytes), (bytes) => {
      resultOrFault(() => skimReport(bytes), 'invalid_report');
      resultOrFault(() => sameReadingTags(bytes, good), 'invalid_report');
    }),
    { ...seeded, numRuns: 500 },
  );
});
