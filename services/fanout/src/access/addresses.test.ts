import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Addresses } from './addresses.ts';

test('an address has only so many connections, and handshakes a second; another one is not touched', () => {
  const addresses = new Addresses({ addressConnectionsMax: 3, addressHandshakesPerSecondMax: 1 });
  for (let i = 0; i < 3; i++) {
    assert.equal(addresses.faultOf('a', 1_000), undefined);
    addresses.handshake('a', 1_000);
  }
  assert.equal(addresses.faultOf('a', 1_000), 'address_rate');
  assert.equal(addresses.faultOf('b', 1_000), undefined);
  assert.equal(addresses.size, 1, 'who only asks is not remembered');
  for (let i = 0; i < 3; i++) addresses.opened('a');
  assert.equal(addresses.faultOf('a', 10_000), 'address_connections');
  assert.equal(addresses.mostConnections(), 3);
  addresses.closed('a');
  assert.equal(addresses.faultOf('a', 20_000), undefined);
});

test('an address is forgotten when its last connection has gone and its rate is at rest, not before', () => {
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
