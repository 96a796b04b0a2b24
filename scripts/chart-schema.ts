/**
 * Writes what the chart knows of the services' settings, from the schemas that the services themselves read them by:
 *
 *   helm/tailrace/values.schema.json    what values may hold; an unknown key is refused at every level
 *   helm/tailrace/files/settings.json   for the templates: the keys of each service and their defaults
 *
 * `--check` writes nothing and fails where a file differs from what it would write.
 */
import process from 'node:process';
import { settingsTable } from './chart/settings.ts';
import { valuesSchema } from './chart/values.ts';
import { serviceSchemas } from './serviceschemas.ts';
import { jsonText, writeOrCheck } from './written.ts';

const services = await serviceSchemas();
writeOrCheck(process, 'chart-schema', {
  'helm/tailrace/values.schema.json': jsonText(valuesSchema(services)),
  'helm/tailrace/files/settings.json': jsonText(settingsTable(services)),
});
