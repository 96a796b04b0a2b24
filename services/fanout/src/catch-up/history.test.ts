import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, type ReadRange, unreadableRecord } from '@tailrace/eventlog/event-log';
import type { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type ClusterClient, type ClusterNode, createCluster, limits, randomFrom } from '../../test/cluster.ts';
import { assertNothingLeft, devices, load, settle, withCluster } from '../../test/cluster-load.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { logRangesOf } from '../../test/log-ranges.ts';
import { inBatches, record, recordsIn } from '../../test/records.ts';
import { runUnscheduled } from '../../test/run-unscheduled.ts';
import { History, type ResumeBacklog } from './history.ts';

/** What one person received over several connections. */
function shown(clients: readonly ClusterClient[], device: string): { seqs: number[]; values: number[] } {
  const all = clients.flatMap(({ snapshot, live }) => [...snapshot, ...live]).filter((seen) => seen.device === device);
  return { seqs: all.map(({ seq }) => seq), values: all.map(({ value }) => value) };
}

const device = devices[0]!;
const after = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i + 1);

test('a client that reconnects receives its backlog, once and in order, from the owner and from any other node', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 3, 10);
    for (const node of nodes) {
      const before = appended.get(device)!.length;
      const first = node.client(device);
      await cluster.clock.advance(1_000);
      const token = first.disconnect();
      await load(cluster, appended, 20, 10);
      const back = node.client(device, true, token);
      await load(cluster, appended, 5, 10);
      await settle(cluster);
      assert.deepEqual(back.errors, []);
      assert.equal(back.start?.recovered, true);
      assert.deepEqual(back.snapshot, []);
      assert.deepEqual(shown([back], device).values, after(before, before + 25), `over ${node.name}`);
      back.disconnect();
    }
    const counts = nodes.map(({ history }) => history.counts);
    assert.ok(
      counts.some(({ fromWindow }) => fromWindow > 0) && counts.some(({ fromLog }) => fromLog > 0),
      'both ways are tested',
    );
  });
});

test('on a log of one partition, a client of a subtree that reconnects receives its backlog, which is freed when it disconnects', async () => {
  const cluster = await createCluster({ partitions: 1 });
  const nodes = [await cluster.node('a'), await cluster.node('b')];
  await settle(cluster);
  try {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    for (const node of nodes) {
      const before = appended.get(device)!.length;
      const first = node.client('plant.>');
      await cluster.clock.advance(1_000);
      const token = first.disconnect();
      await load(cluster, appended, 5, 10);
      const back = node.client('plant.>', true, token);
      await settle(cluster);
      assert.equal(back.start?.recovered, true);
      for (const each of devices) assert.deepEqual(shown([back], each).values, after(before, before + 5), node.name);
      back.disconnect();
    }
    await settle(cluster);
    assertNothingLeft(nodes);
  } finally {
    await cluster.close();
  }
});

test('clients that come and go between nodes while frames are lost receive every report once', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        const random = randomFrom(seed);
        const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)]!;
        const appended = new Map<string, number[]>();
        await load(cluster, appended, 1, 10);
        const people = Array.from({ length: 12 }, (_, i) => ({
          channel: i % 3 === 0 ? 'plant.>' : devices[i]!,
          clients: [] as ClusterClient[],
          token: '',
          away: true,
        }));
        const comeOrGo = (person: (typeof people)[0]) => {
          if (person.away) {
            const hasStarted = person.clients.some(({ start }) => start !== undefined);
            person.clients.push(pick(nodes).client(person.channel, true, hasStarted ? person.token : undefined));
          } else person.token = person.clients.at(-1)!.disconnect() || person.token;
          person.away = !person.away;
        };
        cluster.setNetworkFaults({ delayMs: { min: 0, max: 20 }, loss: 0.05, duplication: 0.05 });
        for (let i = 0; i < 60; i++) {
          for (const person of people) if (random() < 0.2) comeOrGo(person);
          await load(cluster, appended, 1, Math.floor(random() * 100));
        }
        cluster.setNetworkFaults({});
        for (const person of people) if (person.away) comeOrGo(person);
        await load(cluster, appended, 2, 100);
        await settle(cluster);
        for (const { channel, clients } of people) {
          assert.deepEqual(
            clients.flatMap(({ errors }) => errors),
            [],
          );
          for (const each of channel === 'plant.>' ? devices : [channel]) {
            const { seqs, values } = shown(clients, each);
            for (let i = 1; i < seqs.length; i++)
              assert.ok(seqs[i]! > seqs[i - 1]!, `seed ${seed}, ${each}: ${seqs[i]} after ${seqs[i - 1]}`);
            assert.deepEqual(
              values,
              after(values[0]! - 1, appended.get(each)!.at(-1)!),
              `seed ${seed}: ${each} on ${channel}`,
            );
          }
        }
      },
      seed,
    );
  }
});

test('a token of another log, or one without a partition, is not recovered: the missing range is named and last values come', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 3, 10);
    const partition = partitionOf(device, cluster.partitions);
    for (const [epoch, reason] of [
      ['other', 'epoch'],
      ['epoch-1', 'unknown'],
    ] as const) {
      const client = node!.client(device, true, tokenFromPositions(createPositions(epoch)));
      await cluster.clock.advance(10);
      assert.equal(client.start?.recovered, false);
      assert.deepEqual(
        client.start?.missing?.map((each) => [each.partition, each.from, each.reason]),
        [[partition, 0, reason]],
      );
      assert.deepEqual(
        client.snapshot.map(({ value }) => value),
        [3],
      );
    }
  });
});

test('a client further behind than is read for one is sent the exact range, and goes on from the last values', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const appended = new Map<string, number[]>();
    const first = node!.client(device);
    await load(cluster, appended, 1, 10);
    const token = first.disconnect();
    // More than the window holds by age, and more records than resumeRecordsMax.
    for (let i = 0; i < 5_200; i++) await cluster.append(device, 100 + i);
    await cluster.clock.advance(120_000);
    await load(cluster, appended, 1, 100);
    const back = node!.client(device, true, token);
    await cluster.clock.advance(1_000);
    await load(cluster, appended, 1, 100);
    const seqs = shown([first, back], device).seqs;
    const [missing] = back.start!.missing!;
    assert.equal(missing?.reason, 'too_far');
    assert.equal(missing?.from, first.live.at(-1)!.seq + 1);
    const last = back.snapshot.at(-1)!.seq;
    assert.ok(last <= missing!.to && missing!.to < back.live[0]!.seq, `missing to ${missing!.to}, last value ${last}`);
    assert.deepEqual(
      seqs,
      [...new Set(seqs)].sort((a, b) => a - b),
    );
    assert.deepEqual(
      back.live.map(({ value }) => value),
      [3],
    );
  });
});

test('a token ahead of the log is refused once the time to reach it has passed', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    await load(cluster, new Map(), 1, 10);
    const partition = partitionOf(device, cluster.partitions);
    const client = node!.client(device, true, tokenFromPositions(createPositions('epoch-1', [[partition, 9_999]])));
    await cluster.clock.advance(59_000);
    assert.deepEqual(client.errors, []);
    await cluster.clock.advance(2_000);
    assert.match(client.errors[0]!, /expected a position below \d+ in partition \d+, got 9999: it is ahead of the log/);
    assert.equal(node!.channels.size, 0, 'the refused subscription is closed');
  });
});

test('many clients that reconnect at once share one read of the log', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const away = nodes.find(
      ({ ownership }) => ownership.partitions[partitionOf(device, cluster.partitions)]!.role === 'elsewhere',
    )!;
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const first = away.client(device);
    await cluster.clock.advance(1_000);
    const token = first.disconnect();
    await load(cluster, appended, 100, 10);
    const clients = Array.from({ length: 100 }, () => away.client(device, true, token));
    await settle(cluster);
    for (const client of clients)
      assert.deepEqual(
        client.live.map(({ value }) => value),
        after(2, 102),
      );
    assert.ok(
      away.history.ranges.blocks.counts.read <= 3,
      `${away.history.ranges.blocks.counts.read} blocks were read`,
    );
  });
});

test('a client that reconnects while its node reads a partition back receives its backlog, also if others received it before', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 3, 10);
    const partition = partitionOf(device, cluster.partitions);
    const isOwner = ({ ownership }: ClusterNode) => ownership.partitions[partition]!.role === 'owned';
    const owner = nodes.find(isOwner)!;
    const other = nodes.find((node) => node !== owner)!;
    const stays = other.client(device);
    const goes = other.client(device);
    await cluster.clock.advance(1_000);
    const token = goes.disconnect();
    await load(cluster, appended, 5, 10);
    // The other nodes receive nothing of its owner, which is still in the group. Its standby takes its time.
    cluster.slowReads(10_000);
    cluster.isolate(owner.name);
    await cluster.clock.advance(limits.nodeTimeoutMs + 1_000);
    const back = other.client(device, true, token);
    await cluster.clock.advance(100);
    assert.equal(back.start, undefined, 'it waits for an owner');
    const stopped = owner.stop();
    await settle(cluster);
    await stopped;
    assert.ok(isOwner(other));
    await load(cluster, appended, 5, 10);
    assert.deepEqual(shown([stays], device).values, after(2, 13));
    assert.deepEqual(shown([goes, back], device).values, after(2, 13));
  });
});

/** A node that has the one partition by relay, and reads the backlog of a client from a log that is an array. */
function reading(records: readonly LogRecord[], resumeBytesMax = 10_000_000) {
  const log = {
    records,
    next: records.length,
    async *read(_topic: string, _partition: number, { from, until = Number.POSITIVE_INFINITY }: ReadRange) {
      const some = recordsIn(log.records, from, until);
      yield* inBatches(some);
    },
    bounds: async () => [{ first: log.records[0]!.seq, next: log.next }],
    positionsAt: async () => [0],
  };
  const { partitions, channels } = createLocalNode({ partitions: 1, owned: false });
  const limits = { resumeRecordsMax: 10_000, resumeBytesMax, joinDeadlineMs: 1_000 };
  const table = { partitions, next: () => log.next };
  const clock = createFakeClock();
  const history = new History({ table, ranges: logRangesOf(log), epoch: 'e', clock, limits });
  const backlogAfter = async (last: number) => {
    const after = createPositions('e', [[0, last]]);
    return (await runUnscheduled(history.resume(channels.open('p.d'), after, { grow: () => true })))!;
  };
  return { log, history, clock, channels, backlogAfter };
}

function seqsOf({ parts }: ResumeBacklog): number[] {
  return parts.flatMap(({ reports }) => reports.map(({ seq }) => seq));
}

test('a report that repeats a message ID of before the token does not come again', async () => {
  const ids = ['a', 'b', undefined, 'b', 'c'];
  const { backlogAfter } = reading(ids.map((id, seq) => record('p.d', seq, seq, id)));
  assert.deepEqual(seqsOf(await backlogAfter(1)), [2, 4]);
});

test('the position of a time is requested from the log only if the window does not reach back to it', async () => {
  const { partitions, channels, clock } = createLocalNode({ partitions: 1 });
  const nowMs = clock.now();
  // One time goes back, as a foreign producer's may.
  const agesMs = [9_000, 8_000, 6_000, 7_000, 5_000, 1_000];
  partitions[0]!.accept(agesMs.map((ageMs, seq) => ({ ...record('p.d', seq), timeMs: nowMs - ageMs })));
  const asked: number[] = [];
  const log = {
    read: () => assert.fail('the log is read'),
    positionsAt: async (_topic: string, timeMs: number) => {
      asked.push(nowMs - timeMs);
      return [3];
    },
    bounds: async () => [{ first: 2, next: 6 }],
  };
  const history = new History({
    table: { partitions, next: () => partitions[0]!.next },
    ranges: logRangesOf(log),
    epoch: 'e',
    clock,
    limits: { resumeRecordsMax: 0, resumeBytesMax: 1_000_000, joinDeadlineMs: 1_000 },
  });
  const channel = channels.open('p.d');
  const startAt = async (ageMs: number) => {
    const { position, missing } = await history.since(channel, nowMs - ageMs);
    assert.deepEqual(missing, []);
    return position.last(0)! + 1;
  };
  assert.deepEqual(await Promise.all([8_500, 8_000, 7_500, 6_500, 5_500, 500, 0].map(startAt)), [1, 1, 2, 2, 4, 6, 6]);
  assert.deepEqual(asked, []);
  assert.equal(await startAt(20_000), 3);
  assert.deepEqual(asked, [20_000]);
});

test('what retention took between a block that is remembered and the next one is named', async () => {
  const records = Array.from({ length: 2_500 }, (_, seq) => record('p.d', seq, seq));
  const { log, backlogAfter } = reading(records);
  log.next = 1_000;
  assert.equal(seqsOf(await backlogAfter(10)).length, 989);
  log.next = 2_500;
  log.records = records.slice(1_500);
  const backlog = await backlogAfter(10);
  assert.deepEqual(backlog.missing, [{ partition: 0, from: 11, to: 1_499, reason: 'retention' }]);
  assert.deepEqual(
    seqsOf(backlog),
    records.slice(1_500).map(({ seq }) => seq),
  );
});

test('what the log cannot read is named where it lies, also for a client that is in the midst of it, and is no reason to read anything else', async () => {
  const records = Array.from({ length: 1_200 }, (_, seq) => record('p.d', seq, seq));
  const gap = (seq: number, until: number) => unreadableRecord(seq, { until, reason: 'checksum', message: 'damaged' });
  const { log, backlogAfter } = reading([
    ...records.slice(0, 3),
    gap(3, 6),
    ...records.slice(6, 990),
    gap(990, 1_010),
    ...records.slice(1_010),
  ]);
  log.next = records.length;
  const range = (from: number, to: number) => ({ partition: 0, from, to, reason: 'unreadable' });
  const first = await backlogAfter(1);
  assert.deepEqual(first.missing, [range(3, 5), range(990, 1_009)]);
  assert.deepEqual(seqsOf(first), [
    2,
    ...records.slice(6, 990).map(({ seq }) => seq),
    ...records.slice(1_010).map(({ seq }) => seq),
  ]);
  assert.equal(first.position.last(0), 1);
  assert.deepEqual((await backlogAfter(4)).missing[0], range(5, 5));
  assert.deepEqual((await backlogAfter(995)).missing, [range(996, 1_009)]);
  assert.deepEqual((await backlogAfter(1_009)).missing, []);
});

test('a client that resumes with nothing because it would be too much is sent so from its position on, wherever else something is missing', async () => {
  const records = Array.from({ length: 100 }, (_, seq) => record('p.d', seq, seq));
  const gap = unreadableRecord(40, { until: 50, reason: 'checksum', message: 'damaged' });
  const kept = [...records.slice(0, 40), gap, ...records.slice(50)];
  const missingAfter = async (first: number, last: number) => {
    const { log, backlogAfter } = reading(kept.slice(first), 100);
    log.next = records.length;
    return (await backlogAfter(last)).missing;
  };
  const tooFar = (from: number) => [{ partition: 0, from, to: 99, reason: 'too_far' }];
  assert.deepEqual(await missingAfter(0, 10), tooFar(11));
  // Retention has come past the position meanwhile.
  assert.deepEqual(await missingAfter(20, 10), tooFar(11));
});

test('what the log cannot read is named up to where the rest of it has been deleted', async () => {
  const records = Array.from({ length: 100 }, (_, seq) => record('p.d', seq, seq));
  const { log, backlogAfter } = reading([
    unreadableRecord(40, { until: 50, reason: 'checksum', message: 'damaged' }),
    ...records.slice(50),
  ]);
  // Records have been deleted up to within what cannot be read, of which the log keeps all.
  log.bounds = async () => [{ first: 45, next: log.next }];
  const { position, missing } = await backlogAfter(10);
  assert.deepEqual(missing, [
    { partition: 0, from: 11, to: 44, reason: 'retention' },
    { partition: 0, from: 45, to: 49, reason: 'unreadable' },
  ]);
  assert.equal(position.last(0), 44);
});

test('thousands of waits that expire at once cause one request for the end of the partition', async () => {
  const { log, history, clock, channels } = reading([record('p.d', 0, 0)]);
  let asked = 0;
  const { bounds } = log;
  log.bounds = () => {
    asked++;
    return bounds();
  };
  const channel = channels.open('p.d');
  const reach = (last: number) =>
    history.reach(channel, createPositions('e', [[0, last]])).then(
      () => 'reached',
      (error: TailraceError) => error.code,
    );
  const waits = Array.from({ length: 6_000 }, () => reach(9));
  await clock.advance(2_000);
  assert.deepEqual(new Set(await Promise.all(waits)), new Set(['invalid_position']));
  assert.equal(asked, 1);
  // The log is ahead of this node: the token is kept.
  const later = reach(9);
  log.bounds = async () => [{ first: 0, next: 10 }];
  await clock.advance(2_000);
  assert.equal(await later, 'unavailable');
});
