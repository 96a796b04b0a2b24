import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../test/manual-clock.ts';
import { createTestKey, secretToken } from '../test/token-signer.ts';
import { createTokenVerifier } from './token.ts';
import { identityOf } from './token-identity.ts';

const secret = 'a-secret-of-at-least-thirty-two-bytes';
const rsa = createTestKey('rsa');
const ec = createTestKey('ec');
const clock = createManualClock();
const verifierOf = (cacheMax?: number) =>
  createTokenVerifier({
    secret,
    keys: [{ publicKeys: rsa.pem + ec.pem }],
    clock,
    ...(cacheMax === undefined ? {} : { cacheMax }),
  });

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Returns every text that differs from the token only in the last character, with the same bytes; itself included. */
function encodings(token: string): string[] {
  const bytes = (text: string) => Buffer.from(text.slice(text.lastIndexOf('.') + 1), 'base64url').toString('hex');
  return [...alphabet].map((last) => token.slice(0, -1) + last).filter((text) => bytes(text) === bytes(token));
}

for (const [what, token, count] of [
  ['HS256', secretToken(secret), 4],
  ['ES256', ec.token(), 16],
  ['RS256', rsa.token(), 16],
] as const) {
  test(`of the ${count} encodings of a signature of ${what} one is accepted`, async () => {
    const all = encodings(token);
    assert.equal(all.length, count);
    const verifier = verifierOf();
    const accepted = await Promise.all(
      all.map((text) =>
        verifier.verify(text).then(
          () => text,
          (error: Error) => assert.match(error.message, /canonical base64url/),
        ),
      ),
    );
    assert.deepEqual(accepted.filter(Boolean), [token]);
  });
}

test('padding, the characters + and /, and line breaks in any part are refused', async () => {
  const verifier = verifierOf();
  const [header, payload, signature] = secretToken(secret).split('.') as [string, string, string];
  for (const text of [
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}==.${signature}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.+${signature.slice(1)}`,
    `${header}.${payload}./${signature.slice(1)}`,
    `${header}.${payload}.${signature}\n`,
    ` ${header}.${payload}.${signature}`,
  ])
    await assert.rejects(verifier.verify(text), { code: 'unauthorized' }, text);
});

test('a header or payload that was signed in another encoding is refused, too', async () => {
  const sign = (header: string, payload: string) => {
    const [, , signature] = secretToken(secret).split('.');
    return `${header}.${payload}.${signature}`;
  };
  const text = (value: object, over: number) => {
    // White space makes the length one with unused bits.
    let json = JSON.stringify(value);
    while (json.length % 3 !== over) json += ' ';
    return Buffer.from(json).toString('base64url');
  };
  const reencoded = (part: string) => part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1)!) + 1];
  const header = text({ alg: 'HS256' }, 1);
  const payload = text({ sub: 'anna', exp: 4_102_444_800 }, 2);
  const verifier = verifierOf();
  await assert.rejects(verifier.verify(sign(reencoded(header), payload)), { message: /canonical base64url/ });
  await assert.rejects(verifier.verify(sign(header, reencoded(payload))), { message: /canonical base64url/ });
});

test('tokens of one subject have one identity, also the second form of an ES256 signature; another subject, tenant or issuer has another', async () => {
  const verifier = verifierOf();
  const identity = async (token: string) => identityOf(await verifier.verify(token));
  const tokens = Array.from({ length: 20 }, (_, n) => secretToken(secret, { jti: `id-${n}` }));
  const signed = ec.token();
  tokens.push(signed, mirrored(signed), rsa.token());
  const identities = new Set(await Promise.all(tokens.map(identity)));
  assert.equal(identities.size, 1);
  for (const claims of [{ sub: 'ben' }, { tenant: 'anna' }, { iss: 'anna' }])
    identities.add(await identity(secretToken(secret, claims)));
  assert.equal(identities.size, 4);
});

test('no content of issuer, tenant and subject makes two bearers one identity', () => {
  const parts = ['a', '', '","', 'null', '\u0000', undefined];
  const keys = new Set<string>();
  let count = 0;
  for (const issuer of parts)
    for (const tenant of parts)
      for (const subject of parts) {
        if (subject === undefined) continue;
        keys.add(identityOf({ subject, ...(tenant && { tenant }), ...(issuer && { issuer }) }));
        count++;
      }
  // An empty text counts as none: claims have no empty issuer and no empty tenant.
  assert.equal(keys.size, 5 * 5 * 5);
  assert.equal(count, 6 * 6 * 5);
});

test('a thousand tokens of one subject do not evict the verified tokens of others', async () => {
  const verifier = verifierOf(64);
  const others = Array.from({ length: 40 }, (_, n) => secretToken(secret, { sub: `other-${n}` }));
  for (const token of others) await verifier.verify(token);
  const own = Array.from({ length: 1000 }, (_, n) => secretToken(secret, { sub: 'many', jti: `id-${n}` }));
  for (const token of own) await verifier.verify(token);
  assert.equal(others.filter((token) => verifier.cached(token) !== undefined).length, 40);
  assert.equal(own.filter((token) => verifier.cached(token) !== undefined).length, 4);
});

/** The order of P-256 (SEC 2, version 2.0, section 2.4.2). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Returns the token with the other valid form of its signature, which its bearer can compute. */
function mirrored(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  const bytes = Buffer.from(token.slice(at), 'base64url');
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return token.slice(0, at) + other.toString('base64url');
}
