import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { randomFrom } from '../../test/cluster.ts';
import type { Owner } from '../ownership/ring.ts';
import { Migration, type MigrationLimits } from './migration.ts';

const b: Owner = { node: 'b', url: 'ws://b', generation: 1, isStandby: false };
const c: Owner = { node: 'c', url: 'ws://c', generation: 2, isStandby: false };

/** Clients of one node, each with one device of partition 0, whose owner has `place.url`. */
function fixture(count: number, limits: Partial<MigrationLimits> = {}) {
  const clock = createFakeClock();
  const place: { url: string | undefined } = { url: 'ws://b' };
  const asked: { client: number | 'new'; url: string; atMs: number }[] = [];
  let visits = 0;
  const residentOf = (client: number | 'new') => {
    const sentUrls = new Set<string>();
    return {
      watched: () => [
        { pattern: `p.d${client}`, partitions: [0] },
        { pattern: 'q.d', partitions: [1] },
      ],
      moved(_channel: string, url: string) {
        if (sentUrls.has(url)) return false;
        sentUrls.add(url);
        asked.push({ client, url, atMs: clock.monotonic() });
        return true;
      },
    };
  };
  const residents = Array.from({ length: count }, (_, client) => residentOf(client));
  const migration = new Migration({
    clock,
    random: randomFrom(1),
    limits: { settleMs: 5_000, migrationsPerSecond: 50, ...limits },
    placement: { counts: { moved: 0 }, elsewhere: () => place.url },
    residents: () => {
      visits++;
      return residents;
    },
  });
  return { clock, migration, asked, place, residents, residentOf, visits: () => visits };
}

test('no client is asked before the new owner has settled, then all once, a few at a time in random order', async () => {
  const { clock, migration, asked, visits } = fixture(200);
  migration.changed(0, b);
  await clock.advance(4_900);
  assert.equal(asked.length, 0);
  await clock.advance(10_000);
  assert.equal(asked.length, 200);
  assert.equal(new Set(asked.map(({ client }) => client)).size, 200);
  for (const { atMs } of asked) {
    const within = asked.filter((each) => each.atMs >= atMs && each.atMs < atMs + 1_000).length;
    assert.ok(within <= 50, `${within} in a second`);
  }
  assert.notDeepEqual(
    asked.map(({ client }) => client),
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.equal(visits(), 1);
  assert.equal(migration.waiting, 0);
  assert.equal(clock.pending(), 0, 'nothing is scheduled while the ring does not change');
});

test('a rate below one a tick is kept', async () => {
  const { clock, migration, asked } = fixture(5, { migrationsPerSecond: 2 });
  migration.changed(0, b);
  await clock.advance(5_000 + 1_000);
  assert.ok(asked.length <= 2, `${asked.length}`);
  await clock.advance(2_000);
  assert.equal(asked.length, 5);
});

test('an owner that continues under a new generation is no change: no client is visited', async () => {
  const { clock, migration, visits } = fixture(3);
  migration.changed(0, b);
  await clock.advance(10_000);
  migration.changed(0, { ...b, generation: 9 });
  await clock.advance(10_000);
  assert.equal(visits(), 1);
  assert.equal(clock.pending(), 0);
});

for (const [interlude, meanwhile] of [
  ['a standby owner', { ...c, isStandby: true }],
  ['another owner', c],
  ['no owner', undefined],
] as const) {
  test(`when an owner is back soon after ${interlude}, only clients that connected meanwhile are asked`, async () => {
    const { clock, migration, asked, residents, residentOf } = fixture(3);
    migration.changed(0, b);
    await clock.advance(10_000);
    migration.changed(0, meanwhile);
    residents.push(residentOf('new'));
    await clock.advance(3_000);
    migration.changed(0, { ...b, generation: 9 });
    await clock.advance(10_000);
    assert.deepEqual(
      asked.slice(3).map(({ client }) => client),
      ['new'],
    );
    assert.equal(clock.pending(), 0);
  });
}

test('no client is asked to move to an owner that does not settle', async () => {
  const { clock, migration, asked, place } = fixture(3);
  migration.changed(0, b);
  await clock.advance(4_000);
  migration.changed(0, c);
  place.url = 'ws://c';
  await clock.advance(4_000);
  assert.equal(asked.length, 0);
  await clock.advance(3_000);
  assert.deepEqual([...new Set(asked.map(({ url }) => url))], ['ws://c']);
  assert.equal(asked.length, 3);
});

test('clients still to be asked when the partition gets another owner are asked to move to that one', async () => {
  const { clock, migration, asked, place } = fixture(100, { migrationsPerSecond: 10 });
  migration.changed(0, b);
  await clock.advance(6_000);
  const first = asked.length;
  assert.ok(first > 0 && first < 100);
  migration.changed(0, c);
  place.url = 'ws://c';
  assert.equal(migration.waiting, 0);
  await clock.advance(20_000);
  assert.equal(asked.length, first + 100);
  assert.ok(asked.slice(first).every(({ url }) => url === 'ws://c'));
});

test('clients stay if the owner takes no further clients', async () => {
  const { clock, migration, asked, place } = fixture(100, { migrationsPerSecond: 10 });
  migration.changed(0, b);
  await clock.advance(6_000);
  place.url = undefined;
  const before = asked.length;
  await clock.advance(20_000);
  assert.equal(asked.length, before);
  assert.equal(migration.waiting, 0);
  assert.equal(clock.pending(), 0);
});

test('a node that stops asks no client', async () => {
  const { clock, migration, asked } = fixture(10);
  migration.changed(0, b);
  migration.stop();
  migration.changed(0, c);
  await clock.advance(20_000);
  assert.equal(asked.length, 0);
  assert.equal(clock.pending(), 0);
});
