/**
 * `make generate`: writes every generated file of the repository from its source: proto/, the protocol package for k6,
 * the schemas of the services' settings, the dashboards, the comments of the chart's values. `--check` writes nothing,
 * and fails where a file differs.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { valueSections, valuesText } from './chart/docs.ts';
import { settingsTable } from './chart/settings.ts';
import { valuesSchema } from './chart/values.ts';
import { configPage } from './config-page.ts';
import { dashboardFiles } from './dashboards/dashboards.ts';
import { jsonText, withGeneratedPart } from './generated-text.ts';
import { k6BundleFiles } from './k6-bundle.ts';
import { limitTable } from './limits.ts';
import { protobufFiles } from './protobuf.ts';
import { serviceSchemas } from './service-schemas.ts';
import { projectRoot } from './services.ts';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const services = await serviceSchemas();
const files: Readonly<Record<string, string>> = {
  ...protobufFiles(),
  ...(await k6BundleFiles()),
  ...dashboardFiles(),
  'docs/CONFIG.md': configPage(services),
  'docs/OPERATIONS.md': withGeneratedPart(present('docs/OPERATIONS.md'), 'limits', limitTable(services)),
  // What values may hold, and for the templates the keys of each service with their defaults.
  'helm/tailrace/values.schema.json': jsonText(valuesSchema(services)),
  'helm/tailrace/files/settings.json': jsonText(settingsTable(services)),
  'helm/tailrace/README.md': withGeneratedPart(
    present('helm/tailrace/README.md'),
    'values',
    valuesText(valueSections(present('helm/tailrace/values.yaml'))),
  ),
};

for (const [path, text] of Object.entries(files)) {
  if (present(path) === text) continue;
  if (values.check) {
    process.stderr.write(`${path} differs from its source: run make generate and commit it\n`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(join(projectRoot, path)), { recursive: true });
    writeFileSync(join(projectRoot, path), text);
    process.stdout.write(`wrote ${path}\n`);
  }
}

/** Returns the text of a file, empty where there is none. */
function present(path: string): string {
  try {
    return readFileSync(join(projectRoot, path), 'utf8');
  } catch {
    return '';
  }
}
