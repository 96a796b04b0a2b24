import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Plan } from './plan.ts';
import { type Environment, settingsFrom } from './settings.ts';

const urls = { TARGET: 'ws://a:8081, wss://b/', INGEST: 'http://c:8082', TOKEN: 't' };
const read = (env: Environment) => settingsFrom({ ...urls, ...env }, { CLIENTS: 20, duration: '5s' });

test('variables that are not set have the defaults of the scenario', () => {
  const { targets, clients, durationMs, encoding, rate } = read({});
  assert.deepEqual(
    [targets, clients, durationMs, encoding, rate],
    [['ws://a:8081', 'wss://b'], 20, 5000, 'proto', 1000],
  );
  const set = read({ CLIENTS: '7', DURATION: '1.5m', ENCODING: 'json' });
  assert.deepEqual([set.clients, set.durationMs, set.encoding], [7, 90_000, 'json']);
});

test('one error has all invalid variables, each with the expected value', () => {
  const message = errorOf({
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
  for (const pattern of [
    /TARGET: expected ws:\/\/ or wss:\/\/ with a host, such as .*, got http:\/\/a/,
    /INGEST: expected a URL such as http:\/\/localhost:8082, got none; or run `make loadtest`/,
    /TOKEN_SECRET: expected at least 32 characters, got 5/,
    /CLIENTS: expected an integer from 1 to 100000, got 0/,
    /RATE: expected .* got many/,
    /DURATION: expected a duration such as 30s, 5m or 2h, .* got 5/,
    /ENCODING: expected proto or json, got xml/,
    /PREFIX: expected a segment .* got a\.b/,
    /DEVICES: expected a multiple of LINE=10, got 15/,
  ])
    assert.match(message, pattern);
  assert.match(errorOf({ TOKEN: '' }), /TOKEN, TOKEN_SECRET: expected .* got neither/);
});

function errorOf(env: Environment): string {
  try {
    read(env);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail('expected an error, got none');
}

test('a plan has the interval for the rate of deliveries, and the reports that each client has to receive', () => {
  const plan = new Plan(
    { name: 'x', what: 'y', defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, duration: '60s' } },
    urls,
  );
  assert.equal(plan.intervalMs, 1000);
  assert.equal(plan.published, 2000);
  assert.equal(plan.vus, 40);
  assert.equal(plan.publishers, 1);
  assert.equal(plan.connectMs, 8000);
  assert.deepEqual(plan.stayOf(0), { fromMs: -9000, toMs: undefined });
  assert.ok(Math.abs(plan.expectedOf(-4000, undefined, 10) - 610) < 1e-6, 'with the last report of each device');
});

test('a number of clients that rises and falls: each connects and disconnects at its time', () => {
  const plan = new Plan(
    {
      name: 'x',
      what: 'y',
      defaults: { CLIENTS: 100, DEVICES: 100, RATE: 1000, duration: '100s' },
      clients: [
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
    urls,
  );
  assert.equal(plan.stayOf(9)?.toMs, undefined);
  const last = plan.stayOf(99)!;
  assert.ok(last.fromMs > 59_000 && last.fromMs <= 60_000, String(last.fromMs));
  assert.ok(last.toMs! >= 80_000 && last.toMs! < 81_000, String(last.toMs));
  const { fromMs, toMs } = last;
  assert.ok(Math.abs(plan.expectedOf(fromMs, toMs, 10) - ((toMs! - fromMs) / 1000) * 5) < 1e-6);
});

test('the number of reports over time is the area below the curve, also across a jump', () => {
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
    urls,
  );
  let count = 0;
  for (let atMs = 0; atMs < 100_000; atMs = plan.dueAfter(atMs, 1000)) count++;
  // 40 s at a tenth, 20 s at all, 40 s at a tenth.
  assert.ok(Math.abs(count - 28) <= 1, String(count));
});
