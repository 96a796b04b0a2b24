import assert from 'node:assert/strict';
import { TailraceError } from '@tailrace/protocol/error';
import { createInbox } from '@tailrace/testkit/eventually';
import { bytes, failure, type Promised, text } from './contractbench.ts';

/** What every Bus keeps of work. */
export function workQueue(promised: Promised): void {
  promised('work stored before and after a worker came is done, each item by one worker', async ({ open }) => {
    const [a, b] = [await open(), await open()];
    const done = createInbox<string>();
    for (let i = 0; i < 20; i++) await a.enqueue('jobs', `all.${i}`, bytes(i), { id: `all-${i}` });
    for (const bus of [a, b]) {
      await bus.work('jobs', 'all.*', async (payload, subject) => done.put(`${subject} ${text(payload)}`), {
        retryMs: 5000,
      });
    }
    for (let i = 20; i < 40; i++) await b.enqueue('jobs', `all.${i}`, bytes(i), { id: `all-${i}` });
    await done.atLeast(40);
    assert.equal(new Set(done.all).size, 40);
    assert.equal(done.all.length, 40);
    assert.ok(done.all.includes('all.7 7'));
  });

  promised('the same id is stored once', async ({ open }) => {
    const bus = await open();
    const done = createInbox<string>();
    await bus.enqueue('jobs', 'once.a', bytes('first'), { id: 'same' });
    await bus.enqueue('jobs', 'once.a', bytes('second'), { id: 'same' });
    await bus.enqueue('jobs', 'once.a', bytes('other'), { id: 'another' });
    await bus.work('jobs', 'once.a', async (payload) => done.put(text(payload)), { retryMs: 5000 });
    await done.atLeast(2);
    await bus.enqueue('jobs', 'once.a', bytes('third'), { id: 'same' });
    await bus.enqueue('jobs', 'once.a', bytes('end'), { id: 'end-of-once' });
    await done.atLeast(3);
    assert.deepEqual(done.all.toSorted(), ['end', 'first', 'other']);
  });

  promised('work that a worker rejects is handed out again after the pause', async ({ open, complaints }) => {
    const bus = await open();
    const done = createInbox<number>();
    const started: number[] = [];
    await bus.work(
      'jobs',
      'again.a',
      async () => {
        started.push(performance.now());
        if (started.length < 3) throw new TailraceError('unavailable', 'not yet');
        done.put(started.length);
      },
      { retryMs: 60 },
    );
    await bus.enqueue('jobs', 'again.a', bytes('x'), { id: 'again' });
    assert.equal(await done.next(), 3);
    // A timer may fire a little early by another clock.
    for (let i = 1; i < 3; i++)
      assert.ok(started[i]! - started[i - 1]! > 50, `tried again after ${started[i]! - started[i - 1]!} ms`);
    assert.ok(complaints.includes('work failed and will be tried again'));
  });

  promised('work longer than the pause is not handed out twice while its worker lives', async ({ open }) => {
    const [one, two] = [await open(), await open()];
    const starts = createInbox<string>();
    let finish: () => void = () => {};
    for (const bus of [one, two]) {
      await bus.work(
        'jobs',
        'long.*',
        async (_, subject) => {
          starts.put(subject);
          if (subject === 'long.first') await new Promise<void>((resolve) => (finish = resolve));
          // Keeps failing: the pauses between its tries are what the long one has to outlast.
          else if (starts.all.length < 8) throw new TailraceError('unavailable', 'not yet');
        },
        { retryMs: 100 },
      );
    }
    await one.enqueue('jobs', 'long.first', bytes('x'), { id: 'long' });
    await starts.next();
    await one.enqueue('jobs', 'long.other', bytes('x'), { id: 'other' });
    await starts.atLeast(8);
    finish();
    assert.equal(starts.all.filter((subject) => subject === 'long.first').length, 1);
  });

  promised('a worker that closes with work unfinished leaves it to another', async ({ open }) => {
    const [lost, other] = [await open(), await open()];
    const starts = createInbox<string>();
    await lost.work(
      'jobs',
      'left.a',
      () => {
        starts.put('lost');
        return new Promise(() => {});
      },
      { retryMs: 200 },
    );
    await lost.enqueue('jobs', 'left.a', bytes('x'), { id: 'left' });
    await starts.next();
    await lost.close();
    await other.work('jobs', 'left.a', async () => starts.put('other'), { retryMs: 200 });
    assert.equal(await starts.next(), 'other');
  });
}

/** What every Bus keeps of workers and of what it refuses. */
export function workQueueRules(promised: Promised): void {
  promised('a worker holds no more items at a time than it said', async ({ open }) => {
    const bus = await open();
    const waiting: (() => void)[] = [];
    const starts = createInbox<string>();
    let running = 0;
    let most = 0;
    await bus.work(
      'jobs',
      'few.*',
      async (_, subject) => {
        most = Math.max(most, ++running);
        starts.put(subject);
        await new Promise<void>((resolve) => waiting.push(resolve));
        running--;
      },
      { retryMs: 5000, concurrency: 3 },
    );
    for (let i = 0; i < 12; i++) await bus.enqueue('jobs', `few.${i}`, bytes('x'), { id: `few-${i}` });
    for (let count = 3; count <= 12; count++) {
      await starts.atLeast(count);
      waiting.shift()!();
    }
    for (const finish of waiting) finish();
    assert.equal(most, 3);
  });

  promised('after stop a worker takes nothing more, and what runs may end', async ({ open }) => {
    const [one, two] = [await open(), await open()];
    const starts = createInbox<string>();
    let finish: () => void = () => {};
    const working = await one.work(
      'jobs',
      'leave.*',
      (_, subject) => {
        starts.put(`one ${subject}`);
        return new Promise<void>((resolve) => (finish = resolve));
      },
      { retryMs: 10_000 },
    );
    await one.enqueue('jobs', 'leave.a', bytes('x'), { id: 'leave-a' });
    await starts.next();
    const stopped = working.stop();
    finish();
    await stopped;
    await one.enqueue('jobs', 'leave.b', bytes('x'), { id: 'leave-b' });
    await two.work('jobs', 'leave.*', async (_, subject) => starts.put(`two ${subject}`), { retryMs: 10_000 });
    await starts.atLeast(2);
    assert.deepEqual(starts.all, ['one leave.a', 'two leave.b']);
  });

  promised('patterns of one queue that overlap without being equal are a conflict', async ({ open }) => {
    const bus = await open();
    await bus.work('rules', 'x.*', async () => {}, { retryMs: 1000 });
    await bus.work('rules', 'y.>', async () => {}, { retryMs: 1000 });
    await bus.work('rules', 'x.*', async () => {}, { retryMs: 2000 });
    await assert.rejects(
      bus.work('rules', 'x.>', async () => {}, { retryMs: 1000 }),
      failure('conflict', /x\.>|rules/),
    );
  });

  promised('what is no queue, no id or no pause is refused with the value', async ({ open }) => {
    const bus = await open();
    await assert.rejects(bus.enqueue('a.b', 'x', bytes('x'), { id: '1' }), failure('invalid_path', /"a\.b"/));
    await assert.rejects(bus.enqueue('jobs', 'x.*', bytes('x'), { id: '1' }), failure('invalid_path', /"x\.\*"/));
    await assert.rejects(bus.enqueue('jobs', 'x', bytes('x'), { id: 'a b' }), failure('invalid_message', /"a b"/));
    await assert.rejects(bus.enqueue('jobs', 'x', bytes('x'), { id: '' }), failure('invalid_message'));
    const tooLarge = new Uint8Array(bus.stats().payloadBytesMax + 1);
    await assert.rejects(bus.enqueue('jobs', 'x', tooLarge, { id: '1' }), failure('too_large'));
    await assert.rejects(
      bus.work('jobs', 'x', async () => {}, { retryMs: 0 }),
      failure('invalid_message', /retryMs is 0/),
    );
  });
}
