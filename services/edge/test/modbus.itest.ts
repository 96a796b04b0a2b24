import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { ModbusSource } from '../src/modbus/modbus-source.ts';
import { PolledSource } from '../src/modbus/polled-source.ts';
import type { Sample } from '../src/sample.ts';
import { sourcesFrom } from '../src/sources-file.ts';
import { type Peer, type ReplyProxy, startPeer, startReplyProxy } from './modbus-peer.ts';

failOnLeaks();

type Json = Record<string, unknown>;

let tcp: Peer;
let rtu: Peer;

before(async () => {
  [tcp, rtu] = await Promise.all([startPeer('tcp'), startPeer('rtu')]);
});
after(async () => {
  await Promise.all([tcp.stop(), rtu.stop()]);
});

interface Started {
  readonly source: PolledSource;
  readonly samples: Sample[];
  /** Resolves with the newest sample of a tag that satisfies the condition. */
  next(tag: number, condition?: (sample: Sample) => boolean): Promise<Sample>;
}

function start(t: TestContext, port: number, modbus: Json, units: readonly Json[]): Started {
  const file = { sources: [{ name: 'peer', modbus: { host: '127.0.0.1', port, ...modbus }, units }] };
  const samples: Sample[] = [];
  const source = new PolledSource({
    source: sourcesFrom(JSON.stringify(file)).sources[0] as ModbusSource,
    sink: (sample) => samples.push(sample),
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
  });
  source.start();
  t.after(() => source.stop());
  return {
    source,
    samples,
    async next(tag, condition = () => true) {
      const from = samples.length;
      const found = () => samples.slice(from).find((sample) => sample.tag === tag && condition(sample));
      await eventually(() => found() !== undefined, { deadlineMs: 15_000, describe: `a sample of tag ${tag}` });
      return found()!;
    },
  };
}

function unit(number: number, tags: readonly Json[], options: Json = {}): Json {
  const named = tags.map((tag, index) => ({ tag: `t${index}`, table: 'holding', ...tag }));
  return { unit: number, device: `p.unit${number}`, addressing: 'zero', pollMs: 100, tags: named, ...options };
}

async function proxied(t: TestContext): Promise<ReplyProxy> {
  const proxy = await startReplyProxy(tcp.port);
  t.after(() => proxy.stop());
  return proxy;
}

for (const framing of ['tcp', 'rtu'] as const) {
  const portOf = () => (framing === 'tcp' ? tcp.port : rtu.port);

  test(`registers, coils and inputs of every addressing are read: ${framing}`, async (t) => {
    const tags = [
      { address: 1, type: 'u16' },
      { address: 3, type: 'u16', table: 'input' },
      { address: 2, table: 'coil' },
      { address: 3, table: 'discrete' },
      { address: 20, type: 'u32' },
    ];
    const entity = [
      { address: 40_002, type: 'u16' },
      { address: 300_004, type: 'u16', table: 'input' },
      { address: 3, table: 'coil' },
      { address: 10_004, table: 'discrete' },
      { address: 400_021, type: 'u32' },
    ];
    const one = tags.map((tag) => ({ ...tag, address: tag.address + 1 }));
    const units = [unit(1, tags), unit(2, one, { addressing: 'one' }), unit(3, entity, { addressing: 'entity' })];
    const { next } = start(t, portOf(), { framing, connections: 'perUnit' }, units);
    const values = await Promise.all(Array.from({ length: 15 }, async (_, tag) => (await next(tag)).value));
    const expected = [1, 3, false, true, 20 * 65_536 + 21];
    assert.deepEqual(values, [...expected, ...expected, ...expected]);
  });

  test(`a register that the device does not have makes only its own tag bad: ${framing}`, async (t) => {
    const tags = [48, 49, 50, 51, 52].map((address) => ({ address, type: 'u16' }));
    const { next, samples } = start(t, portOf(), { framing }, [unit(1, tags)]);
    assert.equal((await next(4)).value, 52);
    const qualities = [0, 1, 2, 3, 4].map((tag) => samples.findLast((sample) => sample.tag === tag)!.quality);
    assert.deepEqual(qualities, ['good', 'good', 'bad', 'good', 'good']);
    assert.equal(samples.find(({ quality }) => quality === 'bad')!.reason, 'modbus_exception_2');
  });

  test(`a value written in each type and order is stored as written, and read back: ${framing}`, async (t) => {
    const peer = framing === 'tcp' ? tcp : rtu;
    const orders = ['big', 'little'].flatMap((wordOrder) =>
      ['big', 'little'].map((byteOrder) => ({ wordOrder, byteOrder })),
    );
    const types = ['u16', 'i16', 'u32', 'i32', 'f32', 'u64', 'i64', 'f64', 'bcd16', 'bcd32'];
    const write = { min: -1e12, max: 1e12 };
    const tags = orders.flatMap((order) => types.map((type, n) => ({ ...order, type, address: 100 + 4 * n, write })));
    const { source } = start(t, peer.port, { framing }, [unit(4, tags, { pollMs: 60_000 })]);
    const wanted = [
      1_234, -2, 305_419_896, -305_419_896, 21.25, 1_311_768_467, -1_311_768_467, -21.3, 1_234, 12_345_678,
    ];
    for (const [index, { wordOrder, byteOrder, type }] of tags.entries()) {
      const value = wanted[index % types.length]!;
      const result = await source.write(index, value, 5_000);
      const name = `${type} ${wordOrder} ${byteOrder}`;
      assert.deepEqual([result.state, result.after], ['done', value], `${name}: ${JSON.stringify(result)}`);
      const { values, function: code } = peer.writes.at(-1)!;
      assert.equal(code, values.length === 1 ? 6 : 16);
      assert.equal(decoded(values, type, wordOrder, byteOrder), value, name);
    }
  });

  test(`a coil is written and read back: ${framing}`, async (t) => {
    const peer = framing === 'tcp' ? tcp : rtu;
    const tags = [{ table: 'coil', address: 10, write: { values: [true, false] } }];
    const { source } = start(t, peer.port, { framing }, [unit(2, tags)]);
    assert.deepEqual(await source.write(0, true, 5_000), { state: 'done', before: false, after: true });
    assert.deepEqual(await source.write(0, false, 5_000), { state: 'done', before: true, after: false });
    assert.equal((await source.write(0, 1, 5_000)).code, 'forbidden');
  });
}

test('a unit that does not answer delays no other on the same connection', async (t) => {
  const proxy = await proxied(t);
  proxy.onReply = (frame, send) => {
    if (frame[6] !== 3) send(frame);
  };
  const tags = [{ address: 1, type: 'u16' }];
  const units = [unit(3, tags), unit(1, tags), unit(2, tags)];
  const { samples, next } = start(t, proxy.port, { timeoutMs: 300 }, units);
  await next(0, ({ reason }) => reason === 'no_answer');
  for (const tag of [1, 2]) await assertRegular(samples, tag, 290);
  assert.equal(proxy.connections, 1);
});

test('with RTU framing a unit that does not answer costs the others a timeout and the reconnect', async (t) => {
  const tags = [{ address: 1, type: 'u16' }];
  const { samples, next } = start(t, rtu.port, { framing: 'rtu', timeoutMs: 300 }, [unit(9, tags), unit(1, tags)]);
  await next(0, ({ reason }) => reason === 'no_answer');
  await assertRegular(samples, 1, 300 + 1_500);
});

/**
 * Asserts that a tag has samples, and the longest time between two of them, while another unit did not answer three
 * times. Two longer ones are pauses of a busy machine.
 */
async function assertRegular(samples: readonly Sample[], tag: number, limitMs: number): Promise<void> {
  const times = () =>
    samples.filter((sample) => sample.tag === tag && sample.quality === 'good').map(({ time }) => time);
  await eventually(() => times().length >= 3, { describe: `three samples of tag ${tag}` });
  const gapsMs = times().flatMap((time, index, all) => (index === 0 ? [] : [time - all[index - 1]!]));
  const late = gapsMs.filter((gapMs) => gapMs > limitMs);
  assert.ok(late.length <= 2, `expected at most ${limitMs} ms between two samples, got ${late.join(', ')}`);
}

/** Decodes registers on the way of the other side: bytes in the order of the type, then one DataView. */
function decoded(values: readonly number[], type: string, wordOrder: string, byteOrder: string): number {
  const words = wordOrder === 'big' ? values : values.toReversed();
  const bytes = Buffer.from(
    words.flatMap((word) => (byteOrder === 'big' ? [word >> 8, word & 255] : [word & 255, word >> 8])),
  );
  switch (type) {
    case 'u16':
      return bytes.readUInt16BE();
    case 'i16':
      return bytes.readInt16BE();
    case 'u32':
      return bytes.readUInt32BE();
    case 'i32':
      return bytes.readInt32BE();
    case 'f32':
      return bytes.readFloatBE();
    case 'u64':
      return Number(bytes.readBigUInt64BE());
    case 'i64':
      return Number(bytes.readBigInt64BE());
    case 'f64':
      return bytes.readDoubleBE();
    default:
      return Number(bytes.toString('hex'));
  }
}

test('a reply that comes after its timeout is dropped, and the next request gets its own reply', async (t) => {
  const proxy = await proxied(t);
  const tags = [
    { address: 1, type: 'u16' },
    { address: 150, type: 'u16' },
  ];
  const { source, samples, next } = start(t, proxy.port, { timeoutMs: 200 }, [unit(1, tags)]);
  await next(1);
  const delays: NodeJS.Timeout[] = [];
  t.after(() => delays.forEach(clearTimeout));
  let n = 0;
  proxy.onReply = (frame, send) => {
    if (n++ % 3 === 0) delays.push(setTimeout(() => send(frame), 350));
    else send(frame);
  };
  const { connection } = source.pollers[0]!;
  await eventually(() => connection.lateReplies >= 3, { deadlineMs: 15_000, describe: 'late replies were dropped' });
  for (const { tag, value, quality } of samples) if (quality === 'good') assert.equal(value, tag === 0 ? 1 : 150);
  assert.equal(proxy.connections, 1);
});

test('a reply with another transaction, unit or function fails one request, and the connection stays', async (t) => {
  const proxy = await proxied(t);
  const { source, samples, next } = start(t, proxy.port, { timeoutMs: 150 }, [unit(1, [{ address: 7, type: 'u16' }])]);
  await next(0);
  const changes: ((frame: Buffer) => void)[] = [
    (frame) => frame.writeUInt16BE((frame.readUInt16BE(0) + 1) & 0xffff, 0),
    (frame) => frame.writeUInt8(2, 6),
    (frame) => frame.writeUInt8(4, 7),
    (frame) => frame.writeUInt8(0, 8),
  ];
  for (const change of changes) {
    let isChanged = false;
    proxy.onReply = (frame, send) => {
      const copy = Buffer.from(frame);
      if (!isChanged) change(copy);
      isChanged = true;
      send(copy);
    };
    await eventually(() => isChanged, { deadlineMs: 15_000, describe: 'a reply was changed' });
    await next(0, ({ quality }) => quality === 'good');
  }
  assert.ok(samples.every(({ value, quality }) => quality === 'bad' || value === 7));
  assert.equal(proxy.connections, 1);
  assert.ok(source.pollers[0]!.connection.lateReplies >= 2);
});

test('bytes that are no frame close the connection, and the next one is read', async (t) => {
  const proxy = await proxied(t);
  const { next } = start(t, proxy.port, {}, [unit(1, [{ address: 7, type: 'u16' }])]);
  await next(0);
  proxy.onReply = (frame, send) => send(Buffer.concat([Buffer.alloc(20, 0xee), frame]));
  await eventually(() => proxy.connections >= 2, { deadlineMs: 15_000, describe: 'a new connection' });
  proxy.onReply = (frame, send) => send(frame);
  assert.equal((await next(0, ({ quality }) => quality === 'good')).value, 7);
});

test('a device without an answer, and back: its tags are bad meanwhile', async (t) => {
  const proxy = await proxied(t);
  const { next } = start(t, proxy.port, { timeoutMs: 100 }, [unit(1, [{ address: 7, type: 'u16' }])]);
  await next(0);
  proxy.onReply = () => {};
  assert.equal((await next(0, ({ quality }) => quality === 'bad')).reason, 'no_answer');
  proxy.onReply = (frame, send) => send(frame);
  assert.equal((await next(0, ({ quality }) => quality === 'good')).value, 7);
});

test('a write whose answer is lost is resolved by the read-back, and sent once', async (t) => {
  const proxy = await proxied(t);
  const tags = [{ address: 30, type: 'u16', write: { min: 0, max: 100 } }];
  const { source, next } = start(t, proxy.port, { timeoutMs: 1_000 }, [unit(3, tags, { pollMs: 60_000 })]);
  await next(0);
  proxy.onReply = (frame, send) => {
    if (frame[7] !== 6) send(frame);
  };
  const count = () => tcp.writes.filter(({ unit: number, address }) => number === 3 && address === 30).length;
  assert.deepEqual(await source.write(0, 77, 15_000), { state: 'done', before: 30, after: 77 });
  assert.equal(count(), 1);
});

test('a write that the device acknowledges and does not store has failed', async (t) => {
  const proxy = await proxied(t);
  const tags = [{ address: 31, type: 'u16', write: { min: 0, max: 100 } }];
  const { source, next } = start(t, proxy.port, {}, [unit(3, tags, { pollMs: 60_000 })]);
  await next(0);
  // The registers that are read stay as they were.
  proxy.onReply = (frame, send) => {
    const copy = Buffer.from(frame);
    if (copy[7] === 3) copy.writeUInt16BE(31, 9);
    send(copy);
  };
  const { state, code, before: old, after: now } = await source.write(0, 78, 5_000);
  assert.deepEqual({ state, code, old, now }, { state: 'failed', code: 'conflict', old: 31, now: 31 });
});

test('write with read-back takes few round trips', async (t) => {
  const tags = [{ address: 32, type: 'u16', write: { min: 0, max: 1_000 } }];
  const { source, next } = start(t, tcp.port, {}, [unit(3, tags)]);
  await next(0);
  const times: number[] = [];
  for (let value = 1; value <= 100; value++) {
    const startedAt = performance.now();
    assert.equal((await source.write(0, value, 5_000)).state, 'done');
    times.push(performance.now() - startedAt);
    await sleep(1);
  }
  const p99 = times.toSorted((a, b) => a - b)[98]!;
  t.diagnostic(`p99 ${p99.toFixed(1)} ms`);
  assert.ok(p99 < 1_000, `${p99} ms`);
});
