import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Admission } from '../admission.ts';
import { Authenticator, type AuthRequest, type DeviceVerifier } from './authentication.ts';
import { Nonces } from './nonces.ts';

const claims: Claims = { subject: 'press7', publish: ['plant1.>'], subscribe: [] };
const nothing = { token: '', time: 0, nonce: '', challenge: '', keyId: '', signature: '', instance: '' };
const connection = { token: '', certificate: undefined, address: '10.0.0.1' };

function setUp(credentials: Partial<DeviceVerifier> = {}, noncesMax = 100) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const refused: string[] = [];
  const admission = new Admission({
    ...{ inFlightRequestsMax: 1, inFlightBytesMax: 1, requestsPerTokenMax: 1 },
    ...{ unverifiedRequestsMax: 1, addressUnverifiedRequestsMax: 1, streamsMax: 1, streamsPerTokenMax: 1 },
  });
  const authenticator = new Authenticator({
    credentials: {
      cached: (presented) => (presented.token === 'known' ? claims : undefined),
      async verify(presented) {
        if (presented.token === 'good') return claims;
        throw new TailraceError('unauthorized', 'the token is not valid');
      },
      signed: () => claims,
      refusedLogin: (presented, outcome) => void refused.push(`${presented?.token ?? 'signed'} ${outcome}`),
      ...credentials,
    },
    nonces: new Nonces(clock, noncesMax),
    admission,
    clock,
  });
  const authenticate = (auth: Partial<AuthRequest>, challenge = 'c1', from = connection) =>
    new Promise<string>((resolve) => {
      const request = { ...nothing, device: 'plant1.press7', ...auth };
      authenticator.authenticate(request, from, challenge, (error, verified) =>
        resolve(error === undefined ? `ok ${verified!.subject}` : `${error.code}: ${error.message}`),
      );
    });
  return { clock, refused, admission, authenticate };
}

test('a token with the challenge of its connection is accepted, with another or a used one it is not', async () => {
  const { authenticate, refused } = setUp();
  assert.equal(await authenticate({ token: 'good', challenge: 'c1' }), 'ok press7');
  assert.match(await authenticate({ token: 'good', challenge: 'c2' }), /^unauthorized: challenge: expected the one/);
  assert.match(await authenticate({ token: 'good', challenge: 'c1' }, ''), /^unauthorized: challenge/);
  assert.deepEqual(refused, ['good replayed', 'good replayed']);
});

test('a recorded auth with time and nonce is refused', async () => {
  const { authenticate, clock, refused } = setUp();
  const auth = { token: 'good', time: clock.now(), nonce: '12345678' };
  assert.equal(await authenticate(auth), 'ok press7');
  assert.match(await authenticate(auth), /^unauthorized: nonce: expected one that was not used before/);
  await clock.advance(60_001);
  assert.match(await authenticate(auth), /^unauthorized: time: expected within 60000 ms .*1764446460001.*challenge$/);
  assert.deepEqual(refused, ['good replayed', 'good clock']);
});

test('an auth without challenge and nonce is refused, also with a short nonce', async () => {
  const { authenticate, clock } = setUp();
  for (const rest of [{}, { nonce: '12345678' }, { time: clock.now() }, { time: clock.now(), nonce: '1234567' }])
    assert.match(await authenticate({ token: 'good', ...rest }), /^invalid_message: auth: expected the challenge/);
});

test('the nonce of a sender that is not verified takes no memory', async () => {
  const { authenticate, clock } = setUp({}, 1);
  const auth = { time: clock.now(), nonce: '12345678' };
  assert.match(await authenticate({ ...auth, token: 'bad' }), /^unauthorized: the token is not valid/);
  assert.match(await authenticate({ ...auth, token: 'good', device: 'plant2.a' }), /^forbidden: "plant2.a" is not/);
  assert.equal(await authenticate({ ...auth, token: 'good' }), 'ok press7');
  assert.match(await authenticate({ ...auth, token: 'good', nonce: 'another one' }), /^limit_reached: /);
});

test('a known token is accepted without a promise', () => {
  const { authenticate } = setUp({ verify: () => assert.fail('a known token is verified again') });
  void authenticate({ token: 'known', challenge: 'c1' });
});

test('the token of the handshake counts for an auth without one', async () => {
  const { authenticate } = setUp();
  const from = { ...connection, token: 'good' };
  assert.equal(await authenticate({ challenge: 'c1' }, 'c1', from), 'ok press7');
  assert.match(await authenticate({ challenge: 'c1', token: 'bad' }, 'c1', from), /^unauthorized/);
});

test('connections that wait for keys are counted, and refused at the limit', async () => {
  const { promise, resolve } = Promise.withResolvers<Claims>();
  const { authenticate, admission } = setUp({
    verify(_presented, onWait) {
      onWait?.();
      return promise;
    },
  });
  const first = authenticate({ token: 'good', challenge: 'c1' });
  assert.equal(admission.unverified, 1);
  assert.match(await authenticate({ token: 'good', challenge: 'c1' }), /^rate_limited: /);
  resolve(claims);
  assert.equal(await first, 'ok press7');
  assert.equal(admission.unverified, 0);
});

test('a signature of the challenge needs no token', async () => {
  const { authenticate, refused } = setUp();
  assert.equal(await authenticate({ keyId: 'k', signature: 's', challenge: 'c1' }), 'ok press7');
  assert.match(await authenticate({ keyId: 'k', signature: 's', challenge: 'c2' }), /^unauthorized: challenge/);
  assert.deepEqual(refused, ['signed replayed']);
});
