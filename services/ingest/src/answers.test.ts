import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { parseBody } from '../test/parse-body.ts';
import { Answers } from './answers.ts';
import type { Grant } from './intake/record-from.ts';

const answers = new Answers(1_500);
const onlyA: Grant = { allowsDevice: (path) => path.startsWith('a.'), covers: 'the token may publish a.>' };
const reportOf = (device: string) => ({ device, time: 1_634_567_890_123, readings: [{ tag: 't', value: 1 }] });
const parsedOf = (value: unknown) =>
  parseBody(Buffer.from(JSON.stringify(value)), 'json', {
    ...{ grant: onlyA, receivedMs: 1_700_000_000_000, reportsMax: 100, clockAheadMs: 60_000 },
    devices: { admit() {} },
  });

test('a request with all reports in the log is accepted', () => {
  const answer = answers.accepted(parsedOf([reportOf('a.1'), reportOf('a.2')]));
  assert.equal(answer.status, 202);
  assert.equal(answer.outcome, 'accepted');
  assert.deepEqual(JSON.parse(answer.body), { accepted: 2, rejected: [] });
});

test('the answer to a partly accepted request lists the reports that are not in the log', () => {
  const answer = answers.accepted(parsedOf([reportOf('a.1'), reportOf('b.2')]));
  assert.equal(answer.status, 202);
  assert.equal(answer.outcome, 'partly_accepted');
  const { accepted, rejected } = JSON.parse(answer.body);
  assert.equal(accepted, 1);
  assert.deepEqual([rejected[0].index, rejected[0].code], [1, 'forbidden']);
});

test('a request without an acceptable report is a 400 with an error and the list', () => {
  const answer = answers.refused(parsedOf([17, reportOf('b.2')]));
  assert.equal(answer.status, 400);
  const { error, accepted, rejected } = JSON.parse(answer.body);
  assert.equal(error.code, 'invalid_report');
  assert.match(error.message, /^all 2 reports were rejected; the first: report: expected an object .*, got 17$/);
  assert.equal(accepted, 0);
  assert.equal(rejected.length, 2);
});

test('the error of a single invalid report is the error of the request', () => {
  assert.match(JSON.parse(answers.refused(parsedOf(17)).body).error.message, /^report: expected an object .*, got 17$/);
});

test('a request whose reports are all for devices not covered is a 403', () => {
  const answer = answers.refused(parsedOf([reportOf('b.1'), reportOf('b.2')]));
  assert.equal(answer.status, 403);
  assert.equal(JSON.parse(answer.body).error.code, 'forbidden');
});

test('every error has its status; temporary ones ask for a retry', () => {
  const kinds = [
    ['invalid_report', 400, false],
    ['unauthorized', 401, false],
    ['timeout', 408, false],
    ['too_large', 413, false],
    ['invalid_message', 415, false],
    ['rate_limited', 429, true],
    ['limit_reached', 503, true],
    ['unavailable', 503, true],
    ['storage_full', 503, true],
    ['closed', 503, true],
    ['internal', 500, false],
    ['conflict', 500, false],
  ] as const;
  for (const [code, status, isRetryable] of kinds) {
    const answer = answers.failed(new TailraceError(code, 'why'));
    assert.equal(answer.status, status, code);
    assert.deepEqual(JSON.parse(answer.body), { error: { code, message: 'why' } });
    const retryAfter = answer.headers.find(([name]) => name === 'Retry-After');
    assert.equal(retryAfter?.[1], isRetryable ? '2' : undefined, code);
  }
});

test('401 names the scheme, 405 the methods', () => {
  const unauthorized = answers.failed(new TailraceError('unauthorized', 'why'));
  assert.ok(unauthorized.headers.some(([name, value]) => name === 'WWW-Authenticate' && value === 'Bearer'));
  const wrongMethod = answers.notFound(405, '"GET /v1/ingest"');
  assert.ok(wrongMethod.headers.some(([name, value]) => name === 'Allow' && value === 'POST, OPTIONS'));
  assert.match(wrongMethod.body, /expected POST \/v1\/ingest, got/);
});

test('only the answer to an unknown encoding names the known ones in a header', () => {
  const unknown = answers.unsupportedEncoding('br');
  assert.equal(unknown.status, 415);
  assert.match(unknown.body, /Content-Encoding: expected gzip, deflate or none, got \\"br\\"/);
  assert.deepEqual(unknown.headers[1], ['Accept-Encoding', 'gzip, deflate']);
  const ofType = answers.failed(new TailraceError('invalid_message', 'Content-Type: expected …'));
  assert.equal(ofType.status, 415);
  assert.equal(ofType.headers.length, 1);
});
