import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { settingsTable } from './settings.ts';
import { valuesSchema } from './values.ts';

type Schema = {
  readonly properties: Record<string, Schema>;
  readonly additionalProperties: boolean;
  readonly [key: string]: unknown;
};

const history = {
  name: 'history',
  schema: z.strictObject({
    port: z.int().default(8083).describe('Port.'),
    kafkaBrokers: z.array(z.string()).describe('Brokers.'),
    databasePassword: z.string().default('').meta({ secret: true }).describe('Password.'),
    keepMs: z.int().min(1000).default(60_000).describe('How long.'),
  }),
};
const simulator = {
  name: 'simulator',
  schema: z.strictObject({ rateHz: z.number().default(2).describe('How often.') }),
};
const schema = valuesSchema([history, simulator]) as Schema;
const config = (section: string) => schema.properties[section]!.properties['config']!;

test('a service that is new has a section with its own settings, without those of the chart and without secrets', () => {
  assert.deepEqual(Object.keys(config('history').properties), ['keepMs']);
  assert.equal(config('history').properties['keepMs']!['minimum'], 1000);
  assert.ok('hpa' in schema.properties['history']!.properties);
  assert.ok(!('token' in schema.properties['history']!.properties));
  assert.ok('token' in schema.properties['simulator']!.properties);
});

test('settings for all are those that any service has', () => {
  assert.deepEqual(Object.keys(schema.properties['config']!.properties), ['keepMs', 'rateHz']);
});

test('every level is closed, and nothing has to be there', () => {
  const walk = (part: Schema, path: string): void => {
    assert.equal(part['required'], undefined, path);
    if (part.properties === undefined) return;
    // Helm's own, and parts of objects of Kubernetes, which its API judges.
    if (Object.keys(part.properties).length > 0) assert.equal(part.additionalProperties, false, path);
    for (const [name, inner] of Object.entries(part.properties)) walk(inner, `${path}.${name}`);
  };
  walk(schema, 'values');
});

test('the templates know each key and its default, and no secret', () => {
  assert.deepEqual(settingsTable([history]), {
    history: { port: 8083, kafkaBrokers: null, databasePassword: '', keepMs: 60_000 },
  });
});
