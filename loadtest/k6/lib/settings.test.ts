import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Plan } from './plan.ts';
import { type Environment, settingsFrom } from './settings.ts';

const place = { TARGET: 'ws://a:8081, wss://b/', INGEST: 'http://c:8082', TOKEN: 't' };
const read = (env: Environment) => settingsFrom({ ...place, ...env }, { CLIENTS: 20, duration: '5s' });

test('what the environment does not say comes from the scenario', () => {
  const { targets, clients, durationMs, encoding, rate } = read({});
  assert.deepEqual(
    [targets, clients, durationMs, encoding, rate],
    [['ws://a:8081', 'wss://b'], 20, 5000, 'proto', 1000],
  );
  const set = read({ CLIENTS: '7', DURATION: '1.5m', ENCODING: 'json' });
  assert.deepEqual([set.clients, set.durationMs, set.encoding], [7, 90_000, 'json']);
});

test('all faults are said at once, each with what would be right', () => {
  const message = faultsOf({
    TARGET: 'http://a',
    INGEST: '',
    TOKEN: '',
    TOKEN_SECRET: 'short',
    CLIENTS: '0',
    RATE: 'many',
    DURATION: '5',
    ENCODING: 'xml',
    PREFIX: 'a.b',
    DEVICES: '15',
    LINE: '10',
  });
  assert.equal(message.split('\n').length, 10, message);
  for (const words of [
    /TARGET=http:\/\/a: right is ws:\/\/ or wss:\/\/ with a host/,
    /INGEST is not set: right is such as http:\/\/localhost:8082; or run `make loadtest`/,
    /TOKEN_SECRET has 5 characters: right are at least 32/,
    /CLIENTS=0: right is a whole number from 1 to 100000/,
    /RATE=many/,
    /DURATION=5: right is such as 30s, 5m or 2h/,
    /ENCODING=xml: right is proto or json/,
    /PREFIX=a\.b: right is a segment/,
    /DEVICES=15 is no multiple of LINE=10/,
  ])
    assert.match(message, words);
  assert.match(faultsOf({ TOKEN: '' }), /neither TOKEN nor TOKEN_SECRET/);
});

function faultsOf(env: Environment): string {
  try {
    read(env);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail('nothing was wrong');
}

test('a plan: intervals by the rate that is delivered, and what each client is to be shown', () => {
  const plan = new Plan(
    { name: 'x', what: 'y', defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, duration: '60s' } },
    place,
  );
  assert.equal(plan.intervalMs, 1000);
  assert.equal(plan.published, 2000);
  assert.equal(plan.vus, 40);
  assert.equal(plan.publishers, 1);
  assert.equal(plan.connectMs, 8000);
  assert.deepEqual(plan.stayOf(0), { fromMs: -9000, toMs: undefined });
  assert.ok(Math.abs(plan.expectedOf(-4000, undefined, 10) - 610) < 1e-6, 'with the last word of each device');
});

test('a crowd that grows and goes: who comes when, and leaves', () => {
  const plan = new Plan(
    {
      name: 'x',
      what: 'y',
      defaults: { CLIENTS: 100, DEVICES: 100, RATE: 1000, duration: '100s' },
      crowd: [
        [0, 0.1],
        [0.5, 0.1],
        [0.6, 1],
        [0.8, 1],
        [0.9, 0.1],
        [1, 0.1],
      ],
      load: [
        [0, 0.5],
        [1, 0.5],
      ],
    },
    place,
  );
  assert.equal(plan.stayOf(9)?.toMs, undefined);
  const last = plan.stayOf(99)!;
  assert.ok(last.fromMs > 59_000 && last.fromMs <= 60_000, String(last.fromMs));
  assert.ok(last.toMs! >= 80_000 && last.toMs! < 81_000, String(last.toMs));
  const { fromMs, toMs } = last;
  assert.ok(Math.abs(plan.expectedOf(fromMs, toMs, 10) - ((toMs! - fromMs) / 1000) * 5) < 1e-6);
});

test('what is sent over time is what the curve has below it, also across a leap', () => {
  const plan = new Plan(
    {
      name: 'x',
      what: 'y',
      defaults: { CLIENTS: 100, DEVICES: 100, RATE: 1000, duration: '100s' },
      load: [
        [0, 0.1],
        [0.4, 0.1],
        [0.4, 1],
        [0.6, 1],
        [0.6, 0.1],
        [1, 0.1],
      ],
    },
    place,
  );
  let turns = 0;
  for (let atMs = 0; atMs < 100_000; atMs = plan.dueAfter(atMs, 1000)) turns++;
  // 40 s at a tenth, 20 s at all, 40 s at a tenth.
  assert.ok(Math.abs(turns - 28) <= 1, String(turns));
});
