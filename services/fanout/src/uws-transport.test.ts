import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleSecondsFrom } from './uws-transport.ts';

test('the library terminates an idle connection only long after its heartbeat should have', () => {
  for (const [heartbeatMs, pongDeadlineMs] of [
    [2_000, 1_000],
    [30_000, 10_000],
    [600_000, 60_000],
  ] as const) {
    const idleSeconds = idleSecondsFrom({ heartbeatMs, pongDeadlineMs });
    assert.ok(idleSeconds * 1_000 >= heartbeatMs + pongDeadlineMs + 30_000, `${idleSeconds} s`);
    // The library does not accept more.
    assert.ok(idleSeconds <= 960);
  }
});
