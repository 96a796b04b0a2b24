import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { outcomesOf, type Settlement, settlementsOf } from '../../test/contract-append-each.ts';
import type { NewRecord } from '../event-log.ts';
import { LogState } from '../log-state.ts';
import { KafkaReader, KafkaWriter } from './bytes.ts';
import { KafkaClient } from './client.ts';
import { kafkaCodecs } from './codecs.ts';
import { KafkaProducer, type KafkaProducerOptions } from './producer.ts';
import { readRecords } from './records.ts';
import { type KafkaBroker, type KafkaCluster, metadataApiKey, produceApiKey, type WireRequest } from './wire.ts';

interface Batch {
  readonly partition: number;
  readonly producerId: number;
  readonly firstSequence: number;
  readonly texts: readonly string[];
}

/**
 * The outcome of a request: accepted, accepted with a lost answer, or this error code for every partition.
 */
type Fate = 'taken' | 'answer lost' | 'lost' | { readonly code: number };

/** A broker with one topic "t", which deduplicates as Kafka does: by producer ID and sequence number. */
function createBroker(
  partitions = 2,
  fates: Fate[] = [],
  /**
   * `codes`: the error codes of partitions. `textsMax`: most characters of a batch that is not too large. `leaderOf`:
   * the current leader of a partition.
   */
  {
    codes = new Map<number, number>(),
    textsMax = Number.POSITIVE_INFINITY,
    leaderOf = (_partition: number): number => 1,
    /** Promises that requests wait for before they are answered, in their order. */
    waits = [] as Promise<void>[],
    /** Whether the broker knows the topic. */
    isKnown = (): boolean => true,
  } = {},
) {
  const log: string[][] = Array.from({ length: partitions }, () => []);
  const last = new Map<string, { sequence: number; seq: number; next: number }>();
  const batches: Batch[] = [];
  let producers = 0;
  let running = 0;
  let runningMost = 0;

  function take({ partition, producerId, firstSequence, texts }: Batch): { code: number; seq: number } {
    const code = codes.get(partition) ?? (texts.join('').length > textsMax ? 10 : 0);
    if (code !== 0) return { code, seq: -1 };
    const key = `${producerId}/${partition}`;
    const known = last.get(key);
    if (known !== undefined && known.sequence === firstSequence) return { code: 0, seq: known.seq };
    if (firstSequence !== (known?.next ?? 0)) return { code: 45, seq: -1 };
    const seq = log[partition]!.length;
    log[partition]!.push(...texts);
    last.set(key, { sequence: firstSequence, seq, next: firstSequence + texts.length });
    return { code: 0, seq };
  }

  async function produce(body: Buffer): Promise<Buffer> {
    const fate = fates.shift() ?? 'taken';
    const out = new KafkaWriter();
    const read = batchesFrom(body);
    batches.push(...read);
    running++;
    runningMost = Math.max(runningMost, running);
    await (waits.shift() ?? turn());
    running--;
    out.int32(1);
    out.string('t');
    out.int32(read.length);
    for (const batch of read) {
      const { code, seq } =
        typeof fate === 'object' ? { ...fate, seq: -1 } : fate === 'lost' ? { code: 0, seq: 0 } : take(batch);
      out.int32(batch.partition);
      out.int16(code);
      out.int64(seq);
      out.int64(-1);
      out.int64(0);
    }
    out.int32(0);
    if (fate === 'lost' || fate === 'answer lost')
      throw Object.assign(new Error('disconnected'), { name: 'KafkaJSConnectionError' });
    return out.buffer;
  }

  const broker = {
    connectionPool: {
      pool: [],
      async send<T>({ request, response }: WireRequest<T>): Promise<T> {
        const body = (await request.encode()).buffer;
        if (request.apiKey === metadataApiKey)
          return await response.decode(metadataOf(partitions, leaderOf, isKnown()));
        assert.equal(request.apiKey, produceApiKey);
        return await response.decode(await produce(body));
      },
    },
    disconnect: async () => {},
    initProducerId: async () => ({ producerId: String(++producers), producerEpoch: 0 }),
  } as unknown as KafkaBroker;
  const cluster = {
    getNodeIds: () => [1],
    findBroker: async () => broker,
    refreshMetadata: async () => {},
  } as unknown as KafkaCluster;
  return { log, batches, cluster, runningMost: () => runningMost };
}

function metadataOf(partitions: number, leaderOf: (partition: number) => number, isKnown: boolean): Buffer {
  const out = new KafkaWriter();
  out.uvarint(0);
  out.int32(0);
  out.uvarint(1);
  out.compactString('cluster');
  out.int32(1);
  out.uvarint(2);
  out.int16(isKnown ? 0 : 3);
  out.compactString('t');
  out.raw(new Uint8Array(16));
  out.int8(0);
  out.uvarint(partitions + 1);
  for (let partition = 0; partition < partitions; partition++) {
    out.int16(0);
    out.int32(partition);
    out.int32(leaderOf(partition));
    out.int32(0);
    for (let list = 0; list < 3; list++) out.uvarint(1);
    out.uvarint(0);
  }
  out.int32(0);
  out.uvarint(0);
  return out.buffer;
}

function batchesFrom(body: Buffer): Batch[] {
  const read = new KafkaReader(body);
  read.skip(8);
  assert.equal(read.int32(), 1);
  assert.equal(read.string(), 't');
  return Array.from({ length: read.int32() }, () => {
    const partition = read.int32();
    const batch = read.view(read.int32());
    const texts = readRecords(batch, 0).records.map(({ value }) => Buffer.from(value).toString());
    return { partition, producerId: Number(batch.readBigInt64BE(43)), firstSequence: batch.readInt32BE(53), texts };
  });
}

function createClient(cluster: KafkaCluster): KafkaClient {
  return new KafkaClient({
    createCluster: () => cluster,
    addresses: ['broker:9092'],
    clock: systemClock,
    random: () => 0,
  });
}

/** Returns the state of a started log. */
function openState(): LogState {
  const state = new LogState();
  state.enter('open');
  return state;
}

function createProducer(
  cluster: KafkaCluster,
  options: Partial<KafkaProducerOptions> = {},
  client = createClient(cluster),
): KafkaProducer {
  return new KafkaProducer(client, {
    clock: systemClock,
    state: openState(),
    lingerMs: 1,
    batchBytesMax: 100_000,
    requestBytesMax: 1_000_000,
    pendingBytesMax: 1_000_000,
    appendTimeoutMs: 5000,
    acknowledgeTimeoutMs: 1000,
    codec: kafkaCodecs.none,
    ...options,
  });
}

/** Resolves with what `appendEach` has reported of each record. `onSettled` is called at once. */
function eachOf(
  producer: KafkaProducer,
  records: readonly NewRecord[],
  onSettled?: (index: number, error: TailraceError | undefined) => void,
): Promise<Settlement[]> {
  return settlementsOf({ appendEach: producer.appendEach }, 't', records, onSettled);
}

/** Returns a key of this partition of two. */
function keyOf(partition: number): string {
  return [...'abcdef'].find((each) => partitionOf(each, 2) === partition)!;
}

/** "a" and "b" have different partitions of two. */
function record(text: string, key = 'a') {
  return { key, value: Buffer.from(text) };
}

describe('kafka producer', () => {
  test('concurrent appends share one request, in order; each gets its positions', async () => {
    const { cluster, batches, log } = createBroker(1);
    const producer = createProducer(cluster);
    const answers = await Promise.all([
      producer.append('t', [record('1'), record('2')]),
      producer.append('t', [record('3')]),
    ]);
    assert.equal(batches.length, 1);
    assert.deepEqual(log[0], ['1', '2', '3']);
    assert.deepEqual(answers, [
      [
        { partition: 0, seq: 0 },
        { partition: 0, seq: 1 },
      ],
      [{ partition: 0, seq: 2 }],
    ]);
  });

  test('a broker has at most one request in flight', async () => {
    const { cluster, runningMost, log } = createBroker(1);
    const producer = createProducer(cluster, { lingerMs: 0, requestBytesMax: 100 });
    const texts = Array.from({ length: 200 }, (_, n) => String(n));
    await Promise.all(texts.map((text) => producer.append('t', [record(text)])));
    assert.equal(runningMost(), 1);
    assert.deepEqual(log[0], texts);
  });

  test('a lost answer causes no duplicates: the same batch is retried with the same sequence numbers', async () => {
    const { cluster, batches, log } = createBroker(1, ['answer lost', 'answer lost', 'taken']);
    const producer = createProducer(cluster);
    assert.deepEqual(await producer.append('t', [record('1')]), [{ partition: 0, seq: 0 }]);
    assert.deepEqual(await producer.append('t', [record('2')]), [{ partition: 0, seq: 1 }]);
    assert.deepEqual(log[0], ['1', '2']);
    assert.deepEqual(
      batches.map(({ producerId, firstSequence }) => [producerId, firstSequence]),
      [
        [1, 0],
        [1, 0],
        [1, 0],
        [1, 1],
      ],
    );
  });

  test('after a batch has failed with an unknown outcome, new batches have another ID, and are no duplicates', async () => {
    const { cluster, batches, log } = createBroker(1, ['answer lost']);
    const producer = createProducer(cluster, { appendTimeoutMs: 0 });
    await assert.rejects(producer.append('t', [record('given up')]), { code: 'unavailable' });
    assert.equal(producer.stats().pendingBytes, 0);
    await producer.append('t', [record('next')]);
    assert.deepEqual(log[0], ['given up', 'next']);
    assert.deepEqual(
      batches.map(({ producerId, firstSequence }) => [producerId, firstSequence]),
      [
        [1, 0],
        [2, 0],
      ],
    );
  });

  test('while a batch is retried, later ones of its partition wait', async () => {
    const { cluster, log } = createBroker(1, ['lost', { code: 6 }, 'answer lost']);
    const producer = createProducer(cluster, { lingerMs: 0 });
    const appends = ['1', '2', '3'].map(async (text, n) => {
      for (let turn = 0; turn < n * 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      await producer.append('t', [record(text)]);
    });
    await Promise.all(appends);
    assert.deepEqual(log[0], ['1', '2', '3']);
  });

  test('a batch in flight is not sent to the next leader of its partition before it is settled', async () => {
    let leader = 1;
    const answer = Promise.withResolvers<void>();
    const { cluster, batches, log } = createBroker(2, [{ code: 6 }], {
      leaderOf: () => leader,
      waits: [answer.promise],
    });
    const client = createClient(cluster);
    const producer = createProducer(cluster, { lingerMs: 0 }, client);
    const underWay = producer.append('t', [record('1', keyOf(0))]);
    while (batches.length === 0) await turn();
    leader = 2;
    await client.refresh();
    const behind = producer.append('t', [record('2', keyOf(0))]);
    await producer.append('t', [record('other', keyOf(1))]);
    assert.deepEqual(
      batches.map(({ texts }) => texts),
      [['1'], ['other']],
    );
    answer.resolve();
    await Promise.all([underWay, behind]);
    assert.deepEqual(log[0], ['1', '2']);
    assert.equal(producer.stats().pendingBytes, 0);
    await producer.flush();
  });

  test('a topic that one broker does not know yet is written', async () => {
    let isKnown = true;
    const answer = Promise.withResolvers<void>();
    const { cluster, batches, log } = createBroker(1, [], { isKnown: () => isKnown, waits: [answer.promise] });
    const client = createClient(cluster);
    const producer = createProducer(cluster, { lingerMs: 0 }, client);
    const first = producer.append('t', [record('1')]);
    while (batches.length === 0) await turn();
    const behind = producer.append('t', [record('2')]);
    isKnown = false;
    await client.refresh();
    answer.resolve();
    await Promise.all([first, behind]);
    assert.deepEqual(log[0], ['1', '2']);
  });

  test('a topic that was missing in the metadata loses nothing: no new batch is a duplicate of an earlier one', async () => {
    let isKnown = true;
    const answers = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
    const waits = answers.map(({ promise }) => promise);
    const { cluster, batches, log } = createBroker(2, [], { isKnown: () => isKnown, waits });
    const client = createClient(cluster);
    const producer = createProducer(cluster, { lingerMs: 0 }, client);
    const first = producer.append('t', [record('1', keyOf(0))]);
    while (batches.length === 0) await turn();
    isKnown = false;
    await client.refresh();
    await client.refresh();
    isKnown = true;
    answers[0]!.resolve();
    await first;
    answers[1]!.resolve();
    await producer.append('t', [record('2', keyOf(0)), record('other', keyOf(1))]);
    assert.deepEqual(log, [['1', '2'], ['other']]);
    await assert.doesNotReject(producer.flush());
  });

  test('a batch that is too large for the broker is halved until it fits; a single record is refused', async () => {
    const { cluster, log, batches } = createBroker(1, [{ code: 10 }, { code: 10 }]);
    const producer = createProducer(cluster);
    const texts = Array.from({ length: 8 }, (_, n) => String(n));
    const positions = await producer.append(
      't',
      texts.map((text) => record(text)),
    );
    assert.deepEqual(log[0], texts);
    assert.deepEqual(
      positions.map(({ seq }) => seq),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    assert.deepEqual(
      batches.map((batch) => batch.texts.length),
      [8, 4, 2, 2, 2, 2],
    );
    const single = createProducer(createBroker(1, [{ code: 10 }]).cluster);
    await assert.rejects(single.append('t', [record('x')]), { code: 'too_large' });
  });

  test('a blocked partition does not delay the others of its broker, and continues afterwards', async () => {
    const codes = new Map([[0, 19]]);
    const { cluster, log } = createBroker(2, [], { codes });
    const producer = createProducer(cluster, { lingerMs: 0 });
    const blocked = producer.append('t', [record('blocked', keyOf(0))]);
    const startMs = performance.now();
    for (let n = 0; n < 50; n++) await producer.append('t', [record(String(n), keyOf(1))]);
    assert.ok(performance.now() - startMs < 1_000, 'none of them waits for a pause of the other');
    assert.deepEqual(log[0], []);
    assert.equal(log[1]!.length, 50);
    codes.clear();
    await blocked;
    assert.deepEqual(log[0], ['blocked']);
  });

  test('a blocked partition may hold only its share of the pending bytes', async () => {
    const codes = new Map([[0, 19]]);
    const { cluster } = createBroker(2, [], { codes });
    const producer = createProducer(cluster, { lingerMs: 0, pendingBytesMax: 10_000, appendTimeoutMs: 400 });
    const large = { key: keyOf(0), value: new Uint8Array(900) };
    const append = () => producer.append('t', [large]).catch((error: Error) => error.message);
    const first = append();
    while (producer.stats().retries === 0) await turn();
    const outcomes = [first, ...Array.from({ length: 19 }, append)];
    for (let n = 0; n < 5; n++) await producer.append('t', [{ key: keyOf(1), value: new Uint8Array(900) }]);
    const messages = await Promise.all(outcomes);
    assert.ok(messages.some((message) => /bytes wait for partition 0 of topic "t"/.test(String(message))));
  });

  test('a partition without a leader may hold only its share of the pending bytes', async () => {
    const { cluster, log } = createBroker(2, [], { leaderOf: (partition) => (partition === 0 ? -1 : 1) });
    const producer = createProducer(cluster, { lingerMs: 0, pendingBytesMax: 10_000, appendTimeoutMs: 400 });
    const append = () => producer.append('t', [{ key: keyOf(0), value: new Uint8Array(900) }]).catch(() => {});
    const appends = [append()];
    while (producer.stats().retries === 0) await turn();
    for (let n = 0; n < 19; n++) appends.push(append());
    for (let n = 0; n < 5; n++) await producer.append('t', [{ key: keyOf(1), value: new Uint8Array(900) }]);
    assert.equal(log[1]!.length, 5);
    await Promise.all(appends);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('several partitions without a leader leave half of the pending bytes to the others', async () => {
    const partitions = 8;
    const { cluster, log } = createBroker(partitions, [], { leaderOf: (partition) => (partition > 0 ? -1 : 1) });
    const producer = createProducer(cluster, { lingerMs: 0, pendingBytesMax: 10_000, appendTimeoutMs: 400 });
    const keys = Array.from({ length: partitions }, (_, partition) =>
      Array.from({ length: 1000 }, (_, n) => `key${n}`).find((key) => partitionOf(key, partitions) === partition),
    );
    const append = (partition: number) => producer.append('t', [{ key: keys[partition]!, value: new Uint8Array(400) }]);
    const outcomes: Promise<unknown>[] = [];
    const appendToOthers = () => {
      for (let partition = 1; partition < partitions; partition++)
        outcomes.push(append(partition).catch((error: Error) => error.message));
    };
    appendToOthers();
    while (producer.stats().retries === 0) await turn();
    for (let n = 0; n < 5; n++) appendToOthers();
    for (let n = 0; n < 5; n++) await append(0);
    assert.equal(log[0]!.length, 5);
    const messages = await Promise.all(outcomes);
    assert.ok(messages.some((message) => /for all partitions that cannot be written/.test(String(message))));
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('of many records the one that is too large is refused and named; the others are written without a pause', async () => {
    const { cluster, log } = createBroker(1, [], { textsMax: 100 });
    const producer = createProducer(cluster);
    const texts = Array.from({ length: 64 }, (_, n) => (n === 41 ? 'x'.repeat(101) : String(n)));
    const startMs = performance.now();
    const outcomes = await Promise.allSettled(
      texts.map((text, n) => producer.append('t', [record(text, n === 41 ? 'p.large' : 'a')])),
    );
    assert.ok(performance.now() - startMs < 500);
    const failed = outcomes.flatMap((outcome, n) => (outcome.status === 'rejected' ? [[n, outcome.reason]] : []));
    assert.equal(failed.length, 1);
    assert.equal(failed[0]![0], 41);
    assert.equal(failed[0]![1].code, 'too_large');
    assert.match(failed[0]![1].message, /key "p\.large" has \d+ bytes, more than topic "t" accepts/);
    assert.deepEqual(
      log[0],
      texts.filter((_, n) => n !== 41),
    );
  });

  test('of an append that is rejected a prefix is written, and nothing after the record that was refused', async () => {
    const { cluster, log } = createBroker(2, [], { textsMax: 100 });
    const producer = createProducer(cluster);
    const texts = Array.from({ length: 16 }, (_, n) => (n === 5 ? 'x'.repeat(101) : String(n)));
    const rejected = producer.append('t', [...texts.map((text) => record(text, keyOf(0))), record('other', keyOf(1))]);
    const next = producer.append('t', [record('next', keyOf(0))]);
    await assert.rejects(rejected, { code: 'too_large' });
    await next;
    await producer.append('t', [record('last', keyOf(1))]);
    assert.deepEqual(log, [
      ['0', '1', '2', '3', '4', 'next'],
      ['other', 'last'],
    ]);
    assert.equal(producer.stats().pendingBytes, 0);
    await producer.flush();
  });

  test('records that wait for the metadata of their topic count against the limit of pending bytes', async () => {
    const { cluster, log } = createBroker(1);
    const gate = Promise.withResolvers<void>();
    const unresponsive: KafkaCluster = {
      ...cluster,
      async findBroker(node) {
        await gate.promise;
        return await cluster.findBroker(node);
      },
    };
    const producer = createProducer(unresponsive, { pendingBytesMax: 1000 });
    const large = { key: 'a', value: new Uint8Array(600) };
    const accepted = producer.append('t', [large]);
    await assert.rejects(producer.append('t', [large, large]), { code: 'unavailable', retryable: true });
    assert.equal(producer.stats().refusedRecords, 2);
    gate.resolve();
    await accepted;
    await producer.append('t', [large]);
    assert.equal(log[0]!.length, 2);
    assert.equal(producer.stats().pendingBytes, 0);
    await producer.flush();
  });

  test('each record that expires is counted, and no other one', async () => {
    const { cluster } = createBroker(1, [], { codes: new Map([[0, 19]]) });
    const producer = createProducer(cluster, { appendTimeoutMs: 0, batchBytesMax: 150 });
    await assert.rejects(
      producer.append(
        't',
        ['1', '2', '3', '4', '5'].map((text) => record(text)),
      ),
      {
        code: 'unavailable',
      },
    );
    assert.equal(producer.stats().expiredRecords, 5);
    const refusing = createProducer(createBroker(1, [{ code: 87 }]).cluster);
    await assert.rejects(refusing.append('t', [record('invalid')]), { code: 'internal' });
    assert.equal(refusing.stats().expiredRecords, 0);
  });

  test('beyond the limit of pending bytes appends are refused, and accepted again afterwards', async () => {
    const { cluster, log } = createBroker(1);
    const producer = createProducer(cluster, { pendingBytesMax: 1000 });
    await producer.append('t', [record('first')]);
    const large = { key: 'a', value: new Uint8Array(600) };
    const accepted = producer.append('t', [large]);
    await assert.rejects(producer.append('t', [large]), { code: 'unavailable', retryable: true });
    assert.equal(producer.stats().refusedRecords, 1);
    await accepted;
    await producer.append('t', [large]);
    assert.equal(log[0]!.length, 3);
  });

  test('append is refused before the log is started', async () => {
    const { cluster, log } = createBroker(1);
    const producer = createProducer(cluster, { state: new LogState() });
    const message = 'cannot append to topic "t": the event log is not started: call start first';
    await assert.rejects(producer.append('t', [record('1')]), { code: 'closed', message });
    assert.equal(log.flat().length, 0);
  });

  test('a log that closes waits for accepted records and accepts no more', async () => {
    const { cluster, log } = createBroker(2);
    const state = openState();
    const producer = createProducer(cluster, { lingerMs: 1000, state });
    const running = producer.append('t', [record('1'), record('2', 'b')]);
    state.enter('closing');
    await producer.flush();
    assert.equal((await running).length, 2);
    assert.equal(log.flat().length, 2);
    await assert.rejects(producer.append('t', [record('3')]), { code: 'closed' });
  });

  test('after a broker has lost the sequence of a producer ID another one is used', async () => {
    const { cluster, batches } = createBroker(1, ['taken', { code: 59 }]);
    const producer = createProducer(cluster);
    await producer.append('t', [record('1')]);
    await producer.append('t', [record('2')]);
    assert.deepEqual(
      batches.map(({ producerId, firstSequence }) => [producerId, firstSequence]),
      [
        [1, 0],
        [1, 1],
        [2, 0],
      ],
    );
  });

  test('appendEach settles the records of a partition without a leader as unavailable, and the others as durable', async () => {
    const { cluster, log } = createBroker(2, [], { leaderOf: (partition) => (partition === 0 ? -1 : 1) });
    const producer = createProducer(cluster, { appendTimeoutMs: 200 });
    const [away, here] = [keyOf(0), keyOf(1)];
    const order: number[] = [];
    const settlements = await eachOf(
      producer,
      [record('1', away), record('2', here), record('3', away), record('4', here)],
      (index) => order.push(index),
    );
    assert.deepEqual(outcomesOf(settlements), ['unavailable', 0, 'unavailable', 1]);
    assert.deepEqual(order, [1, 3, 0, 2], 'those that are durable do not wait for the others');
    assert.deepEqual(log, [[], ['2', '4']]);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: a partition without a leader that holds its share of the pending bytes refuses its records alone', async () => {
    const { cluster, log } = createBroker(2, [], { leaderOf: (partition) => (partition === 0 ? -1 : 1) });
    const producer = createProducer(cluster, { lingerMs: 0, pendingBytesMax: 10_000, appendTimeoutMs: 400 });
    const [away, here] = [keyOf(0), keyOf(1)];
    const large = (key: string) => ({ key, value: new Uint8Array(900) });
    const waiting = [eachOf(producer, [large(away), large(away), large(away)])];
    while (producer.stats().retries === 0) await turn();
    const records = [large(away), large(here), large(away), large(here)];
    const errors: unknown[] = [];
    const settlements = await eachOf(producer, records, (_, error) => errors.push(error));
    assert.deepEqual(outcomesOf(settlements), ['unavailable', 0, 'unavailable', 1]);
    assert.equal(producer.stats().refusedRecords, 2);
    assert.match(String(errors[0]), /bytes wait for partition 0 of topic "t", .* for all partitions that cannot be/);
    assert.equal(log[1]!.length, 2);
    for (const each of await Promise.all(waiting)) assert.deepEqual(outcomesOf(each), new Array(3).fill('unavailable'));
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: beyond the limit of pending bytes a record is refused alone, and accepted again afterwards', async () => {
    const { cluster, log } = createBroker(1);
    const producer = createProducer(cluster, { pendingBytesMax: 1000 });
    await producer.append('t', [record('first')]);
    const large = { key: 'a', value: new Uint8Array(600) };
    assert.deepEqual(outcomesOf(await eachOf(producer, [large, large, record('small')])), [1, 'unavailable', 2]);
    assert.equal(producer.stats().refusedRecords, 1);
    assert.deepEqual(outcomesOf(await eachOf(producer, [large])), [3]);
    assert.equal(log[0]!.length, 4);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: of many records the broker refuses the one that is too large, and writes the others in order', async () => {
    const { cluster, log } = createBroker(1, [], { textsMax: 100 });
    const producer = createProducer(cluster);
    const texts = Array.from({ length: 64 }, (_, n) => (n === 41 ? 'x'.repeat(101) : String(n)));
    const settlements = await eachOf(
      producer,
      texts.map((text) => record(text)),
    );
    const expected = texts.filter((_, n) => n !== 41);
    assert.deepEqual(log[0], expected);
    assert.deepEqual(
      outcomesOf(settlements),
      texts.map((text, n) => (n === 41 ? 'too_large' : expected.indexOf(text))),
    );
  });

  test('appendEach: the records that follow a batch that has failed are sent', async () => {
    const { cluster, log } = createBroker(1, [{ code: 87 }]);
    const producer = createProducer(cluster, { batchBytesMax: 70 });
    const settlements = await eachOf(producer, [record('1'), record('2'), record('3'), record('4')]);
    assert.deepEqual(outcomesOf(settlements), ['internal', 'internal', 0, 1]);
    assert.deepEqual(log, [['3', '4']]);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: records that expire are settled once, also those that were not sent', async () => {
    const { cluster } = createBroker(1, [], { codes: new Map([[0, 19]]) });
    const producer = createProducer(cluster, { appendTimeoutMs: 0, batchBytesMax: 70 });
    const settlements = await eachOf(
      producer,
      ['1', '2', '3', '4', '5'].map((text) => record(text)),
    );
    assert.deepEqual(outcomesOf(settlements), new Array(5).fill('unavailable'));
    assert.equal(producer.stats().expiredRecords, 5);
    assert.equal(producer.stats().pendingBytes, 0);
    await producer.flush();
  });

  test('appendEach: records that wait for the metadata of their topic count against the limit, and keep their order', async () => {
    const { cluster, log } = createBroker(1);
    const gate = Promise.withResolvers<void>();
    const unresponsive: KafkaCluster = {
      ...cluster,
      async findBroker(node) {
        await gate.promise;
        return await cluster.findBroker(node);
      },
    };
    const producer = createProducer(unresponsive, { pendingBytesMax: 1000 });
    const large = { key: 'a', value: new Uint8Array(600) };
    const tooLarge = { key: 'a', value: new Uint8Array(2_000_000) };
    const first = eachOf(producer, [record('1'), tooLarge, large]);
    const second = producer.append('t', [record('2')]);
    assert.deepEqual(outcomesOf(await eachOf(producer, [large, record('3')])), ['unavailable', 'unavailable']);
    assert.equal(producer.stats().refusedRecords, 2);
    gate.resolve();
    assert.deepEqual(outcomesOf(await first), [0, 'too_large', 1]);
    await second;
    assert.deepEqual(log[0], ['1', '\0'.repeat(600), '2']);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: without metadata of the topic each record gets the error', async () => {
    const { cluster } = createBroker(1, [], { isKnown: () => false });
    const producer = createProducer(cluster);
    assert.deepEqual(outcomesOf(await eachOf(producer, [record('1'), record('2')])), ['not_found', 'not_found']);
    assert.equal(producer.stats().pendingBytes, 0);
  });

  test('appendEach: a caller that appends again while a record is settled blocks nothing', async () => {
    const { cluster, log } = createBroker(1, ['taken', { code: 87 }]);
    const producer = createProducer(cluster, { requestBytesMax: 1 });
    const done = Promise.withResolvers<void>();
    const texts: string[] = [];
    const append = (text: string) =>
      producer.appendEach('t', [record(text)], (_, error) => {
        texts.push(`${text} ${error?.code ?? 'durable'}`);
        if (texts.length < 4) append(String(texts.length + 1));
        else done.resolve();
      });
    append('1');
    await done.promise;
    assert.deepEqual(texts, ['1 durable', '2 internal', '3 durable', '4 durable']);
    assert.deepEqual(log, [['1', '3', '4']]);
    await producer.flush();
    assert.equal(producer.stats().pendingBytes, 0);
  });
});
