import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { createTestKey } from '../test/token-signer.ts';
import { loadConfig } from './config.ts';
import { configKeysFrom } from './config-keys.ts';
import { keySourcesFrom, tokenSettings, tokenVerifierOptionsFrom } from './settings.ts';
import { createTokenVerifier } from './token.ts';

const schema = z.object({ ...tokenSettings });
const load = (env: Readonly<Record<string, string>>) => loadConfig(schema, { env, args: [] });
const secret = 'a-secret-of-at-least-thirty-two-bytes';

test('each setting of keys is a source, and none at all is an error that names them', () => {
  assert.throws(() => keySourcesFrom(load({})), {
    code: 'invalid_config',
    message: /at least one of tokenSecret \(TAILRACE_TOKEN_SECRET\), tokenPublicKeys .* and tokenJwksUrl/,
  });
  const env = {
    TAILRACE_TOKEN_SECRET: secret,
    TAILRACE_TOKEN_PUBLIC_KEYS: 'a PEM …',
    TAILRACE_TOKEN_JWKS_URL: 'https://issuer.example/keys',
  };
  assert.deepEqual(keySourcesFrom(load(env)), [
    { secret },
    { publicKeys: 'a PEM …' },
    { jwksUrl: 'https://issuer.example/keys' },
  ]);
});

test('only the secret is a secret', () => {
  const secrets = configKeysFrom(schema).filter((key) => key.secret);
  assert.deepEqual(
    secrets.map(({ name }) => name),
    ['tokenSecret'],
  );
});

test('a secret that is too short is refused and not shown; a URL of another kind is refused', () => {
  assert.throws(
    () => load({ TAILRACE_TOKEN_SECRET: 'short' }),
    (error: Error) => /tokenSecret = \(secret\) .*at least 32/.test(error.message) && !error.message.includes('short'),
  );
  assert.throws(() => load({ TAILRACE_TOKEN_JWKS_URL: 'file:///keys' }), /tokenJwksUrl = "file:\/\/\/keys"/);
  assert.throws(() => load({ TAILRACE_TOKEN_CLOCK_TOLERANCE_MS: '300001' }), /integer from 0 to 300000/);
});

test('the settings make a verifier with 5 s of tolerance that requires an expiry', async () => {
  const key = createTestKey('ec');
  const options = tokenVerifierOptionsFrom(
    load({ TAILRACE_TOKEN_PUBLIC_KEYS: key.pem, TAILRACE_TOKEN_AUDIENCE: 'tailrace' }),
  );
  assert.deepEqual(
    [options.clockToleranceMs, options.expiryRequired, options.issuer, options.audience],
    [5_000, true, undefined, 'tailrace'],
  );
  const verifier = createTokenVerifier(options);
  assert.ok(await verifier.verify(key.token({ aud: 'tailrace' })));
  await assert.rejects(verifier.verify(key.token()), { code: 'unauthorized', message: /\(aud\)/ });
});
