import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributesFromText, isSelected, textFromAttributes } from './device-attributes.ts';
import { ruleFrom, ruleMatches } from './rule.ts';

const press = { kind: 'press', labels: { line: '3', hall: 'B' } };

test('a device is selected if its kind and all labels are those of the rule', () => {
  assert.equal(isSelected(undefined, undefined), true);
  assert.equal(isSelected({ kind: 'press' }, undefined), false);
  assert.equal(isSelected({ kind: 'press' }, press), true);
  assert.equal(isSelected({ kind: 'oven' }, press), false);
  assert.equal(isSelected({ kind: 'press', labels: { line: '3' } }, press), true);
  assert.equal(isSelected({ labels: { line: '3', hall: 'A' } }, press), false);
  assert.equal(isSelected({ labels: { constructor: '3' } }, press), false);
});

test('a rule matches by pattern and by what it selects', () => {
  const condition = { kind: 'stale', afterMs: 60_000 };
  const rule = ruleFrom({ id: 'r', version: 1, devices: ['plant1.>'], condition, where: { labels: { line: '3' } } });
  assert.equal(ruleMatches(rule, 'plant1.press7', press), true);
  assert.equal(ruleMatches(rule, 'plant2.press7', press), false);
  assert.equal(ruleMatches(rule, 'plant1.press7', undefined), false);
  const refused = (where: object) => () => ruleFrom({ id: 'r', version: 1, devices: ['plant1.>'], condition, where });
  assert.throws(refused({}), /where: expected a kind, or at least one label/);
  assert.throws(refused({ labels: { Line: '3' } }), /where\.labels\.Line: expected 1 to 63 of "a-z"/);
  assert.throws(refused({ tag: 'x' }), /where: expected known keys, got "tag"/);
});

test('the record of a device is the same for the same attributes, and none without attributes', () => {
  const text = textFromAttributes(press)!;
  assert.equal(text, textFromAttributes({ kind: 'press', labels: { hall: 'B', line: '3' } }));
  assert.deepEqual(attributesFromText(text), press);
  assert.deepEqual(attributesFromText('{"labels":{},"later":1}'), { kind: '', labels: {} });
  assert.equal(textFromAttributes({ kind: '', labels: {} }), undefined);
  assert.throws(() => attributesFromText('{'), /device: expected JSON/);
  assert.throws(() => attributesFromText('{"kind":5}'), /device: kind: .*, got/);
});
