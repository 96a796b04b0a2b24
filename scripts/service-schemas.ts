import { globSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConfigSchema } from '@tailrace/platform/config-keys';
import { TailraceError } from '@tailrace/protocol/error';
import { projectRoot } from './services.ts';

export interface ServiceSchema {
  readonly name: string;
  readonly schema: ConfigSchema;
}

/**
 * Returns the services with settings: those with a `src/config.ts` (or `server/config.ts`) that exports `configSchema`
 * and `serviceName`. Rejects with `invalid_config` for one that does not export them.
 */
export async function serviceSchemas(): Promise<readonly ServiceSchema[]> {
  const paths = globSync(['services/*/src/config.ts', 'services/*/server/config.ts'], { cwd: projectRoot }).sort();
  return Promise.all(paths.map(serviceSchemaFrom));
}

async function serviceSchemaFrom(path: string): Promise<ServiceSchema> {
  const module: { readonly configSchema?: ConfigSchema; readonly serviceName?: string } = await import(
    pathToFileURL(join(projectRoot, path)).href
  );
  const { configSchema: schema, serviceName: name } = module;
  if (!schema || !name) {
    const exported = Object.keys(module).join(', ') || 'nothing';
    throw new TailraceError(
      'invalid_config',
      `${path}: expected the exports configSchema and serviceName, got ${exported}`,
    );
  }
  return { name, schema };
}
