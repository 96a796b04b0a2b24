import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@tailrace/platform/config';
import { configSchema } from './config.ts';

const load = (env: Record<string, string>) => loadConfig(configSchema, { env, args: [] });

test('without settings everything is simulated and published to this machine', () => {
  const { ingestUrl, plant, hostReadings, rateHz } = load({});
  assert.deepEqual(
    { ingestUrl, plant, hostReadings, rateHz },
    { ingestUrl: 'http://localhost:8082', plant: true, hostReadings: true, rateHz: 2 },
  );
});

test('an error names every invalid setting, and not the token', () => {
  const env = {
    TAILRACE_INGEST_URL: 'ftp://x',
    TAILRACE_RATE_HZ: '1000',
    TAILRACE_PLANT_SEED: '-1',
    TAILRACE_TOKEN: 'hunter2'.repeat(2000),
  };
  assert.throws(
    () => load(env),
    (error: Error) =>
      ['ingestUrl', 'rateHz', 'plantSeed', 'token'].every((key) => error.message.includes(key)) &&
      !error.message.includes('hunter2'),
  );
});
