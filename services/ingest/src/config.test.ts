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
    /has 1 fault:\n {2}tokenSecret = .*nothing is set to check tokens with/,
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
