import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { randomFrom } from '../../test/cluster.ts';
import type { Owner } from '../ownership/ring.ts';
import { Migration, type MigrationLimits } from './migration.ts';

const b: Owner = { node: 'b', url: 'ws://b', generation: 1, isStandby: false };
const c: Owner = { node: 'c', url: 'ws://c', generation: 2, isStandby: false };

/** Clients on one node, each with one device of partition 0, which is at `place.url`. */
function arrangement(count: number, limits: Partial<MigrationLimits> = {}) {
  const clock = createFakeClock();
  const place: { url: string | undefined } = { url: 'ws://b' };
  const told: { client: number | 'new'; url: string; atMs: number }[] = [];
  let looks = 0;
  const residentOf = (client: number | 'new') => {
    const toldUrls = new Set<string>();
    return {
      watched: () => [
        { pattern: `p.d${client}`, partitions: [0] },
        { pattern: 'q.d', partitions: [1] },
      ],
      moved(_channel: string, url: string) {
        if (toldUrls.has(url)) return false;
        toldUrls.add(url);
        told.push({ client, url, atMs: clock.monotonic() });
        return true;
      },
    };
  };
  const residents = Array.from({ length: count }, (_, client) => residentOf(client));
  const migration = new Migration({
    clock,
    random: randomFrom(1),
    limits: { settleMs: 5_000, migrationsPerSecond: 50, ...limits },
    placement: { counts: { told: 0 }, elsewhere: () => place.url },
    residents: () => {
      looks++;
      return residents;
    },
  });
  return { clock, migration, told, place, residents, residentOf, looks: () => looks };
}

test('nobody is asked before the new owner has settled, then all of them once, a few at a time and in no order', async () => {
  const { clock, migration, told, looks } = arrangement(200);
  migration.changed(0, b);
  await clock.advance(4_900);
  assert.equal(told.length, 0);
  await clock.advance(10_000);
  assert.equal(told.length, 200);
  assert.equal(new Set(told.map(({ client }) => client)).size, 200);
  for (const { atMs } of told) {
    const within = told.filter((each) => each.atMs >= atMs && each.atMs < atMs + 1_000).length;
    assert.ok(within <= 50, `${within} in a second`);
  }
  assert.notDeepEqual(
    told.map(({ client }) => client),
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.equal(looks(), 1);
  assert.equal(migration.waiting, 0);
  assert.equal(clock.pending(), 0, 'nothing is looked at while the ring stands still');
});

test('fewer than one a tick are told in their time, too', async () => {
  const { clock, migration, told } = arrangement(5, { migrationsPerSecond: 2 });
  migration.changed(0, b);
  await clock.advance(5_000 + 1_000);
  assert.ok(told.length <= 2, `${told.length}`);
  await clock.advance(2_000);
  assert.equal(told.length, 5);
});

test('an owner that goes on is no change: nobody is looked at', async () => {
  const { clock, migration, looks } = arrangement(3);
  migration.changed(0, b);
  await clock.advance(10_000);
  migration.changed(0, { ...b, generation: 9 });
  await clock.advance(10_000);
  assert.equal(looks(), 1);
  assert.equal(clock.pending(), 0);
});

for (const [who, meanwhile] of [
  ['somebody stood in', { ...c, isStandby: true }],
  ['another owned it', c],
  ['nobody did', undefined],
] as const) {
  test(`an owner that comes back at once, after ${who}: clients that came here meanwhile are asked, the others not again`, async () => {
    const { clock, migration, told, residents, residentOf } = arrangement(3);
    migration.changed(0, b);
    await clock.advance(10_000);
    migration.changed(0, meanwhile);
    residents.push(residentOf('new'));
    await clock.advance(3_000);
    migration.changed(0, { ...b, generation: 9 });
    await clock.advance(10_000);
    assert.deepEqual(
      told.slice(3).map(({ client }) => client),
      ['new'],
    );
    assert.equal(clock.pending(), 0);
  });
}

test('an owner that does not stay is never gone to', async () => {
  const { clock, migration, told, place } = arrangement(3);
  migration.changed(0, b);
  await clock.advance(4_000);
  migration.changed(0, c);
  place.url = 'ws://c';
  await clock.advance(4_000);
  assert.equal(told.length, 0);
  await clock.advance(3_000);
  assert.deepEqual([...new Set(told.map(({ url }) => url))], ['ws://c']);
  assert.equal(told.length, 3);
});

test('who waits when the partition goes on to another is asked anew, to go there', async () => {
  const { clock, migration, told, place } = arrangement(100, { migrationsPerSecond: 10 });
  migration.changed(0, b);
  await clock.advance(6_000);
  const first = told.length;
  assert.ok(first > 0 && first < 100);
  migration.changed(0, c);
  place.url = 'ws://c';
  assert.equal(migration.waiting, 0);
  await clock.advance(20_000);
  assert.equal(told.length, first + 100);
  assert.ok(told.slice(first).every(({ url }) => url === 'ws://c'));
});

test('where nobody can be sent any more the rest stay', async () => {
  const { clock, migration, told, place } = arrangement(100, { migrationsPerSecond: 10 });
  migration.changed(0, b);
  await clock.advance(6_000);
  place.url = undefined;
  const before = told.length;
  await clock.advance(20_000);
  assert.equal(told.length, before);
  assert.equal(migration.waiting, 0);
  assert.equal(clock.pending(), 0);
});

test('a node that stops asks nobody', async () => {
  const { clock, migration, told } = arrangement(10);
  migration.changed(0, b);
  migration.stop();
  migration.changed(0, c);
  await clock.advance(20_000);
  assert.equal(told.length, 0);
  assert.equal(clock.pending(), 0);
});
