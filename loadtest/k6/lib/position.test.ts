import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { Position } from './position.ts';

test('a token goes through here as through the product', () => {
  const lasts: [number, number][] = [
    [0, -1],
    [1, 42],
    [11, 127],
    [12, 128],
    [4095, 2 ** 53 - 2],
  ];
  const token = tokenFromPositions(createPositions('k3J9x', lasts));
  const position = new Position();
  assert.equal(position.token, undefined);
  assert.equal(position.begin(token), true);
  assert.equal(position.token, token);
  position.advance(1, 43);
  position.advance(1, 7);
  position.advance(2, 5);
  assert.deepEqual(positionsFromToken(position.token).entries(), [[0, -1], [1, 43], [2, 5], ...lasts.slice(2)]);
});

test('within an epoch it is only raised; another epoch begins anew', () => {
  const position = new Position();
  position.begin(tokenFromPositions(createPositions('one', [[0, 10]])));
  assert.equal(position.begin(tokenFromPositions(createPositions('one', [[0, 5]]))), false);
  assert.deepEqual(positionsFromToken(position.token).last(0), 10);
  assert.equal(position.begin(tokenFromPositions(createPositions('two', [[0, 5]]))), true);
  assert.deepEqual(positionsFromToken(position.token).last(0), 5);
});

test('what is no token is said to be none', () => {
  for (const text of ['', 'A', 'AQ', 'AgVrM0o5eAAr', '€']) assert.throws(() => new Position().begin(text), /token/);
});
