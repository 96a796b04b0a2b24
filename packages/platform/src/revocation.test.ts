import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createManualClock } from '../test/manual-clock.ts';
import { createMetrics } from './metrics.ts';
import { createRevocationList, type RevocationEntry, type Revocations, revocationFrom } from './revocation.ts';
import { createTokenVerifier, issueToken } from './token.ts';

const graceMs = 300_000;

function arrangement(entriesMax?: number) {
  const clock = createManualClock();
  const list = createRevocationList({ clock, ...(entriesMax === undefined ? {} : { entriesMax }) });
  return { clock, list, now: clock.now() };
}

/** Like an operator's request: checked, then merged. */
const revoke = (list: Revocations, entry: RevocationEntry) => list.merge([revocationFrom(entry)]);
const expiry = (expiresAt: number | undefined) => (expiresAt === undefined ? {} : { expiresAt });
const revokeToken = (list: Revocations, tokenId: string, expiresAt?: number) =>
  revoke(list, { tokenId, ...expiry(expiresAt) });
const revokeSubject = (list: Revocations, subject: string, issuedBefore: number, expiresAt?: number) =>
  revoke(list, { subject, issuedBefore, ...expiry(expiresAt) });

test('a token is revoked by its ID, and no other', () => {
  const { list } = arrangement();
  revokeToken(list, 't1');
  assert.ok(list.revoked({ subject: 'anna', tokenId: 't1' }));
  assert.ok(!list.revoked({ subject: 'anna', tokenId: 't2' }));
  assert.ok(!list.revoked({ subject: 't1' }), 'an ID is no subject');
});

test('of a subject the tokens issued before the time are revoked, and those without iat', () => {
  const { list, now } = arrangement();
  revokeSubject(list, 'anna', now);
  assert.ok(list.revoked({ subject: 'anna', issuedAt: now - 1 }));
  assert.ok(list.revoked({ subject: 'anna' }));
  assert.ok(!list.revoked({ subject: 'anna', issuedAt: now }));
  assert.ok(!list.revoked({ subject: 'ben', issuedAt: now - 1 }));
});

test('an entry is removed when its token has expired, tolerance included; one without expiry stays', () => {
  const { list, clock, now } = arrangement();
  revokeToken(list, 't1', now + 1_000);
  revokeToken(list, 't2');
  clock.advance(1_000 + graceMs - 1);
  assert.equal(list.entries().length, 2);
  clock.advance(1);
  assert.deepEqual(list.entries(), [{ tokenId: 't2' }]);
  revokeToken(list, 't3', now);
  assert.equal(list.size, 1, 'an expired one is not added');
});

test('at the limit the entry that expires first is removed, and is counted', async () => {
  const clock = createManualClock();
  const metrics = createMetrics({ service: 'fanout', node: 'n', processMetrics: false });
  const list = createRevocationList({ clock, entriesMax: 3, metrics });
  const now = clock.now();
  revokeToken(list, 'late', now + 3_000);
  revokeToken(list, 'soon', now + 1_000);
  revokeSubject(list, 'never', now);
  revokeSubject(list, 'mid', now, now + 2_000);
  assert.ok(!list.revoked({ subject: 'x', tokenId: 'soon' }));
  assert.equal(list.size, 3);
  list.merge([{ tokenId: 'late', expiresAt: now + 4_000 }, null as never, { tokenId: '' }]);
  assert.deepEqual([list.size, list.evicted, list.illFormed], [3, 1, 2]);
  const page = await metrics.text();
  assert.match(page, /tailrace_fanout_revocation_entries\{.*\} 3\n/);
  assert.match(page, /tailrace_fanout_evicted_revocation_entries_total\{.*\} 1\n/);
  assert.match(page, /tailrace_fanout_invalid_revocation_entries_total\{.*\} 2\n/);
});

test('an entry that can match no token is refused', () => {
  const { list } = arrangement();
  const invalid = [
    () => revokeToken(list, ''),
    () => revokeToken(list, 'x'.repeat(201)),
    // Protobuf cannot carry it: the other processes would not receive it.
    () => revokeSubject(list, '\ud800', 1),
    () => revokeToken(list, 'a\nb'),
    () => revokeToken(list, 't', Number.NaN),
    () => revokeSubject(list, 'anna', Number.POSITIVE_INFINITY),
    () => revokeSubject(list, 7 as never, 1),
  ];
  for (const call of invalid)
    assert.throws(call, { code: 'invalid_message', message: /^the revocation .*; expected / });
  assert.equal(list.size, 0);
  assert.throws(() => arrangement(0), { code: 'invalid_config' });
});

test('merge returns only what has changed, so that forwarding stops', () => {
  const { list, now } = arrangement();
  const entries: RevocationEntry[] = [
    { tokenId: 't', expiresAt: now + 1 },
    { subject: 'anna', issuedBefore: now },
  ];
  assert.deepEqual(list.merge(entries), entries);
  assert.deepEqual(list.merge(entries), []);
  assert.deepEqual(list.merge([{ subject: 'anna', issuedBefore: now - 1 }]), []);
  assert.equal(list.merge([{ subject: 'anna', issuedBefore: now + 1 }]).length, 1);
  assert.ok(list.revoked({ subject: 'anna', issuedAt: now }));
});

const base = createManualClock().now();
const end = fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined });
const entry: fc.Arbitrary<RevocationEntry> = fc
  .tuple(fc.boolean(), fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -20, max: 20 }), end)
  .map(([isToken, name, before, after]) => ({
    ...(isToken ? { tokenId: name } : { subject: name, issuedBefore: base + before }),
    ...(after === undefined ? {} : { expiresAt: base + after }),
  }));

const sorted = (entries: readonly RevocationEntry[]) => entries.map((one) => JSON.stringify(one)).sort();

test('lists that merge the same entries, in any order and repeatedly, have the same entries', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 30, size: 'max' }),
      fc.array(fc.nat(1_000), { maxLength: 30, size: 'max' }),
      (entries, order) => {
        const [a, b] = [arrangement().list, arrangement().list];
        a.merge(entries);
        const shuffled = entries.map((one, at) => ({ one, at: order[at] ?? 0 })).sort((x, y) => x.at - y.at);
        b.merge(shuffled.map(({ one }) => one));
        b.merge(a.entries());
        b.merge(entries);
        assert.deepEqual(sorted(a.entries()), sorted(b.entries()));
      },
    ),
    { seed: 11, numRuns: 300 },
  );
});

test('a list within its limit has exactly the entries that have not expired, in any order of merges', () => {
  const step = fc.tuple(fc.nat(30), fc.nat(100_000), fc.nat(20_000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const { clock, list } = arrangement(1_000);
      const model = new Map<string, number>();
      for (const [name, lifeMs, passMs] of steps) {
        const endMs = clock.now() + lifeMs;
        revokeToken(list, `t${name}`, endMs);
        model.set(`t${name}`, Math.max(endMs, model.get(`t${name}`) ?? 0));
        clock.advance(passMs);
        for (const [id, at] of model) if (at + graceMs <= clock.now()) model.delete(id);
        const expected = [...model].map(([tokenId, expiresAt]) => ({ tokenId, expiresAt }));
        assert.deepEqual(sorted(list.entries()), sorted(expected));
      }
    }),
    { seed: 12, numRuns: 60 },
  );
});

test('a full list has those that expire last', () => {
  const lives = fc.uniqueArray(fc.nat(1_000_000), { minLength: 1, maxLength: 200, size: 'max' });
  fc.assert(
    fc.property(lives, (all) => {
      const { list, now } = arrangement(20);
      for (const lifeMs of all) revokeToken(list, `t${lifeMs}`, now + 1 + lifeMs);
      const held = list.entries().map(({ expiresAt }) => expiresAt! - now - 1);
      const last = all.toSorted((a, b) => b - a).slice(0, 20);
      assert.deepEqual(
        held.sort((a, b) => b - a),
        last,
      );
      assert.equal(list.evicted, Math.max(0, all.length - 20));
    }),
    { seed: 13, numRuns: 100 },
  );
});

test('a revoked token is refused, also if it is cached; another of its subject is not', async () => {
  const { clock, list } = arrangement();
  const secret = 'a-secret-of-at-least-thirty-two-bytes';
  const verifier = createTokenVerifier({ secret, clock, revocations: list });
  const issue = (tokenId: string) =>
    issueToken({ secret, subject: 'anna', tokenId, publish: [], subscribe: [], expiresInMs: 60_000, clock });
  const [one, other] = await Promise.all([issue('t1'), issue('t2')]);
  await verifier.verify(one);
  revokeToken(list, 't1');
  assert.equal(verifier.cached(one), undefined);
  await assert.rejects(verifier.verify(one), { code: 'unauthorized', message: /was revoked; get a new one/ });
  const claims = await verifier.verify(other);
  assert.equal(verifier.cached(other), claims);
  clock.advance(1_000);
  revokeSubject(list, 'anna', clock.now());
  assert.equal(verifier.cached(other), undefined);
  assert.ok(await verifier.verify(await issue('t3')), 'one issued since is valid');
});

test('a revocation whose time is in seconds is refused, instead of revoking nothing', () => {
  const list = createRevocationList({ clock: createManualClock() });
  for (const refused of [
    () => revokeSubject(list, 'anna', 1_700_000_000),
    () => revokeSubject(list, 'anna', 1.7e12, 1_700_000_000),
    () => revokeToken(list, 't1', 1_700_000_000),
  ])
    assert.throws(refused, {
      code: 'invalid_message',
      message:
        /has (issuedBefore|expiresAt) 1700000000; expected milliseconds since 1970; the value is probably in seconds/,
    });
  assert.throws(() => revokeSubject(list, 'anna', 1.7e15), { message: /probably in microseconds/ });
  assert.equal(list.size, 0);
  // From the control topic it is taken as it is.
  assert.equal(list.merge([{ subject: 'anna', issuedBefore: 1_700_000_000 }]).length, 1);
});
