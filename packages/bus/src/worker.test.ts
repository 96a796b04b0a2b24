import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { bytes, createComplaintLog, failure } from '../test/contractbench.ts';
import type { Wire, WireItem } from './wire.ts';
import { createWorker } from './worker.ts';

/** A wire with one tap, whose items the test hands over. */
function createFakeWire(options: { fault?: TailraceError } = {}) {
  const settled: string[] = [];
  const asked: number[] = [];
  let hand: (item: WireItem) => void = () => {};
  let end: () => void = () => {};
  const bench = {
    settled,
    asked,
    taps: 0,
    fault: options.fault,
    hand: (item: WireItem) => hand(item),
    end: () => end(),
  };
  const wire = {
    async tap() {
      bench.taps++;
      if (bench.fault !== undefined) throw bench.fault;
      return {
        take(count: number, onItem: (item: WireItem) => void) {
          asked.push(count);
          hand = onItem;
          return new Promise<void>((resolve) => (end = resolve));
        },
        stop: () => end(),
      };
    },
    settle: (receipt: string, verdict: { kind: string }) => settled.push(`${receipt} ${verdict.kind}`),
  } as unknown as Wire;
  return Object.assign(bench, { wire });
}

function createBench() {
  const clock = createFakeClock();
  const finish = new Map<string, (error?: Error) => void>();
  const starts: string[] = [];
  const known: (TailraceError | undefined)[] = [];
  let present: Wire | undefined;
  const worker = createWorker({
    queue: 'jobs',
    pattern: '>',
    retryMs: 1000,
    concurrency: 3,
    clock,
    log: createComplaintLog([]),
    present: () => present,
    onKnown: (error) => known.push(error),
    onWork(_, subject) {
      starts.push(subject);
      return new Promise((resolve, reject) =>
        finish.set(subject, (error) => (error === undefined ? resolve() : reject(error))),
      );
    },
  });
  const attach = async (wire: Wire | undefined) => {
    present = wire;
    if (wire !== undefined) worker.attach(wire);
    await clock.advance(0);
  };
  return { clock, worker, starts, finish, known, attach };
}

const item = (name: string, time = 1): WireItem => ({
  subject: name,
  payload: bytes(name),
  key: `key of ${name}`,
  receipt: `${name}#${time}`,
});

describe('a worker on a queue', () => {
  it('asks for as many items as it can start, and tells the server that it lives', async () => {
    const { clock, finish, attach } = createBench();
    const fake = createFakeWire();
    await attach(fake.wire);
    fake.hand(item('a'));
    fake.hand(item('b'));
    fake.end();
    await clock.advance(500);
    assert.deepEqual(fake.settled, ['a#1 working', 'b#1 working']);
    finish.get('a')!();
    await clock.advance(0);
    fake.end();
    await clock.advance(0);
    assert.deepEqual(fake.asked, [3, 1, 2]);
    assert.deepEqual(fake.settled.slice(2), ['a#1 done']);
    finish.get('b')!(new TailraceError('unavailable', 'not now'));
    await clock.advance(0);
    assert.deepEqual(fake.settled.slice(3), ['b#1 retry']);
  });

  it('what ended during an outage is told on the next wire, and not done again where the server forgot', async () => {
    const { clock, finish, starts, attach } = createBench();
    const [before, after] = [createFakeWire(), createFakeWire()];
    await attach(before.wire);
    before.hand(item('a'));
    await attach(undefined);
    finish.get('a')!();
    await clock.advance(0);
    await attach(after.wire);
    assert.deepEqual(after.settled, ['a#1 done']);
    after.hand(item('a', 2));
    assert.deepEqual(after.settled, ['a#1 done', 'a#2 done']);
    assert.deepEqual(starts, ['a']);
    assert.deepEqual(before.settled, []);
  });

  it('what still runs when it is handed out again runs once, and its verdict is on the last time', async () => {
    const { clock, finish, starts, attach } = createBench();
    const [before, after] = [createFakeWire(), createFakeWire()];
    await attach(before.wire);
    before.hand(item('a'));
    await attach(undefined);
    await attach(after.wire);
    after.hand(item('a', 2));
    finish.get('a')!();
    await clock.advance(0);
    assert.deepEqual(starts, ['a']);
    assert.deepEqual(after.settled, ['a#2 done']);
  });

  it('a queue that fails at the start is told to the caller; later it is tried again, ever more slowly', async () => {
    const fault = new TailraceError('unavailable', 'no JetStream');
    const first = createBench();
    await first.attach(createFakeWire({ fault }).wire);
    assert.equal(first.known.length, 1);
    failure('unavailable', /JetStream/)(first.known[0]);

    const { clock, known, attach } = createBench();
    const fake = createFakeWire();
    await attach(fake.wire);
    fake.fault = fault;
    const again = createFakeWire({ fault });
    await attach(again.wire);
    await clock.advance(60_000);
    assert.ok(again.taps > 5 && again.taps < 15, `${again.taps} tries`);
    again.fault = undefined;
    await clock.advance(10_000);
    assert.deepEqual(again.asked, [3]);
    assert.deepEqual(known, [undefined, undefined]);
  });

  it('after stop it starts nothing, and stop resolves when what runs has ended, however often it is called', async () => {
    const { clock, worker, finish, starts, attach } = createBench();
    const fake = createFakeWire();
    await attach(fake.wire);
    fake.hand(item('a'));
    let stops = 0;
    const stopped = [worker.stop(), worker.stop()].map((stop) => stop.then(() => stops++));
    fake.hand(item('b'));
    await clock.advance(0);
    assert.equal(stops, 0);
    finish.get('a')!();
    await Promise.all(stopped);
    assert.deepEqual(starts, ['a']);
    assert.deepEqual(fake.settled, ['a#1 done']);
    assert.equal(clock.pending(), 0);
  });
});
