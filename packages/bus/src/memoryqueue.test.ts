import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { bytes, failure } from '../test/contractbench.ts';
import { createPair } from '../test/memorypair.ts';

describe('the work queues of a memory network', () => {
  it('rejected work comes again after exactly the pause, and an ID may come again after two minutes', async () => {
    const { clock, a, b } = await createPair();
    const starts: number[] = [];
    await b.work(
      'jobs',
      '>',
      async () => {
        starts.push(clock.monotonic());
        if (starts.length === 1) throw new TailraceError('unavailable', 'not yet');
      },
      { retryMs: 700 },
    );
    await a.enqueue('jobs', 'x', bytes('x'), { id: '1' });
    await clock.advance(119_999);
    assert.deepEqual(starts, [0, 700]);
    await a.enqueue('jobs', 'x', bytes('x'), { id: '1' });
    await clock.advance(1);
    assert.deepEqual(starts, [0, 700]);
    await a.enqueue('jobs', 'x', bytes('x'), { id: '1' });
    await clock.advance(0);
    assert.deepEqual(starts, [0, 700, 120_000]);
  });

  it('work of a node that stays cut off goes to another after the pause; of one that is back in time it does not', async () => {
    for (const [healAfterMs, expected] of [
      [400, ['a']],
      [600, ['a', 'b']],
    ] as const) {
      const { clock, network, a, b } = await createPair();
      const starts: string[] = [];
      let finish: () => void = () => {};
      const hold = async (name: string) => {
        starts.push(name);
        await new Promise<void>((resolve) => (finish = resolve));
      };
      await a.work('jobs', '>', () => hold('a'), { retryMs: 500 });
      await b.enqueue('jobs', 'x', bytes('x'), { id: '1' });
      await clock.advance(0);
      await b.work('jobs', '>', () => hold('b'), { retryMs: 500 });
      network.partition('a');
      await clock.advance(healAfterMs);
      network.heal('a');
      finish();
      await clock.advance(10_000);
      assert.deepEqual(starts, expected);
    }
  });

  it('work that ends during a partition is told after it and not done again', async () => {
    const { clock, network, a, b } = await createPair();
    const starts: string[] = [];
    let finish: () => void = () => {};
    await a.work(
      'jobs',
      '>',
      (_, subject) => {
        starts.push(subject);
        return new Promise<void>((resolve) => (finish = resolve));
      },
      { retryMs: 500 },
    );
    await b.enqueue('jobs', 'x', bytes('x'), { id: '1' });
    await clock.advance(0);
    network.partition('a');
    finish();
    await clock.advance(100);
    network.heal('a');
    await clock.advance(60_000);
    assert.deepEqual(starts, ['x']);
  });

  it('a full queue says storage_full, and what nobody took for a day makes room', async () => {
    const { clock, a } = await createPair();
    const payload = new Uint8Array(1_000_000);
    let stored = 0;
    const fill = async () => {
      for (; stored < 100; stored++) await a.enqueue('jobs', 'x', payload, { id: `${stored}` });
    };
    await assert.rejects(fill, failure('storage_full', /"jobs" is full/));
    assert.equal(stored, 67);
    await clock.advance(24 * 60 * 60 * 1000);
    await a.enqueue('jobs', 'x', payload, { id: 'next-day' });
  });

  it('when the last worker of a pattern has left, another pattern may take its work', async () => {
    const { clock, a, b } = await createPair();
    const done: string[] = [];
    const working = await a.work('jobs', 'x.*', async () => {}, { retryMs: 500 });
    await assert.rejects(
      b.work('jobs', '>', async () => {}, { retryMs: 500 }),
      failure('conflict', /">" overlaps with "x\.\*"/),
    );
    await working.stop();
    await a.enqueue('jobs', 'x.1', bytes('x'), { id: '1' });
    await b.work('jobs', '>', async (_, subject) => void done.push(subject), { retryMs: 500 });
    await clock.advance(0);
    assert.deepEqual(done, ['x.1']);
  });
});
