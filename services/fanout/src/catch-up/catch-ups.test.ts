import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Skipped } from '@tailrace/protocol/skipped';
import { randomFrom } from '../../test/cluster.ts';
import { assertWhole, devices, load, settle, withCluster } from '../../test/cluster-load.ts';
import {
  createSlowNode,
  type SlowClient,
  type SlowNode,
  type SlowReport,
  slowLimits,
} from '../../test/slow-clients.ts';
import type { Subscription } from '../channels/subscription.ts';
import type { Reservation } from './memory-budget.ts';
import { fromAheadMsMax } from './replay-request.ts';

async function withNode(
  run: (node: SlowNode) => Promise<void>,
  options: Parameters<typeof createSlowNode>[0] = {},
): Promise<void> {
  const node = await createSlowNode(options);
  try {
    await run(node);
    assert.equal(node.hub.catchUps.counts.replays, 0);
  } finally {
    await node.close();
  }
  assert.equal(node.channels.size, 0);
  assert.equal(node.clock.pending(), 0, 'no timer is left');
}

const text = 'x'.repeat(1_000);
const many = (device: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ device, value: from + i, text }));
const valuesOf = (client: SlowClient) =>
  client
    .data()
    .filter(({ snapshot }) => snapshot !== true)
    .flatMap(({ reports }) => reports.map(({ readings }) => Number(readings[0]?.value)));
const skippedOf = (client: SlowClient) => client.data().flatMap(({ skipped }) => skipped ?? []);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** Reads whatever comes until nothing does. */
async function readAll(node: SlowNode, client: SlowClient): Promise<void> {
  do {
    client.take(Number.POSITIVE_INFINITY);
    await node.clock.advance(10);
  } while (client.waiting > 0);
}

test('a client that stops reading is sent its backlog conflated once it reads, the spike included, and then everything as it comes', async () => {
  await withNode(async (node) => {
    const [slow, other] = [await node.client(), await node.client()];
    for (const client of [slow, other]) client.send({ subscribe: { id: 'a', channel: 'p.d' } });
    for (let i = 0; i < 20; i++) {
      const reports = many('p.d', i * 10 + 1, i * 10 + 10);
      if (i === 10) reports[5] = { device: 'p.d', value: 9_999, text };
      await node.append(reports);
      other.take(Number.POSITIVE_INFINITY);
    }
    assert.equal(slow.topics.size, 0, 'it is off the topic');
    const waited = slow.waiting;
    await node.append(many('p.d', 201, 250));
    assert.equal(slow.waiting, waited);
    await readAll(node, slow);
    await node.append(many('p.d', 251, 253));
    await readAll(node, slow);
    const [skipped, ...more] = skippedOf(slow);
    assert.deepEqual(more, []);
    const received = valuesOf(slow);
    const before = received.indexOf(250);
    assert.deepEqual(received, [...range(1, before), 250, 251, 252, 253]);
    assert.deepEqual([skipped?.device, skipped?.reason, skipped?.count], ['p.d', 'slow', 249 - before]);
    assert.deepEqual(
      skipped?.tags?.find(({ tag }) => tag === 'n'),
      { tag: 'n', count: 250 - before, first: before + 1, min: before + 1, max: 9_999, last: 250 },
    );
    await readAll(node, other);
    assert.equal(valuesOf(other).length, 253, 'the others see every report');
  });
});

test('the backlog of a client that is slow for a short time is sent in full', async () => {
  await withNode(async (node) => {
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.d' } });
    await node.append(many('p.d', 1, 50));
    await node.append(many('p.d', 51, 80));
    await readAll(node, client);
    assert.deepEqual(skippedOf(client), []);
    assert.deepEqual(valuesOf(client), range(1, 80));
    assert.equal(client.topics.size, 1);
  });
});

const broken = () => {
  throw new TypeError('broken');
};

for (const [what, act] of [
  ['pauses', ({ slow }) => slow.send({ pause: { id: 'a' } })],
  ['falls behind', ({ node }) => [...node.sockets].forEach((socket) => void socket.check())],
] as const satisfies readonly [string, (given: { node: SlowNode; slow: SlowClient }) => void][]) {
  test(`a client whose socket overflows when it ${what} is terminated, and the others on its view are served`, async () => {
    await withNode(
      async (node) => {
        const [slow, other] = [await node.client(), await node.client()];
        for (const client of [slow, other]) client.send({ subscribe: { id: 'a', channel: 'p.d', maxRate: 1 } });
        other.take(Number.POSITIVE_INFINITY);
        for (const value of [1, 2]) await node.append([{ device: 'p.d', value }]);
        // The view holds the second report, and the socket is full beyond its limit: that report does not fit.
        while (slow.waiting <= 3_000) slow.send({ ping: { t: 1 } });
        act({ node, slow });
        await node.clock.advance(1_000);
        assert.deepEqual(slow.closes, ['1006 ']);
        await node.append([{ device: 'p.d', value: 3 }]);
        other.take(Number.POSITIVE_INFINITY);
        assert.deepEqual(valuesOf(other), [1, 2, 3]);
      },
      { socketHighWaterBytes: 2_000, socketBytesMax: 3_000 },
    );
  });
}

test('an error while a client falls behind, or when it is too slow, disconnects that client alone', async () => {
  for (const method of ['fallBehind', 'position'] as const) {
    await withNode(
      async (node) => {
        const [slow, other] = [await node.client(), await node.client()];
        slow.send({ subscribe: { id: 'a', channel: 'p.d' } });
        other.send({ subscribe: { id: 'a', channel: 'p.e' } });
        node.hub[method] = broken;
        await node.append(many('p.d', 1, 50));
        await node.append(many('p.d', 51, 52));
        await node.clock.advance(31_000);
        slow.take(Number.POSITIVE_INFINITY);
        assert.deepEqual(slow.closes, ['1011 internal error'], method);
        await node.append([{ device: 'p.e', value: 1 }]);
        await readAll(node, other);
        assert.deepEqual(valuesOf(other), [1], method);
      },
      { lagMsMax: 30_000 },
    );
  }
});

test('a client that lags for too long is disconnected with the position to resume from', async () => {
  await withNode(
    async (node) => {
      const client = await node.client();
      client.send({ subscribe: { id: 'a', channel: 'p.d' } });
      await node.append(many('p.d', 1, 50));
      await node.append(many('p.d', 51, 52));
      await node.clock.advance(29_000);
      assert.deepEqual(client.closes, []);
      await node.clock.advance(2_000);
      client.take(Number.POSITIVE_INFINITY);
      const [close] = client.closes;
      const token = /^4002 too slow; after=(.+)$/.exec(close ?? '')?.[1];
      assert.equal(positionsFromToken(token).entries()[0]?.[1], 49);
      const back = await node.client();
      back.send({ subscribe: { id: 'a', channel: 'p.d', after: token! } });
      await readAll(node, back);
      assert.deepEqual(valuesOf(back), [51, 52]);
    },
    { lagMsMax: 30_000 },
  );
});

test('a client that is disconnected in the middle of a snapshot is sent no position: it would miss the rest', async () => {
  await withNode(
    async (node) => {
      await node.append(range(1, 200).map((i) => ({ device: `p.d${i}`, value: 1, text })));
      const client = await node.client();
      client.send({ subscribe: { id: 'a', channel: 'q.>' } });
      client.send({ subscribe: { id: 'b', channel: 'p.>' } });
      await node.clock.advance(31_000);
      client.take(Number.POSITIVE_INFINITY);
      assert.deepEqual(client.closes, ['4002 too slow']);
    },
    { lagMsMax: 30_000 },
  );
});

test('a client whose subscription is refused while it catches up, and that reads, is not taken for a slow one', async () => {
  await withNode(
    async (node) => {
      const client = await node.client();
      const started: Subscription[] = [];
      const subscribe = node.hub.subscribe.bind(node.hub);
      node.hub.subscribe = (...args) => {
        const subscription = subscribe(...args);
        started.push(subscription);
        return subscription;
      };
      client.send({ subscribe: { id: 'a', channel: 'p.d' } });
      await node.append(many('p.d', 1, 50));
      await node.append(many('p.d', 51, 52));
      assert.equal(started[0]?.state, 'behind');
      started[0].refuse(new TailraceError('rate_limited', 'too much waits'));
      await readAll(node, client);
      assert.deepEqual(
        client.all('error').map(({ error }) => error.code),
        ['rate_limited'],
      );
      await node.clock.advance(31_000);
      assert.deepEqual(client.closes, []);
    },
    { lagMsMax: 30_000 },
  );
});

test('a snapshot larger than the socket comes as the client reads, and nothing is missing behind it', async () => {
  await withNode(async (node) => {
    const devices = range(1, 200).map((i) => `p.d${i}`);
    await node.append(devices.map((device) => ({ device, value: 1, text })));
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.>' } });
    client.send({ ping: { t: 1 } });
    assert.ok(client.waiting < 150_000, `${client.waiting}`);
    for (let value = 2; value < 6; value++) {
      await node.append([{ device: 'p.d7', value }]);
      client.take(30_000);
    }
    await readAll(node, client);
    await node.append([{ device: 'p.d7', value: 6 }]);
    await readAll(node, client);
    const snapshot = client.data().filter((data) => data.snapshot);
    assert.equal(client.all('subscribed')[0]?.subscribed.snapshot, 200);
    assert.equal(snapshot.flatMap(({ reports }) => reports).length, 200);
    assert.deepEqual(valuesOf(client), [2, 3, 4, 5, 6]);
    assert.ok(client.kinds().indexOf('pong') < client.kinds().lastIndexOf('data'), 'a reply does not wait for data');
  });
});

test('a client that pauses in the middle of its snapshot is sent the rest when it resumes, however often it does', async () => {
  await withNode(async (node) => {
    await node.append(range(1, 200).map((i) => ({ device: `p.d${i}`, value: 1, text })));
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.>' } });
    const sent: number[] = [];
    for (let value = 2; value < 5; value++) {
      client.send({ pause: { id: 'a' } });
      await node.append([{ device: 'p.d7', value }]);
      await readAll(node, client);
      sent.push(client.data().flatMap(({ reports }) => reports).length);
      client.send({ resume: { id: 'a' } });
    }
    assert.ok(sent[0]! < sent[1]! && sent[1]! < sent[2]! && sent[2]! < 200, `${sent}: the test tests little`);
    await readAll(node, client);
    const snapshot = client.data().filter((data) => data.snapshot);
    assert.equal(new Set(snapshot.flatMap(({ reports }) => reports.map(({ device }) => device))).size, 200);
    assert.equal(snapshot.filter((data) => data.snapshotComplete).length, 1);
    assert.deepEqual(valuesOf(client), [2, 3, 4]);
  });
});

test('a client that subscribes again and again and reads nothing has one snapshot made', async () => {
  await withNode(async (node) => {
    await node.append(range(1, 100).map((i) => ({ device: `p.d${i}`, value: 1, text })));
    const client = await node.client();
    for (const i of range(1, 300)) client.send({ subscribe: { id: `${i}`, channel: 'p.>' } });
    await node.clock.advance(10);
    assert.ok(client.waitedMost < 110_000, `${client.waitedMost}`);
    await readAll(node, client);
    assert.equal(client.all('subscribed').length, 300);
    assert.equal(client.data().flatMap(({ reports }) => reports).length, 30_000);
  });
});

test('during a pause nothing is sent, and after resume the held reports are sent before live ones', async () => {
  await withNode(async (node) => {
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.>' } });
    await node.append([{ device: 'p.d', value: 1 }]);
    client.send({ pause: { id: 'a' } });
    await node.append(many('p.d', 2, 300));
    await readAll(node, client);
    assert.deepEqual(client.kinds(), ['welcome', 'subscribed', 'data', 'paused']);
    client.send({ pause: { id: 'a' } });
    client.send({ pause: { id: 'b' } });
    client.send({ resume: { id: 'a' } });
    client.send({ resume: { id: 'a' } });
    await readAll(node, client);
    await node.append([{ device: 'p.d', value: 301 }]);
    await readAll(node, client);
    assert.deepEqual(valuesOf(client), range(1, 301));
    assert.deepEqual(
      client.all('error').map(({ error }) => error.code),
      ['conflict', 'not_found', 'conflict'],
    );
    const kinds = client.kinds();
    assert.equal(kinds.indexOf('live'), kinds.length - 2, 'live, then what comes now');
    const replayed = client
      .data()
      .filter(({ replay }) => replay)
      .flatMap(({ reports }) => reports);
    assert.equal(replayed.length, 299);
    assert.deepEqual(skippedOf(client), []);
  });
});

test('from a time on everything is replayed in the order in which it came, over all partitions, and joined to what comes now', async () => {
  await withNode(async (node) => {
    await node.append([{ device: 'p.a', value: -1 }]);
    await node.clock.advance(1_000);
    const fromMs = node.clock.now();
    for (let value = 1; value <= 600; value++) {
      await node.append([{ device: `p.d${value % 7}`, value, text }]);
      await node.clock.advance(200);
    }
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.>', from: fromMs } });
    for (let value = 601; value <= 620; value++) {
      await node.append([{ device: `p.d${value % 7}`, value }]);
      client.take(50_000);
    }
    await readAll(node, client);
    await node.append([{ device: 'p.a', value: 621 }]);
    await readAll(node, client);
    assert.deepEqual(
      valuesOf(client).sort((a, b) => a - b),
      range(1, 621),
    );
    assert.deepEqual(valuesOf(client).slice(0, 600), range(1, 600));
    assert.deepEqual(
      client.all('subscribed').map(({ subscribed }) => subscribed.recovered),
      [true],
    );
    assert.equal(client.all('live').length, 1);
    assert.ok(client.waitedMost < 110_000, `${client.waitedMost}`);
    assert.ok(node.history.ranges.blocks.counts.read > 0, 'the log was read');
  });
});

test('a replay with a speed goes by the time at which things happened, can be paused, and joins when it has come to now', async () => {
  await withNode(async (node) => {
    const fromMs = node.clock.now();
    for (let value = 1; value <= 60; value++) {
      await node.append([{ device: 'p.d', value }]);
      await node.clock.advance(999);
    }
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.d', from: fromMs, speed: 10 } });
    await node.clock.advance(1_050);
    client.take(1_000_000);
    assert.deepEqual(valuesOf(client), range(1, 11), 'eleven seconds in one');
    client.send({ pause: { id: 'a' } });
    await node.clock.advance(5_000);
    client.take(1_000_000);
    assert.deepEqual(valuesOf(client), range(1, 11));
    client.send({ resume: { id: 'a', speed: 20 } });
    await node.clock.advance(1_025);
    client.take(1_000_000);
    assert.deepEqual(valuesOf(client), range(1, 32));
    await node.clock.advance(3_000);
    await node.append([{ device: 'p.d', value: 61 }]);
    await readAll(node, client);
    assert.deepEqual(valuesOf(client), range(1, 61));
    assert.equal(client.all('live').length, 1);
    assert.equal(client.topics.size, 1);
  });
});

test('replays with a speed are bounded; what makes no sense is refused with what was expected', async () => {
  await withNode(
    async (node) => {
      await node.append([{ device: 'p.d', value: 1 }]);
      await node.clock.advance(60_000);
      await node.append([{ device: 'p.d', value: 2 }]);
      const client = await node.client();
      const from = node.clock.now() - 100_000;
      const channel = 'p.d';
      for (const subscribe of [
        { id: '1', channel, from, speed: 1 },
        { id: '2', channel, from, speed: 1 },
        { id: '3', channel, from: node.clock.now() + fromAheadMsMax + 1_000 },
        { id: '4', channel, from, after: 'AQ' },
        { id: '5', channel, speed: 2 },
        { id: '6', channel, from, speed: 1_001 },
      ]) {
        client.send({ subscribe });
        await node.clock.advance(1);
      }
      await readAll(node, client);
      assert.deepEqual(
        client.all('error').map(({ error }) => [error.id, error.code]),
        [['2', 'limit_reached'], ...['3', '4', '5', '6'].map((id) => [id, 'invalid_message'])],
      );
      client.send({ unsubscribe: { id: '1' } });
      client.send({ subscribe: { id: '2', channel, from, speed: 1 } });
      await node.clock.advance(1);
      client.send({ unsubscribe: { id: '2' } });
      await readAll(node, client);
      assert.equal(client.all('error').length, 5);
    },
    { replaysMax: 1 },
  );
});

test('a `from` that is a little ahead of the clock of the server means now; further ahead, or in another unit, it is refused with the reason', async () => {
  await withNode(async (node) => {
    await node.append([{ device: 'p.d', value: 1 }]);
    await node.clock.advance(1_000);
    const client = await node.client();
    client.send({ subscribe: { id: 'a', channel: 'p.d', from: node.clock.now() + 500 } });
    client.send({ subscribe: { id: 'b', channel: 'p.d', from: node.clock.now() + fromAheadMsMax, speed: 1 } });
    await node.clock.advance(1);
    await node.append([{ device: 'p.d', value: 2 }]);
    await node.clock.advance(1_000);
    await readAll(node, client);
    assert.deepEqual(client.all('error'), []);
    assert.equal(client.all('live').length, 2);
    assert.deepEqual(valuesOf(client), [2, 2]);

    const refused = [
      [
        node.clock.now() + fromAheadMsMax + 1_000,
        /at most 5000 ms ahead of this server's clock, which is \d+, got \d+/,
      ],
      [node.clock.now() / 1_000, /expected milliseconds since 1970, got [\d.]+, which is probably in seconds/],
      [node.clock.now() * 1_000, /which is probably in microseconds/],
      [-1, /expected milliseconds since 1970, got -1/],
    ] as const;
    for (const [index, [from, sentence]] of refused.entries()) {
      client.send({ subscribe: { id: `c${index}`, channel: 'p.d', from } });
      await readAll(node, client);
      const error = client.all('error').at(-1)?.error;
      assert.deepEqual([error?.id, error?.code], [`c${index}`, 'invalid_message']);
      assert.match(error?.message ?? '', sentence);
    }
  });
});

test('a replay that waits for its time keeps no other client from the memory to catch up with', async () => {
  await withNode(
    async (node) => {
      const fromMs = node.clock.now();
      await node.append(many('p.d', 1, 100));
      await node.clock.advance(60_000);
      await node.append(many('p.d', 101, 900));
      const [replaying, back] = [await node.client(), await node.client()];
      replaying.send({ subscribe: { id: 'a', channel: 'p.d', from: fromMs, speed: 1 } });
      await readAll(node, replaying);
      assert.ok(node.work.memory.heldBytes > 0, 'the test tests nothing');
      // More than the memory that is free, and than all of it.
      const before = new Positions('epoch-1');
      before.advance(partitionOf('p.d', 3), 0);
      back.send({ subscribe: { id: 'a', channel: 'p.d', after: tokenFromPositions(before) } });
      await node.clock.advance(2_000);
      await readAll(node, back);
      assert.deepEqual(valuesOf(back), range(2, 900));
      assert.deepEqual(valuesOf(replaying), range(1, 100));
      await node.clock.advance(55_000);
      await readAll(node, replaying);
      assert.deepEqual(valuesOf(replaying), range(1, 100), 'its time has not come');
      await node.clock.advance(5_000);
      await readAll(node, replaying);
      assert.deepEqual(valuesOf(replaying), range(1, 900));
      assert.equal(replaying.all('live').length, 1);
    },
    { catchUpBytesMax: 1_048_576, windowBytesMax: 100_000 },
  );
});

test('with `align` a position has no effect, also one that is ahead of the log', async () => {
  await withNode(async (node) => {
    const client = await node.client();
    const ahead = new Positions('epoch-1');
    for (const partition of [0, 1, 2]) ahead.advance(partition, 1_000);
    client.send({ subscribe: { id: 'a', channel: 'p.d', align: 100, after: tokenFromPositions(ahead) } });
    await node.append([{ device: 'p.d', value: 1 }]);
    await node.clock.advance(3_000);
    await readAll(node, client);
    assert.deepEqual(client.all('error'), []);
    assert.ok(client.all('cut').length > 0);
  });
});

/** What of the log was neither sent to the client nor named, and what came in the wrong order. */
function violationsOf(
  client: SlowClient,
  id: string,
  logged: readonly { device: string; partition: number; seq: number }[],
): string[] {
  const violations: string[] = [];
  const subscribed = client.all('subscribed').find((each) => each.subscribed.id === id)?.subscribed;
  if (subscribed === undefined) return ['never started'];
  const start = positionsFromToken(subscribed.position);
  const shown = new Set<string>();
  const last = new Map<string, number>();
  const skipped: Skipped[] = [];
  for (const data of client.data()) {
    if (data.view !== subscribed.view) continue;
    skipped.push(...(data.skipped ?? []));
    for (const { device, partition, seq } of data.reports) {
      if (data.snapshot) continue;
      if (seq <= (last.get(device) ?? -1)) violations.push(`${device}: ${seq} after ${last.get(device)}`);
      last.set(device, seq);
      shown.add(`${partition} ${seq}`);
    }
  }
  for (const { device, partition, seq } of logged) {
    if (seq <= (start.last(partition) ?? -1) || shown.has(`${partition} ${seq}`)) continue;
    const isNamed = skipped.some(
      (each) =>
        each.partition === partition &&
        (each.device === device || each.device === '') &&
        each.from <= seq &&
        seq <= each.to,
    );
    if (!isNamed) violations.push(`${device}: ${partition}/${seq} is neither sent nor named`);
  }
  return violations;
}

test('whatever clients read, pause and resume, each report is sent to them in order or named as left out, and little waits', async () => {
  let conflated = 0;
  for (let seed = 1; seed <= 12; seed++) {
    await withNode(async (node) => {
      const random = randomFrom(seed);
      const pick = (count: number) => Math.floor(random() * count);
      const logged: { device: string; partition: number; seq: number }[] = [];
      const nexts = new Map<number, number>();
      const clients = await Promise.all([1, 2, 3, 4].map(() => node.client()));
      const paused = new Set<SlowClient>();
      for (const [i, client] of clients.entries()) {
        client.send({ subscribe: { id: 'a', channel: i === 3 ? 'p.d1' : 'p.>' } });
        if (i === 2) client.send({ subscribe: { id: 'b', channel: 'p.>', snapshot: false } });
      }
      for (let step = 0; step < 150; step++) {
        const reports = Array.from({ length: pick(30) }, () => ({
          ...{ device: `p.d${pick(6)}`, value: pick(1_000) },
          text: 'x'.repeat(pick(1_500)),
        }));
        for (const { device } of reports) {
          const partition = partitionOf(device, 3);
          const seq = nexts.get(partition) ?? 0;
          nexts.set(partition, seq + 1);
          logged.push({ device, partition, seq });
        }
        if (reports.length > 0) await node.append(reports);
        const token = clients[pick(clients.length)]!.all('subscribed')[0]?.subscribed.position;
        if (token !== undefined && random() < 0.04) {
          const client = await node.client();
          client.send({ subscribe: { id: 'a', channel: 'p.>', snapshot: random() < 0.5, after: token } });
          clients.push(client);
        }
        for (const client of clients) {
          if (random() < 0.4) client.take(pick(30_000));
          if (random() < 0.02) {
            client.send(paused.has(client) ? { resume: { id: 'a' } } : { pause: { id: 'a' } });
            if (!paused.delete(client)) paused.add(client);
          }
        }
        if (random() < 0.3) await node.clock.advance(pick(500));
      }
      for (const client of paused) client.send({ resume: { id: 'a' } });
      for (let i = 0; i < 5; i++) for (const client of clients) await readAll(node, client);
      for (const [i, client] of clients.entries()) {
        for (const id of i === 2 ? ['a', 'b'] : ['a']) {
          const mine = i === 3 ? logged.filter(({ device }) => device === 'p.d1') : logged;
          assert.deepEqual(violationsOf(client, id, mine), [], `seed ${seed}, client ${i}, ${id}`);
        }
        assert.equal(client.topics.size, i === 2 ? 2 : 1, `seed ${seed}: client ${i} is live again`);
        // What may wait, what one batch brings to two views, and a frame.
        const waitMost = slowLimits.socketHighWaterBytes + 2 * 50_000 + 66_000;
        assert.ok(client.waitedMost < waitMost, `${client.waitedMost} bytes waited`);
      }
      conflated += node.hub.catchUps.counts.conflated;
    });
  }
  assert.ok(conflated > 0, 'some were slow');
});

test('what the log cannot read is named to a slow client behind all that lies before it, however often its socket fills', async () => {
  await withNode(
    async (node) => {
      const client = await node.client();
      client.send({ subscribe: { id: 'a', channel: 'p.>' } });
      const logged: { device: string; partition: number; seq: number }[] = [];
      const append = async (reports: readonly SlowReport[]) => {
        for (const { device } of reports) logged.push({ device, partition: 0, seq: logged.length });
        await node.append(reports);
      };
      await append(many('p.d', 1, 50));
      assert.equal(client.topics.size, 0, 'it is off the topic');
      for (const value of [1, 2, 3]) {
        // More than two frames, so that the first of them fills the socket.
        await append(range(1, 150).map((i) => ({ device: `p.d${i}`, value, text })));
        await append([{ device: 'p.d', value: 0, isUnreadable: true }]);
        await append(many('p.d', 51, 60));
      }
      await readAll(node, client);
      assert.deepEqual(violationsOf(client, 'a', logged), []);
      const unreadable = skippedOf(client).filter(({ reason }) => reason === 'unreadable');
      assert.deepEqual(
        unreadable.map(({ from, to }) => [from, to]),
        [200, 361, 522].map((seq) => [seq, seq]),
      );
      // Where a client is by what it has received, for when its connection breaks.
      let last = -1;
      for (const { snapshot, reports, skipped = [] } of client.data()) {
        if (snapshot) continue;
        assert.ok(reports.every(({ seq }) => seq > last));
        for (const { reason, from, to } of skipped) {
          if (reason !== 'unreadable') continue;
          assert.ok(from > last);
          last = to;
        }
      }
      assert.equal(client.topics.size, 1, 'it is live again');
    },
    { partitions: 1 },
  );
});

test('a client catches up without repetitions, however little memory is free for message IDs', async () => {
  await withNode(
    async (node) => {
      const client = await node.client();
      client.send({ subscribe: { id: 'a', channel: 'p.>' } });
      await node.append(range(1, 20).map((value) => ({ device: 'p.d', value, id: `${value}` })));
      client.send({ pause: { id: 'a' } });
      const repeated = [18, 21, 25].map((value) => ({ device: 'p.d', value, id: `${value}` }));
      await node.append([...range(21, 30).map((value) => ({ device: 'p.d', value, id: `${value}` })), ...repeated]);
      // The partition is taken over again: which of the positions before repeat an ID is not known any more.
      const [partition] = node.ownership.partitions;
      const { generation, next } = partition!;
      partition!.lose();
      partition!.gain(generation, next, next);
      const { memory } = node.work;
      const others = memory.reserve({ heldBytes: 0 }, memory.bytesMax - 950_000);
      client.send({ resume: { id: 'a' } });
      await readAll(node, client);
      assert.deepEqual(valuesOf(client), range(1, 20), 'it waits for memory');
      (others as Reservation).release();
      await readAll(node, client);
      assert.deepEqual(valuesOf(client), range(1, 30));
      assert.equal(memory.heldBytes, 0);
    },
    { partitions: 1 },
  );
});

test('on any node, while relay frames are lost, clients that pause or fall behind receive every report once', async () => {
  let byLog = 0;
  for (let seed = 1; seed <= 5; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        const random = randomFrom(seed);
        const appended = new Map<string, number[]>();
        await load(cluster, appended, 1, 10);
        const people = nodes.flatMap((node) =>
          ['plant.>', devices[0]!, devices[1]!].map((channel) => ({ node, channel, client: node.client(channel) })),
        );
        await cluster.clock.advance(1_000);
        cluster.setNetworkFaults({ delayMs: { min: 0, max: 20 }, loss: 0.05, duplication: 0.05 });
        for (let i = 0; i < 60; i++) {
          for (const { node, client } of people) {
            const subscription = client.subscription!;
            const { state } = subscription;
            if (random() < 0.1 && state === 'live') node.hub.fallBehind(subscription);
            else if (random() < 0.1 && (state === 'live' || state === 'behind')) node.hub.pause(subscription);
            else if (random() < 0.4 && state === 'paused') node.hub.resume(subscription);
          }
          await load(cluster, appended, 1, Math.floor(random() * 100));
        }
        cluster.setNetworkFaults({});
        for (const { node, client } of people) {
          if (client.subscription!.state === 'paused') node.hub.resume(client.subscription!);
        }
        await load(cluster, appended, 2, 100);
        await settle(cluster);
        for (const { client, channel } of people) {
          assertWhole(client, channel === 'plant.>' ? devices : [channel], appended);
          assert.equal(client.subscription?.state, 'live');
        }
        byLog += nodes.reduce((sum, { history }) => sum + history.ranges.blocks.counts.read, 0);
      },
      seed,
    );
  }
  assert.ok(byLog > 0, 'some of it was read from the log');
});
