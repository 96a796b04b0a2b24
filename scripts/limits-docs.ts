/**
 * Writes the table of limits in docs/OPERATIONS.md, from the schemas of the services. `--check` writes nothing and
 * fails where the page has another one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { limitTable } from './limits.ts';
import { withMadePart } from './madepart.ts';
import { projectRoot } from './services.ts';
import { serviceSchemas } from './serviceschemas.ts';
import { writeOrCheck } from './written.ts';

const page = 'docs/OPERATIONS.md';
const present = readFileSync(join(projectRoot, page), 'utf8');
const table = limitTable(await serviceSchemas());
writeOrCheck(process, 'limits-docs', { [page]: withMadePart(present, 'scripts/limits-docs.ts', table) });
