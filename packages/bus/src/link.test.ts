import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createComplaintLog, failure } from '../test/contract-bench.ts';
import { createLink } from './link.ts';
import type { Wire, WireEvents } from './wire.ts';

interface Dialled {
  events: WireEvents;
  wire: Wire;
  closed: boolean;
}

/** A link whose dials are answered by the test: `answers` holds what the next ones get. */
function createBench(random = () => 1) {
  const clock = createFakeClock();
  const dials: number[] = [];
  const wires: Dialled[] = [];
  const told: string[] = [];
  const complaints: string[] = [];
  const bench = { clock, dials, wires, told, complaints, isServerUp: true, greet: async () => {} };
  const link = createLink({
    clock,
    random,
    logger: createComplaintLog(complaints),
    wait: { minMs: 100, maxMs: 2000 },
    async dial(events) {
      dials.push(clock.monotonic());
      if (!bench.isServerUp) throw new TailraceError('unavailable', 'no server');
      // Only what the link itself touches.
      const wire = {
        address: 'test:4222',
        async close() {
          dialled.closed = true;
        },
      } as unknown as Wire;
      const dialled: Dialled = { events, wire, closed: false };
      wires.push(dialled);
      return wire;
    },
    onUp: () => bench.greet(),
    onDown: (_, reason) => told.push(`down: ${reason.message}`),
    onState: (up) => told.push(up ? 'up' : 'not up'),
    onRefusedPublish() {},
  });
  return Object.assign(bench, { link });
}

const gone = new TailraceError('unavailable', 'reset by peer');

describe('the link to a NATS server', () => {
  it('a start that fails says why, tries once, and may be repeated', async () => {
    const bench = createBench();
    bench.isServerUp = false;
    await assert.rejects(bench.link.start(), failure('unavailable', /no server/));
    await bench.clock.advance(60_000);
    assert.equal(bench.dials.length, 1);
    bench.isServerUp = true;
    await bench.link.start();
    assert.deepEqual(bench.told, ['up']);
  });

  it('a lost wire is replaced for ever, at waits that double up to the bound', async () => {
    const bench = createBench();
    await bench.link.start();
    bench.isServerUp = false;
    bench.wires[0]!.events.onLost(gone);
    assert.equal(bench.link.wire, undefined);
    await bench.clock.advance(13_100);
    assert.deepEqual(bench.dials, [0, 100, 300, 700, 1500, 3100, 5100, 7100, 9100, 11_100, 13_100]);
    bench.isServerUp = true;
    await bench.clock.advance(2000);
    assert.equal(bench.link.wire, bench.wires[1]!.wire);
    assert.deepEqual(bench.told, ['up', 'down: reset by peer', 'not up', 'up']);
    // After a success the waits are short again.
    bench.wires[1]!.events.onLost(gone);
    await bench.clock.advance(100);
    assert.equal(bench.wires.length, 3);
  });

  it('the waits of two nodes differ, and none is under half its bound', async () => {
    for (const [random, expected] of [
      [() => 0, 50],
      [() => 0.5, 75],
    ] as const) {
      const bench = createBench(random);
      await bench.link.start();
      bench.wires[0]!.events.onLost(gone);
      await bench.clock.advance(1000);
      assert.deepEqual(bench.dials, [0, expected]);
    }
  });

  it('a wire is not up before the greeting is over, and lost in the middle of it counts as a dial that failed', async () => {
    const bench = createBench();
    await bench.link.start();
    let finish: (error?: Error) => void = () => {};
    bench.greet = () =>
      new Promise((resolve, reject) => (finish = (error) => (error === undefined ? resolve() : reject(error))));
    bench.wires[0]!.events.onLost(gone);
    await bench.clock.advance(100);
    assert.equal(bench.link.wire, undefined);
    bench.wires[1]!.events.onLost(gone);
    finish(gone);
    await bench.clock.advance(200);
    assert.equal(bench.wires.length, 3);
    finish();
    await bench.clock.advance(0);
    assert.equal(bench.link.wire, bench.wires[2]!.wire);
    assert.deepEqual(bench.told, ['up', 'down: reset by peer', 'not up', 'down: reset by peer', 'up']);
  });

  it('a living wire that could not be greeted is closed', async () => {
    const bench = createBench();
    bench.greet = async () => {
      throw gone;
    };
    await assert.rejects(bench.link.start(), failure('unavailable', /reset/));
    assert.equal(bench.wires[0]!.closed, true);
    assert.equal(bench.link.wire, undefined);
  });

  it('what a wire says after it was given up is ignored', async () => {
    const bench = createBench();
    await bench.link.start();
    bench.wires[0]!.events.onLost(gone);
    await bench.clock.advance(100);
    bench.wires[0]!.events.onLost(gone);
    assert.equal(bench.link.wire, bench.wires[1]!.wire);
  });

  it('close while waiting dials no more, and close while dialling drops the wire', async () => {
    const waiting = createBench();
    await waiting.link.start();
    waiting.wires[0]!.events.onLost(gone);
    await waiting.link.close(0);
    assert.equal(waiting.clock.pending(), 0);
    assert.equal(waiting.dials.length, 1);

    const dialling = createBench();
    const started = assert.rejects(dialling.link.start(), failure('closed'));
    await dialling.link.close(0);
    await started;
    assert.equal(dialling.wires[0]!.closed, true);
    await assert.rejects(dialling.link.start(), failure('closed'));
  });

  it('a long outage is a few lines in the log, not one for each try', async () => {
    const bench = createBench();
    await bench.link.start();
    bench.isServerUp = false;
    bench.wires[0]!.events.onLost(gone);
    await bench.clock.advance(10 * 60_000);
    assert.ok(bench.dials.length > 290);
    assert.ok(bench.complaints.length <= 13, `${bench.complaints.length} lines`);
  });
});
