import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statement } from '../test/statements.ts';
import { assertTopicFilter, assertTopicName, filterMatches, sharedFilter, sharedFilterOf } from './topic.ts';

test('filters match as the specification has it', () => {
  for (const [filter, topic, expected] of [
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/b', 'a', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a/', true],
    ['a/+', 'a', false],
    ['a/+', 'a/b/c', false],
    ['+', 'a', true],
    ['+', '/a', false],
    ['/+', '/a', true],
    ['+/+', '/a', true],
    ['#', 'a/b/c', true],
    ['#', '/', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['a/+/c', 'a/b/c', true],
    ['a/+/#', 'a/b', true],
    ['a/+/#', 'a', false],
    ['A', 'a', false],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/+', '$SYS/x', true],
  ] as const) {
    assert.equal(filterMatches(filter, topic), expected, `${filter} and ${topic}`);
  }
});

test('names and filters that are malformed are refused', () => {
  for (const topic of ['', 'a+', '#', 'a/+/b', 'a\0', 'a'.repeat(65_536), 'ä'.repeat(32_768)]) {
    assert.throws(() => assertTopicName(topic), { reason: 0x81 }, topic.slice(0, 10));
  }
  for (const filter of ['', 'a+', 'a#', 'a/#/b', '#/a', '\0', 'a'.repeat(65_536)]) {
    assert.throws(() => assertTopicFilter(filter, 5), { reason: 0x81 }, filter.slice(0, 10));
  }
  for (const topic of ['a', '/', '//', ' ', 'a'.repeat(65_535)]) assertTopicName(topic);
  for (const filter of ['+', '#', '+/+/#', '/', 'a/+/b']) assertTopicFilter(filter, 4);
});

statement({ v5: '4.8.2-1' }, 'builds $share/<name>/<filter> with a name of at least one character', () => {
  assert.equal(sharedFilterOf('tailrace', 'plant/#'), '$share/tailrace/plant/#');
  assert.deepEqual(sharedFilter('$share/tailrace/plant/#'), { name: 'tailrace', filter: 'plant/#' });
  assert.throws(() => sharedFilterOf('', 'a'), { reason: 0x81 });
});

statement({ v5: '4.8.2-2' }, 'refuses a share name with / + #', () => {
  for (const name of ['a/b', 'a+', '#']) assert.throws(() => sharedFilterOf(name, 'a'), { reason: 0x81 });
});
