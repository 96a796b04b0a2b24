import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@tailrace/platform/config';
import { configKeysFrom } from '@tailrace/platform/config-keys';
import { configSchema } from './config.ts';

const tokenSecret = 's'.repeat(32);
const load = (env: Readonly<Record<string, string>>) =>
  loadConfig(configSchema, { env: { TAILRACE_TOKEN_SECRET: tokenSecret, ...env }, args: [] });

test('every setting has a unit and a reason', () => {
  assert.ok(configKeysFrom(configSchema).length > 20);
});

test('only the secret has no default', () => {
  assert.equal(load({}).port, 8082);
  assert.throws(
    () => loadConfig(configSchema, { env: {}, args: [] }),
    /has 1 error:\n {2}tokenSecret = .*keys of tokens: expected at least one of/,
  );
});

test('lists in the environment are separated by commas', () => {
  const config = load({ TAILRACE_KAFKA_BROKERS: 'a:9092, b:9092', TAILRACE_ALLOWED_ORIGINS: 'https://plant.example' });
  assert.deepEqual(config.kafkaBrokers, ['a:9092', 'b:9092']);
  assert.deepEqual(config.allowedOrigins, ['https://plant.example']);
});

test('an origin with a path, which no browser sends, is invalid', () => {
  assert.throws(() => load({ TAILRACE_ALLOWED_ORIGINS: 'https://plant.example/' }), /allowedOrigins/);
});

test('settings for certificates that are of no use without others are refused with what is missing', () => {
  const rules = '[{"field":"CN","pattern":"(.+)","device":"plant1.$1"}]';
  const files = { TAILRACE_TLS_CERT_FILE: 'a.crt', TAILRACE_TLS_KEY_FILE: 'a.key' };
  const header = { TAILRACE_CLIENT_CERTIFICATE_HEADER: 'x-forwarded-client-cert' };
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ TAILRACE_TLS_CERT_FILE: 'a.crt' }, /tlsKeyFile = "" from its default: expected tlsCertFile and tlsKeyFile/],
    [
      { TAILRACE_TLS_CLIENT_CA_FILE: 'ca.crt', TAILRACE_CERTIFICATE_RULES: rules },
      /tlsClientCaFile = .*expected tlsCert/,
    ],
    [{ ...files, TAILRACE_TLS_CLIENT_CRL_FILE: 'ca.crl' }, /tlsClientCrlFile = .*expected tlsClientCaFile with it/],
    [{ ...files, TAILRACE_TLS_CLIENT_CA_FILE: 'ca.crt' }, /certificateRules = "" from its default: expected rules if/],
    [{ TAILRACE_CERTIFICATE_RULES: rules }, /certificateRules = .*and none if not/],
    [{ ...header, TAILRACE_CERTIFICATE_RULES: rules }, /clientCertificateHeader = .*expected trustedProxies with it/],
    [{ TAILRACE_CERTIFICATE_RULES: '[{"field":"CN"}]' }, /certificateRules = .*: rule 1: pattern: expected a regular/],
    [{ TAILRACE_CLIENT_CERTIFICATE_HEADER: 'X-Cert' }, /lower-case letters, digits and - only/],
  ];
  for (const [env, message] of cases) assert.throws(() => load(env), message);
  const config = load({ ...header, TAILRACE_CERTIFICATE_RULES: rules, TAILRACE_TRUSTED_PROXIES: '10.0.0.1' });
  assert.equal(config.certificateRules, rules);
  assert.equal(load(files).tlsPort, 8443);
});
