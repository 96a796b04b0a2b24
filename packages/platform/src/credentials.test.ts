import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { CredentialVerifier } from './credentials.ts';
import { DeviceCredentials } from './device-credentials.ts';
import { createDeviceToken, deviceTokenFrom, deviceTokenText, secretHashOf } from './device-token.ts';
import { createMetrics } from './metrics.ts';
import { createRevocationList, expiryGraceMs } from './revocation.ts';
import { createTokenVerifier, issueToken } from './token.ts';

const hourMs = 3_600_000;
const toleranceMs = 5_000;
const secret = 'a secret of the tests, long enough for HS256';

function arrangement() {
  const clock = createManualClock();
  const revocations = createRevocationList({ clock });
  const credentials = new DeviceCredentials({ clock, revocations, entriesMax: 100 });
  const metrics = createMetrics({ service: 'ingest', node: 'n', processMetrics: false });
  const tokens = createTokenVerifier({ secret, clock, revocations, clockToleranceMs: toleranceMs });
  const verifier = new CredentialVerifier({
    tokens,
    credentials,
    revocations,
    clock,
    clockToleranceMs: toleranceMs,
    metrics,
  });
  const issue = (device = 'plant1.press7') => {
    const token = createDeviceToken();
    credentials.merge([
      {
        id: token.id,
        device,
        gateway: false,
        secretSha256: secretHashOf(token.secret),
        issuedAt: clock.now(),
        expiresAt: clock.now() + hourMs,
        issuedBy: 'operator',
        label: '',
      },
    ]);
    return { ...token, text: deviceTokenText(token) };
  };
  /** Outcomes that were counted, as `kind outcome: number`. */
  const counted = async () =>
    [...(await metrics.text()).matchAll(/verifications_total\{.*kind="(\w+)",outcome="(\w+)".*\} ([1-9]\d*)\n/g)].map(
      ([, kind, outcome, count]) => `${kind} ${outcome}: ${count}`,
    );
  return { clock, revocations, credentials, verifier, issue, counted };
}

const refusedWith = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, 'unauthorized');
  assert.match(error.message, message);
  return true;
};

test('a device token is verified without a promise, and its claims are the same object each time', async () => {
  const { verifier, issue, counted } = arrangement();
  const { text, id } = issue();
  const claims = verifier.cached({ token: text })!;
  assert.deepEqual([claims.tokenId, claims.publish], [id, ['plant1.press7']]);
  assert.equal(verifier.cached({ token: text }), claims);
  assert.equal(await verifier.verify({ token: text }), claims);
  assert.deepEqual(await counted(), ['token ok: 3']);
});

test('a device token with another secret, another ID or any changed character is refused, without its secret in the message', async () => {
  const { verifier, issue } = arrangement();
  const [one, other] = [issue(), issue()];
  const wrong = [
    deviceTokenText({ id: one.id, secret: other.secret }),
    deviceTokenText({ id: createDeviceToken().id, secret: one.secret }),
    `${one.text} `,
    `${one.text}A`,
    one.text.slice(0, -1),
    'tr1_',
    'tr1___proto__________x_',
  ];
  for (let at = 4; at < one.text.length; at++) {
    const letter = one.text[at] === 'A' ? 'B' : 'A';
    wrong.push(`${one.text.slice(0, at)}${letter}${one.text.slice(at + 1)}`);
  }
  for (const token of wrong) {
    assert.equal(verifier.cached({ token }), undefined, token);
    await assert.rejects(verifier.verify({ token }), (error: Error) => {
      refusedWith(/the device token is unknown: it expired, was revoked, or was changed on the way/)(error);
      assert.ok(!error.message.includes(one.secret.slice(0, 20)));
      return true;
    });
  }
});

test('random texts are refused, and none is taken for a device token', async () => {
  const { verifier } = arrangement();
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  const letters = 'tr1_-.AZaz09 \u00e9\u{1f600}';
  for (let count = 0; count < 2_000; count++) {
    const text = Array.from(
      { length: Math.floor(random() * 80) },
      () => letters[Math.floor(random() * letters.length)],
    );
    const token = (random() < 0.5 ? 'tr1_' : '') + text.join('');
    const parts = deviceTokenFrom(token);
    if (parts !== undefined) assert.equal(deviceTokenText(parts), token);
    assert.equal(verifier.cached({ token }), undefined);
    await assert.rejects(verifier.verify({ token }), { code: 'unauthorized' });
  }
});

test('a device token is refused after its expiry and the tolerance, and once it is revoked', async () => {
  const { verifier, issue, clock, revocations, credentials, counted } = arrangement();
  const [expiring, revoked, listed] = [issue(), issue(), issue()];
  // The node has read the revocation, and not removed the credential yet.
  revocations.merge([{ tokenId: listed.id }]);
  assert.equal(verifier.cached({ token: listed.text }), undefined);
  await assert.rejects(verifier.verify({ token: listed.text }), refusedWith(/"[\w-]{16}" was revoked; get a new one/));
  revocations.merge([{ tokenId: revoked.id }]);
  credentials.revoke([{ tokenId: revoked.id }]);
  await assert.rejects(verifier.verify({ token: revoked.text }), refusedWith(/was revoked; get a new one/));
  clock.advance(hourMs + toleranceMs - 1);
  assert.ok(verifier.cached({ token: expiring.text }));
  clock.advance(1);
  assert.equal(verifier.cached({ token: expiring.text }), undefined);
  await assert.rejects(verifier.verify({ token: expiring.text }), refusedWith(/expired at 2023-11-14T23:13:20.000Z/));
  clock.advance(expiryGraceMs);
  issue();
  await assert.rejects(verifier.verify({ token: expiring.text }), refusedWith(/is unknown: it expired, was revoked/));
  assert.deepEqual(await counted(), ['token ok: 1', 'token invalid: 1', 'token expired: 1', 'token revoked: 2']);
});

test('a JSON Web Token is verified as before, and counted by its outcome', async () => {
  const { verifier, clock, revocations, counted } = arrangement();
  const facts = { secret, subject: 'gateway7', publish: ['plant1.>'], subscribe: [], clock };
  const token = await issueToken({ ...facts, tokenId: 't1', expiresInMs: hourMs });
  const short = await issueToken({ ...facts, expiresInMs: 1_000 });
  assert.equal(verifier.cached({ token }), undefined);
  const claims = await verifier.verify({ token });
  assert.equal(verifier.cached({ token }), claims);
  revocations.merge([{ tokenId: 't1' }]);
  assert.equal(verifier.cached({ token }), undefined);
  await assert.rejects(verifier.verify({ token }), refusedWith(/was revoked/));
  clock.advance(1_000 + toleranceMs);
  await assert.rejects(verifier.verify({ token: short }), refusedWith(/expired at/));
  await assert.rejects(verifier.verify({ token: 'x.y.z' }), { code: 'unauthorized' });
  await assert.rejects(verifier.verify({ token: undefined }), refusedWith(/expected a token/));
  assert.deepEqual(await counted(), [
    'jwt ok: 1',
    'jwt cached: 1',
    'jwt invalid: 2',
    'jwt expired: 1',
    'jwt revoked: 1',
  ]);
});

test('a device that signs the challenge is accepted without its secret on the wire, for its device and challenge alone', async () => {
  const { verifier, issue, revocations, counted } = arrangement();
  const { id, secret: own } = issue();
  const key = createHash('sha256').update(own).digest();
  const sign = (device: string, challenge: string) =>
    createHmac('sha256', key).update(`tailrace-device-v1\n${device}\n${challenge}`).digest('base64url');
  const signature = sign('plant1.press7', 'c1');
  assert.equal(verifier.signed(id, 'plant1.press7', 'c1', signature).tokenId, id);
  for (const [keyId, device, challenge, text] of [
    [id, 'plant1.press7', 'c2', signature],
    [id, 'plant1.press8', 'c1', signature],
    [issue().id, 'plant1.press7', 'c1', signature],
    [id, 'plant1.press7', 'c1', ''],
    [id, 'plant1.press7', 'c1', `${signature}A`],
  ] as const) {
    assert.throws(() => verifier.signed(keyId, device, challenge, text), refusedWith(/is of another secret or text/));
  }
  const unknown = createDeviceToken().id;
  assert.throws(() => verifier.signed(unknown, 'plant1.press7', 'c1', signature), refusedWith(/is unknown/));
  revocations.merge([{ tokenId: id }]);
  assert.throws(() => verifier.signed(id, 'plant1.press7', 'c1', signature), refusedWith(/was revoked/));
  verifier.refusedLogin(undefined, 'replayed');
  verifier.refusedLogin({ token: issue().text }, 'replayed');
  verifier.refusedLogin({ token: 'x.y.z' }, 'clock');
  assert.deepEqual(await counted(), [
    ...['jwt clock: 1', 'token replayed: 1'],
    ...['signed ok: 1', 'signed invalid: 6', 'signed revoked: 1', 'signed replayed: 1'],
  ]);
});
