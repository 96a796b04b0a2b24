import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { formatFrom } from './content-type.ts';

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('each known content type selects its format, in any case and with a charset', () => {
  assert.equal(formatFrom('application/json'), 'json');
  assert.equal(formatFrom('Application/JSON; charset=UTF-8'), 'json');
  assert.equal(formatFrom('application/json;charset="utf-8"'), 'json');
  assert.equal(formatFrom('application/x-ndjson'), 'ndjson');
  assert.equal(formatFrom('application/jsonl'), 'ndjson');
  assert.equal(formatFrom('application/x-protobuf'), 'protobuf');
  assert.equal(formatFrom('application/protobuf'), 'protobuf');
});

test('a missing content type selects JSON', () => {
  assert.equal(formatFrom(''), 'json');
});

test('the error of an unknown content type names the known ones', () => {
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

test('the parameter proto of a Protobuf content type names its message', () => {
  assert.equal(formatFrom('application/x-protobuf; proto=tailrace.v1.ReportBatch'), 'report-batch');
  assert.equal(formatFrom('application/x-protobuf;proto="tailrace.v1.IoTData"'), 'iot-data');
  assert.equal(formatFrom('Application/Protobuf; charset=utf-8; proto = tailrace.v1.IoTDataBatch'), 'iot-data-batch');
  // Another format has no such parameter, and unknown ones are ignored.
  assert.equal(formatFrom('application/json; proto=tailrace.v1.IoTData'), 'json');
  assert.equal(formatFrom('application/x-protobuf; version=2; flag'), 'protobuf');
  for (const proto of ['tailrace.v1.Report', 'IoTData', '', 'constructor', '__proto__'])
    assert.throws(
      () => formatFrom(`application/x-protobuf; proto=${proto}`),
      fails('invalid_message', /expected proto=tailrace\.v1\.ReportBatch, .*IoTDataBatch, got "/),
    );
});

test('JSON in another charset than UTF-8 is refused', () => {
  assert.throws(
    () => formatFrom('application/json; charset=latin1'),
    fails('invalid_message', /expected charset=utf-8, got "latin1"/),
  );
});
