import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../test/manual-clock.ts';
import { type DeviceCredential, DeviceCredentials } from './device-credentials.ts';
import { createDeviceToken, secretHashOf } from './device-token.ts';
import { createMetrics } from './metrics.ts';
import { createRevocationList, expiryGraceMs, type RevocationEntry } from './revocation.ts';

const hourMs = 3_600_000;

function arrangement(entriesMax = 1_000) {
  const clock = createManualClock();
  const revocations = createRevocationList({ clock });
  const metrics = createMetrics({ service: 'ingest', node: 'n', processMetrics: false });
  const credentials = new DeviceCredentials({ clock, revocations, entriesMax, metrics });
  const now = clock.now();
  let ids = 0;
  /** An ID for each number, in the order of the numbers. */
  const idOf = (number: number) => `${number}`.padStart(16, '0');
  const credential = (device: string, facts: Partial<DeviceCredential> = {}): DeviceCredential => ({
    id: idOf(++ids),
    device,
    gateway: false,
    secretSha256: secretHashOf('a secret'),
    issuedAt: now,
    expiresAt: now + hourMs,
    issuedBy: 'operator',
    label: '',
    ...facts,
  });
  const revoke = (entry: RevocationEntry) => {
    revocations.merge([entry]);
    credentials.revoke([entry]);
  };
  return { clock, now, credentials, credential, revoke, metrics };
}

test('a credential is found by its ID, with claims for its device alone, or for those below it', () => {
  const { credentials, credential, now } = arrangement();
  const [device, gateway] = [credential('plant1.line3.press7'), credential('plant1.line3', { gateway: true })];
  credentials.merge([device, gateway]);
  const claims = credentials.find(device.id)!.claims;
  assert.deepEqual(claims, {
    subject: 'device/plant1.line3.press7',
    tokenId: device.id,
    tenant: 'plant1',
    publish: ['plant1.line3.press7'],
    receiveCommands: ['plant1.line3.press7'],
    subscribe: [],
    issuedAt: now,
    expiresAt: now + hourMs,
  });
  assert.equal(credentials.find(device.id)!.claims, claims, 'the same object, by which grants are cached');
  assert.deepEqual(credentials.find(gateway.id)!.claims.publish, ['plant1.line3', 'plant1.line3.>']);
  assert.deepEqual(credentials.find(gateway.id)!.claims.receiveCommands, ['plant1.line3', 'plant1.line3.>']);
  assert.equal(credentials.find('another'), undefined);
});

test('a revoked credential is removed, and not added again when the log is read again', () => {
  const { credentials, credential, revoke } = arrangement();
  const all = [credential('a.x'), credential('a.x'), credential('a.y')];
  credentials.merge(all);
  revoke({ tokenId: all[0]!.id });
  assert.deepEqual([credentials.size, credentials.countOf('a.x')], [2, 1]);
  credentials.merge(all);
  assert.equal(credentials.find(all[0]!.id), undefined);
  assert.equal(credentials.size, 2);
});

test('a revocation of the subject removes the credentials that were issued to the device before, and no others', () => {
  const { credentials, credential, revoke, now } = arrangement();
  const [before, after] = [credential('a.x'), credential('a.x', { issuedAt: now + 10 })];
  const other = credential('a.xy');
  credentials.merge([before, after, other]);
  revoke({ subject: 'device/a.x', issuedBefore: now + 10 });
  assert.deepEqual(
    [before, after, other].map(({ id }) => credentials.find(id) !== undefined),
    [false, true, true],
  );
});

test('a revocation that has expired removes nothing: a restarted process would not apply it', () => {
  const { credentials, credential, now } = arrangement();
  const one = credential('a.x');
  credentials.merge([one]);
  credentials.revoke([{ tokenId: one.id, expiresAt: now - expiryGraceMs }]);
  assert.ok(credentials.find(one.id));
});

test('an expired credential is removed once no clock tolerance covers it; one without expiry stays', () => {
  const { credentials, credential, clock } = arrangement();
  const { expiresAt: _, ...endless } = credential('a.z');
  const late = credential('a.y');
  credentials.merge([credential('a.x'), endless]);
  clock.advance(hourMs);
  assert.deepEqual([credentials.countOf('a.x'), credentials.countOf('a.z')], [0, 1]);
  assert.equal(credentials.size, 2);
  clock.advance(expiryGraceMs);
  credentials.merge([late]);
  assert.equal(credentials.size, 1, 'the expired one is removed, and another one is not added');
  assert.ok(credentials.find(endless.id));
});

test('at the limit further credentials are ignored and counted, and a removed one makes space', async () => {
  const { credentials, credential, revoke, metrics } = arrangement(2);
  const [one, two, three] = [credential('a.x'), credential('a.y'), credential('a.z')];
  credentials.merge([one, two, three]);
  assert.deepEqual([credentials.size, credentials.isFull, credentials.ignored], [2, true, 1]);
  assert.equal(credentials.find(three.id), undefined);
  const page = await metrics.text();
  assert.match(page, /tailrace_ingest_credentials\{.*\} 2\n/);
  assert.match(page, /tailrace_ingest_limit_credentials\{.*\} 2\n/);
  assert.match(page, /tailrace_ingest_ignored_credentials_total\{.*\} 1\n/);
  revoke({ tokenId: one.id });
  assert.equal(credentials.isFull, false);
  credentials.merge([three]);
  assert.ok(credentials.find(three.id));
});

test('records that are no credentials are skipped and counted', () => {
  const { credentials, credential } = arrangement();
  const invalid: Partial<DeviceCredential>[] = [
    { id: 'short' },
    { device: 'a..b' },
    { secretSha256: '' },
    { issuedAt: Number.NaN },
    { expiresAt: Number.NaN },
    { issuedBy: '' },
    { label: 'a\u0000b' },
    { label: 'x'.repeat(201) },
  ];
  credentials.merge(invalid.map((facts) => credential('a.x', facts)));
  assert.deepEqual([credentials.size, credentials.illFormed], [0, invalid.length]);
});

test('pages have each credential once, by ID, whatever is added or removed in between', () => {
  const { credentials, credential, revoke } = arrangement();
  const all = Array.from({ length: 7 }, () => credential('a.x'));
  credentials.merge(all.toReversed());
  const first = credentials.page('', 3, () => true);
  assert.deepEqual(
    first.credentials.map(({ id }) => id),
    all.slice(0, 3).map(({ id }) => id),
  );
  assert.equal(first.next, all[2]!.id);
  revoke({ tokenId: all[2]!.id });
  const second = credentials.page(first.next, 4, () => true);
  assert.deepEqual(
    second.credentials.map(({ id }) => id),
    all.slice(3).map(({ id }) => id),
  );
  assert.equal(second.next, undefined, 'complete: no empty page follows');
});

test('a page checks at most 2,000 credentials, and the pages together have all that are listed', () => {
  const { credentials, credential } = arrangement(20_000);
  const all = Array.from({ length: 12_000 }, (_, number) =>
    credential(number % 4_000 === 3_999 ? 'a.listed' : 'a.other', { id: createDeviceToken().id }),
  );
  credentials.merge(all);
  let checked = 0;
  const isListed = ({ device }: DeviceCredential) => {
    checked++;
    return device === 'a.listed';
  };
  const ids: string[] = [];
  let pages = 0;
  for (let after: string | undefined = ''; after !== undefined; pages++) {
    const page = credentials.page(after, 500, isListed);
    ids.push(...page.credentials.map(({ id }) => id));
    after = page.next;
  }
  assert.equal(pages, 6);
  assert.equal(checked, all.length);
  const expected = all.filter(({ device }) => device === 'a.listed').map(({ id }) => id);
  assert.deepEqual(ids, expected.toSorted());
});
