import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type LogRecord, unreadableRecord } from '../event-log.ts';
import { RecordBuffer } from '../record-buffer.ts';
import { KafkaReader } from './bytes.ts';
import type { KafkaClient } from './client.ts';
import { KafkaCounts } from './counts.ts';
import { KafkaFetcher, type KafkaFetcherOptions } from './fetcher.ts';
import type { FetchedPartition } from './requests.ts';

const topic = 't';

/** The response of a leader for one partition. */
type Answer = (partition: number, from: number) => Pick<FetchedPartition, 'errorCode' | 'end' | 'records' | 'next'>;

const empty = { errorCode: 0, end: 0, records: [] };

function recordsFrom(from: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, n) => ({ seq: from + n, timeMs: 0, key: 'a', value: new Uint8Array(1) }));
}

/** A fetcher of partitions 0 and 1, by default of one broker. */
function setUp(
  answer: Answer,
  offsets: KafkaClient['offsets'] = () => assert.fail('positions are looked up'),
  clock: Clock = systemClock,
  answerMs = 1,
  leadersOf = () => [1, 1],
  /** The topic ID of the metadata that the client has, and the one that a broker answers. */
  ids = { known: 'id', current: 'id' },
) {
  const taken: LogRecord[][] = [[], []];
  const asked: number[][] = [];
  const reported: Error[] = [];
  const counts = new KafkaCounts();
  const buffer = new RecordBuffer({ recordsMax: 1_000_000, bytesMax: 1_000_000_000 });
  buffer.onRecords = () => {
    for (const { partition, records } of buffer.take(1_000_000)) taken[partition]!.push(...records);
  };
  const send = async ({ request }: { request: { encode(): Promise<{ buffer: Buffer }> } }) => {
    const fetched = fetchedFrom((await request.encode()).buffer);
    await clock.sleep(answerMs);
    asked.push(fetched.map(({ partition }) => partition));
    const partitions = fetched.map(({ partition, from }): FetchedPartition => {
      const part = answer(partition, from);
      const unreadable = part.records.filter((record) => record.unreadable).length;
      return { topic, partition, from, first: 0, bytes: part.records.length, heldBytes: 1, unreadable, ...part };
    });
    return { clientSideThrottleTime: 0, errorCode: 0, partitions };
  };
  const metadata = () => ({ name: topic, errorCode: 0, id: ids.known, leaders: leadersOf(), leaderEpochs: [0, 0] });
  const client: Partial<KafkaClient> = {
    knownTopic: metadata,
    async lookUp() {
      ids.known = ids.current;
      return metadata();
    },
    broker: async () => ({ connectionPool: { send } }) as never,
    errorFrom: (thrown) => thrown as never,
    refresh: async () => {},
    offsets,
  };
  const options: KafkaFetcherOptions = {
    ...{ clock, counts, flushMs: 0, minBytes: 1, maxBytes: 1_000_000, partitionBytesMax: 100_000 },
    buffer,
    report: (thrown) => reported.push(thrown as Error),
  };
  const fetcher = new KafkaFetcher(client as KafkaClient, options);
  for (const partition of [0, 1]) fetcher.start(buffer.open(topic, partition), 0);
  return { fetcher, client: client as KafkaClient, taken, asked, reported, counts };
}

/** Returns the partitions of a fetch request, and their positions. */
function fetchedFrom(body: Buffer): { partition: number; from: number }[] {
  const read = new KafkaReader(body);
  read.skip(25);
  assert.equal(read.int32(), 1);
  assert.equal(read.string(), topic);
  return Array.from({ length: read.int32() }, () => {
    const partition = read.int32();
    read.skip(4);
    const from = read.int64();
    read.skip(12);
    return { partition, from };
  });
}

async function until(what: string, check: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 5_000; !check(); await systemClock.sleep(2)) {
    assert.ok(performance.now() < endMs, what);
  }
}

test('a partition with an error pauses alone: the others are read, and it continues later', async () => {
  let isBroken = true;
  const { fetcher, taken, asked, reported } = setUp((partition, from) => {
    if (partition === 0 && isBroken) return { ...empty, errorCode: 56, next: from };
    return { ...empty, records: recordsFrom(from, 2), end: from + 2, next: from + 2 };
  });
  await until('the other is read', () => taken[1]!.length > 100);
  assert.equal(taken[0]!.length, 0);
  assert.ok(asked.length > 50, 'no fetch waits for a pause');
  assert.ok(
    asked.filter((partitions) => partitions.includes(0)).length < 8,
    'the broken one is asked for now and then',
  );
  assert.equal(reported.length, 1, 'and reported once');
  assert.match(reported[0]!.message, /partition 0 of t: Kafka answered KAFKA_STORAGE_ERROR/);
  isBroken = false;
  await until('it is in each fetch again', () => asked.at(-1)!.includes(0) && taken[0]!.length > 20);
  fetcher.close();
});

test('the first position of a partition is looked up while the others are fetched', async () => {
  const asked: (readonly number[] | undefined)[] = [];
  const gate = Promise.withResolvers<void>();
  const { fetcher, taken, reported } = setUp(
    (partition, from) => {
      if (partition === 0 && from < 40) return { ...empty, errorCode: 1, next: from };
      return { ...empty, records: recordsFrom(from, 2), end: from + 2, next: from + 2 };
    },
    async (_topic, timeMs, _deadlineMs, only) => {
      asked.push(only);
      await gate.promise;
      return timeMs === -2 ? [40] : [50];
    },
  );
  await until('the other is read', () => taken[1]!.length > 100);
  assert.deepEqual(asked, [[0]], 'its own leader is asked, once');
  gate.resolve();
  await until('it goes on at its first position', () => taken[0]!.length > 0);
  assert.equal(taken[0]![0]!.seq, 40);
  assert.match(reported[0]!.message, /position 0 of partition 0 of t: expected 40 to 50/);
  fetcher.close();
});

test('a broker is fetched from again after the positions of all its partitions were looked up', async () => {
  const gate = Promise.withResolvers<void>();
  let requestCount = 0;
  const { fetcher, taken, reported } = setUp(
    (_, from) => {
      if (from < 40) return { ...empty, errorCode: 1, next: from };
      return { ...empty, records: recordsFrom(from, 2), end: from + 2, next: from + 2 };
    },
    async (_topic, timeMs) => {
      requestCount++;
      await gate.promise;
      return timeMs === -2 ? [40, 40] : [50, 50];
    },
  );
  await until('both are looked up', () => requestCount === 2);
  gate.resolve();
  await until('they go on at their first position', () => taken.every((records) => records[0]?.seq === 40));
  assert.equal(reported.length, 2);
  fetcher.close();
});

test('a batch with a wrong checksum is fetched once more: a transient error is read, a permanent one is skipped and counted', async () => {
  const gap = (seq: number) =>
    unreadableRecord(seq, { until: seq + 3, reason: 'checksum', message: 'expected 1, got 2' });
  let onTheWay = 0;
  const { fetcher, taken, counts, reported } = setUp((partition, from) => {
    if (from >= 8) return { ...empty, end: 8, next: from };
    const [before, behind] = [recordsFrom(0, 2), recordsFrom(5, 3)].map((some) =>
      some.filter(({ seq }) => seq >= from),
    );
    const isWrong = partition === 0 || ++onTheWay === 1;
    const middle = isWrong ? [gap(2)] : recordsFrom(2, 3);
    return { ...empty, end: 8, next: 8, records: [...before!, ...middle.filter(({ seq }) => seq >= from), ...behind!] };
  });
  await until('all is read', () => taken.every((records) => records.at(-1)?.seq === 7));
  assert.deepEqual(
    taken[0]!.map(({ seq, unreadable }) => unreadable?.until ?? seq),
    [0, 1, 5, 5, 6, 7],
  );
  assert.deepEqual(
    taken[1]!.map(({ seq }) => seq),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.equal(counts.unreadable.checksum.value, 1);
  assert.match(reported[0]!.message, /positions 2 to 4 of partition 0 of t cannot be read: expected 1, got 2/);
  fetcher.close();
});

test('batches beyond the end are fetched once more: the broker reads the end first, and may read further records', async () => {
  const gap = (seq: number) =>
    unreadableRecord(seq, { until: seq + 2, reason: 'malformed', message: 'behind the end' });
  // Each batch of two is beyond the end in its first response; the one at 6 is malformed.
  let end = 2;
  const { fetcher, taken, counts } = setUp((partition, from) => {
    if (partition === 1 || from >= 12) return { ...empty, end: from, next: from };
    const reportedEnd = end;
    if (from >= end - 2) end += 2;
    const records: LogRecord[] = [];
    for (let seq = from; seq < 12; seq += 2) {
      if (seq + 2 > reportedEnd || seq === 6) records.push(gap(seq));
      else records.push(...recordsFrom(seq, 2));
    }
    return { ...empty, end: reportedEnd, next: 12, records };
  });
  await until('all is read', () => (taken[0]!.at(-1)?.seq ?? 0) >= 10);
  assert.deepEqual(
    taken[0]!.map(({ seq, unreadable }) => unreadable?.until ?? seq),
    [0, 1, 2, 3, 4, 5, 8, 8, 9, 10, 11],
  );
  assert.equal(counts.unreadable.malformed.value, 1);
  fetcher.close();
});

test('reconnects for a stalled partition get less frequent: the others are interrupted, too', async () => {
  const clock = createFakeClock();
  const { fetcher, client } = setUp((_, from) => ({ ...empty, end: from + 5, next: from }), undefined, clock, 100);
  const pauses: number[] = [];
  let sinceMs = clock.monotonic();
  for (let second = 0; second < 700; second++) {
    await clock.advance(1_000);
    if (fetcher.stalled(10_000) === undefined) continue;
    // As the subscription does.
    fetcher.moveTo(client);
    pauses.push(Math.floor((clock.monotonic() - sinceMs) / 10_000));
    sinceMs = clock.monotonic();
  }
  assert.deepEqual(pauses.slice(0, 2), [1, 1], 'once for each of the two that stand still');
  assert.ok(pauses.length <= 2 * 6, `${pauses.length} times in 700 s`);
  fetcher.close();
});

test('a reconnect that takes longer than a check of the watchdog is not interrupted by another one', async () => {
  const clock = createFakeClock();
  const { fetcher, client } = setUp(() => assert.fail('answered'), undefined, clock, 1e9);
  const reconnectsMs: number[] = [];
  const startMs = clock.monotonic();
  for (let second = 0; second < 25; second++) {
    await clock.advance(1_000);
    if (fetcher.stalled(10_000) !== undefined) reconnectsMs.push(clock.monotonic() - startMs);
  }
  assert.deepEqual(reconnectsMs, [11_000, 22_000], 'although no connection is established in the meantime');
  fetcher.moveTo(client);
  await clock.advance(10_000);
  assert.equal(fetcher.stalled(10_000), undefined);
  fetcher.close();
});

test('a partition is fetched from its next leader, although another request has refreshed the metadata', async () => {
  const leaders = [1, 1];
  const { fetcher, taken, asked } = setUp(
    (_, from) => ({ ...empty, records: recordsFrom(from, 2), end: from + 2, next: from + 2 }),
    undefined,
    systemClock,
    1,
    () => leaders,
  );
  await until('both are read', () => taken.every((records) => records.length > 10));
  leaders[0] = 2;
  const before = taken[0]!.length;
  await until('the first is read', () => taken[0]!.length > before + 20);
  assert.deepEqual(asked.at(-1)?.length, 1, 'each from its leader');
  fetcher.close();
});

test('a re-created topic whose end is before the position is read from its first record once', async (t) => {
  const ids = { known: 'former', current: 'former' };
  let end = 40;
  const { fetcher, taken, reported } = setUp(
    (_, from) => {
      if (from > end) return { ...empty, errorCode: 1, end, next: from };
      const next = Math.min(from + 2, end);
      return { ...empty, records: recordsFrom(from, next - from), end, next };
    },
    async (_topic, timeMs) => (timeMs === -2 ? [0, 0] : [end, end]),
    systemClock,
    1,
    undefined,
    ids,
  );
  t.after(() => fetcher.close());
  await until('the former topic is read', () => taken.every((records) => records.length === 40));
  ids.current = 'new';
  end = 4;
  await until('the new topic is read', () => taken.every((records) => records.length >= 44));
  // The metadata are refreshed now at the latest.
  ids.known = 'new';
  end = 6;
  await until('it continues', () => taken.every((records) => records.at(-1)?.seq === 5));
  for (const records of taken) {
    assert.deepEqual(
      records.slice(40).map(({ seq }) => seq),
      [0, 1, 2, 3, 4, 5],
    );
  }
  assert.equal(reported.length, 2, 'once for each partition');
});
