/**
 * Writes deploy/schemas: JSON Schemas of every kind of object in the chart and deploy/, for kubeconform, which would
 * fetch them from the internet otherwise. Needs Go, Maven and Java; run by hand when a version in schemas/sources.ts
 * changes. deploy/schemas/README.md lists the sources.
 *
 *   node scripts/chart-schemas.ts
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parse } from 'yaml';
import { type CustomResource, schemaFromCustomResource } from './schemas/custom-resource.ts';
import { type Definitions, schemaFromDefinitions } from './schemas/kubernetes.ts';
import { kubernetes, operators, strimzi } from './schemas/sources.ts';
import { strimziSchemas } from './schemas/strimzi.ts';

const folder = join(import.meta.dirname, '..', 'deploy', 'schemas', 'generated');

/** Returns the folder where Go has unpacked a module. */
function moduleFolder(module: string): string {
  const answer = execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8', cwd: tmpdir() });
  return (JSON.parse(answer) as { Dir: string }).Dir;
}

function write(kind: string, group: string, version: string, schema: unknown): void {
  const name = [kind, group.split('.')[0], version].filter((part) => part !== '').join('-');
  writeFileSync(join(folder, `${name.toLowerCase()}.json`), `${JSON.stringify(schema)}\n`);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const api = JSON.parse(readFileSync(join(moduleFolder(kubernetes.module), kubernetes.file), 'utf8')) as {
  definitions: Definitions;
};
for (const { definition, group, version } of kubernetes.kinds) {
  write(definition.split('.').at(-1)!, group, version, schemaFromDefinitions(api.definitions, definition));
}

for (const file of operators.flatMap(({ module, files }) => files.map((file) => join(moduleFolder(module), file)))) {
  const resource = parse(readFileSync(file, 'utf8')) as CustomResource;
  for (const { version, schema } of schemaFromCustomResource(resource)) {
    write(resource.spec.names.kind, resource.spec.group, version, schema);
  }
}

const scratch = mkdtempSync(join(tmpdir(), 'tailrace-schemas-'));
try {
  for (const { kind, schema } of strimziSchemas(scratch, strimzi)) write(kind, strimzi.group, 'v1', schema);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const lines = [
  '# Schemas',
  '',
  'For `kubeconform -strict`, which the tests run without the network. Written by `scripts/chart-schemas.ts`; do not edit.',
  'Descriptions are left out, and unknown fields are refused.',
  '',
  '| kinds | from | license |',
  '| --- | --- | --- |',
  `| ${kubernetes.kinds.map(({ definition }) => definition.split('.').at(-1)).join(', ')} | \`${kubernetes.module}\`, ${kubernetes.file} | Apache-2.0 |`,
  ...operators.map(
    ({ module, files }) => `| ${files.map((file) => file.split('/').at(-1)).join(', ')} | \`${module}\` | Apache-2.0 |`,
  ),
  `| ${Object.keys(strimzi.kinds).join(', ')} | \`io.strimzi:api:${strimzi.version}\`: the fields of its classes | Apache-2.0 |`,
  '',
];
writeFileSync(join(folder, '..', 'README.md'), lines.join('\n'));
process.stdout.write(`wrote ${folder}\n`);
