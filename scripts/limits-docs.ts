/**
 * Writes the table of limits in docs/OPERATIONS.md, from the schemas of the services. `--check` writes nothing and fails where the page has another one.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import type { ConfigSchema } from '@tailrace/platform/configkeys';
import { limitTable } from './limits.ts';
import { withMadePart } from './madepart.ts';

const root = dirname(import.meta.dirname);
const page = join(root, 'docs/OPERATIONS.md');

const services: { serviceName: string; configSchema: ConfigSchema }[] = [];
for (const file of globSync('services/*/{src,server}/config.ts', { cwd: root }).sort())
  services.push(await import(pathToFileURL(join(root, file)).href));
const present = readFileSync(page, 'utf8');
const wanted = withMadePart(present, 'scripts/limits-docs.ts', limitTable(services));
if (!process.argv.includes('--check')) writeFileSync(page, wanted);
else if (present !== wanted) {
  process.stderr.write('limits-docs: docs/OPERATIONS.md has other limits than the services; run `make generate`\n');
  process.exitCode = 1;
}
