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

/**
 * Every text that differs from the token in the last character of its signature alone and means the same bytes, itself
 * included.
 */
function spellings(token: string): string[] {
  const bytes = (text: string) => Buffer.from(text.slice(text.lastIndexOf('.') + 1), 'base64url').toString('hex');
  return [...alphabet].map((last) => token.slice(0, -1) + last).filter((text) => bytes(text) === bytes(token));
}

for (const [what, token, count] of [
  ['HS256', secretToken(secret), 4],
  ['ES256', ec.token(), 16],
  ['RS256', rsa.token(), 16],
] as const) {
  test(`of the ${count} spellings of a signature of ${what} one is taken`, async () => {
    const all = spellings(token);
    assert.equal(all.length, count);
    const verifier = verifierOf();
    const taken = await Promise.all(
      all.map((text) =>
        verifier.verify(text).then(
          () => text,
          (error: Error) => assert.match(error.message, /canonical base64url/),
        ),
      ),
    );
    assert.deepEqual(taken.filter(Boolean), [token]);
  });
}

test('padding, the characters + and /, and line ends in any part are refused', async () => {
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

test('a header or payload that was signed in another spelling is refused, too', async () => {
  const sign = (header: string, payload: string) => {
    const [, , signature] = secretToken(secret).split('.');
    return `${header}.${payload}.${signature}`;
  };
  const text = (value: object, over: number) => {
    // White space brings the length to where bits are left over.
    let json = JSON.stringify(value);
    while (json.length % 3 !== over) json += ' ';
    return Buffer.from(json).toString('base64url');
  };
  const respelled = (part: string) => part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1)!) + 1];
  const header = text({ alg: 'HS256' }, 1);
  const payload = text({ sub: 'anna', exp: 4_102_444_800 }, 2);
  const verifier = verifierOf();
  await assert.rejects(verifier.verify(sign(respelled(header), payload)), { message: /canonical base64url/ });
  await assert.rejects(verifier.verify(sign(header, respelled(payload))), { message: /canonical base64url/ });
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

test('what issuer, tenant and subject hold cannot make two bearers one', () => {
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
  // The empty text and none are the same here: claims have no empty issuer and no empty tenant.
  assert.equal(keys.size, 5 * 5 * 5);
  assert.equal(count, 6 * 6 * 5);
});

test('a thousand tokens of one subject leave the verified tokens of others where they are', async () => {
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

/** The same token with the other valid form of its signature, which its bearer can compute. */
function mirrored(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  const bytes = Buffer.from(token.slice(at), 'base64url');
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return token.slice(0, at) + other.toString('base64url');
}
