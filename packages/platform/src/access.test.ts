import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rightsFrom } from './access.ts';

test('a granted subtree covers the devices below it and channels within it, and nothing else', () => {
  const rights = rightsFrom(['plant1.line3.>', 'plant2.door']);
  assert.equal(rights.allowsDevice('plant1.line3.press7'), true);
  assert.equal(rights.allowsDevice('plant1.line3'), false);
  assert.equal(rights.allowsDevice('plant1.line33.press7'), false);
  assert.equal(rights.allowsDevice('plant2.door'), true);
  assert.equal(rights.allowsChannel('plant1.line3.press7.>'), true);
  assert.equal(rights.allowsChannel('plant1.>'), false);
  assert.equal(rights.allowsChannel('>'), false);
});

test('a right to all covers all, no right covers nothing', () => {
  assert.equal(rightsFrom(['a.b', '>']).allowsDevice('x.y'), true);
  assert.equal(rightsFrom(['>']).allowsChannel('>'), true);
  assert.equal(rightsFrom([]).allowsDevice('x.y'), false);
  assert.equal(rightsFrom([]).allowsChannel('x.y'), false);
});

test('answers stay right beyond what is remembered', () => {
  const rights = rightsFrom(['plant1.>']);
  for (let round = 0; round < 2; round++) {
    for (let device = 0; device < 3_000; device++) {
      assert.equal(rights.allowsDevice(`plant1.d${device}`), true);
      assert.equal(rights.allowsDevice(`plant2.d${device}`), false);
    }
  }
});
