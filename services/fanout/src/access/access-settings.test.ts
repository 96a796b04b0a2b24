import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@tailrace/platform/config';
import { configSchema } from '../config.ts';

const load = (env: Readonly<Record<string, string>>) =>
  loadConfig(configSchema, { env: { TAILRACE_TOKEN_SECRET: 's'.repeat(32), ...env }, args: [] });

test('by default all clients of a node may share one token and one address, and connect at once', () => {
  const config = load({});
  for (const most of [config.userConnectionsMax, config.addressConnectionsMax])
    assert.ok(most >= config.connectionsMax);
  assert.ok(2 * config.handshakesPerSecondMax >= 10_000);
});

test('a proxy that is no address, and an origin with a path, are refused with what was expected', () => {
  assert.deepEqual(load({ TAILRACE_TRUSTED_PROXIES: '10.0.0.0/8, ::1' }).trustedProxies, ['10.0.0.0/8', '::1']);
  assert.throws(() => load({ TAILRACE_TRUSTED_PROXIES: 'proxy.example' }), /expected an address or a network/);
  assert.throws(() => load({ TAILRACE_ORIGINS: 'https://a.example/' }), /https:\/\/host:port without a path/);
});
