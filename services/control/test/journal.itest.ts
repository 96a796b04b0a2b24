import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { eventually } from '@tailrace/testkit/eventually';
import { chainOf, controlItself, entryOf } from '../src/audit/audit-entry.ts';
import { listEntries, verifyChains } from '../src/audit/audit-store.ts';
import { RefusalLimit } from '../src/audit/refusal-limit.ts';
import { type ActContext, act } from '../src/control-context.ts';
import { Journal } from '../src/journal.ts';
import { OutboxRelay } from '../src/outbox/outbox-relay.ts';
import { migrateStore } from '../src/store-schema.ts';
import { auditTopicSpec } from '../src/topics.ts';
import { type ControlFixture, createControlFixture } from './control-fixture.ts';

let fixture: ControlFixture;
let context: ActContext;

before(async () => {
  fixture = await createControlFixture();
  await migrateStore(fixture.database);
  const spec = { partitions: 3, retentionMs: 3_600_000, retentionBytes: 1_000_000_000 };
  await fixture.eventLog.ensureTopic({ name: 'tailrace.events', ...spec });
  await fixture.eventLog.ensureTopic(auditTopicSpec('tailrace'));
  const { database } = fixture;
  const journal = new Journal({ clock: systemClock });
  const refusals = new RefusalLimit(systemClock);
  context = { database, journal, refusals, wakeOutbox: () => {}, clock: systemClock, random: Math.random };
});

after(() => fixture.stop());

const entry = (target: string, number: number) =>
  entryOf(
    { ...controlItself, subject: 'ünïcode "quoted"' },
    { time: number + 0.25, action: 'test.done', target, details: { number } },
  );

async function append(key: string, number: number): Promise<void> {
  const value = Buffer.from(String(number));
  const acts = [{ key, entry: entry(key, number), records: [{ topic: 'events', value }] }] as const;
  await act(context, async () => ({ result: undefined, acts }));
}

function relayOf(
  worker: string,
  eventLog: ConstructorParameters<typeof OutboxRelay>[0]['eventLog'] = fixture.eventLog,
) {
  const { database } = fixture;
  return new OutboxRelay({
    ...{ database, eventLog, topicPrefix: 'tailrace', worker, rowsMax: 10_000, clock: systemClock },
    ...{ logger: silentLogger, metrics: createMetrics({ service: 'control', node: worker, processMetrics: false }) },
  });
}

const rows = async (table: string) =>
  (await fixture.database.query<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)).rows[0]!.count;

test('entries are chained, and verify', async () => {
  await Promise.all(Array.from({ length: 40 }, (_, number) => append(`plant1.d${number % 5}`, number)));
  const { broken, entries, heads } = await verifyChains(fixture.database);
  assert.deepEqual(broken, []);
  assert.equal(entries, 40);
  assert.equal(
    heads.reduce((sum, { number }) => sum + number, 0),
    40,
  );
  const [newest] = await listEntries(fixture.database, { limit: 1 });
  assert.equal(newest!.entry.subject, 'ünïcode "quoted"');
  assert.equal((await listEntries(fixture.database, { target: 'plant1.>', limit: 500 })).length, 40);
});

test('the acts of one transaction are chained, and reach the outbox, in their order', async () => {
  const { database } = fixture;
  const acts = ['plant1.d1', 'plant1.d2', 'plant1.d1'].map((key, index) => ({
    ...{ key, entry: entry(key, 90 + index) },
    records: [
      { topic: 'events' as const, value: Buffer.from(String(90 + index)), traceparent: `trace ${index}` },
      { topic: 'events' as const, key: 'plant1.other', value: new Uint8Array() },
    ],
  }));
  await act(context, async () => ({ result: undefined, acts }));
  assert.deepEqual((await verifyChains(database)).broken, []);
  const [last, first] = await listEntries(database, { target: 'plant1.d1', limit: 2 });
  assert.deepEqual([first!.entry.time, last!.entry.time, last!.number - first!.number], [90.25, 92.25, 1]);
  const { rows: waiting } = await database.query<{ value: Uint8Array; traceparent: string; key: string }>(
    `SELECT value, traceparent, key FROM outbox WHERE traceparent <> '' OR key = 'plant1.other' ORDER BY position`,
  );
  const ofD1 = waiting.filter(({ key }) => key === 'plant1.d1');
  assert.deepEqual(
    ofD1.map(({ value, traceparent }) => [Buffer.from(value).toString(), traceparent]),
    [
      ['90', 'trace 0'],
      ['92', 'trace 2'],
    ],
  );
  assert.deepEqual(
    waiting.filter(({ key }) => key === 'plant1.other').map(({ value, traceparent }) => [value.length, traceparent]),
    [
      [0, ''],
      [0, ''],
      [0, ''],
    ],
  );
});

test('a transaction that fails has neither an entry nor a record', async () => {
  const before = [await rows('audit_entries'), await rows('outbox')];
  await assert.rejects(
    fixture.database.transaction(async (transaction) => {
      await context.journal.append(transaction, [{ key: 'plant1.d1', entry: entry('plant1.d1', 1) }]);
      throw new TailraceError('conflict', 'undone');
    }),
    { code: 'conflict' },
  );
  assert.deepEqual([await rows('audit_entries'), await rows('outbox')], before);
  assert.deepEqual((await verifyChains(fixture.database)).broken, []);
});

test('of an act of control itself, which cannot be refused, large details are truncated', async () => {
  const details = { text: '"'.repeat(20_000) };
  const large = entryOf(controlItself, { time: 1, action: 'test.finished', target: 'plant1.d1', details });
  await act(context, async () => ({ result: undefined, acts: [{ key: 'plant1.d1', entry: large }] }));
  const [written] = await listEntries(fixture.database, { action: 'test.finished', limit: 1 });
  const { start, characters, sha256 } = written!.entry.details;
  assert.equal(start, JSON.stringify(details).slice(0, 4_000));
  assert.deepEqual([characters, (sha256 as string).length], [JSON.stringify(details).length, 64]);
  assert.deepEqual((await verifyChains(fixture.database)).broken, []);
});

test('an act whose entry cannot be written is refused', async () => {
  const details = { text: 'x'.repeat(20_000) };
  const person = { ...controlItself, subject: 'anna', address: '127.0.0.1' };
  const large = entryOf(person, { time: 1, action: 'test.done', target: 'plant1.d1', details });
  await assert.rejects(
    act(context, async (transaction) => {
      await transaction.query(`UPDATE outbox_relay SET holder = 'changed'`);
      return { result: undefined, acts: [{ key: 'plant1.d1', entry: large }] };
    }),
    { code: 'too_large' },
  );
  const { rows: found } = await fixture.database.query<{ holder: string }>('SELECT holder FROM outbox_relay');
  assert.equal(found[0]!.holder, '');
});

test('records reach the log in order per key, once, while processes replace each other', async () => {
  const relays = [relayOf('w1'), relayOf('w2')];
  await Promise.all(relays.map((relay) => relay.start()));
  context = { ...context, wakeOutbox: () => relays.map((relay) => relay.wake()) };
  await Promise.all(
    Array.from({ length: 5 }, async (_, device) => {
      for (let number = 100; number < 120; number++) await append(`plant1.d${device}`, number);
    }),
  );
  await relays[0]!.stop();
  for (let number = 120; number < 125; number++) await append('plant1.d0', number);
  await eventually(async () => assert.equal(await rows('outbox'), 0));
  await relays[1]!.stop();
  const records = await fixture.values('tailrace.events');
  for (let device = 0; device < 5; device++) {
    const numbers = records
      .filter(({ key }) => key === `plant1.d${device}`)
      .map(({ value }) => Number(Buffer.from(value).toString()))
      .filter((number) => number >= 100);
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    assert.equal(numbers.length, device === 0 ? 25 : 20);
  }
  const audit = (await fixture.values('tailrace.audit')).map(({ value }) => JSON.parse(Buffer.from(value).toString()));
  assert.equal(audit.length, await rows('audit_entries'));
  const chain = audit.filter((each) => each.chain === chainOf('plant1.d0')).map((each) => each.number);
  assert.deepEqual(
    chain,
    chain.toSorted((a, b) => a - b),
  );
});

test('while the log is away, records wait, and a process that is full accepts nothing new', async () => {
  let isAway = true;
  const append_ = fixture.eventLog.append.bind(fixture.eventLog);
  const eventLog: Pick<ControlFixture['eventLog'], 'append'> = {
    append: async (topic, records) => {
      if (isAway) throw new TailraceError('unavailable', 'no broker answers');
      return await append_(topic, records);
    },
  };
  const relay = relayOf('w3', eventLog);
  await relay.start();
  context = { ...context, wakeOutbox: () => relay.wake() };
  await append('plant1.d0', 200);
  await append('plant1.d0', 201);
  assert.equal(await rows('outbox'), 4);
  isAway = false;
  await eventually(async () => assert.equal(await rows('outbox'), 0));
  await relay.stop();
  const numbers = (await fixture.values('tailrace.events'))
    .filter(({ key }) => key === 'plant1.d0')
    .map(({ value }) => Number(Buffer.from(value).toString()));
  assert.deepEqual(numbers.slice(-2), [200, 201]);
});

test('an entry that was changed or removed is found', async () => {
  const { database } = fixture;
  const chain = chainOf('plant1.d0');
  const broken = async () => (await verifyChains(database)).broken;
  const update = `UPDATE audit_entries SET content = replace(content, 'test.done', 'test.nope') WHERE chain = $1 AND number = 3`;
  const restore = update.replace(`'test.done', 'test.nope'`, `'test.nope', 'test.done'`);
  await database.query(update, [chain]);
  assert.deepEqual(await broken(), [{ chain, number: 3, reason: 'changed' }]);
  await database.query(restore, [chain]);
  assert.deepEqual(await broken(), []);
  await database.query('DELETE FROM audit_entries WHERE chain = $1 AND number = 4', [chain]);
  assert.deepEqual(await broken(), [{ chain, number: 4, reason: 'missing' }]);
});
