/**
 * Writes docs/CONFIG.md: the settings of every service, from the schemas that the services themselves read them by.
 * `--check` writes nothing and fails where the file differs from what it would write.
 *
 * A service takes part by a `src/config.ts` (or `server/config.ts`) that exports `configSchema` and `serviceName`.
 */
import process from 'node:process';
import { configTable } from '@tailrace/platform/configdocs';
import { type ServiceSchema, serviceSchemas } from './serviceschemas.ts';
import { writeOrCheck } from './written.ts';

writeOrCheck(process, 'config-docs', { 'docs/CONFIG.md': documentFrom(await serviceSchemas()) });

function documentFrom(services: readonly ServiceSchema[]): string {
  const head = `<!-- Written by scripts/config-docs.ts from the schemas of the services. Do not edit. -->
# Settings

Each service reads its settings from, later wins: the defaults below, a JSON file (\`--config <file>\` or \`TAILRACE_CONFIG\`) with the
keys below, the environment. An empty variable counts as not set; a list is separated by commas. A name that is not below is an
error. \`--check-config\` prints what a service would run with, secrets masked, or every fault at once; \`--help\` prints its table.
`;
  const sections = services.map(({ name, schema }) => `\n## ${name}\n\n${configTable(schema)}\n`);
  return head + sections.join('');
}
