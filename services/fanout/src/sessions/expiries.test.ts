import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expiries } from './expiries.ts';

/** Creates expiries with a tick a second, 250 ms after the full second, and records the events of each client. */
function createExpiries(limits = { expiryWarningMs: 60_000, tokenClockToleranceMs: 0 }) {
  const expiries = new Expiries(limits);
  const events: [name: string, what: string, atMs: number][] = [];
  let nowMs = 250;
  const client = (name: string, expiresAt: number) => ({
    expiresAt,
    dueMs: 0,
    expiring: (inMs: number) => void events.push([name, `in ${inMs}`, nowMs]),
    end: ({ code }: { code: number }) => void events.push([name, `${code}`, nowMs]),
  });
  const until = (ms: number) => {
    for (; nowMs + 1_000 <= ms; ) {
      nowMs += 1_000;
      expiries.tick(nowMs);
    }
  };
  const jump = (ms: number) => {
    nowMs = ms;
  };
  return { expiries, events, client, until, now: () => nowMs, jump };
}

test('a client is warned once before its token expires, and disconnected within a second of its expiry', () => {
  const { expiries, events, client, until, now } = createExpiries();
  expiries.watch(client('a', 100_400), now());
  expiries.watch(client('never', Number.POSITIVE_INFINITY), now());
  until(200_000);
  assert.deepEqual(events, [
    ['a', 'in 59150', 41_250],
    ['a', '4401', 101_250],
  ]);
});

test('the clock tolerance of the verifier applies here, too', () => {
  const { expiries, events, client, until, now } = createExpiries({ expiryWarningMs: 1_000, tokenClockToleranceMs: 5_000 });
  expiries.watch(client('a', 10_000), now());
  until(20_000);
  assert.deepEqual(events.at(-1), ['a', '4401', 15_250]);
});

test('a token that expires sooner than the warning time is warned of at once', () => {
  const { expiries, events, client, until, now } = createExpiries();
  expiries.watch(client('a', 5_000), now());
  assert.deepEqual(events, [['a', 'in 4750', 250]]);
  until(10_000);
  assert.deepEqual(events.slice(1), [['a', '4401', 5_250]]);
});

test('a fresh token has its own warning and expiry', () => {
  const { expiries, events, client, until, now } = createExpiries();
  const a = client('a', 70_000);
  expiries.watch(a, now());
  until(20_250);
  assert.equal(events.length, 1);
  a.expiresAt = 200_000;
  expiries.watch(a, now());
  until(199_999);
  assert.deepEqual(events.slice(1), [['a', 'in 59750', 140_250]]);
  until(201_000);
  assert.deepEqual(events.at(-1), ['a', '4401', 200_250]);
});

test('a client that has disconnected gets no event', () => {
  const { expiries, events, client, until, now } = createExpiries();
  const clients = Array.from({ length: 10 }, (_, i) => client(`${i}`, 100_000 + i));
  for (const each of clients) expiries.watch(each, now());
  for (const each of clients) expiries.forget(each);
  for (const each of clients) expiries.forget(each);
  until(200_000);
  assert.deepEqual(events, []);
});

test('when the wall clock jumps, expired clients are disconnected, and others are not', () => {
  const { expiries, events, client, until, now, jump } = createExpiries();
  expiries.watch(client('a', 1_000_000), now());
  expiries.watch(client('b', 9_000_000), now());
  jump(5_000_000);
  expiries.tick(now());
  assert.deepEqual(events, [['a', '4401', 5_000_000]]);
  jump(1_000);
  until(100_000);
  assert.equal(events.length, 1);
});
