import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ruleSchema } from '@tailrace/rules/rule';
import { placeholders } from '@tailrace/rules/rule-message';
import { z } from 'zod';
import { root } from './pages.ts';

/** Names of the fields of a JSON schema, at any depth. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties = {} } = schema as { properties?: Record<string, unknown> };
  return [...Object.keys(properties), ...Object.values(schema).flatMap(fieldsOf)];
}

test('CONTROL.md has every field of a rule, and every placeholder of its message', () => {
  const page = readFileSync(join(root, 'docs/CONTROL.md'), 'utf8');
  const section = page.slice(page.indexOf('\n### Rules'), page.indexOf('\n### Expressions'));
  const fields = new Set(fieldsOf(z.toJSONSchema(ruleSchema, { io: 'input', unrepresentable: 'any' })));
  assert.ok(fields.size > 40, `expected over 40 fields, got ${fields.size}`);
  const names = [...fields, ...placeholders.map((name) => `{${name}}`)];
  assert.deepEqual(
    names.filter((name) => !section.includes(`\`${name}\``) && !section.includes(`"${name}"`)),
    [],
  );
});
