import { configTable } from '@tailrace/platform/config-docs';
import type { ServiceSchema } from './service-schemas.ts';

/** Returns docs/CONFIG.md: the settings of every service, from their schemas. */
export function configPage(services: readonly ServiceSchema[]): string {
  const head = `<!-- Written by make generate from the schemas of the services. Do not edit. -->
# Settings

Each service reads its settings from, later wins: the defaults below, a JSON file (\`--config <file>\` or \`TAILRACE_CONFIG\`) with the
keys below, the environment. An empty variable counts as not set; a list is separated by commas. A name that is not below is an
error. \`--check-config\` prints what a service would run with, secrets masked, or all errors at once; \`--help\` prints its table.
`;
  const sections = services.map(({ name, schema }) => `\n## ${name}\n\n${configTable(schema)}\n`);
  return head + sections.join('');
}
