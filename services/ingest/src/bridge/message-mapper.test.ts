import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { deadLetterReasons } from '../dead-letters/dead-letter-reason.ts';
import { bridgesFrom } from './bridges-file.ts';
import { MessageMapper } from './message-mapper.ts';

/** Returns what becomes of a message by one subscription. */
function map(
  subscription: object,
  topic: string,
  payload: string | Buffer,
  more: { contentType?: string; id?: string } = {},
) {
  const file = { bridges: [{ name: 'b', url: 'mqtt://h', publish: ['>'], subscriptions: [subscription] }] };
  const [bridge] = bridgesFrom(JSON.stringify(file));
  return new MessageMapper(bridge!.subscriptions).map({
    ...{ topic, payload: Buffer.from(payload) },
    ...{ contentType: more.contentType, id: more.id },
  });
}

/** Returns the readings of the one report as `tag=value`. */
function readings(subscription: object, topic: string, payload: string): string[] {
  const { reports, rejected } = map(subscription, topic, payload);
  assert.deepEqual(rejected, []);
  return reports[0]!.readings.map(({ tag, value }) => `${tag}=${JSON.stringify(value)}`);
}

function rejection(subscription: object, topic: string, payload: string | Buffer): string {
  const { reports, rejected } = map(subscription, topic, payload);
  assert.equal(reports.length, 0);
  return `${rejected[0]!.reason}: ${rejected[0]!.message}`;
}

const json = { filter: 'plant1/+/+/data', map: { payload: 'json', device: 'plant1.{2}.{3}' } };
const number = { filter: 'n/+/#', map: { payload: 'number', device: 'plant1.{2}', tag: '{#}', unit: 'Cel' } };

test('a topic names the device by its levels', () => {
  const { reports } = map(json, 'plant1/line3/press7/data', '{"temperature": 21.5}');
  assert.deepEqual(reports, [
    { device: 'plant1.line3.press7', time: 0, readings: [{ tag: 'temperature', value: 21.5 }] },
  ]);
  assert.equal(map(number, 'n/a/b/c', '1').reports[0]!.readings[0]!.tag, 'b.c');
});

test('a level that no path contains is a dead letter, or replaced where the file allows it', () => {
  const replaced = { ...json, map: { ...json.map, replace: true } };
  assert.match(rejection(json, 'plant1/line 3/press7/data', '{"a":1}'), /^invalid_path: device path: .*line 3/);
  assert.match(
    rejection(json, 'plant1/line.3/press7/data', '{"a":1}'),
    /^invalid_path: level of the topic: expected no "\."/,
  );
  assert.equal(map(replaced, 'plant1/line 3/pré.7/data', '{"a":1}').reports[0]!.device, 'plant1.line_3.pr__7');
  assert.match(rejection(number, 'n/a', '1'), /^invalid_report: readings\[0\]\.tag/);
});

test('JSON: numbers, booleans and texts become readings, nested names are joined, null is left out', () => {
  const topic = 'plant1/a/b/data';
  const payload = '{"motor":{"rpm":1480,"on":true},"mode":"auto","none":null,"axes":[1,2]}';
  const expected = ['motor.rpm=1480', 'motor.on=true', 'mode="auto"', 'axes.0=1', 'axes.1=2'];
  assert.deepEqual(readings(json, topic, payload), expected);
  const selected = { ...json, map: { ...json.map, only: ['motor.rpm', 'mode'], units: { 'motor.rpm': '/min' } } };
  assert.deepEqual(map(selected, topic, payload).reports[0]!.readings, [
    { tag: 'motor.rpm', value: 1480, unit: '/min' },
    { tag: 'mode', value: 'auto' },
  ]);
});

test('JSON: time and ID come from pointers, and are no readings', () => {
  const topic = 'plant1/a/b/data';
  for (const [unit, value] of [
    ['ms', 1_700_000_000_123],
    ['s', 1_700_000_000.123],
    ['us', 1_700_000_000_123_000],
    ['ns', '"1700000000123000000"'],
    ['iso', '"2023-11-14T22:13:20.123Z"'],
  ]) {
    const subscription = { ...json, map: { ...json.map, time: '/m/ts', timeUnit: unit, id: '/m/n' } };
    const { reports } = map(subscription, topic, `{"t":1,"m":{"ts":${value},"n":7}}`);
    assert.equal(Math.round(reports[0]!.time), 1_700_000_000_123, `${unit}`);
    assert.deepEqual([reports[0]!.id, reports[0]!.readings.map(({ tag }) => tag)], ['7', ['t']]);
  }
  const timed = { ...json, map: { ...json.map, time: '/ts' } };
  assert.equal(map(timed, topic, '{"a":1}').reports[0]!.time, 0);
  assert.match(rejection(timed, topic, '{"a":1,"ts":1700000000}'), /^invalid_report: time: .*in seconds/);
  assert.match(rejection(timed, topic, '{"a":1,"ts":true}'), /^invalid_report: time: expected a number of ms/);
});

test('JSON: one value with a tag from the topic', () => {
  const single = {
    filter: 'zigbee/+/+',
    map: { payload: 'json', device: 'home.{2}', tag: '{3}', value: '/v/0', unit: 'Cel' },
  };
  assert.deepEqual(map(single, 'zigbee/a/temperature', '{"v":[21.5]}').reports[0]!.readings, [
    { tag: 'temperature', value: 21.5, unit: 'Cel' },
  ]);
  assert.match(rejection(single, 'zigbee/a/t', '{"v":[]}'), /^invalid_report: the payload: expected a value at \/v\/0/);
});

test('JSON: what is none, too deep or too long is a dead letter', () => {
  const topic = 'plant1/a/b/data';
  assert.match(
    rejection(json, topic, '{"a":'),
    /^malformed_json: the JSON is malformed at line 1, column 6: expected a value/,
  );
  assert.match(rejection(json, topic, Buffer.of(0xff)), /^malformed_json: byte 0: expected UTF-8/);
  assert.match(rejection(json, topic, '{"a":null}'), /^invalid_report: the payload: expected at least one/);
  assert.match(rejection(json, topic, '7'), /^invalid_report: the payload: expected a JSON object/);
  assert.match(
    rejection(json, topic, `{"a":${'['.repeat(40)}${']'.repeat(40)}}`),
    /^invalid_report: .*at most 16 levels/,
  );
  assert.match(
    rejection(json, topic, `{"a":[${'1,'.repeat(16)}1]}`),
    /^invalid_report: a: expected an array of at most 16/,
  );
});

test('JSON: an integer that a double does not hold is a dead letter, and others beside it are none', () => {
  const topic = 'plant1/a/b/data';
  assert.match(
    rejection(json, topic, '{"a":{"b":9007199254740993}}'),
    /^inexact: a\.b: expected a number that a double/,
  );
  assert.deepEqual(readings(json, topic, '{"a":9007199254740992}'), ['a=9007199254740992']);
  const only = { ...json, map: { ...json.map, only: ['b'] } };
  assert.deepEqual(readings(only, topic, '{"a":9007199254740993,"b":1}'), ['b=1']);
});

test('JSON: an ID that is an integer of 64 bits has all its digits', () => {
  const topic = 'plant1/a/b/data';
  const subscription = { ...json, map: { ...json.map, id: '/n/0' } };
  const idOf = (text: string) => map(subscription, topic, `{"t":1,"n":[${text}]}`).reports[0]!.id;
  for (const id of ['9007199254740992', '9007199254740993', '-9007199254740993', '18446744073709551615'])
    assert.deepEqual([idOf(id), idOf(`"${id}"`)], [id, id]);
  assert.deepEqual([idOf('7'), idOf('1.5'), idOf('null')], ['7', '1.5', undefined]);
});

test('report: the older form has the device of the topic and the ID of the message, and exact numbers pass', () => {
  const report = { filter: 'r/+', map: { payload: 'report', device: 'plant1.{2}' } };
  const older = (value: string) => `{"timestamp":1764446400000,"values":[{"tag":"t","value":${value}}]}`;
  const { reports } = map(report, 'r/x', older('9007199254740992'), { id: 'i1' });
  assert.deepEqual(
    [reports[0]?.device, reports[0]?.id, reports[0]?.readings],
    ['plant1.x', 'i1', [{ tag: 't', value: 9_007_199_254_740_992 }]],
  );
  assert.match(rejection(report, 'r/x', older('9007199254740993')), /^inexact: values\[0\]\.value/);
});

test('an ID of the message that is none makes no report', () => {
  const report = { filter: 'r/+', map: { payload: 'report', device: 'plant1.{2}' } };
  const payload = '{"readings":[{"tag":"a","value":1}]}';
  const { rejected } = map(report, 'r/x', payload, { id: 'x'.repeat(1_000) });
  assert.match(`${rejected[0]?.reason}: ${rejected[0]?.message}`, /^invalid_report: id: expected a text of at most/);
});

test('number: a JSON number, true or false, and nothing else', () => {
  for (const [payload, value] of [
    ['21.5', 21.5],
    [' -3e2\n', -300],
    ['true', true],
    ['0', 0],
  ] as const) {
    assert.deepEqual(map(number, 'n/a/t', payload).reports[0]!.readings, [{ tag: 't', value, unit: 'Cel' }]);
  }
  for (const payload of ['NaN', '1,5', '0x1F', '', '01', '1e999', 'Infinity', '+1', '.5']) {
    assert.match(rejection(number, 'n/a/t', payload), /^malformed_number: /, payload);
  }
  assert.match(rejection(number, 'n/a/t', '9007199254740993'), /^inexact: /);
  const text = { ...number, map: { ...number.map, text: true } };
  assert.deepEqual(readings(text, 'n/a/t', 'running'), ['t="running"']);
});

test('report: our JSON, one or several, with the device of the topic where it has none', () => {
  const report = { filter: 'r/+', map: { payload: 'report', device: 'plant1.{2}' } };
  const payload = '{"readings":[{"tag":"a","value":1}]}';
  assert.equal(map(report, 'r/x', payload).reports[0]!.device, 'plant1.x');
  assert.equal(map(report, 'r/x', payload, { id: 'i1' }).reports[0]!.id, 'i1');
  const several = `[{"device":"plant1.y","readings":[{"tag":"a","value":1}]},{"readings":[]},${payload}]`;
  const { reports, rejected } = map(report, 'r/x', several, { id: 'i1' });
  assert.deepEqual(
    reports.map(({ device, id }) => [device, id]),
    [
      ['plant1.y', undefined],
      ['plant1.x', undefined],
    ],
  );
  assert.match(rejected[0]!.message, /^report 1: readings: expected 1 to 1000 items, got 0/);
  const inexact = '{"readings":[{"tag":"a","value":9007199254740993}]}';
  assert.match(rejection(report, 'r/x', inexact), /^inexact: readings\[0\]\.value: expected a number that a double/);
  assert.match(rejection(report, 'r/x', '[]'), /^invalid_report: .*at least one report/);
});

test('Protobuf: by the content type, or always', () => {
  const encoded = encodeReport({ device: 'plant1.a', time: 1_700_000_000_000, readings: [{ tag: 't', value: 1 }] });
  const batch = Buffer.concat([Buffer.of(0x0a, encoded.length), encoded]);
  const report = { filter: 'r', map: { payload: 'report' } };
  const { reports } = map(report, 'r', batch, { contentType: 'application/x-protobuf' });
  assert.equal(reports[0]!.device, 'plant1.a');
  assert.equal(map({ filter: 'r', map: { payload: 'protobuf' } }, 'r', batch).reports.length, 1);
  assert.match(
    rejection({ filter: 'r', map: { payload: 'protobuf' } }, 'r', Buffer.of(0x0a, 9)),
    /^malformed_protobuf/,
  );
  assert.match(rejection({ filter: 'r', map: { payload: 'protobuf' } }, 'r', ''), /^malformed_protobuf/);
});

test('a topic of no subscription, as of a former file, is a dead letter', () => {
  assert.match(rejection(json, 'other/topic', '{}'), /^no_mapping: topic: expected one of a subscription/);
});

test('anything is mapped to reports or dead letters, and nothing throws', () => {
  const subscriptions = [
    json,
    number,
    { filter: 'r/+', map: { payload: 'report', device: 'plant1.{2}', replace: true } },
  ];
  const file = { bridges: [{ name: 'b', url: 'mqtt://h', publish: ['>'], subscriptions }] };
  const mapper = new MessageMapper(bridgesFrom(JSON.stringify(file))[0]!.subscriptions);
  const topic = fc.oneof(
    fc.constantFrom('plant1/a/b/data', 'n/a/t', 'r/x', 'r/ü.'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).map((text) => text.replaceAll(/[+#\0]/g, 'x')),
  );
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .record({ readings: fc.array(fc.record({ tag: fc.string(), value: fc.jsonValue() })), id: fc.jsonValue() })
      .map((report) => Buffer.from(JSON.stringify(report))),
  );
  fc.assert(
    fc.property(topic, payload, fc.option(fc.string(), { nil: undefined }), (topicText, bytes, id) => {
      const contentType = id === 'p' ? 'application/x-protobuf' : undefined;
      const { reports, rejected } = mapper.map({ topic: topicText, payload: bytes, contentType, id });
      assert.ok(reports.length + rejected.length > 0);
      for (const { reason } of rejected) assert.ok(deadLetterReasons.includes(reason));
    }),
    fuzzed(3_000),
  );
});
