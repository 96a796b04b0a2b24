import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeCodes, closeNameOf, mayReconnect } from './close.ts';

test('a client reconnects after 40xx and 1012, and not after 44xx', () => {
  const { restarting, tryAgain, heartbeatTimeout, tooSlow, moved, ...final } = closeCodes;
  for (const { code } of [restarting, tryAgain, heartbeatTimeout, tooSlow, moved])
    assert.equal(mayReconnect(code), true, `${code}`);
  for (const { code } of Object.values(final)) assert.equal(mayReconnect(code), false, `${code}`);
});

test('a client reconnects after codes of the network, and not after codes for its own errors', () => {
  for (const code of [1001, 1005, 1006, 1011, 1013, 1014, 4000, 4099, 4399])
    assert.equal(mayReconnect(code), true, `${code}`);
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4402, 4499])
    assert.equal(mayReconnect(code), false, `${code}`);
});

test('every code has one name and a reason that fits a close frame', () => {
  for (const [name, { code, reason }] of Object.entries(closeCodes)) {
    assert.equal(closeNameOf(code), name);
    assert.ok(Buffer.byteLength(reason) <= 123);
  }
  assert.equal(closeNameOf(4499), undefined);
});
