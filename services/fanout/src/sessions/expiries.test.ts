import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expiries } from './expiries.ts';

/** Beats once a second from 0, at odd moments of it; what happened to each client, and when. */
function arrangement(limits = { expiryWarningMs: 60_000, tokenClockToleranceMs: 0 }) {
  const expiries = new Expiries(limits);
  const told: [name: string, what: string, atMs: number][] = [];
  let nowMs = 250;
  const client = (name: string, expiresAt: number) => ({
    expiresAt,
    dueMs: 0,
    expiring: (inMs: number) => void told.push([name, `in ${inMs}`, nowMs]),
    end: ({ code }: { code: number }) => void told.push([name, `${code}`, nowMs]),
  });
  const until = (ms: number) => {
    for (; nowMs + 1_000 <= ms; ) {
      nowMs += 1_000;
      expiries.beat(nowMs);
    }
  };
  const jump = (ms: number) => {
    nowMs = ms;
  };
  return { expiries, told, client, until, now: () => nowMs, jump };
}

test('a client is told once before its token ends, and let go within a second of the end', () => {
  const { expiries, told, client, until, now } = arrangement();
  expiries.watch(client('a', 100_400), now());
  expiries.watch(client('never', Number.POSITIVE_INFINITY), now());
  until(200_000);
  assert.deepEqual(told, [
    ['a', 'in 59150', 41_250],
    ['a', '4401', 101_250],
  ]);
});

test('the clock tolerance of the verifier holds here, too', () => {
  const { expiries, told, client, until, now } = arrangement({ expiryWarningMs: 1_000, tokenClockToleranceMs: 5_000 });
  expiries.watch(client('a', 10_000), now());
  until(20_000);
  assert.deepEqual(told.at(-1), ['a', '4401', 15_250]);
});

test('a token that has less left than the warning is warned of at once', () => {
  const { expiries, told, client, until, now } = arrangement();
  expiries.watch(client('a', 5_000), now());
  assert.deepEqual(told, [['a', 'in 4750', 250]]);
  until(10_000);
  assert.deepEqual(told.slice(1), [['a', '4401', 5_250]]);
});

test('a fresh token begins anew: a warning for it, and its own end', () => {
  const { expiries, told, client, until, now } = arrangement();
  const a = client('a', 70_000);
  expiries.watch(a, now());
  until(20_250);
  assert.equal(told.length, 1);
  a.expiresAt = 200_000;
  expiries.watch(a, now());
  until(199_999);
  assert.deepEqual(told.slice(1), [['a', 'in 59750', 140_250]]);
  until(201_000);
  assert.deepEqual(told.at(-1), ['a', '4401', 200_250]);
});

test('nothing happens to a client that has gone', () => {
  const { expiries, told, client, until, now } = arrangement();
  const clients = Array.from({ length: 10 }, (_, i) => client(`${i}`, 100_000 + i));
  for (const each of clients) expiries.watch(each, now());
  for (const each of clients) expiries.forget(each);
  for (const each of clients) expiries.forget(each);
  until(200_000);
  assert.deepEqual(told, []);
});

test('when the wall clock jumps, what is over ends, and what is not does not', () => {
  const { expiries, told, client, until, now, jump } = arrangement();
  expiries.watch(client('a', 1_000_000), now());
  expiries.watch(client('b', 9_000_000), now());
  jump(5_000_000);
  expiries.beat(now());
  assert.deepEqual(told, [['a', '4401', 5_000_000]]);
  jump(1_000);
  until(100_000);
  assert.equal(told.length, 1);
});
