import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { createInbox, eventually, nextEvent, pollMsAfter, withDeadline } from './eventually.ts';

test('eventually checks again until the check no longer throws, and returns its result', async () => {
  let calls = 0;
  const result = await eventually(
    () => {
      calls++;
      assert.equal(calls, 3);
      return 'done';
    },
    { pollMs: 1 },
  );
  assert.deepEqual([result, calls], ['done', 3]);
});

test('eventually takes false for not yet, and anything else, also undefined, for yes', async () => {
  let calls = 0;
  assert.equal(await eventually(() => ++calls > 2, { pollMs: 1 }), true);
  assert.equal(await eventually(() => undefined), undefined);
});

test('eventually checks rarely what it has awaited for long: after 5 ms, then a twentieth of the time, at most 50 ms', () => {
  assert.deepEqual([0, 100, 400, 1_000, 60_000].map(pollMsAfter), [5, 5, 20, 50, 50]);
});

test('eventually fails with what was waited for and the last error, which is also the cause', async () => {
  const last = new RangeError('2 owners of partition 7');
  const failing = eventually(
    () => {
      throw last;
    },
    { deadlineMs: 5, pollMs: 1, describe: 'one owner per partition' },
  );
  await assert.rejects(failing, (error: Error & { code: string }) => {
    assert.equal(error.code, 'timeout');
    assert.match(
      error.message,
      /^one owner per partition: not within 5 ms \(\d+ checks\)\. The last one: 2 owners of partition 7$/,
    );
    assert.equal(error.cause, last);
    return true;
  });
});

test('eventually does not wait longer than its deadline for a check that hangs', async () => {
  const hanging = eventually(() => new Promise<void>(() => {}), { deadlineMs: 5 });
  await assert.rejects(hanging, { code: 'timeout', message: /the check did not return/ });
});

test('eventually checks at least once, also with no time at all', async () => {
  assert.equal(await eventually(() => 1, { deadlineMs: 0 }), 1);
});

test('nextEvent returns the arguments of the event, and names it when it does not come', async () => {
  const emitter = new EventEmitter();
  const next = nextEvent(emitter, 'moved');
  emitter.emit('moved', 'plant1', 7);
  assert.deepEqual(await next, ['plant1', 7]);
  await assert.rejects(nextEvent(emitter, 'moved', { deadlineMs: 1 }), {
    code: 'timeout',
    message: /no event 'moved' within 1 ms/,
  });
  assert.equal(emitter.listenerCount('moved'), 0);
});

test('an inbox returns each item once, in order, whether it came before or after the call', async () => {
  const inbox = createInbox<number>();
  inbox.put(1);
  assert.equal(await inbox.next(), 1);
  const second = inbox.next();
  inbox.put(2);
  inbox.put(3);
  assert.equal(await second, 2);
  assert.equal(await inbox.next(), 3);
  assert.deepEqual(inbox.all, [1, 2, 3]);
});

test('an inbox finds the first item that matches, and counts those before it as taken', async () => {
  const inbox = createInbox<number>();
  for (const n of [1, 2, 3, 4]) inbox.put(n);
  assert.equal(await inbox.next({ where: (n) => n > 2 }), 3);
  assert.equal(await inbox.next(), 4);
});

test('an inbox waits for a number of items, and its error has the number that came', async () => {
  const inbox = createInbox<string>();
  const two = inbox.atLeast(2);
  inbox.put('a');
  inbox.put('b');
  assert.deepEqual(await two, ['a', 'b']);
  await assert.rejects(inbox.atLeast(3, { deadlineMs: 1 }), {
    code: 'timeout',
    message: /^3 items: not within 1 ms; 2 items came$/,
  });
  await assert.rejects(inbox.next({ deadlineMs: 1, where: (item) => item === 'c', describe: 'a c' }), {
    message: /^a c: not within 1 ms/,
  });
});

test('a deadline passes a rejection on as it is', async () => {
  const error = new RangeError('no');
  await assert.rejects(
    withDeadline(Promise.reject(error), 1000, () => new Error('late')),
    error,
  );
});
