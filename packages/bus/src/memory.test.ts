import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { busContract } from '../test/contract.ts';
import { bytes, failure, text } from '../test/contract-bench.ts';
import { createPair, logger } from '../test/memory-pair.ts';
import type { Bus } from './bus.ts';
import { createMemoryNetwork } from './memory.ts';

busContract('memory', async () => {
  const network = createMemoryNetwork({ clock: systemClock });
  return {
    createBus: (node, logger) => network.createBus({ node, logger }),
    close: async () => {},
  };
});

function publishMany(bus: Bus, count: number): void {
  for (let i = 0; i < count; i++) bus.publish('x.a', bytes(i));
}

const numbers = (received: readonly string[]) => received.map((item) => Number(item.split('@')[0]));
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('the faults of a memory network', () => {
  it('a delay delivers messages later by the clock and keeps their order', async () => {
    const { clock, a, seen } = await createPair({ faults: { delayMs: { min: 10, max: 50 } } });
    publishMany(a, 100);
    await clock.advance(9);
    assert.deepEqual(seen, []);
    await clock.advance(41);
    assert.deepEqual(numbers(seen), upTo(100));
  });

  it('loss drops about the given share, and keeps the order of the rest', async () => {
    const { clock, a, seen } = await createPair({ faults: { loss: 0.3 } });
    publishMany(a, 2000);
    await clock.advance(0);
    assert.ok(seen.length > 1300 && seen.length < 1500, `${seen.length} were received`);
    assert.deepEqual(
      numbers(seen),
      numbers(seen).toSorted((x, y) => x - y),
    );
    assert.equal(a.stats().dropped, 0);
    assert.equal(a.stats().pendingBytes, 0);
  });

  it('duplication delivers twice', async () => {
    const { clock, a, seen } = await createPair({ faults: { duplication: 1 } });
    publishMany(a, 3);
    await clock.advance(0);
    assert.deepEqual(numbers(seen), [0, 0, 1, 1, 2, 2]);
  });

  it('reordering delays some, and loses none', async () => {
    const { clock, a, seen } = await createPair({
      faults: { delayMs: { min: 1, max: 1 }, reordering: { probability: 0.2, byMs: 20 } },
    });
    for (let i = 0; i < 200; i++) {
      a.publish('x.a', bytes(i));
      await clock.advance(1);
    }
    await clock.advance(30);
    assert.notDeepEqual(numbers(seen), upTo(200));
    assert.deepEqual(
      numbers(seen).toSorted((x, y) => x - y),
      upTo(200),
    );
  });

  it('requests are delayed, but neither lost nor duplicated', async () => {
    const { clock, a, b } = await createPair({ faults: { delayMs: { min: 5, max: 5 }, loss: 1, duplication: 1 } });
    let calls = 0;
    await b.serve('request.a', (payload) => {
      calls++;
      return [payload];
    });
    const reply = a.request('request.a', bytes('x'), { deadlineMs: 11 });
    await clock.advance(10);
    assert.deepEqual((await reply).map(text), ['x']);
    assert.equal(calls, 1);
    const late = assert.rejects(a.request('request.a', bytes('x'), { deadlineMs: 9 }), failure('timeout', /9 ms/));
    await clock.advance(10);
    await late;
  });

  it('faults end as soon as they are unset', async () => {
    const { clock, network, a, seen } = await createPair({ faults: { loss: 1 } });
    publishMany(a, 5);
    network.setFaults({});
    a.publish('x.a', bytes(7));
    await clock.advance(0);
    assert.deepEqual(numbers(seen), [7]);
  });

  it('the same seed produces the same run to the millisecond, another seed another', async () => {
    const runs = await Promise.all(
      [5, 5, 6].map(async (seed) => {
        const faults = {
          delayMs: { min: 0, max: 30 },
          loss: 0.1,
          duplication: 0.1,
          reordering: { probability: 0.1, byMs: 40 },
        };
        const { clock, a, seen } = await createPair({ seed, faults });
        for (let i = 0; i < 100; i++) {
          a.publish('x.a', bytes(i));
          await clock.advance(3);
        }
        await clock.advance(100);
        return seen.join(' ');
      }),
    );
    assert.equal(runs[0], runs[1]);
    assert.notEqual(runs[0], runs[2]);
  });

  it('beyond pendingBytesMax publish drops and counts, and continues below it', async () => {
    const { clock, a, seen } = await createPair({ faults: { delayMs: { min: 10, max: 10 } }, pendingBytesMax: 100 });
    publishMany(a, 40);
    const { dropped, pendingBytes } = a.stats();
    assert.ok(pendingBytes <= 100 && pendingBytes > 90);
    await clock.advance(10);
    assert.equal(seen.length, 40 - dropped);
    assert.equal(a.stats().pendingBytes, 0);
    a.publish('x.a', bytes('more'));
    await clock.advance(10);
    assert.equal(seen.length, 41 - dropped);
  });
});

describe('a partition of a memory network', () => {
  it('disconnects the node; its messages are dropped and counted, those of others are delivered, and it resumes', async () => {
    const { clock, network, a, b, seen } = await createPair();
    const c = network.createBus({ node: 'c', logger });
    await c.start();
    const states = [a.stats().connected];
    network.partition('a');
    network.partition('a');
    states.push(a.stats().connected);
    a.publish('x.a', bytes('lost'));
    c.publish('x.a', bytes('from c'));
    await clock.advance(0);
    assert.equal(a.stats().dropped, 1);
    network.heal('a');
    states.push(a.stats().connected);
    a.publish('x.a', bytes('healed'));
    await clock.advance(0);
    assert.deepEqual(states, [true, false, true]);
    assert.deepEqual(seen, ['from c@0', 'healed@0']);
    assert.equal(b.stats().dropped, 0);
  });

  it('loses what is on the way to the node, and its subscriptions resume', async () => {
    const { clock, network, a, seen } = await createPair({ faults: { delayMs: { min: 10, max: 10 } } });
    a.publish('x.a', bytes('on the way'));
    await clock.advance(5);
    network.partition('b');
    a.publish('x.a', bytes('not delivered'));
    await clock.advance(50);
    network.heal('b');
    a.publish('x.a', bytes('again'));
    await clock.advance(10);
    assert.deepEqual(seen, ['again@65']);
  });

  it('of a requester loses a reply on the way: the request rejects with unavailable at once', async () => {
    const { clock, network, a, b } = await createPair({ faults: { delayMs: { min: 10, max: 10 } } });
    await b.serve('request.a', (payload) => [payload]);
    const rejected = assert.rejects(
      a.request('request.a', bytes('x'), { deadlineMs: 60_000 }),
      failure('unavailable', /lost/),
    );
    await clock.advance(15);
    network.partition('a');
    await rejected;
    await assert.rejects(
      a.request('request.a', bytes('x'), { deadlineMs: 100 }),
      failure('unavailable', /not connected/),
    );
  });

  it('of a responder leaves it without further requests, and an earlier request times out', async () => {
    const { clock, network, a, b } = await createPair({ faults: { delayMs: { min: 10, max: 10 } } });
    await b.serve('request.a', (payload) => [payload]);
    const timedOut = assert.rejects(a.request('request.a', bytes('x'), { deadlineMs: 100 }), failure('timeout'));
    await clock.advance(5);
    network.partition('b');
    await assert.rejects(
      a.request('request.a', bytes('x'), { deadlineMs: 100 }),
      failure('unavailable', /no responders/),
    );
    await clock.advance(95);
    await timedOut;
  });

  it('delays a subscription made meanwhile until it is healed', async () => {
    const { clock, network, a, b } = await createPair();
    network.partition('b');
    const seen: string[] = [];
    let isConfirmed = false;
    const subscribed = b
      .subscribe('y', (payload) => seen.push(text(payload)))
      .then(() => {
        isConfirmed = true;
      });
    await clock.advance(10);
    assert.equal(isConfirmed, false);
    network.heal('b');
    await subscribed;
    a.publish('y', bytes('x'));
    await clock.advance(0);
    assert.deepEqual(seen, ['x']);
  });

  it('makes start of the node reject with unavailable, until it is healed', async () => {
    const { network } = await createPair();
    network.partition('c');
    const c = network.createBus({ node: 'c', logger });
    await assert.rejects(c.start(), failure('unavailable', /"c" is partitioned/));
    network.heal('c');
    await c.start();
  });

  it('a name can be open once, and again after close', async () => {
    const { clock, network, a } = await createPair();
    assert.throws(() => network.createBus({ node: 'a', logger }), failure('conflict', /"a"/));
    await a.close();
    const again = network.createBus({ node: 'a', logger });
    await again.start();
    await clock.advance(0);
  });
});
