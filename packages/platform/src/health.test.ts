import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { createHealth, isHealthCheck } from './health.ts';

test('a process whose timers are called in time is alive', () => {
  const clock = createManualClock();
  const health = createHealth({ clock });
  assert.equal(health.live().alive, true);
  clock.advance(60_000);
  assert.deepEqual(health.live(), { alive: true, eventLoop: { medianMs: 0, worstMs: 0, medianMsMax: 2_000 } });
});

test('one long pause does not make a process dead, but is reported', () => {
  const clock = createManualClock();
  const health = createHealth({ clock });
  clock.advance(10_000);
  clock.block(9_000);
  clock.advance(1);
  const { alive, eventLoop } = health.live();
  assert.equal(alive, true);
  assert.ok(eventLoop.worstMs > 8_000);
});

test('an event loop that is late all the time makes the process dead, until it recovers', () => {
  const clock = createManualClock();
  const health = createHealth({ clock });
  for (let iteration = 0; iteration < 20; iteration++) {
    clock.block(3_000);
    clock.advance(0);
  }
  assert.equal(health.live().alive, false);
  assert.equal(health.live().eventLoop.medianMs, 2_500);
  clock.advance(10_000);
  assert.equal(health.live().alive, true);
});

test('liveness does not depend on brokers', () => {
  const health = createHealth({ clock: createManualClock() });
  health.check('log', () => 'no broker');
  assert.equal(health.live().alive, true);
});

test('only a running service is ready', () => {
  const health = createHealth({ clock: createManualClock() });
  for (const state of ['new', 'starting', 'draining', 'stopping', 'stopped'] as const) {
    health.setState(state);
    assert.equal(health.ready().ready, false, state);
  }
  health.setState('running');
  assert.deepEqual(health.ready(), { ready: true, state: 'running', checks: {} });
});

test('a check that fails is reported with its reason, beside the others', () => {
  const health = createHealth({ clock: createManualClock() });
  health.setState('running');
  health.check('log', () => 'no broker since 12 s');
  health.check('bus', () => undefined);
  assert.deepEqual(health.ready(), {
    ready: false,
    state: 'running',
    checks: { log: 'no broker since 12 s', bus: 'ok' },
  });
});

test('a check that throws counts as not ready', () => {
  const health = createHealth({ clock: createManualClock() });
  health.setState('running');
  health.check('log', () => {
    throw new TailraceError('internal', 'odd');
  });
  assert.deepEqual(health.ready().checks, { log: 'the check itself failed: odd' });
  assert.equal(health.ready().ready, false);
});

test('a removed check no longer counts, and removes only itself', () => {
  const health = createHealth({ clock: createManualClock() });
  health.setState('running');
  const removeFirst = health.check('log', () => 'no');
  const removeSecond = health.check('log', () => 'neither');
  removeFirst();
  assert.equal(health.ready().ready, false);
  removeSecond();
  assert.equal(health.ready().ready, true);
});

test('stop leaves no timer behind', () => {
  const clock = createManualClock();
  const health = createHealth({ clock });
  assert.equal(clock.timers(), 1);
  health.stop();
  assert.equal(clock.timers(), 0);
});

test('a health check of a load balancer is known by its method and path', () => {
  for (const path of ['/', '/healthz']) assert.ok(isHealthCheck('GET', path) && isHealthCheck('HEAD', path), path);
  assert.ok(isHealthCheck('OPTIONS', '*'));
  assert.ok(!isHealthCheck('POST', '/'));
  assert.ok(!isHealthCheck('GET', '/v1/stream'));
});
