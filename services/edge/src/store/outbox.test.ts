import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzSeeds } from '@tailrace/testkit/fuzz';
import { seededWholeNumbers } from '@tailrace/testkit/random';
import { MemoryDisk } from '../../test/memory-disk.ts';
import type { Batch } from './entry.ts';
import { Outbox, type OutboxOptions } from './outbox.ts';

const limits = { reportsMax: 500, bytesMax: 200_000 };
const firstTime = 1_700_000_000_000;

interface Fixture {
  readonly clock: FakeClock;
  readonly disk: MemoryDisk;
  readonly outbox: Outbox;
  /** Puts `count` reports, numbered on in their readings. */
  readonly put: (count: number) => void;
}

interface Options extends Partial<Omit<OutboxOptions, 'clock'>> {
  readonly disk?: MemoryDisk;
  readonly clock?: FakeClock;
  /** Value of the first report. */
  readonly first?: number;
}

/** A report takes some 100 bytes. */
async function opened(t: TestContext, options: Options = {}): Promise<Fixture> {
  const { disk = new MemoryDisk(), clock = createFakeClock(), first = 0, ...rest } = options;
  const outbox = new Outbox({
    openDisk: async () => ({ disk, isReplaced: false }),
    device: 'p.edge',
    drops: 'oldest',
    memoryBytesMax: 1_000_000,
    storeBytesMax: 1_000_000,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    ...rest,
  });
  await outbox.open();
  t.after(async () => {
    await outbox.close();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  let n = first;
  const put = (count: number) => {
    for (let index = 0; index < count; index++, n++) {
      outbox.put({ device: 'p.d', time: firstTime + n, readings: [{ tag: 'n', value: n }] });
    }
  };
  return { clock, disk, outbox, put };
}

const reportsOf = ({ loss, entries }: Batch): Report[] =>
  [...(loss === undefined ? [] : [loss]), ...entries.map(({ report }) => report)].map(decodeReport);

/** Returns what a batch has: the values, and losses as text. */
function contentOf(batch: Batch | undefined): readonly (number | string)[] {
  if (batch === undefined) return [];
  return reportsOf(batch).map(({ readings }) => {
    const value = (tag: string) => readings.find((reading) => reading.tag === tag)?.value;
    return (value('n') as number | undefined) ?? `lost ${value('lost_reports')} ${value('lost_reason')}`;
  });
}

/** Sends and acknowledges all of a queue, and returns what it had. */
function sendAll(outbox: Outbox, queue: Batch['queue'], own = limits): (number | string)[] {
  const all: (number | string)[] = [];
  for (let batch = outbox.next(queue, own); batch !== undefined; batch = outbox.next(queue, own)) {
    all.push(...contentOf(batch));
    outbox.acked(batch);
  }
  return all;
}

const numbers = (from: number, until: number) => Array.from({ length: until - from }, (_, index) => from + index);

test('with the link up, reports are sent from memory, in order, and forgotten when acknowledged', async (t) => {
  const { outbox, disk, put } = await opened(t);
  outbox.linkUp();
  put(3);
  assert.equal(outbox.state, 'memory');
  const batch = outbox.next('live', limits)!;
  assert.deepEqual(contentOf(batch), [0, 1, 2]);
  assert.equal(batch.readings, 3);
  assert.equal(outbox.reports, 3);
  outbox.acked(batch);
  assert.deepEqual([outbox.reports, outbox.memoryBytes, disk.puts.length], [0, 0, 0]);
});

test('each report has the ID of the store and its number', async (t) => {
  const { outbox, put } = await opened(t);
  outbox.linkUp();
  put(40);
  const ids = reportsOf(outbox.next('live', limits)!).map(({ id }) => id);
  assert.deepEqual([ids[0], ids[39]], ['iiiiiiiiii-1', 'iiiiiiiiii-14']);
});

test('a batch has at most the reports and bytes of its limits, and one report at least', async (t) => {
  const { outbox, put } = await opened(t);
  outbox.linkUp();
  put(10);
  assert.equal(outbox.next('live', { reportsMax: 4, bytesMax: 200_000 })!.entries.length, 4);
  const { bytes, entries } = outbox.next('live', { reportsMax: 500, bytesMax: 150 })!;
  assert.ok(bytes <= 150 && entries.length >= 1);
  assert.equal(outbox.next('live', { reportsMax: 500, bytesMax: 1 })!.entries.length, 1);
});

test('a link that is down for less than two seconds writes nothing to the disk', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  outbox.linkUp();
  put(2);
  outbox.next('live', limits);
  outbox.linkDown();
  put(2);
  await clock.advance(1_999);
  outbox.linkUp();
  assert.deepEqual(sendAll(outbox, 'live'), [0, 1, 2, 3]);
  await clock.advance(10_000);
  assert.equal(disk.puts.length, 0);
});

test('with the link down reports go to the disk, one write each 250 ms, and leave the memory', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  for (let n = 0; n < 10; n++) {
    put(10);
    await clock.advance(50);
  }
  await clock.advance(250);
  assert.equal(outbox.state, 'disk');
  assert.equal(disk.count, 100);
  assert.equal(outbox.memoryBytes, 0);
  assert.ok(disk.puts.length <= 3, `${disk.puts.length} writes`);
});

test('after the link returns, the backlog is sent in order, and live reports beside it', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  put(1_200);
  await clock.advance(250);
  outbox.linkUp();
  put(3);
  assert.equal(outbox.state, 'catching_up');
  assert.deepEqual(contentOf(outbox.next('live', limits)), [1_200, 1_201, 1_202]);
  assert.deepEqual(sendAll(outbox, 'backlog'), numbers(0, 1_200));
  await clock.advance(0);
  assert.equal(outbox.state, 'memory');
  assert.deepEqual([disk.count, outbox.backlogReports], [0, 0]);
});

test('what was not written yet when the link returns is sent from memory, after what is on disk', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  put(5);
  await clock.advance(250);
  put(5);
  outbox.linkUp();
  put(1);
  assert.equal(disk.count, 5);
  assert.deepEqual(sendAll(outbox, 'backlog'), numbers(0, 10));
  assert.deepEqual(sendAll(outbox, 'live'), [10]);
});

test('what is being written when the link returns is not overtaken', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  put(5);
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.gate = promise;
  await clock.advance(250);
  put(5);
  outbox.linkUp();
  assert.equal(outbox.next('backlog', limits), undefined);
  assert.equal(outbox.state, 'catching_up');
  resolve();
  await clock.advance(0);
  assert.deepEqual(sendAll(outbox, 'backlog'), numbers(0, 10));
});

test('a link that is lost during the catch-up leaves one ordered set, after what was in flight', async (t) => {
  const { outbox, clock, put } = await opened(t);
  await clock.advance(2_000);
  put(1_000);
  await clock.advance(250);
  outbox.linkUp();
  const small = { reportsMax: 100, bytesMax: 200_000 };
  outbox.acked(outbox.next('backlog', small)!);
  const lost = outbox.next('backlog', small)!;
  put(10);
  const live = outbox.next('live', limits)!;
  outbox.linkDown();
  // Acknowledgements of the former link.
  outbox.acked(lost);
  outbox.acked(live);
  put(10);
  await clock.advance(250);
  outbox.linkUp();
  const inFlight = [...numbers(100, 200), ...numbers(1_000, 1_010)];
  assert.deepEqual(sendAll(outbox, 'backlog'), [...inFlight, ...numbers(200, 1_000), ...numbers(1_010, 1_020)]);
});

test('a batch that was not accepted is sent again in its place', async (t) => {
  const { outbox, clock, put } = await opened(t);
  await clock.advance(2_000);
  put(6);
  await clock.advance(250);
  outbox.linkUp();
  put(6);
  const two = { reportsMax: 2, bytesMax: 200_000 };
  for (const [queue, first] of [
    ['backlog', 0],
    ['live', 6],
  ] as const) {
    const [a, b] = [outbox.next(queue, two)!, outbox.next(queue, two)!];
    outbox.returned(b);
    outbox.returned(a);
    assert.deepEqual(sendAll(outbox, queue), numbers(first, first + 6));
  }
});

test('with the link up and too much in memory, what waits goes to the disk, and comes back in order', async (t) => {
  const { outbox, clock, disk, put } = await opened(t, { memoryBytesMax: 20_000 });
  outbox.linkUp();
  const first = outbox.next('live', limits);
  assert.equal(first, undefined);
  put(20);
  const inFlight = outbox.next('live', limits)!;
  put(150);
  await clock.advance(0);
  put(5);
  assert.equal(outbox.state, 'catching_up');
  assert.ok(disk.count > 0);
  outbox.returned(inFlight);
  const all = [...sendAll(outbox, 'backlog'), ...sendAll(outbox, 'live')];
  await clock.advance(0);
  all.push(...sendAll(outbox, 'backlog'));
  assert.deepEqual(
    all.toSorted((a, b) => Number(a) - Number(b)),
    numbers(0, 175),
  );
  assert.equal(outbox.losses.reports, 0);
});

test('a store at its limit drops the oldest, and reports how many, from when to when, before the first that is left', async (t) => {
  const { outbox, clock, disk, put } = await opened(t, { storeBytesMax: 10_000 });
  await clock.advance(2_000);
  for (let n = 0; n < 20; n++) {
    put(10);
    await clock.advance(250);
  }
  assert.ok(disk.bytes <= 10_000);
  outbox.linkUp();
  const batch = outbox.next('backlog', limits)!;
  const lost = outbox.losses.reports;
  assert.ok(lost > 50);
  assert.deepEqual(contentOf(batch), [`lost ${lost} limit_oldest`, ...numbers(lost, 200)]);
  const [report] = reportsOf(batch);
  assert.equal(report!.device, 'p.edge');
  assert.match(report!.id!, /^iiiiiiiiii-L[0-9a-z]+$/);
  assert.deepEqual(
    report!.readings.map(({ tag, value }) => [tag, value]),
    [
      ['lost_reports', lost],
      ['lost_readings', lost],
      ['lost_from', firstTime],
      ['lost_until', firstTime + lost - 1],
      ['lost_reason', 'limit_oldest'],
    ],
  );
});

test('a store at its limit drops the newest, and reports it at the place of the gap', async (t) => {
  const { outbox, clock, put } = await opened(t, { storeBytesMax: 10_000, drops: 'newest' });
  await clock.advance(2_000);
  for (let n = 0; n < 20; n++) {
    put(10);
    await clock.advance(250);
  }
  outbox.linkUp();
  put(2);
  const lost = outbox.losses.reports;
  const backlog = sendAll(outbox, 'backlog');
  assert.deepEqual(backlog, numbers(0, 200 - lost));
  assert.deepEqual(sendAll(outbox, 'live'), [`lost ${lost} limit_newest`, 200, 201]);
});

test('the report of a loss is sent again with its ID until it is acknowledged, and a later loss has another', async (t) => {
  const { outbox, clock, put } = await opened(t, { storeBytesMax: 2_000 });
  await clock.advance(2_000);
  const putInPortions = async () => {
    for (let n = 0; n < 10; n++) {
      put(10);
      await clock.advance(250);
    }
  };
  await putInPortions();
  const lossIdOf = (batch: Batch) => (batch.loss === undefined ? undefined : decodeReport(batch.loss).id);
  outbox.linkUp();
  const id = lossIdOf(outbox.next('backlog', limits)!);
  assert.match(id!, /^iiiiiiiiii-L[0-9a-z]+$/);
  outbox.linkDown();
  await putInPortions();
  outbox.linkUp();
  const again = outbox.next('backlog', { reportsMax: 1, bytesMax: 1 })!;
  assert.equal(lossIdOf(again), id);
  assert.equal(outbox.next('backlog', { reportsMax: 1, bytesMax: 1 })!.loss, undefined, 'one at a time');
  outbox.acked(again);
  const later = lossIdOf(outbox.next('backlog', limits)!);
  assert.match(later!, /^iiiiiiiiii-L/);
  assert.notEqual(later, id);
});

test('a batch with the report of a loss has as many reports as any other one: the loss is one of them', async (t) => {
  const { outbox, put } = await opened(t);
  outbox.linkUp();
  put(1);
  const refused = outbox.next('live', limits)!;
  put(10);
  outbox.acked(refused, new Set([refused.entries[0]!.number]));
  const batch = outbox.next('live', { ...limits, reportsMax: 4 })!;
  assert.deepEqual([batch.loss !== undefined, batch.entries.length], [true, 3]);
  assert.equal(outbox.next('live', { ...limits, reportsMax: 4 })!.entries.length, 4);
});

test('reports that the receiver refuses for good are lost, and not sent again', async (t) => {
  const { outbox, put } = await opened(t);
  outbox.linkUp();
  put(3);
  const batch = outbox.next('live', limits)!;
  outbox.acked(batch, new Set([batch.entries[1]!.number]));
  assert.equal(outbox.reports, 0);
  assert.deepEqual(contentOf(outbox.next('live', limits)), ['lost 1 refused']);
});

test('on a full disk reports stay in memory up to the limit, the loss is reported, and the disk is used again', async (t) => {
  const { outbox, clock, disk, put } = await opened(t, { memoryBytesMax: 20_000 });
  await clock.advance(2_000);
  put(50);
  await clock.advance(250);
  disk.isFull = true;
  put(50);
  await clock.advance(250);
  assert.equal(outbox.state, 'full');
  for (let n = 0; n < 40; n++) {
    put(10);
    assert.ok(outbox.memoryBytes <= 20_000);
    await clock.advance(100);
  }
  assert.equal(disk.count, 0, 'the oldest were removed, so that there is space');
  assert.ok(outbox.losses.byReason.disk_full > 50);
  disk.isFull = false;
  await clock.advance(500);
  assert.equal(outbox.state, 'disk');
  outbox.linkUp();
  const lost = outbox.losses.reports;
  assert.deepEqual(sendAll(outbox, 'backlog'), [`lost ${lost} disk_full`, ...numbers(lost, 500)]);
});

test('on a full disk with the link up, everything is sent from memory', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  put(10);
  disk.isFull = true;
  await clock.advance(250);
  outbox.linkUp();
  put(10);
  assert.deepEqual(sendAll(outbox, 'backlog'), numbers(0, 10));
  assert.deepEqual(sendAll(outbox, 'live'), numbers(10, 20));
  await clock.advance(500);
  assert.equal(outbox.state, 'memory');
  assert.equal(outbox.losses.reports, 0);
});

test('a stop writes everything to the disk, and the next start sends it, with numbers that go on', async (t) => {
  const { outbox, disk, put } = await opened(t);
  outbox.linkUp();
  put(5);
  outbox.next('live', limits);
  put(5);
  await outbox.close();
  assert.equal(disk.count, 10);
  assert.equal(disk.isClosed, true);
  const next = await opened(t, { disk, first: 10, random: () => 0.9 });
  next.outbox.linkUp();
  next.put(1);
  const backlog = next.outbox.next('backlog', limits)!;
  assert.deepEqual(contentOf(backlog), numbers(0, 5), 'what was in flight');
  assert.deepEqual(contentOf(next.outbox.next('backlog', limits)), numbers(5, 10));
  const [live] = reportsOf(next.outbox.next('live', limits)!);
  assert.equal(live!.id, 'iiiiiiiiii-b', 'of the same store');
});

test('after a restart the batches that were in flight are sent first, unchanged, whatever was stored before them', async (t) => {
  const { outbox, disk, clock, put } = await opened(t);
  await clock.advance(2_000);
  put(20);
  await clock.advance(250);
  outbox.linkUp();
  put(6);
  const inFlight = [
    outbox.next('live', { ...limits, reportsMax: 3 })!,
    outbox.next('live', limits)!,
    outbox.next('backlog', { ...limits, reportsMax: 7 })!,
  ];
  await outbox.close();
  const next = await opened(t, { disk, random: () => 0.9 });
  next.outbox.linkUp();
  const again = [1, 2, 3].map(() => next.outbox.next('live', limits)!);
  assert.deepEqual(
    again.map(({ id, entries }) => [id, entries.map(({ number }) => number)]),
    inFlight.map(({ id, entries }) => [id, entries.map(({ number }) => number)]),
  );
  for (const batch of again) next.outbox.acked(batch);
  assert.deepEqual(sendAll(next.outbox, 'backlog'), numbers(7, 20));
});

test('after a crash too, a batch of the backlog that was in flight is sent as the same one', async (t) => {
  const { outbox, disk, clock, put } = await opened(t);
  await clock.advance(2_000);
  put(20);
  await clock.advance(250);
  outbox.linkUp();
  const [first, second] = [4, 5].map((reportsMax) => outbox.next('backlog', { ...limits, reportsMax })!);
  outbox.acked(second!);
  await clock.advance(0);
  const next = await opened(t, { disk: disk.copy() });
  next.outbox.linkUp();
  assert.equal(next.outbox.next('live', limits)?.id, first!.id);
  assert.deepEqual(sendAll(next.outbox, 'backlog'), numbers(9, 20));
  next.outbox.linkDown();
});

test('batches of both queues are unchanged after the link was lost during the catch-up', async (t) => {
  const { outbox, clock, put } = await opened(t);
  await clock.advance(2_000);
  put(20);
  await clock.advance(250);
  outbox.linkUp();
  put(3);
  const sent = [outbox.next('live', limits)!, outbox.next('backlog', { ...limits, reportsMax: 5 })!];
  outbox.linkDown();
  put(2);
  await clock.advance(250);
  outbox.linkUp();
  const again = [outbox.next('live', limits)!, outbox.next('live', limits)!];
  assert.deepEqual(
    again.map(({ id }) => id),
    sent.map(({ id }) => id),
  );
});

test('after a crash no number is used twice, and the loss of what was in memory is reported', async (t) => {
  const { outbox, disk, put, clock } = await opened(t);
  await clock.advance(2_000);
  put(5);
  await clock.advance(250);
  put(5);
  const used = [...disk.items.keys()];
  // The process is killed: another one opens what is on disk.
  const after = new MemoryDisk();
  for (const [number, value] of disk.items) after.items.set(number, value);
  for (const [name, value] of disk.values) after.values.set(name, structuredClone(value));
  const next = await opened(t, { disk: after, first: 10 });
  next.outbox.linkUp();
  next.put(1);
  assert.deepEqual(contentOf(next.outbox.next('backlog', limits)), numbers(0, 5));
  const live = next.outbox.next('live', limits)!;
  assert.deepEqual(contentOf(live), ['lost 0 crash', 10]);
  assert.ok(live.entries[0]!.number > Math.max(...used) + 5);
  assert.equal(outbox.losses.reports, 0);
});

test('without a store reports stay in memory, and the store is used when it opens', async (t) => {
  const disk = new MemoryDisk();
  let isUsable = false;
  const { outbox, clock, put } = await opened(t, {
    disk,
    openDisk: async () => {
      if (!isUsable) throw new TailraceError('storage_full', 'full');
      return { disk, isReplaced: false };
    },
  });
  assert.equal(outbox.state, 'full');
  put(5);
  await clock.advance(10_000);
  isUsable = true;
  await clock.advance(5_250);
  assert.equal(outbox.state, 'disk');
  put(5);
  await clock.advance(250);
  assert.equal(disk.count, 10);
  outbox.linkUp();
  assert.deepEqual(sendAll(outbox, 'backlog'), numbers(0, 10));
});

test('a store that opens late uses no number and no ID of a report twice, and keeps what was lost before', async (t) => {
  for (const earlier of [0, 3]) {
    const disk = new MemoryDisk();
    if (earlier > 0) {
      const before = await opened(t, { disk });
      before.put(earlier);
      await before.outbox.close();
    }
    let isUsable = false;
    const { outbox, clock, put } = await opened(t, {
      memoryBytesMax: 2_000,
      random: () => 0.25,
      openDisk: async () => {
        if (!isUsable) throw new TailraceError('storage_full', 'full');
        return { disk, isReplaced: false };
      },
    });
    outbox.linkUp();
    const ids: string[] = [];
    const send = (queue: Batch['queue']) => {
      for (let batch = outbox.next(queue, limits); batch !== undefined; batch = outbox.next(queue, limits)) {
        ids.push(...reportsOf(batch).map(({ id }) => id!));
        outbox.acked(batch);
      }
    };
    put(5);
    send('live');
    put(2);
    const inFlight = outbox.next('live', limits)!;
    put(40);
    assert.ok(outbox.losses.reports > 0);
    isUsable = true;
    await clock.advance(5_250);
    outbox.acked(inFlight);
    ids.push(...reportsOf(inFlight).map(({ id }) => id!));
    put(3);
    for (let n = 0; n < 3; n++) {
      send('backlog');
      send('live');
      await clock.advance(250);
    }
    assert.equal(new Set(ids).size, ids.length);
    // One is the report of the loss.
    assert.deepEqual([ids.length, outbox.reports], [earlier + 50 - outbox.losses.reports + 1, 0]);
  }
});

test('a store that another process uses fails the start', async () => {
  const outbox = new Outbox({
    openDisk: async () => {
      throw new TailraceError('conflict', 'in use');
    },
    device: 'p.edge',
    drops: 'oldest',
    memoryBytesMax: 1_000_000,
    storeBytesMax: 1_000_000,
    clock: createFakeClock(),
    random: Math.random,
    logger: silentLogger,
  });
  await assert.rejects(outbox.open(), { code: 'conflict' });
});

test('a damaged value is dropped and reported, and the others are sent', async (t) => {
  const { outbox, clock, disk, put } = await opened(t);
  await clock.advance(2_000);
  put(3);
  await clock.advance(250);
  disk.items.set(2, Buffer.from('damage'));
  outbox.linkUp();
  assert.deepEqual(sendAll(outbox, 'backlog'), [0, 'lost 1 damaged_store', 2]);
});

test('whatever the link and the disk do, every report is acknowledged once or lost, and each queue keeps its order', async (t) => {
  for (const seed of fuzzSeeds(60)) {
    await t.test(`seed ${seed}`, async (inner) => {
      const random = seededWholeNumbers(seed);
      const drops = random(2) === 0 ? 'oldest' : 'newest';
      const isTight = random(2) === 0;
      const { outbox, clock, disk, put } = await opened(inner, {
        drops,
        memoryBytesMax: isTight ? 20_000 : 1_000_000,
        storeBytesMax: isTight ? 30_000 : 1_000_000,
      });
      const acked: number[] = [];
      const open: Batch[] = [];
      let isUp = false;
      let count = 0;
      let lossesAcked = 0;
      const ack = (batch: Batch) => {
        for (const content of contentOf(batch)) {
          if (typeof content === 'number') acked.push(content);
          else lossesAcked++;
        }
        outbox.acked(batch);
      };
      const lastSent = { live: -1, backlog: -1 };
      const sentIds = new Set<string>();
      for (let step = 0; step < 400; step++) {
        const action = random(12);
        if (action < 4) {
          const more = 1 + random(20);
          put(more);
          count += more;
        } else if (action < 7) await clock.advance(random(600));
        else if (action === 7) {
          isUp = !isUp;
          if (isUp) outbox.linkUp();
          else {
            outbox.linkDown();
            open.length = 0;
          }
          lastSent.live = -1;
          lastSent.backlog = -1;
        } else if (action === 8) disk.isFull = random(3) === 0;
        else if (action === 9 && open.length > 0) ack(open.splice(random(open.length), 1)[0]!);
        else if (action === 10 && open.length > 0) {
          outbox.returned(open.splice(random(open.length), 1)[0]!);
          lastSent.live = -1;
          lastSent.backlog = -1;
        } else {
          const queue = random(2) === 0 ? 'live' : 'backlog';
          const batch = outbox.next(queue, { reportsMax: 1 + random(30), bytesMax: 5_000 });
          if (batch === undefined) continue;
          open.push(batch);
          if (sentIds.has(batch.id)) continue;
          sentIds.add(batch.id);
          const numbersOf = batch.entries.map(({ number }) => number);
          assert.deepEqual(
            numbersOf,
            numbersOf.toSorted((a, b) => a - b),
          );
          // Spilled reports of memory may be older than what was read from the disk before.
          if (batch.isOnDisk || queue === 'live') {
            const first = numbersOf[0] ?? Number.POSITIVE_INFINITY;
            if (!isTight) assert.ok(first > lastSent[queue], `step ${step}: ${queue} ${first}`);
            lastSent[queue] = numbersOf.at(-1) ?? lastSent[queue];
          }
        }
        assert.ok(outbox.memoryBytes <= (isTight ? 26_000 : 1_000_000));
        assert.ok(disk.bytes <= (isTight ? 40_000 : 1_000_000), `step ${step}: ${disk.bytes} bytes`);
      }
      for (const batch of open) outbox.returned(batch);
      disk.isFull = false;
      if (!isUp) outbox.linkUp();
      for (let n = 0; n < 50 && (outbox.reports > 0 || n < 5); n++) {
        await clock.advance(600);
        for (const queue of ['live', 'backlog'] as const) {
          for (let batch = outbox.next(queue, limits); batch !== undefined; batch = outbox.next(queue, limits))
            ack(batch);
        }
      }
      assert.equal(outbox.reports, 0);
      assert.equal(outbox.memoryBytes, 0);
      assert.equal(disk.count, 0);
      assert.equal(new Set(acked).size, acked.length, 'none twice');
      assert.equal(acked.length + outbox.losses.reports, count, 'each is acknowledged or lost');
      assert.equal(lossesAcked > 0, outbox.losses.reports > 0, 'a loss is reported');
    });
  }
});
