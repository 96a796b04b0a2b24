import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from './error.ts';
import { ingestResultJson, rejectionOf } from './ingestresult.ts';

test('an answer counts what was taken and says of each other report what was wrong, but not what lay behind it', () => {
  const error = new TailraceError('invalid_report', 'time is -1', { cause: new RangeError('inside') });
  assert.equal(
    ingestResultJson({ accepted: 3, rejected: [rejectionOf(1, error)] }),
    '{"accepted":3,"rejected":[{"index":1,"code":"invalid_report","message":"time is -1"}]}',
  );
});
