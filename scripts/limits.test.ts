import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { configSchema as alarms } from '@tailrace/alarms/config';
import { configSchema as control } from '@tailrace/control/config';
import { configSchema as edge } from '@tailrace/edge/config';
import { configSchema as fanout } from '@tailrace/fanout/config';
import { configSchema as ingest } from '@tailrace/ingest/config';
import { withGeneratedPart } from './generated-text.ts';
import { limitTable, watchedBy } from './limits.ts';

const root = dirname(import.meta.dirname);

test('the table has every limit, with its default and its metric', () => {
  const table = limitTable([{ name: 'fanout', schema: fanout }]);
  assert.match(
    table,
    /\| fanout \| `connectionsMax` \| 15,000 connections \| .*503.* \| `tailrace_fanout_connections` \|/,
  );
  assert.doesNotMatch(table, /heartbeatMs/);
});

test('metrics and settings of the table exist', () => {
  const schemas: Record<string, Record<string, unknown>> = {
    fanout: fanout.shape,
    ingest: ingest.shape,
    edge: edge.shape,
    alarms: alarms.shape,
    control: control.shape,
  };
  const sources = globSync('{services,packages}/*/src/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] })
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  for (const [service, metrics] of Object.entries(watchedBy)) {
    for (const [setting, metric] of Object.entries(metrics)) {
      assert.ok(setting in schemas[service]!, `${service} has a setting ${setting}`);
      // Ingest, the database and the list of revocations put their names together.
      const last = metric.replace(new RegExp(`^tailrace_${service}_(database_)?`), '');
      assert.ok(new RegExp(`\\b${metric}\\b|'${last}'|_${last}\\b`).test(sources), metric);
    }
  }
});

test('a generated part takes the place of the one before, and of nothing else', () => {
  const text = 'a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n<!-- generated: y -->\n<!-- end -->\n';
  assert.equal(withGeneratedPart(text, 'x', 'new'), text.replace('old', 'new'));
  assert.equal(withGeneratedPart(text, 'y', 'new').split('new').length, 2);
  assert.throws(() => withGeneratedPart(text, 'z', 'new'), /expected <!-- generated: z -->/);
});
