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

test('PEM blocks one after the other, in PKCS #1 and with \\n for the line ends give a key each, for its own algorithm', () => {
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

test('of a key set those for checking are taken, by name, and the others told', () => {
  const { keys, passedOver } = publicKeysFromText(
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
    passedOver.map((sentence) => /number \d/.exec(sentence)?.[0]),
    ['number 2', 'number 3', 'number 5', 'number 6', 'number 7'],
  );
});

const ill: readonly (readonly [what: string, text: string, sentence: RegExp])[] = [
  ['no keys', 'hello', /are neither PEM .* nor a JSON Web Key Set/],
  ['broken JSON', '{"keys":', /are not JSON/],
  ['another object', '{"jwks":[]}', /are no JSON Web Key Set/],
  ['texts for keys', '{"keys":["a"]}', /are no JSON Web Key Set/],
  ['an empty set', keySetText(), /have none to check tokens with$/],
  ['a private PEM', ec.pem + privatePem, /have a private or secret key as number 2; only public ones/],
  ['a private key in a set', keySetText(ec.privateKey.export({ format: 'jwk' })), /have a private or secret key/],
  ['a secret in a set', keySetText(rsa.jwk(), { kty: 'oct', k: 'c2VjcmV0' }), /have a private or secret key/],
  ['a damaged PEM', rsa.pem.replace(/\n\w{10}/, '\nAAAAAAAAAA'), /cannot be read: number 1 is damaged/],
  ['a point off the curve', keySetText({ ...ec.jwk(), y: ec.jwk().x }), /number 1 is damaged/],
  ['another label', '-----BEGIN X-----\nAA\n-----END X-----', /have "X" as number 1/],
  ['a weak RSA key', createTestKey('rsa', { bits: 1_024 }).pem, /an RSA key of 1024 bits as number 1; 2048 to 8192/],
  ['an exponent of 1', keySetText({ ...rsa.jwk(), e: 'AQ' }), /have none to check tokens with/],
  [
    'another curve',
    createTestKey('ec', { curve: 'secp384r1' }).pem,
    /kind "secp384r1" as number 1; RSA \(RS256\) or P-256/,
  ],
  ['too many keys', keySetText(...Array.from({ length: keysMax + 1 }, () => ec.jwk())), /are 65; at most 64/],
  ['too long a text', ' '.repeat(262_145), /have 262145 bytes; at most 262144/],
];

for (const [what, text, sentence] of ill) {
  test(`public keys with ${what} are a fault of the configuration`, () => {
    assert.throws(() => publicKeysFromText(text), { code: 'invalid_config', message: sentence });
  });
}

test('a public key is refused as a secret, and no source at all is refused', () => {
  const message = /is a PEM or JSON Web Key; .* right is tokenPublicKeys/;
  for (const secret of [rsa.pem, JSON.stringify(rsa.jwk())]) {
    assert.throws(() => createTokenVerifier({ secret }), { code: 'invalid_config', message });
  }
  assert.throws(() => createTokenVerifier({}), { code: 'invalid_config', message: /of 0 sources; 1 to 8 are right/ });
  const nine = Array.from({ length: 9 }, () => ({ publicKeys: ec.pem }));
  assert.throws(() => createTokenVerifier({ keys: nine }), { code: 'invalid_config', message: /of 9 sources/ });
});

test('a clock tolerance out of bounds is refused', () => {
  for (const clockToleranceMs of [-1, 300_001, Number.NaN]) {
    const options = { keys: [{ publicKeys: ec.pem }], clockToleranceMs };
    assert.throws(() => createTokenVerifier(options), { code: 'invalid_config', message: /0 to 300000 is right/ });
  }
});

test('keys that are passed over are told to the log', () => {
  const told: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts) => void told.push(facts) };
  createTokenVerifier({ keys: [{ publicKeys: keySetText(ec.jwk(), rsa.jwk({ use: 'enc' })) }], logger });
  assert.deepEqual(told, [{ passedOver: ['the public keys of tokens have number 2 for the use "enc"; sig is right'] }]);
});
