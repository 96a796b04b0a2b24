import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoundTrip } from './round-trip.ts';

test('the server clock is that of the shortest of the last round trips', () => {
  const roundTrip = new RoundTrip();
  assert.equal(roundTrip.lastMs, undefined);
  assert.equal(roundTrip.offsetMs, 0);
  // Offset 1000, once with 10 ms each way, once with 300 ms on the way back.
  roundTrip.add(0, 20, 50_020, 51_010);
  roundTrip.add(100, 410, 50_410, 51_110);
  assert.equal(roundTrip.lastMs, 310);
  assert.equal(roundTrip.offsetMs, 1000);
  for (let sent = 1000; sent < 9000; sent += 1000) roundTrip.add(sent, sent + 40, 50_000 + sent + 40, 53_020 + sent);
  assert.equal(roundTrip.offsetMs, 3000, 'follows a clock that was set');
});

test('a new connection has no round trip yet, and keeps the previous clock', () => {
  const roundTrip = new RoundTrip();
  roundTrip.add(0, 20, 50_020, 51_010);
  roundTrip.restart();
  assert.equal(roundTrip.lastMs, undefined);
  assert.equal(roundTrip.offsetMs, 1000);
  roundTrip.add(0, 30, 50_030, 50_015);
  assert.equal(roundTrip.offsetMs, 0);
});
