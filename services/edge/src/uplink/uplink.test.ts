import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MemoryDisk } from '../../test/memory-disk.ts';
import { MemoryIngest } from '../../test/memory-ingest.ts';
import { Outbox } from '../store/outbox.ts';
import { type LinkState, Uplink } from './uplink.ts';

const device = 'p.edge';

async function start(t: TestContext, options: { readonly random?: () => number; readonly isReachable?: boolean } = {}) {
  const clock = createFakeClock();
  const disk = new MemoryDisk();
  const ingest = new MemoryIngest();
  ingest.isReachable = options.isReachable ?? true;
  const random = options.random ?? (() => 0.5);
  const outbox = new Outbox({
    ...{ openDisk: async () => ({ disk, isReplaced: false }), device, drops: 'oldest', clock, random },
    ...{ memoryBytesMax: 10_000_000, storeBytesMax: 100_000_000, logger: silentLogger },
  });
  await outbox.open();
  const states: LinkState[] = [];
  const uplink = new Uplink({
    ...{ url: 'ws://ingest:8082', device, token: 't', outbox, clock, random, logger: silentLogger },
    catchUpReadingsPerSecondMax: 20_000,
    probe: async () => ingest.isReachable,
    onState: (state) => states.push(state),
    onCommand: undefined,
    WebSocket: ingest.WebSocket,
  });
  t.after(async () => {
    await uplink.stop(0);
    await outbox.close();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  uplink.start();
  await clock.advance(0);
  let n = 0;
  return {
    ...{ clock, disk, ingest, outbox, uplink, states },
    /** Puts reports of `devices` devices in turn, numbered by their value. */
    put(count: number, devices = 1): void {
      for (let index = 0; index < count; index++, n++) {
        const report = { device: `p.d${n % devices}`, time: clock.now(), readings: [{ tag: 'n', value: n }] };
        outbox.put(report);
        uplink.put(1);
      }
    },
    values: () => [...ingest.log.values()].map(({ readings }) => readings[0]!.value),
  };
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

test('reports of one turn are one batch, and leave the outbox when they are acknowledged', async (t) => {
  const { put, ingest, outbox, clock, uplink, values } = await start(t);
  put(50);
  await clock.advance(0);
  assert.equal(ingest.batches.length, 1);
  assert.deepEqual(values(), numbers(50));
  assert.equal(outbox.reports, 0);
  assert.equal(uplink.counts.reports, 50);
});

test('at most eight batches have no answer', async (t) => {
  const { put, ingest, clock } = await start(t);
  ingest.answers = false;
  for (let n = 0; n < 12; n++) {
    put(1);
    await clock.advance(100);
  }
  assert.equal(ingest.batches.length, 8);
  ingest.answerAll();
  await clock.advance(0);
  assert.equal(ingest.batches.length, 9, 'the rest is one batch');
  assert.equal(ingest.batches.at(-1)!.reports.length, 4);
  ingest.answerAll();
  await clock.advance(0);
});

test('what was in flight when the link was lost is sent as the same batches again: the log has it once', async (t) => {
  for (const downMs of [500, 60_000]) {
    const { put, ingest, clock, outbox, values } = await start(t);
    ingest.answers = false;
    for (const count of [3, 5, 2]) {
      put(count);
      await clock.advance(10);
    }
    const before = ingest.batches.map(({ id }) => id);
    assert.equal(before.length, 3);
    // In the log; the answers are lost.
    ingest.acceptAll();
    ingest.isReachable = false;
    ingest.disconnect();
    put(4);
    await clock.advance(downMs);
    ingest.isReachable = true;
    ingest.answers = true;
    await clock.advance(3_000);
    assert.deepEqual(
      ingest.batches.slice(3, 6).map(({ id }) => id),
      before,
    );
    assert.deepEqual(values(), numbers(14));
    assert.equal(ingest.repeated, 0);
    assert.equal(outbox.reports, 0);
  }
});

test('the first batch is sent within a second after the link is back, whatever the backoff was', async (t) => {
  for (const downMs of [1_000, 7_000, 65_000, 300_000]) {
    const { put, ingest, clock } = await start(t, { random: () => 0.99 });
    ingest.isReachable = false;
    ingest.disconnect();
    put(1);
    await clock.advance(downMs);
    const { length } = ingest.batches;
    ingest.isReachable = true;
    await clock.advance(1_000);
    assert.ok(ingest.batches.length > length, `after ${downMs} ms`);
  }
});

test('a server that answers and refuses is not tried again before its time', async (t) => {
  const { ingest, clock, states, uplink } = await start(t);
  for (const [code, state, retryMs] of [
    [4401, 'refused', 60_000],
    [4403, 'refused', 60_000],
    [4409, 'duplicate', 30_000],
    [4409, 'duplicate', 600_000],
  ] as const) {
    ingest.disconnect(code);
    await clock.advance(0);
    assert.equal(uplink.state, state);
    const { attempts } = ingest;
    await clock.advance(retryMs - 1);
    assert.equal(ingest.attempts, attempts, String(code));
    await clock.advance(1);
    assert.equal(ingest.attempts, attempts + 1);
    assert.equal(uplink.state, 'up');
  }
  assert.equal(states.at(-1), 'up');
});

test('a backlog arrives in order with its own times, and live reports are not late beside it', async (t) => {
  const { put, ingest, clock, outbox, values } = await start(t);
  ingest.isReachable = false;
  ingest.disconnect();
  for (let n = 0; n < 600; n++) {
    put(50, 10);
    await clock.advance(1_000);
  }
  ingest.isReachable = true;
  const backUntil = clock.now();
  let second = 0;
  for (; outbox.reports > 0 && second < 120; second++) {
    put(50, 10);
    await clock.advance(1_000);
    const live = [...ingest.log.values()].filter(({ time }) => time >= backUntil);
    if (second > 1) assert.ok(live.length >= 50 * (second - 1), `${live.length} live reports after ${second} s`);
  }
  assert.ok(second < 60, `${second} s`);
  const backlog = [...ingest.log.values()].filter(({ time }) => time < backUntil);
  assert.deepEqual(
    backlog.map(({ readings }) => readings[0]!.value),
    numbers(30_000),
  );
  assert.equal(backlog[1_000]!.time, backlog[0]!.time + 20_000);
  assert.equal(new Set(values()).size, values().length);
});

test('the backlog leaves a tenth of the messages of a device to its live reports', async (t) => {
  const { put, ingest, clock, outbox } = await start(t);
  ingest.messagesPerSecond = 100;
  ingest.isReachable = false;
  ingest.disconnect();
  await clock.advance(3_000);
  put(3_000);
  ingest.isReachable = true;
  await clock.advance(2_000);
  const startedMs = clock.monotonic();
  const { size } = ingest.log;
  await clock.advance(10_000);
  const perSecond = (ingest.log.size - size) / ((clock.monotonic() - startedMs) / 1_000);
  assert.ok(perSecond > 60 && perSecond <= 110, `${perSecond} messages a second`);
  await clock.advance(60_000);
  assert.equal(outbox.reports, 0);
});

test('a batch that ingest refuses for now is sent again as it is, after the requested time', async (t) => {
  const { put, ingest, clock, outbox, uplink } = await start(t);
  ingest.rejection = { status: 'rejected', code: 'unavailable', message: 'm', retryable: true, retryAfterMs: 2_000 };
  put(3);
  await clock.advance(0);
  put(2);
  await clock.advance(2_400);
  assert.equal(ingest.batches.length, 1, 'nothing is sent meanwhile');
  await clock.advance(200);
  assert.equal(ingest.batches[1]!.id, ingest.batches[0]!.id);
  assert.equal(ingest.log.size, 5);
  assert.equal(outbox.reports, 0);
  assert.equal(uplink.counts.resentBatches, 1);
});

test('reports that ingest refuses for good are lost, are reported, and are not sent again', async (t) => {
  const { put, ingest, clock, outbox } = await start(t);
  const rejected = [{ index: 1, msgid: 'x', code: 'forbidden', message: 'not covered' }];
  ingest.rejection = { status: 'accepted', accepted: 2, rejected };
  put(3);
  await clock.advance(0);
  assert.equal(outbox.losses.byReason.refused, 1);
  await clock.advance(1_000);
  put(1);
  await clock.advance(1_000);
  const reasons = [...ingest.log.values()].flatMap(({ readings }) =>
    readings.filter(({ tag }) => tag === 'lost_reason'),
  );
  assert.deepEqual(
    reasons.map(({ value }) => value),
    ['refused'],
  );
  ingest.rejection = { status: 'rejected', code: 'forbidden', message: 'none is covered', retryable: false };
  put(2);
  await clock.advance(0);
  assert.equal(outbox.losses.byReason.refused, 3);
});

test('a batch that is too large for one message is sent as smaller ones, and a report that is too large alone is lost', async (t) => {
  const { ingest, clock, outbox, uplink } = await start(t);
  ingest.messageBytesMax = 5_000;
  ingest.disconnect();
  await clock.advance(2_000);
  const readings = Array.from({ length: 20 }, (_, n) => ({ tag: `tag${n}`, value: n }));
  for (let n = 0; n < 40; n++) outbox.put({ device: 'p.d', time: 1, readings });
  outbox.put({
    device: 'p.d',
    time: 1,
    readings: [
      { tag: 't', value: 'x'.repeat(4_096) },
      { tag: 'u', value: 'x'.repeat(4_096) },
    ],
  });
  uplink.put(1);
  await clock.advance(5_000);
  assert.equal([...ingest.log.values()].filter((report) => report.device === 'p.d').length, 40);
  assert.equal(outbox.losses.byReason.refused, 1);
});

test('a link that is lost without a sign of it is left when it is reachable again, before the timeout', async (t) => {
  const { put, ingest, clock } = await start(t);
  ingest.answers = false;
  put(1);
  await clock.advance(1_000);
  ingest.isReachable = false;
  await clock.advance(4_000);
  assert.equal(ingest.attempts, 1);
  ingest.isReachable = true;
  ingest.answers = true;
  await clock.advance(1_000);
  assert.equal(ingest.attempts, 2);
  assert.equal(ingest.log.size, 1);
});

test('at the stop, what waits is sent for as long as allowed', async (t) => {
  const { put, ingest, clock, uplink, outbox } = await start(t);
  put(5);
  const stopped = uplink.stop(3_000);
  await clock.advance(100);
  await stopped;
  assert.equal(ingest.log.size, 5);
  assert.equal(outbox.reports, 0);
  assert.equal(ingest.isConnected, false);
});
