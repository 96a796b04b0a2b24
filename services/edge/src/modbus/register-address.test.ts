import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entityNumber, protocolAddress, type Table, tables } from './register-address.ts';

test('a register list counts from zero, from one, or with the digit of the table', () => {
  assert.equal(protocolAddress(0, 'zero', 'holding'), 0);
  assert.equal(protocolAddress(65_535, 'zero', 'holding'), 65_535);
  assert.equal(protocolAddress(1, 'one', 'holding'), 0);
  assert.equal(protocolAddress('65536', 'one', 'holding'), 65_535);
  assert.equal(protocolAddress(40_001, 'entity', 'holding'), 0);
  assert.equal(protocolAddress(49_999, 'entity', 'holding'), 9_998);
  assert.equal(protocolAddress(400_001, 'entity', 'holding'), 0);
  assert.equal(protocolAddress(465_536, 'entity', 'holding'), 65_535);
  assert.equal(protocolAddress(30_010, 'entity', 'input'), 9);
  assert.equal(protocolAddress(10_001, 'entity', 'discrete'), 0);
  assert.equal(protocolAddress(1, 'entity', 'coil'), 0);
  assert.equal(protocolAddress('00017', 'entity', 'coil'), 16);
  assert.equal(protocolAddress('010000', 'entity', 'coil'), 9_999);
});

test('an address outside of the table, or of another table, is refused with the range that is expected', () => {
  const refused: readonly (readonly [number | string, 'zero' | 'one' | 'entity', Table])[] = [
    [-1, 'zero', 'holding'],
    [65_536, 'zero', 'holding'],
    [0, 'one', 'holding'],
    [65_537, 'one', 'holding'],
    [1.5, 'zero', 'holding'],
    ['0x10', 'zero', 'holding'],
    ['', 'zero', 'holding'],
    [40_000, 'entity', 'holding'],
    [400_000, 'entity', 'holding'],
    [465_537, 'entity', 'holding'],
    [30_001, 'entity', 'holding'],
    [40_001, 'entity', 'input'],
    [10_000, 'entity', 'coil'],
    [0, 'entity', 'coil'],
    [20_001, 'entity', 'holding'],
    [Number.NaN, 'entity', 'holding'],
    ['4000001', 'entity', 'holding'],
  ];
  for (const [address, addressing, table] of refused) {
    assert.throws(
      () => protocolAddress(address, addressing, table),
      { code: 'invalid_config', message: /^address: expected \d+.* got / },
      `${address} ${addressing} ${table}`,
    );
  }
});

test('the entity number of an address leads back to it', () => {
  for (const table of tables) {
    for (const address of [0, 1, 9_998, 9_999, 65_535]) {
      assert.equal(protocolAddress(entityNumber(address, table), 'entity', table), address);
    }
  }
});
