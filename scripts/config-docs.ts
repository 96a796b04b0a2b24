/**
 * Writes docs/CONFIG.md: the settings of every service, from the schemas that the services themselves read them by.
 * `--check` writes nothing and fails where the file differs from what it would write.
 *
 * A service takes part by a `src/config.ts` (or `server/config.ts`) that exports `configSchema` and `serviceName`.
 */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { configTable } from '@tailrace/platform/configdocs';
import type { ConfigSchema } from '@tailrace/platform/configkeys';

const root = dirname(import.meta.dirname);
const documentPath = 'docs/CONFIG.md';

interface ConfigModule {
  readonly configSchema: ConfigSchema;
  readonly serviceName: string;
}

async function configModules(): Promise<ConfigModule[]> {
  const paths = globSync(['services/*/src/config.ts', 'services/*/server/config.ts'], { cwd: root }).sort();
  return Promise.all(paths.map(configModuleFrom));
}

async function configModuleFrom(path: string): Promise<ConfigModule> {
  const module: Partial<ConfigModule> = await import(pathToFileURL(join(root, path)).href);
  if (!module.configSchema || !module.serviceName) {
    fail(`${path} exports ${Object.keys(module).join(', ') || 'nothing'}; configSchema and serviceName are wanted`);
  }
  return { configSchema: module.configSchema, serviceName: module.serviceName };
}

function documentFrom(modules: readonly ConfigModule[]): string {
  const head = `<!-- Written by scripts/config-docs.ts from the schemas of the services. Do not edit. -->
# Settings

Each service reads its settings from, later wins: the defaults below, a JSON file (\`--config <file>\` or \`TAILRACE_CONFIG\`) with the
keys below, the environment. An empty variable counts as not set; a list is separated by commas. A name that is not below is an
error. \`--check-config\` prints what a service would run with, secrets masked, or every fault at once; \`--help\` prints its table.
`;
  const sections = modules.map((module) => `\n## ${module.serviceName}\n\n${configTable(module.configSchema)}\n`);
  return head + sections.join('');
}

function fail(sentence: string): never {
  process.stderr.write(`config-docs: ${sentence}\n`);
  process.exit(1);
}

const unknown = process.argv.slice(2).filter((argument) => argument !== '--check');
if (unknown.length > 0) fail(`${unknown.join(' ')}: no such argument; --check is the only one`);
const wanted = documentFrom(await configModules());
const target = join(root, documentPath);
if (process.argv.includes('--check')) {
  const present = existsSync(target) ? readFileSync(target, 'utf8') : '';
  if (present !== wanted) fail(`${documentPath} is not what the schemas say; run scripts/config-docs.ts and commit it`);
} else {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, wanted);
}
