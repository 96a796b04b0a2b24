import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTool } from '@tailrace/testkit/tool';
import { render, root, valuesFiles } from './chart.ts';
import { combinations } from './combinations.ts';

const schemas = join(root, 'deploy/schemas/generated/{{.ResourceKind}}{{.KindSuffix}}.json');

interface Validation {
  readonly resources: { readonly name: string; readonly kind: string; readonly msg: string; readonly status: string }[];
  readonly summary: {
    readonly valid: number;
    readonly invalid: number;
    readonly errors: number;
    readonly skipped: number;
  };
}

/** Validates objects by kubeconform with the schemas of this repository alone. */
async function validated(text: string): Promise<Validation> {
  const program = await findTool('kubeconform');
  const options = ['-strict', '-summary', '-output', 'json', '-schema-location', schemas, '-'];
  return new Promise((resolve, reject) => {
    const child = execFile(program, options, { timeout: 60_000, maxBuffer: 20_000_000 }, (_error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Validation);
      } catch {
        reject(new Error(`kubeconform: expected JSON, got ${JSON.stringify(stdout + stderr)}`));
      }
    });
    child.stdin?.end(text);
  });
}

async function assertValid(what: string, text: string): Promise<void> {
  const { resources, summary } = await validated(text);
  assert.deepEqual(
    { ...summary, valid: 0 },
    { valid: 0, invalid: 0, errors: 0, skipped: 0 },
    `${what}: ${JSON.stringify(resources, undefined, 1)}`,
  );
  assert.ok(summary.valid > 0, what);
}

for (const file of valuesFiles) {
  test(`every object is valid by its schema: ${file}`, async () => assertValid(file, (await render({}, file)).text));
}
for (const [name, values] of Object.entries(combinations)) {
  test(`every object is valid by its schema: ${name}`, async () => assertValid(name, (await render(values)).text));
}

for (const path of globSync('deploy/{strimzi,cloudnative-pg,test-brokers}/*.yaml', { cwd: root })) {
  test(`every object is valid by its schema: ${path}`, async () =>
    assertValid(path, readFileSync(join(root, path), 'utf8')));
}

test('the schemas refuse an unknown field, an unknown kind, and a text instead of a number', async () => {
  const { text } = await render(combinations['least']);
  const broken = async (from: string, to: string) => {
    assert.ok(text.includes(from), from);
    const { summary } = await validated(text.replaceAll(from, to));
    return summary.invalid + summary.errors;
  };
  assert.ok((await broken('readinessProbe:', 'readynessProbe:')) > 0);
  assert.ok((await broken('kind: PodDisruptionBudget', 'kind: PodDisruptionsBudget')) > 0);
  assert.ok((await broken('failureThreshold: 3', 'failureThreshold: three')) > 0);
});
