import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerClock } from './server-clock.ts';

test('the fastest of several round trips sets the servers’ clock', () => {
  const clock = new ServerClock(() => 5000);
  // The server is 300 ms ahead; answers were delayed by 80, 0 and 40 ms.
  clock.add(1000, 1100, 1000 + 10 + 300);
  clock.add(2000, 2020, 2000 + 10 + 300);
  clock.add(3000, 3060, 3000 + 10 + 300);
  assert.equal(clock.offsetMs, 300);
  assert.equal(clock.now(), 5300);
});

test('old round trips are dropped: clocks drift', () => {
  const clock = new ServerClock(() => 0);
  clock.add(0, 2, 101);
  for (let trip = 0; trip < 8; trip++) clock.add(1000, 1010, 1005 + 50);
  assert.equal(clock.offsetMs, 50);
});
