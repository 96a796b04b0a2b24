import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ingestResultJson } from './ingest-result.ts';

test('a result counts the accepted reports and names the error of each rejected one', () => {
  assert.equal(
    ingestResultJson({ accepted: 3, rejected: [{ index: 1, code: 'invalid_report', message: 'time is -1' }] }),
    '{"accepted":3,"rejected":[{"index":1,"code":"invalid_report","message":"time is -1"}]}',
  );
});
