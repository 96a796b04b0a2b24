import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { createTestKey, farSeconds, keySetText, secretToken } from '../test/token-signer.ts';
import { createTokenVerifier, issueToken } from './token.ts';

const secret = 'a-secret-of-at-least-thirty-two-bytes';
const rsa = createTestKey('rsa');
const ec = createTestKey('ec');
const stranger = createTestKey('ec');
const clock = createManualClock();
const now = clock.now() / 1000;

/** Accepts every algorithm, so that only invalid tokens are refused. */
const verifier = createTokenVerifier({
  secret,
  keys: [{ publicKeys: rsa.pem }, { publicKeys: keySetText(ec.jwk({ kid: 'e1' })) }],
  clock,
  clockToleranceMs: 5_000,
});
const publicOnly = createTokenVerifier({ keys: [{ publicKeys: rsa.pem + ec.pem }], clock });
const partial = createTokenVerifier({ secret, issuer: 'https://issuer', audience: 'tailrace', clock });

const good: Readonly<Record<string, string>> = {
  'signed with the secret': secretToken(secret),
  'signed with RS256': rsa.token(),
  'signed with ES256': ec.token(),
  'that names its key': ec.token({}, { kid: 'e1' }),
  'that names a key where the source has none by name': rsa.token({}, { kid: 'whatever' }),
  'of the type JWT': rsa.token({}, { typ: 'JWT' }),
  'of the type at+jwt': rsa.token({}, { typ: 'application/AT+jwt' }),
  'that expired within the tolerance': rsa.token({ exp: now - 4.999 }),
  'that starts within the tolerance': rsa.token({ nbf: now + 5 }),
  'issued ahead within the tolerance': rsa.token({ iat: now + 5 }),
  'that expires in the last second of the range': rsa.token({ exp: 1e11 - 1 }),
  'with a foreign key in its header, which is not followed': rsa.token({}, { jwk: stranger.jwk(), jku: 'http://x' }),
};

for (const [what, token] of Object.entries(good)) {
  test(`a token ${what} is accepted`, async () => {
    assert.equal((await verifier.verify(token)).subject, 'anna');
  });
}

const [head, body, signature] = ec.token().split('.') as [string, string, string];
const unsigned = (header: object) => `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.`;

type InvalidToken = readonly [what: string, token: string, pattern: RegExp, by?: typeof verifier];
const invalidTokens: readonly InvalidToken[] = [
  ['without a signature (alg none)', unsigned({ alg: 'none' }), /algorithm "none"; expected HS256, RS256, ES256/],
  ['without a signature (alg NONE)', unsigned({ alg: 'NONE' }), /algorithm "NONE"/],
  ['without an algorithm', unsigned({}), /algorithm undefined;/],
  ['with a list as algorithm', secretToken(secret, {}, { alg: ['HS256'] }), /algorithm \["HS256"\];/],
  ['of an empty signature', `${head}.${body}.`, /signed with another key|malformed/],
  ['of HS512', secretToken(secret, {}, { alg: 'HS512' }), /algorithm "HS512"/],
  ['of PS256', rsa.token({}, { alg: 'PS256' }), /algorithm "PS256"/],
  ['signed with the public key as the secret', secretToken(rsa.pem), /signed with another key/],
  ['of HS256 without a secret', secretToken(rsa.pem), /"HS256"; expected RS256, ES256/, publicOnly],
  ['of RS256 signed with the secret', secretToken(secret, {}, { alg: 'RS256' }), /signed with another key/],
  ['of ES256 signed with the RSA key', rsa.token({}, { alg: 'ES256' }), /signed with another key/],
  ['of RS256 signed with the EC key', ec.token({}, { alg: 'RS256' }), /signed with another key/],
  ['of RS256 without public keys', rsa.token(), /algorithm "RS256"; expected HS256/, partial],
  ["of a stranger's key", stranger.token(), /signed with another key/],
  ["of a stranger's key in its header", stranger.token({}, { jwk: stranger.jwk() }), /signed with another key/],
  [
    'that names an unknown key',
    ec.token({}, { kid: 'e2' }),
    /names the key "e2" \(kid\), which is none of this server's/,
  ],
  ['that names a number', ec.token({}, { kid: 7 }), /names the key 7 \(kid\); expected a text/],
  ['that names its key at length', ec.token({}, { kid: 'k'.repeat(201) }), /a text of at most 200 characters/],
  ['with an extension', rsa.token({}, { crit: ['b64'], b64: false }), /requires the extensions \["b64"\] \(crit\)/],
  ['with an empty crit', rsa.token({}, { crit: [] }), /requires the extensions \[\]/],
  [
    'of another type',
    rsa.token({}, { typ: 'logout+jwt' }),
    /of the type "logout\+jwt" \(typ\); expected JWT or at\+jwt/,
  ],
  ['of a type that is no text', rsa.token({}, { typ: 1 }), /of the type 1 \(typ\)/],
  [
    'changed on the way',
    `${head}.${secretToken(secret, { sub: 'root' }).split('.')[1]}.${signature}`,
    /changed on the way/,
  ],
  ['of two parts', `${head}.${body}`, /malformed/],
  ['of four parts', `${head}.${body}.${signature}.x`, /malformed/],
  ['in standard base64', `${head}.${body}.+/==`, /malformed/],
  ['with a line break', `${ec.token()}\n`, /malformed/],
  ['whose header is no object', `${Buffer.from('[]').toString('base64url')}.${body}.${signature}`, /malformed/],
  ['that is too long', `${head}.${'a'.repeat(8_192)}.${signature}`, /at most 8192 bytes/],
  ['that has expired', rsa.token({ exp: now - 5 }), /expired at 2023-11-14T22:13:15\.000Z; it is 2023-11-14T22:13:20/],
  ['that never expires', rsa.token({ exp: undefined }), /has no expiry \(exp\)/],
  ['that expires at null', rsa.token({ exp: null }), /has exp null; expected seconds since 1970/],
  [
    'that expires after the range of times',
    rsa.token({ exp: 1e300 }),
    /has exp 1e\+300; expected seconds since 1970 below/,
  ],
  [
    'that expires at milliseconds',
    rsa.token({ exp: farSeconds * 1000 }),
    /has exp 4102444800000; expected seconds since 1970 below 100000000000 \(the year 5138\); the value is probably in milliseconds/,
  ],
  ['that starts at milliseconds', rsa.token({ nbf: now * 1000 }), /has nbf 1700000000000; expected seconds since 1970/],
  ['issued at milliseconds', rsa.token({ iat: now * 1000 }), /has iat 1700000000000; expected seconds since 1970/],
  [
    'that expired at milliseconds of 1973',
    rsa.token({ exp: 1e11 }),
    /has exp 100000000000; expected seconds since 1970/,
  ],
  ['that is not valid yet', rsa.token({ nbf: now + 5.001 }), /is not valid before 2023-11-14T22:13:25\.001Z/],
  ['from the future', rsa.token({ iat: now + 60 }), /was issued at 2023-11-14T22:14:20\.000Z \(iat\), in the future/],
  ['issued at a text', rsa.token({ iat: 'now' }), /has iat "now"/],
  [
    'without an issuer',
    secretToken(secret, { aud: 'tailrace' }),
    /issuer undefined \(iss\); expected "https:\/\/issuer"/,
    partial,
  ],
  ['of an issuer that is no text', rsa.token({ iss: 5 }), /has the issuer 5 \(iss\); expected a text of 1 to 1000/],
  ['of an issuer at length', rsa.token({ iss: 'i'.repeat(1_001) }), /expected a text of 1 to 1000 characters/],
  ['from another issuer', secretToken(secret, { iss: 'x', aud: 'tailrace' }), /from the issuer "x"/, partial],
  [
    'for no audience',
    secretToken(secret, { iss: 'https://issuer' }),
    /is for undefined \(aud\); expected "tailrace"/,
    partial,
  ],
  ['for others', secretToken(secret, { iss: 'https://issuer', aud: ['a', 'b'] }), /is for \["a","b"\]/, partial],
  ['for a part of the name', secretToken(secret, { iss: 'https://issuer', aud: 'tailrace2' }), /is for/, partial],
  ['without a subject', rsa.token({ sub: '' }), /has "" as its subject \(sub\)/],
  ['with a number as ID', rsa.token({ jti: 5 }), /has 5 as its ID \(jti\)/],
  [
    'with too long an ID',
    rsa.token({ jti: 'j'.repeat(201) }),
    /expected a text of 1 to 200 characters without control characters/,
  ],
  ['with a text as roles', rsa.token({ roles: 'admin' }), /has "admin" as roles; expected a list of at most 32/],
  ['with too many roles', rsa.token({ roles: Array.from({ length: 33 }, () => 'r') }), /at most 32 texts/],
  ['with too long a role', rsa.token({ roles: ['r'.repeat(65)] }), /of 1 to 64 characters/],
  ['with a number as role', rsa.token({ roles: [1] }), /has \[1\] as roles/],
  [
    'with an invalid pattern of command',
    rsa.token({ command: ['a..b'] }),
    /grants command on an invalid pattern; pattern: .*, got "a\.\.b"/,
  ],
  ['with a path as tenant', rsa.token({ tenant: 'a.b' }), /has "a\.b" as its tenant/],
  ['with an empty tenant', rsa.token({ tenant: '' }), /has "" as its tenant/],
  ['with all as tenant', rsa.token({ tenant: '>' }), /has ">" as its tenant/],
];

for (const [what, token, pattern, by = verifier] of invalidTokens) {
  test(`a token ${what} is refused with the reason`, async () => {
    const error = await by.verify(token).catch((thrown: unknown) => thrown);
    assert.ok(isTailraceError(error), 'the token was accepted');
    assert.deepEqual([error.code, error.retryable], ['unauthorized', false]);
    assert.match(error.message, pattern);
    assert.equal(by.cached(token), undefined);
  });
}

for (const right of ['publish', 'subscribe', 'command'] as const) {
  test(`the patterns of ${right} are within the tenant of the token`, async () => {
    const inside = ['plant1', 'plant1.>', 'plant1.line3.press7', 'plant1.line3.>'];
    const claims = await verifier.verify(rsa.token({ tenant: 'plant1', [right]: inside }));
    assert.deepEqual([claims.tenant, claims[right]], ['plant1', inside]);
    for (const outside of ['>', 'plant2', 'plant2.>', 'plant10', 'plant10.>', 'plant1x.a']) {
      await assert.rejects(verifier.verify(rsa.token({ tenant: 'plant1', [right]: ['plant1.>', outside] })), {
        code: 'unauthorized',
        message: new RegExp(`grants ${right} on "${outside}", outside its tenant "plant1"`),
      });
    }
  });
}

test('an audience is accepted alone and in a list', async () => {
  for (const aud of ['tailrace', ['other', 'tailrace']]) {
    assert.ok(await partial.verify(secretToken(secret, { iss: 'https://issuer', aud })));
  }
});

test('an issued token has all claims that were passed', async () => {
  const claims = {
    subject: 'anna',
    tokenId: 'id-1',
    tenant: 'plant1',
    roles: ['operator'],
    publish: [],
    subscribe: ['plant1.>'],
    command: ['plant1.line3.>'],
  };
  const token = await issueToken({
    ...claims,
    secret,
    expiresInMs: 1_000,
    clock,
    issuer: 'https://issuer',
    audience: 'tailrace',
  });
  const times = { issuedAt: clock.now(), expiresAt: clock.now() + 1_000 };
  assert.deepEqual(await partial.verify(token), { ...claims, issuer: 'https://issuer', ...times });
  await assert.rejects(issueToken({ ...claims, secret, expiresInMs: 1_000, subscribe: ['plant2.>'] }), {
    code: 'invalid_config',
    message: /the token to issue grants subscribe on "plant2\.>", outside its tenant/,
  });
});

test('a token within the tolerance stays cached as long as it is accepted', async () => {
  const own = createManualClock();
  const tolerant = createTokenVerifier({ keys: [{ publicKeys: rsa.pem }], clock: own, clockToleranceMs: 5_000 });
  const token = rsa.token({ exp: own.now() / 1000 + 1 });
  const claims = await tolerant.verify(token);
  own.advance(5_999);
  assert.equal(tolerant.cached(token), claims);
  own.advance(1);
  assert.equal(tolerant.cached(token), undefined);
  await assert.rejects(tolerant.verify(token), { code: 'unauthorized', message: /expired/ });
});

test('a token that expires in the far future is accepted', async () => {
  assert.equal((await verifier.verify(ec.token())).expiresAt, farSeconds * 1000);
});

test('in a source with keys of both types each token finds the key of its algorithm', async () => {
  for (const token of [rsa.token(), ec.token()]) assert.ok(await publicOnly.verify(token));
});
