import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { systemClock } from './clock.ts';
import { loadConfig } from './config.ts';
import { databaseAccessFrom, databaseRules, databaseSettings } from './database-settings.ts';

const schema = z.strictObject({ ...databaseSettings }).superRefine(databaseRules);
const load = (env: Readonly<Record<string, string>>) => loadConfig(schema, { env, args: [] });
const refused = (env: Readonly<Record<string, string>>, sentence: RegExp) =>
  assert.throws(
    () => load(env),
    (error: Error) => {
      assert.match(error.message, sentence);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );

test('by default a local server without TLS is used', () => {
  assert.deepEqual(databaseAccessFrom(load({}), systemClock), {
    url: 'postgres://tailrace@localhost:5432/tailrace',
    connectionsMax: 10,
    waitingMax: 1_000,
    acquireTimeoutMs: 5_000,
    statementTimeoutMs: 30_000,
  });
});

test('the password may come from its own setting, with any characters', () => {
  const env = { TAILRACE_DATABASE_URL: 'postgres://me@db.example/plant', TAILRACE_DATABASE_PASSWORD: 'a/b@c:%d' };
  assert.equal(databaseAccessFrom(load(env), systemClock).url, 'postgres://me:a%2Fb%40c%3A%25d@db.example/plant');
});

test('contradictions are refused, without the password in the message', () => {
  const url = 'postgres://me:hunter2@db.example/plant';
  refused({ TAILRACE_DATABASE_URL: 'mysql://me:hunter2@db.example/plant' }, /expected postgres:\/\/user/);
  refused({ TAILRACE_DATABASE_URL: 'postgres://me:hunter2@db.example' }, /expected postgres:\/\/user/);
  refused({ TAILRACE_DATABASE_URL: `${url}?sslmode=require` }, /has the parameter sslmode; .* set databaseTls/);
  refused({ TAILRACE_DATABASE_URL: url, TAILRACE_DATABASE_PASSWORD: 'hunter2' }, /leave one of them out/);
  refused({ TAILRACE_DATABASE_TLS_CA_FILE: '/ca.pem' }, /is set while databaseTls is off/);
});
