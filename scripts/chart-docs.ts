/**
 * Writes the tables of helm/tailrace/README.md from the comments of values.yaml. `--check` writes nothing and fails
 * where the page has others.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { valueSections, valuesText } from './chart/docs.ts';
import { withMadePart } from './madepart.ts';
import { projectRoot } from './services.ts';
import { writeOrCheck } from './written.ts';

const page = 'helm/tailrace/README.md';
const values = readFileSync(join(projectRoot, 'helm/tailrace/values.yaml'), 'utf8');
const present = readFileSync(join(projectRoot, page), 'utf8');
writeOrCheck(process, 'chart-docs', {
  [page]: withMadePart(present, 'scripts/chart-docs.ts', valuesText(valueSections(values))),
});
