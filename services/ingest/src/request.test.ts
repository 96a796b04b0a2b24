import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TailraceError } from '@tailrace/protocol/error';
import { encodingFrom, formatFrom, plainBody, textFrom } from './request.ts';

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('each known content type means its format, in any case and with a charset', () => {
  assert.equal(formatFrom('application/json'), 'json');
  assert.equal(formatFrom('Application/JSON; charset=UTF-8'), 'json');
  assert.equal(formatFrom('application/json;charset="utf-8"'), 'json');
  assert.equal(formatFrom('application/x-ndjson'), 'ndjson');
  assert.equal(formatFrom('application/jsonl'), 'ndjson');
  assert.equal(formatFrom('application/x-protobuf'), 'protobuf');
  assert.equal(formatFrom('application/protobuf'), 'protobuf');
});

test('no content type at all means JSON', () => {
  assert.equal(formatFrom(''), 'json');
});

test('an unknown content type is refused with the known ones', () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'constructor',
    '__proto__',
    ';',
    'a'.repeat(10_000),
  ]) {
    assert.throws(
      () => formatFrom(type),
      fails('invalid_message', /application\/json .*application\/x-ndjson .*application\/x-protobuf/),
    );
  }
});

test('JSON in another charset than UTF-8 is refused', () => {
  assert.throws(
    () => formatFrom('application/json; charset=latin1'),
    fails('invalid_message', /charset=latin1.*charset=utf-8/),
  );
});

test('gzip is taken, any other encoding is refused by name', () => {
  assert.equal(encodingFrom(''), 'identity');
  assert.equal(encodingFrom('GZIP'), 'gzip');
  assert.throws(() => encodingFrom('br'), fails('invalid_message', /"br"; right is gzip/));
});

test('a packed body is unpacked', () => {
  assert.equal(plainBody(gzipSync('[1]'), 'gzip', 100).toString(), '[1]');
});

test('a packed body that grows over the limit is refused, however small it came', () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  assert.ok(bomb.length < 60_000);
  assert.throws(
    () => plainBody(bomb, 'gzip', 1_048_576),
    fails('too_large', /the unpacked body: expected at most 1048576 bytes, got more/),
  );
});

test('a body that only says it is packed is refused', () => {
  assert.throws(() => plainBody(Buffer.from('[1]'), 'gzip', 100), fails('invalid_report', /said to be gzip/));
  assert.throws(
    () => plainBody(gzipSync('[1]').subarray(0, 12), 'gzip', 100),
    fails('invalid_report', /said to be gzip/),
  );
});

test('text that is not UTF-8 is refused with the place of the first wrong byte', () => {
  assert.throws(() => textFrom(Buffer.from([0x5b, 0xff, 0x5d])), fails('invalid_report', /0xff5d at 1 are not UTF-8/));
  // U+FFFD itself is a character like any other.
  const before = Buffer.from('ü\ufffd');
  assert.throws(() => textFrom(Buffer.concat([before, Buffer.from([0xc3])])), fails('invalid_report', /0xc3 at 5 /));
});

test('a byte order mark is passed over', () => {
  assert.equal(textFrom(Buffer.from('\ufeff{}')), '{}');
});
