import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandPathFrom, deviceTopicFrom } from './device-topic.ts';

test('a topic names its device, and what its payload is', () => {
  const kinds = {
    'plant1/press7/telemetry': ['report', 'plant1.press7', ''],
    'plant1/press7/telemetry/pb': ['protobuf', 'plant1.press7', ''],
    'plant1/press7/telemetry/oil temperature': ['tag', 'plant1.press7', 'oil temperature'],
    'plant1/press7/presence': ['presence', 'plant1.press7', ''],
    'plant1/press7/reply': ['reply', 'plant1.press7', ''],
    // A device may be named as a level that has a meaning at the end alone.
    'plant1/telemetry/telemetry': ['report', 'plant1.telemetry', ''],
    'press7/telemetry': ['report', 'press7', ''],
  };
  for (const [topic, expected] of Object.entries(kinds)) {
    const { kind, path, tag } = deviceTopicFrom(topic);
    assert.deepEqual([kind, path, tag], expected, topic);
  }
});

test('another topic is refused with the expected forms', () => {
  const topics = ['', '/', 'telemetry', '/telemetry', 'a//telemetry', 'a/telemetry/', 'a/telemetry/b/c', 'a/command'];
  for (const topic of [...topics, 'a.b/telemetry', 'a/b c/telemetry', '$SYS/telemetry', 'a/state', 'telemetry/pb'])
    assert.throws(() => deviceTopicFrom(topic), { code: 'invalid_path' }, topic);
  assert.throws(() => deviceTopicFrom('a/state'), /expected <path>\/telemetry, .* got "a\/state"/);
});

test('a filter names the device whose commands it requests', () => {
  assert.equal(commandPathFrom('plant1/press7/command'), 'plant1.press7');
  for (const filter of ['plant1/+/command', '#', 'command', '/command', 'plant1/press7/telemetry', 'a.b/command'])
    assert.equal(commandPathFrom(filter), undefined, filter);
});
