import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { encodingFrom, formatFrom } from './endpoint.ts';

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
    fails('invalid_message', /expected charset=utf-8, got "charset=latin1"/),
  );
});

test('gzip is accepted, any other encoding is refused by name', () => {
  assert.equal(encodingFrom(''), 'identity');
  assert.equal(encodingFrom('GZIP'), 'gzip');
  assert.throws(() => encodingFrom('br'), fails('invalid_message', /expected gzip or none, got "br"/));
});
