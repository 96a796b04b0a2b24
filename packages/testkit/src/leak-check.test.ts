import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLeakCheck } from './leak-check.ts';

test('nothing is found where nothing is left open, and what was open before does not count', async () => {
  const before = setTimeout(() => {}, 60_000);
  const check = startLeakCheck({});
  const during = setTimeout(() => {}, 60_000);
  clearTimeout(during);
  await check.assertNone();
  clearTimeout(before);
});

test('pending timers are found and counted', async () => {
  const check = startLeakCheck({});
  const timers = [setTimeout(() => {}, 60_000), setInterval(() => {}, 60_000)];
  await assert.rejects(check.assertNone({ graceMs: 0 }), {
    code: 'internal',
    message: /2 × timer \(setTimeout or setInterval\) that waits\n {2}TAILRACE_LEAKS=where shows where/,
  });
  for (const timer of timers) clearTimeout(timer);
});

test('what is about to close has time to do so', async () => {
  const check = startLeakCheck({});
  setTimeout(() => {}, 10);
  await check.assertNone({ graceMs: 1000 });
});

test('with TAILRACE_LEAKS=where the list has the line of code that opened it', async () => {
  const check = startLeakCheck({ TAILRACE_LEAKS: 'where' });
  const forgotten = setTimeout(() => {}, 60_000);
  await assert.rejects(check.assertNone({ graceMs: 0 }), /made at .*leak-check\.test\.ts:\d+/);
  clearTimeout(forgotten);
});
