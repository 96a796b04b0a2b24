import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { BirthStore, birthTopic } from './birth-store.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

interface HeldAppend {
  readonly key: string;
  readonly fail: () => void;
  readonly release: () => void;
}

async function createStore({ holdsAppends = false } = {}) {
  const held: HeldAppend[] = [];
  const clock = createFakeClock();
  const errors: (TailraceError | undefined)[] = [];
  const memory = createMemoryLog({ clock });
  const eventLog = memory.connect({
    injectError: (operation) => (operation === 'append' ? errors.shift() : undefined),
  });
  await eventLog.start();
  const slowLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'appendEach'> = {
    ensureTopic: (topic) => eventLog.ensureTopic(topic),
    bounds: (topic) => eventLog.bounds(topic),
    read: (topic, partition, range) => eventLog.read(topic, partition, range),
    appendEach(topic, records, settled) {
      held.push({
        key: records[0]!.key,
        fail: () => settled(0, new TailraceError('unavailable', 'away'), 0, -1),
        release: () => eventLog.appendEach(topic, records, settled),
      });
    },
  };
  const open = async () => {
    const log = holdsAppends ? slowLog : eventLog;
    const opened = new BirthStore({ eventLog: log, topicPrefix: 't', clock, logger: silentLogger });
    await opened.start();
    return opened;
  };
  const written = async () => {
    const records: LogRecord[] = [];
    for await (const batch of eventLog.read(birthTopic('t'), 0, { from: 0 })) records.push(...batch);
    return records.map(({ key, value }) => `${key} ${Buffer.from(value)}`);
  };
  return { clock, eventLog, errors, held, open, written, store: await open() };
}

test('the last births of a broker are returned after a restart, those of nodes first, and those removed are not', async () => {
  const { clock, eventLog, store, open } = await createStore();
  store.put('b1/g/n/d', bytes('device'));
  store.put('b1/g/n', bytes('old'));
  store.put('b2/g/n', bytes('other broker'));
  store.put('b1/g/gone', bytes('gone'));
  await clock.advance(1_000);
  store.put('b1/g/n', bytes('new'));
  await eventLog.append(birthTopic('t'), [{ key: 'b1/g/gone', value: new Uint8Array(0) }]);
  await clock.advance(10);
  store.stop();
  const next = await open();
  assert.deepEqual(
    next.take('b1').map(({ group, node, device, bytes: value }) => [group, node, device, String(Buffer.from(value))]),
    [
      ['g', 'n', undefined, 'new'],
      ['g', 'n', 'd', 'device'],
    ],
  );
  assert.deepEqual(next.take('b1'), [], 'they are passed on once');
  next.release();
  assert.deepEqual(next.take('b2'), []);
  next.stop();
});

test('a birth that is published without end is written once a second, the last one also', async () => {
  const { clock, store, written } = await createStore();
  for (let n = 0; n < 50; n++) {
    store.put('b1/g/n', bytes(`${n}`));
    await clock.advance(50);
  }
  await clock.advance(2_000);
  const all = await written();
  assert.ok(all.length >= 3 && all.length <= 5, String(all.length));
  assert.equal(all[0], 'b1/g/n 0');
  assert.equal(all.at(-1), 'b1/g/n 49');
  store.stop();
});

test('a birth that the log refuses is written again, unless a newer one came', async () => {
  const { clock, errors, store, written } = await createStore();
  errors.push(new TailraceError('unavailable', 'away'), new TailraceError('unavailable', 'away'));
  store.put('b1/g/n', bytes('1'));
  await clock.advance(500);
  store.put('b1/g/n', bytes('2'));
  await clock.advance(5_000);
  assert.deepEqual(await written(), ['b1/g/n 2']);
  assert.deepEqual(store.counts, { written: 1, failed: 2, dropped: 0 });
  store.stop();
});

test('births that come while one is on its way into the log are stored in their order, also if that one fails', async () => {
  const { clock, store, written, held } = await createStore({ holdsAppends: true });
  store.put('b1/g/n', bytes('1'));
  await clock.advance(1_500);
  store.put('b1/g/n', bytes('2'));
  store.put('b1/g/n/d', bytes('of another key'));
  await clock.advance(1_500);
  assert.deepEqual(
    held.map(({ key }) => key),
    ['b1/g/n', 'b1/g/n/d'],
    'one of each key at a time',
  );
  held[0]!.fail();
  await clock.advance(5_000);
  for (const { release } of held.splice(1)) release();
  await clock.advance(5_000);
  assert.deepEqual(await written(), ['b1/g/n/d of another key', 'b1/g/n 2']);
  store.stop();
});

test('a birth that waits for its next write is stored by a stop', async () => {
  const { clock, store, written } = await createStore();
  store.put('b1/g/n', bytes('1'));
  store.put('b1/g/n', bytes('2'));
  store.stop();
  await clock.advance(10);
  assert.deepEqual(await written(), ['b1/g/n 1', 'b1/g/n 2']);
});
