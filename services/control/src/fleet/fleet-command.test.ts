import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FleetCounts, type FleetSituation, fleetLimits, rateOf, scopeOf, stepOf } from './fleet-command.ts';
import { contentOf, fleetRequestSchema, orderedDevices } from './fleet-request.ts';

const rate = { perMinute: 60, factor: 1, growAfter: 10, perMinuteMax: 600 };
const running: FleetSituation = {
  ...{ state: 'running', isFinal: false, nextMs: 0, createdMs: 0 },
  ...{ rate, stop: { failedShare: 0.2, devicesMin: 5 } },
};

function counts(fields: Partial<FleetCounts> = {}): FleetCounts {
  return { byState: {}, open: 0, finished: 0, failed: 0, ...fields };
}

/** Plays a fleet command whose devices are done at once, in steps of `stepMs`. Returns the devices at each start. */
function play(fleet: FleetSituation, devices: number, stepMs: number, untilMs: number): readonly number[] {
  const starts: number[] = [];
  let current = fleet;
  for (let nowMs = 0; nowMs <= untilMs; nowMs += stepMs) {
    const done = starts.length;
    const step = stepOf(current, counts({ byState: { pending: devices - done, done }, finished: done }), nowMs);
    for (let n = 0; n < step.starts; n++) starts.push(nowMs);
    current = { ...current, nextMs: step.nextMs };
    if (step.transition?.isFinal) return starts;
  }
  return starts;
}

test('devices get their commands at the rate, whatever the steps are', () => {
  assert.deepEqual(play(running, 5, 100, 60_000), [0, 1_000, 2_000, 3_000, 4_000]);
  const fast = { ...running, rate: { ...rate, perMinute: 6_000 } };
  assert.equal(play(fast, 10_000, 500, 10_000).length, 1_001);
});

test('after a process was away, at most a second of the rate is caught up', () => {
  const { starts, nextMs } = stepOf(running, counts({ byState: { pending: 100 } }), 600_000);
  assert.deepEqual([starts, nextMs], [2, 601_000]);
  const fast = { ...running, rate: { ...rate, perMinute: 6_000 } };
  assert.equal(stepOf(fast, counts({ byState: { pending: 1_000 } }), 600_000).starts, 100);
});

test('the rate grows with the devices that are done, up to its maximum', () => {
  const growing = { perMinute: 10, factor: 2, growAfter: 5, perMinuteMax: 60 };
  assert.deepEqual(
    [0, 4, 5, 9, 10, 15, 1_000_000].map((done) => rateOf(growing, done)),
    [10, 10, 20, 20, 40, 60, 60],
  );
  assert.equal(rateOf({ ...growing, factor: 1, perMinute: 100 }, 0), 100);
});

test('it stops at the share of failures, and not before enough devices have finished', () => {
  const failed = (finished: number, ofThem: number) =>
    stepOf(running, counts({ byState: { pending: 9, failed: ofThem }, finished, failed: ofThem, open: 1 }), 1_000);
  assert.equal(failed(4, 4).transition, undefined);
  assert.equal(failed(10, 1).transition, undefined);
  const { transition, starts } = failed(10, 2);
  assert.deepEqual([transition?.state, transition?.isFinal, starts], ['stopped', false, 0]);
  assert.equal(transition?.message, '2 of 10 devices have failed, expected less than the share 0.2');
});

test('a paused one starts nothing, stops at failures too, and waits for a person', () => {
  const paused: FleetSituation = { ...running, state: 'paused' };
  const waits = stepOf(paused, counts({ byState: { pending: 5 } }), 1_000);
  assert.deepEqual([waits.starts, waits.transition, waits.dueMs], [0, undefined, 8.64e15]);
  const failed = stepOf(paused, counts({ byState: { pending: 5, failed: 5 }, finished: 5, failed: 5 }), 1_000);
  assert.deepEqual(failed.transition?.state, 'stopped');
});

test('it is done when each device has its final state, and a stopped one is final when no command is open', () => {
  assert.equal(stepOf(running, counts({ byState: { sent: 1 }, open: 1 }), 1).transition, undefined);
  assert.deepEqual(stepOf(running, counts({ byState: { done: 2 }, finished: 2 }), 1).transition, {
    ...{ state: 'done', isFinal: true, message: '' },
  });
  const canceled: FleetSituation = { ...running, state: 'canceled' };
  assert.equal(stepOf(canceled, counts({ byState: { sent: 1 }, open: 1 }), 1).transition, undefined);
  assert.equal(stepOf(canceled, counts({ byState: { skipped: 2 } }), 1).transition?.isFinal, true);
});

test('one that no second person confirms is canceled after a day', () => {
  const confirming: FleetSituation = { ...running, state: 'confirming' };
  const all = counts({ byState: { pending: 5 } });
  assert.deepEqual(stepOf(confirming, all, 1_000), { starts: 0, nextMs: 0, dueMs: fleetLimits.confirmMs });
  assert.equal(stepOf(confirming, all, fleetLimits.confirmMs).transition?.state, 'canceled');
});

test('whatever happens, no more devices start than wait, and none unless it is running', () => {
  const count = fc.nat({ max: 200 });
  const situation = fc.record({
    state: fc.constantFrom<FleetSituation['state']>('confirming', 'running', 'paused', 'stopped', 'canceled', 'done'),
    ...{ pending: count, open: count, finished: count, failed: count, nextMs: count, nowMs: fc.nat({ max: 5_000 }) },
    perMinute: fc.double({ min: 0.1, max: 6_000, noNaN: true }),
  });
  fc.assert(
    fc.property(situation, ({ state, pending, open, finished, failed, nextMs, nowMs, perMinute }) => {
      const fleet = { ...running, state, nextMs, rate: { ...rate, perMinute } };
      const of = counts({ byState: { pending }, open, finished, failed: Math.min(failed, finished) });
      const step = stepOf(fleet, of, nowMs);
      assert.ok(step.starts <= pending && (step.starts === 0 || (state === 'running' && !step.transition)));
      assert.ok(step.dueMs >= nowMs && step.nextMs >= nextMs);
    }),
  );
});

test('the scope is the smallest pattern that covers all devices', () => {
  assert.equal(scopeOf(['p.a.b']), 'p.a.b');
  assert.equal(scopeOf(['p.a.b', 'p.a.c', 'p.a.d.e']), 'p.a.>');
  assert.equal(scopeOf(['p.a', 'p.a.b']), 'p.>');
  assert.equal(scopeOf(['p.a', 'q.a']), '>');
});

test('the same request has the same content in whichever order its fields are, and devices have a steady order', () => {
  const one = fleetRequestSchema.parse({ id: 'a', pattern: 'p.>', name: 'set', params: { a: 1, b: 2 } });
  const other = fleetRequestSchema.parse({ params: { b: 2, a: 1 }, name: 'set', pattern: 'p.>', id: 'b' });
  assert.equal(contentOf(one), contentOf(other));
  assert.notEqual(contentOf(one), contentOf({ ...one, qos: 0 }));
  const devices = ['p.c', 'p.a', 'p.b', 'p.a'];
  assert.deepEqual(orderedDevices(devices, 'given', 'x'), ['p.c', 'p.a', 'p.b']);
  assert.deepEqual(orderedDevices(devices, 'path', 'x'), ['p.a', 'p.b', 'p.c']);
  assert.deepEqual(orderedDevices(devices, 'random', 'x'), orderedDevices(devices.toReversed(), 'random', 'x'));
});
