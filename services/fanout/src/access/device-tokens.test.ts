import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DeviceCredential, DeviceCredentials } from '@tailrace/platform/device-credentials';
import { deviceTokenFrom, secretHashOf } from '@tailrace/platform/device-token';
import { createRevocationList, type RevocationEntry } from '@tailrace/platform/revocation';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { DeviceTokens, type TokenRequest } from './device-tokens.ts';

const dayMs = 86_400_000;
const operator = { subject: 'anna' };
const ofTenant = { subject: 'ben', tenant: 'plant1' };

function fixture({ entriesMax = 100, expiryRequired = true } = {}) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const revocations = createRevocationList({ clock });
  const credentials = new DeviceCredentials({ clock, revocations, entriesMax });
  const issued: DeviceCredential[] = [];
  const revoked: RevocationEntry[] = [];
  const log = { error: undefined as TailraceError | undefined };
  const control = {
    async issue(credential: DeviceCredential) {
      if (log.error !== undefined) throw log.error;
      issued.push(credential);
      credentials.merge([credential]);
    },
    async revoke(entry: RevocationEntry) {
      revoked.push(entry);
      credentials.revoke([entry]);
      revocations.merge([entry]);
    },
  };
  const tokens = new DeviceTokens({ clock, control, credentials, revocations, expiryRequired });
  return { clock, tokens, issued, revoked, log, now: clock.now() };
}

const request = (device: string, facts: Partial<TokenRequest> = {}): TokenRequest => ({
  device,
  isGateway: false,
  expiresAt: undefined,
  label: '',
  ...facts,
});

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('the log gets the hash of the secret, and the operator the token', async () => {
  const { tokens, issued, now } = fixture();
  const token = await tokens.issue(request('plant1.press7', { label: 'press hall' }), operator);
  const { id, secret } = deviceTokenFrom(token.token)!;
  assert.deepEqual(
    { ...token, token: '' },
    {
      id,
      token: '',
      device: 'plant1.press7',
      publish: ['plant1.press7'],
      expiresAt: now + 365 * dayMs,
    },
  );
  assert.deepEqual(issued, [
    {
      id,
      device: 'plant1.press7',
      gateway: false,
      secretSha256: secretHashOf(secret),
      issuedAt: now,
      expiresAt: now + 365 * dayMs,
      issuedBy: 'anna',
      label: 'press hall',
    },
  ]);
  const gateway = await tokens.issue(request('plant1.line3', { isGateway: true }), operator);
  assert.deepEqual(gateway.publish, ['plant1.line3', 'plant1.line3.>']);
  assert.notEqual(deviceTokenFrom(gateway.token)!.secret, secret);
});

test('a list has no hash of a secret, and only the devices of the pattern and of the tenant of the operator', async () => {
  const { tokens } = fixture();
  for (const device of ['plant1.a', 'plant1.a.b', 'plant2.a']) await tokens.issue(request(device), operator);
  const devicesOf = (pattern: string, by: { subject: string; tenant?: string }) =>
    tokens
      .list(pattern, '', 500, by)
      .credentials.map(({ device }) => device)
      .toSorted();
  assert.deepEqual(devicesOf('>', operator), ['plant1.a', 'plant1.a.b', 'plant2.a']);
  assert.deepEqual(devicesOf('>', ofTenant), ['plant1.a', 'plant1.a.b']);
  assert.deepEqual(devicesOf('plant2.>', ofTenant), []);
  assert.deepEqual(devicesOf('plant1.a', operator), ['plant1.a']);
  assert.deepEqual(Object.keys(tokens.list('plant1.a', '', 1, operator).credentials[0]!), [
    'id',
    'device',
    'gateway',
    'issuedAt',
    'issuedBy',
    'expiresAt',
    'label',
  ]);
});

test('a revocation expires with its token; one that is repeated appends nothing; another ID is not found', async () => {
  const { tokens, revoked, now } = fixture();
  const { id } = await tokens.issue(request('plant1.a'), operator);
  await tokens.revoke(id, operator);
  await tokens.revoke(id, operator);
  assert.deepEqual(revoked, [{ tokenId: id, expiresAt: now + 365 * dayMs }]);
  assert.deepEqual(tokens.list('>', '', 500, operator).credentials, []);
  await assert.rejects(
    tokens.revoke('none', operator),
    fails('not_found', /expected the ID of a device token, got "none"/),
  );
});

test('an operator of a tenant issues and revokes for its devices alone', async () => {
  const { tokens, revoked } = fixture();
  for (const device of ['plant1', 'plant1.a.b']) await tokens.issue(request(device), ofTenant);
  for (const device of ['plant2.a', 'plant11.a', 'plant']) {
    await assert.rejects(
      tokens.issue(request(device), ofTenant),
      fails('forbidden', /device: expected one of the tenant "plant1" of the operator, got "plant/),
    );
  }
  const { id } = await tokens.issue(request('plant2.a'), operator);
  await assert.rejects(tokens.revoke(id, ofTenant), fails('not_found', /expected the ID/));
  assert.deepEqual(revoked, []);
});

test('the expiry is in the future, at most ten years away, in milliseconds; never only where the settings allow it', async () => {
  const { tokens, now } = fixture();
  const issue = (expiresAt: number | null) => tokens.issue(request('plant1.a', { expiresAt }), operator);
  assert.equal((await issue(now + 1)).expiresAt, now + 1);
  for (const [expiresAt, message] of [
    [now, /expected a time in the future, at most ten years from now/],
    [now + 3_654 * dayMs, /expected a time in the future, at most ten years from now/],
    [now / 1_000 + 3_600, /expected epoch ms, not seconds/],
    [null, /expected a time, because tokenExpiryRequired is set, got null/],
  ] as const)
    await assert.rejects(issue(expiresAt), fails('invalid_message', message));
  const endless = await fixture({ expiryRequired: false }).tokens.issue(
    request('plant1.a', { expiresAt: null }),
    operator,
  );
  assert.ok(!('expiresAt' in endless));
});

test('a device has at most ten tokens, and a revoked one makes space for the next', async () => {
  const { tokens } = fixture();
  const ids: string[] = [];
  for (let count = 0; count < 10; count++) ids.push((await tokens.issue(request('plant1.a'), operator)).id);
  await assert.rejects(tokens.issue(request('plant1.a'), operator), fails('limit_reached', /expected at most 10/));
  await tokens.issue(request('plant1.b'), operator);
  await tokens.revoke(ids[0]!, operator);
  await tokens.issue(request('plant1.a'), operator);
});

test('at the limit of the process no token is issued: other processes would ignore it', async () => {
  const { tokens, issued } = fixture({ entriesMax: 1 });
  await tokens.issue(request('plant1.a'), operator);
  await assert.rejects(tokens.issue(request('plant1.b'), operator), fails('limit_reached', /credentialsMax/));
  assert.equal(issued.length, 1);
});

test('a token that is not durable is not issued, and invalid requests append nothing', async () => {
  const { tokens, issued, log } = fixture();
  await assert.rejects(tokens.issue(request('plant1..a'), operator), { code: 'invalid_path' });
  await assert.rejects(
    tokens.issue(request('plant1.a', { label: 'a\nb' }), operator),
    fails('invalid_message', /label: expected at most 200 characters without control characters/),
  );
  log.error = new TailraceError('unavailable', 'the log is away');
  await assert.rejects(tokens.issue(request('plant1.a'), operator), { code: 'unavailable' });
  assert.deepEqual(issued, []);
});
