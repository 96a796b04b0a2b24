import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestKey, keySetText } from '../test/token-signer.ts';
import type { Logger } from './logger.ts';
import { silentLogger } from './logger.ts';
import { createTokenVerifier } from './token.ts';
import { keysMax, publicKeysFromText } from './token-keys.ts';

const rsa = createTestKey('rsa');
const ec = createTestKey('ec');
const privatePem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

test('PEM blocks one after the other, in PKCS #1 and with \\n for line breaks are one key each, for its own algorithm', () => {
  const pkcs1 = rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const { keys } = publicKeysFromText(`a comment\n${pkcs1}\n${ec.pem}${rsa.pem.replaceAll('\n', '\\n')}`);
  assert.deepEqual(
    keys.map(({ algorithm, id }) => [algorithm, id]),
    [
      ['RS256', undefined],
      ['ES256', undefined],
      ['RS256', undefined],
    ],
  );
  assert.equal(keys[0]!.fingerprint, keys[2]!.fingerprint);
});

test('of a key set those for checking are used, by ID, and the others reported', () => {
  const { keys, skipped } = publicKeysFromText(
    keySetText(
      rsa.jwk({ kid: 'r', alg: 'RS256', use: 'sig', key_ops: ['verify'], x5c: ['ignored'] }),
      rsa.jwk({ kid: 'enc', use: 'enc' }),
      rsa.jwk({ kid: 'pss', alg: 'PS256' }),
      ec.jwk({ kid: 'e', ext: true }),
      ec.jwk({ key_ops: ['sign'] }),
      { kty: 'OKP', crv: 'Ed25519', x: 'AA' },
      ec.jwk({ kid: 8 }),
    ),
  );
  assert.deepEqual(
    keys.map(({ algorithm, id }) => [algorithm, id]),
    [
      ['RS256', 'r'],
      ['ES256', 'e'],
    ],
  );
  assert.deepEqual(
    skipped.map((message) => /number \d/.exec(message)?.[0]),
    ['number 2', 'number 3', 'number 5', 'number 6', 'number 7'],
  );
});

const invalid: readonly (readonly [what: string, text: string, pattern: RegExp])[] = [
  ['no keys', 'hello', /expected PEM .* or a JSON Web Key Set/],
  ['broken JSON', '{"keys":', /expected a JSON Web Key Set .*, got invalid JSON/],
  ['another object', '{"jwks":[]}', /expected a JSON Web Key Set .*, got another object/],
  ['texts for keys', '{"keys":["a"]}', /expected a JSON Web Key Set .*, got another object/],
  ['an empty set', keySetText(), /none is for checking tokens$/],
  ['a private PEM', ec.pem + privatePem, /number 2: expected a public key, got a private or secret key/],
  ['a private key in a set', keySetText(ec.privateKey.export({ format: 'jwk' })), /got a private or secret key/],
  ['a secret in a set', keySetText(rsa.jwk(), { kty: 'oct', k: 'c2VjcmV0' }), /got a private or secret key/],
  ['a damaged PEM', rsa.pem.replace(/\n\w{10}/, '\nAAAAAAAAAA'), /number 1: expected a valid key, got a damaged one/],
  [
    'a point off the curve',
    keySetText({ ...ec.jwk(), y: ec.jwk().x }),
    /number 1: expected a valid key, got a damaged one/,
  ],
  ['another label', '-----BEGIN X-----\nAA\n-----END X-----', /number 1: expected PUBLIC KEY .*, got "X"/],
  [
    'a weak RSA key',
    createTestKey('rsa', { bits: 1_024 }).pem,
    /number 1: expected an RSA key of 2048 to 8192 bits, .* got 1024 bits/,
  ],
  ['an exponent of 1', keySetText({ ...rsa.jwk(), e: 'AQ' }), /none is for checking tokens/],
  [
    'another curve',
    createTestKey('ec', { curve: 'secp384r1' }).pem,
    /number 1: expected RSA \(RS256\) or P-256 \(ES256\), got "secp384r1"/,
  ],
  ['too many keys', keySetText(...Array.from({ length: keysMax + 1 }, () => ec.jwk())), /at most 64, got 65/],
  ['too long a text', ' '.repeat(262_145), /at most 262144 bytes, got 262145/],
];

for (const [what, text, pattern] of invalid) {
  test(`public keys with ${what} are invalid_config`, () => {
    assert.throws(() => publicKeysFromText(text), { code: 'invalid_config', message: pattern });
  });
}

test('a public key is refused as a secret, and no source at all is refused', () => {
  const message = /got a PEM or JSON Web Key: set it as tokenPublicKeys/;
  for (const secret of [rsa.pem, JSON.stringify(rsa.jwk())]) {
    assert.throws(() => createTokenVerifier({ secret }), { code: 'invalid_config', message });
  }
  assert.throws(() => createTokenVerifier({}), { code: 'invalid_config', message: /expected 1 to 8, got 0/ });
  const nine = Array.from({ length: 9 }, () => ({ publicKeys: ec.pem }));
  assert.throws(() => createTokenVerifier({ keys: nine }), {
    code: 'invalid_config',
    message: /expected 1 to 8, got 9/,
  });
});

test('a clock tolerance out of range is refused', () => {
  for (const clockToleranceMs of [-1, 300_001, Number.NaN]) {
    const options = { keys: [{ publicKeys: ec.pem }], clockToleranceMs };
    assert.throws(() => createTokenVerifier(options), { code: 'invalid_config', message: /expected 0 to 300000 ms/ });
  }
});

test('skipped keys are logged', () => {
  const logged: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts) => void logged.push(facts) };
  createTokenVerifier({ keys: [{ publicKeys: keySetText(ec.jwk(), rsa.jwk({ use: 'enc' })) }], logger });
  assert.deepEqual(logged, [{ skipped: ['public keys of tokens: number 2: expected the use sig, got "enc"'] }]);
});
