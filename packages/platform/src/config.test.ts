import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { type ConfigSources, loadConfig } from './config.ts';
import { commonSettings } from './settings.ts';

const schema = z.object({
  port: z.int().min(0).max(65_535).default(8082).describe('where devices come in'),
  flushMs: z.number().min(0).max(1000).default(20).describe('the batching window'),
  brokers: z.array(z.string().min(1)).default([]).describe('addresses of Kafka'),
  encoding: z.enum(['json', 'proto']).default('json').describe('of the frames'),
  pretty: z.boolean().default(false).describe('for people'),
  tokenSecret: z.string().min(8).default('default-secret').meta({ secret: true }).describe('signs tokens'),
});

function load(sources: Partial<ConfigSources> & { file?: unknown } = {}) {
  const { file, ...rest } = sources;
  const withFile =
    file === undefined
      ? {}
      : { args: ['--config', 'c.json'], readText: () => (typeof file === 'string' ? file : JSON.stringify(file)) };
  return loadConfig(schema, { env: {}, args: [], ...withFile, ...rest });
}

/** Returns the lines of the one error that has all errors. */
function errorLinesOf(sources: Parameters<typeof load>[0]): string[] {
  try {
    load(sources);
  } catch (error) {
    assert.ok(error instanceof TailraceError);
    assert.equal(error.code, 'invalid_config');
    const [head, ...lines] = error.message.split('\n');
    assert.match(head ?? '', new RegExp(`the configuration has ${lines.length} errors?:`));
    return lines.map((line) => line.trim());
  }
  return assert.fail('it was accepted');
}

test('without any source the defaults apply', () => {
  assert.deepEqual(load(), {
    port: 8082,
    flushMs: 20,
    brokers: [],
    encoding: 'json',
    pretty: false,
    tokenSecret: 'default-secret',
  });
});

test('the file overrides the defaults, the environment overrides the file', () => {
  const config = load({ file: { port: 1, flushMs: 2 }, env: { TAILRACE_FLUSH_MS: '3' } });
  assert.equal(config.port, 1);
  assert.equal(config.flushMs, 3);
  assert.equal(config.encoding, 'json');
});

test('the file is named by --config, --config= or TAILRACE_CONFIG, and the command line wins', () => {
  const readText = (path: string) => JSON.stringify({ encoding: path === 'b' ? 'proto' : 'json' });
  const env = { TAILRACE_CONFIG: 'a' };
  assert.equal(load({ readText, env: { TAILRACE_CONFIG: 'b' } }).encoding, 'proto');
  assert.equal(load({ readText, env, args: ['--config', 'b'] }).encoding, 'proto');
  assert.equal(load({ readText, env, args: ['--config=b'] }).encoding, 'proto');
});

test('texts of the environment become numbers, booleans and lists', () => {
  const env = {
    TAILRACE_FLUSH_MS: ' 2.5 ',
    TAILRACE_PRETTY: 'true',
    TAILRACE_BROKERS: 'a:9092, b:9092,',
    TAILRACE_PORT: '0',
  };
  const { flushMs, pretty, brokers, port } = load({ env });
  assert.deepEqual(
    { flushMs, pretty, brokers, port },
    { flushMs: 2.5, pretty: true, brokers: ['a:9092', 'b:9092'], port: 0 },
  );
});

test('an empty variable counts as not set', () => {
  assert.equal(load({ env: { TAILRACE_PORT: '' } }).port, 8082);
});

test('every error of every source is listed at once, one a line', () => {
  const lines = errorLinesOf({
    env: { TAILRACE_PORT: '99999', TAILRACE_PRETTY: 'maybe', TAILRACE_FLSUH_MS: '3' },
    args: ['--config', 'c.json', '--chek-config'],
    readText: () => '{"encoding":"xml","brokrs":[],"flushMs":"fast"}',
  });
  assert.deepEqual(lines.sort(), [
    '"--chek-config" on the command line: no such argument; did you mean --check-config?',
    'TAILRACE_FLSUH_MS in the environment: there is no such setting; did you mean TAILRACE_FLUSH_MS?',
    'brokrs in c.json: there is no such setting; did you mean brokers?',
    'encoding = "xml" from c.json: expected one of "json", "proto"',
    'flushMs = "fast" from c.json: expected number from 0 to 1000 (ms)',
    'port = 99999 from TAILRACE_PORT: expected integer from 0 to 65535 (port)',
    'pretty = "maybe" from TAILRACE_PRETTY: expected true or false',
  ]);
});

test('a secret is in no message', () => {
  const lines = errorLinesOf({ env: { TAILRACE_TOKEN_SECRET: 'hush' } });
  assert.deepEqual(lines, [
    'tokenSecret = (secret) from TAILRACE_TOKEN_SECRET: expected text of at least 8 characters',
  ]);
  assert.doesNotMatch(errorLinesOf({ file: '{"tokenSecret": hush}' }).join(), /hush/);
});

test('a number in a form of JavaScript alone is refused', () => {
  for (const text of ['0x10', '1_000', '', 'Infinity', 'NaN', '10ms'].filter(Boolean)) {
    assert.equal(errorLinesOf({ env: { TAILRACE_PORT: text } }).length, 1, text);
  }
});

test('a file that is missing, not JSON, or no object is one error line', () => {
  const missing = errorLineOf({ env: { TAILRACE_CONFIG: '/nowhere/at/all.json' } });
  assert.match(
    missing,
    /config file "\/nowhere\/at\/all\.json": there is no such file; check --config or TAILRACE_CONFIG/,
  );
  assert.match(errorLineOf({ file: '{"port": 1,\n "flushMs" 2}' }), /is not JSON at line 2 column 12/);
  assert.match(errorLineOf({ file: '[1]' }), /expected a JSON object .*, got a list/);
  assert.match(errorLineOf({ file: 'null' }), /expected a JSON object .*, got null/);
});

function errorLineOf(sources: Parameters<typeof load>[0]): string {
  const lines = errorLinesOf(sources);
  assert.equal(lines.length, 1);
  return lines[0] ?? '';
}

test('a key of the prototype in the file is an unknown setting like any other', () => {
  assert.match(errorLineOf({ file: '{"__proto__":{"port":1}}' }), /__proto__ in c\.json: there is no such setting/);
});

test('--config without a file name is an error', () => {
  assert.match(errorLineOf({ args: ['--config'] }), /name of a JSON file, got no name/);
  assert.match(errorLineOf({ args: ['--config', '--check-config'] }), /name of a JSON file, got no name/);
});

test('variables of the project itself are no settings, and the list of them is an option', () => {
  assert.equal(load({ env: { TAILRACE_TEST_KAFKA: 'x', TAILRACE_CACHE: '/tmp', HOME: '/' } }).port, 8082);
  assert.equal(load({ env: { TAILRACE_MINE: 'x' }, ignored: ['TAILRACE_MINE'] }).port, 8082);
  assert.equal(errorLinesOf({ env: { TAILRACE_MINES: 'x' }, ignored: ['TAILRACE_MINE'] }).length, 1);
});

test('the variables that Kubernetes sets in every pod are no settings', () => {
  const env = {
    TAILRACE_INGEST_SERVICE_HOST: '10.96.0.9',
    TAILRACE_INGEST_SERVICE_PORT_HTTP: '8082',
    TAILRACE_INGEST_PORT_8082_TCP_ADDR: '10.96.0.9',
    TAILRACE_INGEST_PORT: 'tcp://10.96.0.9:8082',
    TAILRACE_PORT: 'tcp://10.96.0.9:8082',
  };
  assert.equal(load({ env }).port, 8082);
});

test('the error of a missing required setting has the variable to set, and why', () => {
  const tokenSecret = z.string().min(32).meta({ secret: true }).describe('Signs tokens; a known secret is none.');
  const strict = z.object({ tokenSecret });
  assert.throws(
    () => loadConfig(strict, { env: {}, args: [] }),
    /tokenSecret: is missing; set TAILRACE_TOKEN_SECRET: expected text of at least 32/,
  );
});

test('a rule over several keys has its own message', () => {
  const pair = z
    .object({
      lowMs: z.number().default(1).describe('low'),
      highMs: z.number().default(2).describe('high'),
    })
    .refine((config) => config.lowMs <= config.highMs, {
      path: ['lowMs'],
      message: 'expected at most highMs',
    });
  assert.throws(
    () => loadConfig(pair, { env: { TAILRACE_LOW_MS: '5' }, args: [] }),
    /lowMs = 5 from TAILRACE_LOW_MS: expected at most highMs/,
  );
});

test('a form that the schema describes is in the error as it is described', () => {
  const named = z.object({
    node: z
      .string()
      .regex(/^[a-z]+$/, 'lower-case letters only')
      .default('a')
      .describe('name'),
    heartbeatMs: z.int().multipleOf(1_000).default(1_000).describe('heartbeat'),
  });
  const env = { TAILRACE_NODE: 'A', TAILRACE_HEARTBEAT_MS: '1500' };
  assert.throws(
    () => loadConfig(named, { env, args: [] }),
    (error: Error) => {
      assert.match(error.message, /node = "A" from TAILRACE_NODE: lower-case letters only/);
      assert.match(
        error.message,
        /heartbeatMs = 1500 from TAILRACE_HEARTBEAT_MS: expected integer in steps of 1000 \(ms\)/,
      );
      return true;
    },
  );
});

test('settings cannot be changed after loading', () => {
  assert.throws(() => Object.assign(load(), { port: 1 }), TypeError);
});

test('the settings common to all services are valid', () => {
  const config = loadConfig(z.object(commonSettings), {
    env: { TAILRACE_TRACING_URL: 'http://collector:4318/v1/traces' },
    args: [],
  });
  assert.equal(config.internalPort, 9090);
  assert.equal(config.tracingUrl, 'http://collector:4318/v1/traces');
  assert.throws(
    () => loadConfig(z.object(commonSettings), { env: { TAILRACE_TRACING_URL: 'collector' }, args: [] }),
    /expected empty or URL/,
  );
});
