import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Addresses } from './addresses.ts';

test('connections and handshakes of one address are limited, without an effect on other addresses', () => {
  const addresses = new Addresses({ addressConnectionsMax: 3, addressHandshakesPerSecondMax: 1 });
  for (let i = 0; i < 3; i++) {
    assert.equal(addresses.refusalReason('a', 1_000), undefined);
    addresses.handshake('a', 1_000);
  }
  assert.equal(addresses.refusalReason('a', 1_000), 'address_rate');
  assert.equal(addresses.refusalReason('b', 1_000), undefined);
  assert.equal(addresses.size, 1, 'a check alone is not remembered');
  for (let i = 0; i < 3; i++) addresses.opened('a');
  assert.equal(addresses.refusalReason('a', 10_000), 'address_connections');
  assert.equal(addresses.mostConnections(), 3);
  addresses.closed('a');
  assert.equal(addresses.refusalReason('a', 20_000), undefined);
});

test('an address is forgotten once it has no connection and its full burst again, not before', () => {
  const addresses = new Addresses({ addressConnectionsMax: 100, addressHandshakesPerSecondMax: 1 });
  addresses.handshake('a', 1_000);
  addresses.opened('a');
  addresses.handshake('b', 1_000);
  addresses.handshake('b', 1_000);
  addresses.sweep(2_500);
  assert.equal(addresses.size, 2);
  addresses.sweep(3_000);
  assert.equal(addresses.size, 1);
  addresses.closed('a');
  addresses.closed('a');
  addresses.sweep(3_000);
  assert.equal(addresses.size, 0);
});
