import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createComplaintLog, failure } from '../test/contract-bench.ts';
import type { Connection, ConnectionEvents } from './connection.ts';
import { Reconnector } from './reconnector.ts';

interface Dialled {
  events: ConnectionEvents;
  connection: Connection;
  isClosed: boolean;
}

/** A reconnector whose dials the test answers, by `isServerUp` and `initialize`. */
function createBench(random = () => 1) {
  const clock = createFakeClock();
  const dials: number[] = [];
  const dialled: Dialled[] = [];
  const notifications: string[] = [];
  const complaints: string[] = [];
  let current: Connection | undefined;
  let isUp = false;
  const bench = {
    ...{ clock, dials, dialled, notifications, complaints, isServerUp: true, initialize: async () => {} },
    /** The connection that may be used. */
    up: () => (isUp ? current : undefined),
  };
  const reconnector = new Reconnector({
    clock,
    random,
    logger: createComplaintLog(complaints),
    backoff: { baseMs: 100, capMs: 2000 },
    async dial(events) {
      dials.push(clock.monotonic());
      if (!bench.isServerUp) throw new TailraceError('unavailable', 'no server');
      // Only what the reconnector itself uses.
      const connection = {
        address: 'test:4222',
        async close() {
          entry.isClosed = true;
        },
      } as unknown as Connection;
      const entry: Dialled = { events, connection, isClosed: false };
      dialled.push(entry);
      return connection;
    },
    onUp(connection) {
      current = connection;
      return bench.initialize();
    },
    onDown(_, reason) {
      current = undefined;
      notifications.push(`down: ${reason.message}`);
    },
    onState(state) {
      isUp = state;
      notifications.push(isUp ? 'up' : 'not up');
    },
    onRefusedPublish() {},
  });
  return Object.assign(bench, { reconnector });
}

const reset = new TailraceError('unavailable', 'reset by peer');

describe('the reconnector of a NATS connection', () => {
  it('a start that fails rejects with the reason after one attempt, and may be repeated', async () => {
    const bench = createBench();
    bench.isServerUp = false;
    await assert.rejects(bench.reconnector.start(), failure('unavailable', /no server/));
    await bench.clock.advance(60_000);
    assert.equal(bench.dials.length, 1);
    bench.isServerUp = true;
    await bench.reconnector.start();
    assert.deepEqual(bench.notifications, ['up']);
  });

  it('a lost connection is replaced without limit, after waits that double up to the bound', async () => {
    const bench = createBench();
    await bench.reconnector.start();
    bench.isServerUp = false;
    bench.dialled[0]!.events.onLost(reset);
    assert.equal(bench.up(), undefined);
    await bench.clock.advance(13_100);
    assert.deepEqual(bench.dials, [0, 100, 300, 700, 1500, 3100, 5100, 7100, 9100, 11_100, 13_100]);
    bench.isServerUp = true;
    await bench.clock.advance(2000);
    assert.equal(bench.up(), bench.dialled[1]!.connection);
    assert.deepEqual(bench.notifications, ['up', 'down: reset by peer', 'not up', 'up']);
    // After a success the waits are short again.
    bench.dialled[1]!.events.onLost(reset);
    await bench.clock.advance(100);
    assert.equal(bench.dialled.length, 3);
  });

  it('the waits of two nodes differ, and none is under half its bound', async () => {
    for (const [random, expected] of [
      [() => 0, 50],
      [() => 0.5, 75],
    ] as const) {
      const bench = createBench(random);
      await bench.reconnector.start();
      bench.dialled[0]!.events.onLost(reset);
      await bench.clock.advance(1000);
      assert.deepEqual(bench.dials, [0, expected]);
    }
  });

  it('a connection is not up before it is initialized, and one lost before counts as a dial that failed', async () => {
    const bench = createBench();
    await bench.reconnector.start();
    let finish: (error?: Error) => void = () => {};
    bench.initialize = () =>
      new Promise((resolve, reject) => (finish = (error) => (error === undefined ? resolve() : reject(error))));
    bench.dialled[0]!.events.onLost(reset);
    await bench.clock.advance(100);
    assert.equal(bench.up(), undefined);
    bench.dialled[1]!.events.onLost(reset);
    finish(reset);
    await bench.clock.advance(200);
    assert.equal(bench.dialled.length, 3);
    finish();
    await bench.clock.advance(0);
    assert.equal(bench.up(), bench.dialled[2]!.connection);
    assert.deepEqual(bench.notifications, ['up', 'down: reset by peer', 'not up', 'down: reset by peer', 'up']);
  });

  it('a connection that cannot be initialized is closed', async () => {
    const bench = createBench();
    bench.initialize = async () => {
      throw reset;
    };
    await assert.rejects(bench.reconnector.start(), failure('unavailable', /reset/));
    assert.equal(bench.dialled[0]!.isClosed, true);
    assert.equal(bench.up(), undefined);
  });

  it('events of a connection that was replaced are ignored', async () => {
    const bench = createBench();
    await bench.reconnector.start();
    bench.dialled[0]!.events.onLost(reset);
    await bench.clock.advance(100);
    bench.dialled[0]!.events.onLost(reset);
    assert.equal(bench.up(), bench.dialled[1]!.connection);
  });

  it('close while waiting stops dialling, and close while dialling closes the connection', async () => {
    const waiting = createBench();
    await waiting.reconnector.start();
    waiting.dialled[0]!.events.onLost(reset);
    await waiting.reconnector.close(0);
    assert.equal(waiting.clock.pending(), 0);
    assert.equal(waiting.dials.length, 1);

    const dialling = createBench();
    const started = assert.rejects(dialling.reconnector.start(), failure('closed'));
    await dialling.reconnector.close(0);
    await started;
    assert.equal(dialling.dialled[0]!.isClosed, true);
    await assert.rejects(dialling.reconnector.start(), failure('closed'));
  });

  it('a long outage is a few lines in the log, not one for each attempt', async () => {
    const bench = createBench();
    await bench.reconnector.start();
    bench.isServerUp = false;
    bench.dialled[0]!.events.onLost(reset);
    await bench.clock.advance(10 * 60_000);
    assert.ok(bench.dials.length > 290);
    assert.ok(bench.complaints.length <= 13, `${bench.complaints.length} lines`);
  });
});
