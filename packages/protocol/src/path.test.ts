import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, devicePath, seeded } from '../test/arbitraries.ts';
import { errorOf } from '../test/errors.ts';
import { assertDevicePath, isDevicePath, mqttTopicFromPath, pathFromMqttTopic, tenantOf } from './path.ts';

const longSegment = 'x'.repeat(64);

test('every path within the limits is a device path', () => {
  fc.assert(
    fc.property(devicePath, (path) => assert.equal(isDevicePath(path), path.length <= 200)),
    seeded,
  );
  for (const path of [
    'a',
    'A-_9',
    longSegment,
    'a.b.c.d.e.f.g.h',
    `${longSegment}.${longSegment}.${longSegment}.abcde`,
  ]) {
    assert.doesNotThrow(() => assertDevicePath(path), path);
  }
});

test('the error of an invalid path has the path and the reason', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['', /^device path: expected 1 to 8 segments .*, got "": it is empty$/],
    ['.a', /segment 1 is empty/],
    ['a.', /segment 2 is empty/],
    ['a..b', /segment 2 is empty/],
    ['a b', /it contains " "/],
    ['a/b', /it contains "\/"/],
    ['a.>', /it contains ">"/],
    ['ä', /it contains "ä"/],
    ['a\u{1f600}', /it contains "\\ud83d"/],
    [`a.x${longSegment}`, /segment 2 is too long/],
    ['a.b.c.d.e.f.g.h.i', /it has 9 segments/],
    [`${`${longSegment}.`.repeat(3)}abcdef`, /it has 201 characters/],
    [undefined, /, got undefined: it is not a string$/],
    [null, /, got null: it is not a string$/],
    [7, /, got 7: it is not a string$/],
    [['a'], /, got \["a"\]: it is not a string$/],
  ];
  for (const [value, message] of cases) {
    assert.match(errorOf(() => assertDevicePath(value), 'invalid_path').message, message);
    assert.equal(isDevicePath(value), false);
  }
});

test('the rules are those of the expression in the protocol', () => {
  const rule = /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$/;
  const nearly = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '_', '-', '.', '.', '>', '\n', 'é'), maxLength: 30 });
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string()), (text) =>
      assert.equal(isDevicePath(text), rule.test(text) && text.length <= 200),
    ),
    { ...seeded, numRuns: 1000 },
  );
});

test('any JSON value is a path or has an error', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      if (!isDevicePath(value)) errorOf(() => assertDevicePath(value), 'invalid_path');
    }),
    seeded,
  );
});

test('the tenant is the first segment', () => {
  assert.equal(tenantOf('plant1.line3.press7'), 'plant1');
  assert.equal(tenantOf('plant1'), 'plant1');
});

test('a path survives a round trip through an MQTT topic', () => {
  assert.equal(mqttTopicFromPath('plant1.line3.press7'), 'plant1/line3/press7');
  const shortPath = devicePath.filter((path) => path.length <= 200);
  fc.assert(
    fc.property(shortPath, (path) => assert.equal(pathFromMqttTopic(mqttTopicFromPath(path)), path)),
    seeded,
  );
});

test('a topic that would be a second name of a device is rejected', () => {
  for (const topic of ['a.b/c', '/a', 'a/', 'a//b', '', 'a/+', '$SYS/x', 'x/'.repeat(60_000)]) {
    errorOf(() => pathFromMqttTopic(topic), 'invalid_path');
  }
});
