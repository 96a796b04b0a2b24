import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { configCommandFrom } from './config-command.ts';
import { configJsonSchema, configTable } from './config-docs.ts';
import { configKeysFrom, variableFrom } from './config-keys.ts';

const schema = z.object({
  flushMs: z.int().min(1).default(20).describe('the window | of batching'),
  partitions: z.int().min(1).max(4096).default(12).describe('how many'),
  tokenSecret: z.string().meta({ secret: true }).describe('signs tokens'),
  tracingUrl: z.string().default('').describe('where traces go'),
});
const secret = { TAILRACE_TOKEN_SECRET: 'hush-hush' };

test('the table has key, variable, unit and type, default and reason of every setting', () => {
  assert.deepEqual(configTable(schema).split('\n').slice(2), [
    '| `flushMs` | `TAILRACE_FLUSH_MS` | ms, integer from 1 | `20` | the window \\| of batching |',
    '| `partitions` | `TAILRACE_PARTITIONS` | partitions, integer from 1 to 4096 | `12` | how many |',
    '| `tokenSecret` | `TAILRACE_TOKEN_SECRET` | text | required | signs tokens |',
    '| `tracingUrl` | `TAILRACE_TRACING_URL` | text | – | where traces go |',
  ]);
});

test('the JSON schema has types, bounds and defaults, and no other key', () => {
  const { properties, required, additionalProperties } = configJsonSchema(schema) as Record<
    string,
    Record<string, unknown>
  >;
  assert.equal(additionalProperties, false);
  assert.deepEqual(required, ['tokenSecret']);
  assert.deepEqual(properties?.['partitions'], {
    default: 12,
    type: 'integer',
    minimum: 1,
    maximum: 4096,
    description: 'how many',
  });
});

test('--help prints the settings and exits 0, even if a required one is missing', () => {
  const command = configCommandFrom('ingest', schema, { env: {}, args: ['--help'] });
  assert.ok(command.kind === 'exit' && command.code === 0);
  assert.match(command.output, /TAILRACE_FLUSH_MS {6}ms, integer from 1; default 20\n {25}the window/);
  assert.match(command.output, /TAILRACE_TOKEN_SECRET {2}text; required/);
});

test('--check-config prints the effective settings without secrets and exits 0', () => {
  const command = configCommandFrom('ingest', schema, {
    env: { ...secret, TAILRACE_FLUSH_MS: '5' },
    args: ['--check-config'],
  });
  assert.deepEqual(command, {
    kind: 'exit',
    code: 0,
    output: 'flushMs = 5\npartitions = 12\ntokenSecret = (secret)\ntracingUrl = ""\n',
  });
});

test('--check-config prints the errors and exits 1, and so does a start', () => {
  for (const args of [['--check-config'], []]) {
    const command = configCommandFrom('ingest', schema, { env: { ...secret, TAILRACE_FLUSH_MS: '0' }, args });
    assert.ok(command.kind === 'exit' && command.code === 1);
    assert.equal(
      command.output,
      'ingest: the configuration has 1 error:\n  flushMs = 0 from TAILRACE_FLUSH_MS: expected integer from 1 (ms)\n',
    );
  }
});

test('an error in a file that a setting names is printed in lines, by --check-config and by a start', () => {
  const check = () => {
    throw new TailraceError(
      'invalid_config',
      'bridgesFile:\n  bridges[0]: expected no key "unts"; did you mean units?',
    );
  };
  for (const args of [['--check-config'], []]) {
    const command = configCommandFrom('ingest', schema, { env: secret, args }, check);
    assert.deepEqual(command, {
      kind: 'exit',
      code: 1,
      output: 'ingest: bridgesFile:\n  bridges[0]: expected no key "unts"; did you mean units?\n',
    });
  }
});

test('without errors and without --help or --check-config the service runs', () => {
  const command = configCommandFrom('ingest', schema, { env: secret, args: [] });
  assert.ok(command.kind === 'run' && command.config.tokenSecret === 'hush-hush');
});

test('an invalid schema is refused with the key: no reason, no unit, nested', () => {
  assert.throws(() => configKeysFrom(z.object({ a: z.string() })), /key a has no reason/);
  assert.throws(
    () => configKeysFrom(z.object({ timeout: z.number().describe('r') })),
    /key timeout is a number without a unit/,
  );
  assert.throws(
    () => configKeysFrom(z.object({ a: z.object({}).describe('r') })),
    /key a is an object; settings are flat/,
  );
});

test('a unit is the last word of the name, a plural of what is counted, or declared', () => {
  const number = z.number().describe('r');
  const names = { bodyBytesMax: number, subscriptionsMax: number, reportsPerSecond: number, internalPort: number };
  const units = configKeysFrom(z.object({ ...names, factor: number.meta({ unit: 'times' }) })).map((key) => key.unit);
  assert.deepEqual(units, ['bytes', 'subscriptions', 'reports per second', 'port', 'times']);
});

test('a variable is the key in upper snake case', () => {
  assert.equal(variableFrom('internalPort'), 'TAILRACE_INTERNAL_PORT');
  assert.equal(variableFrom('flushMs', 'X_'), 'X_FLUSH_MS');
});
