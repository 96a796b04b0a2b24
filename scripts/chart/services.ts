import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ConfigSchema, configKeysFrom } from '@tailrace/platform/configkeys';

export const root = dirname(dirname(import.meta.dirname));

export interface ServiceSchema {
  readonly name: string;
  readonly schema: ConfigSchema;
}

/** Every service of the tree that has settings, by the convention of scripts/config-docs.ts. */
export async function serviceSchemas(): Promise<readonly ServiceSchema[]> {
  const paths = globSync(['services/*/src/config.ts', 'services/*/server/config.ts'], { cwd: root }).sort();
  return Promise.all(
    paths.map(async (path) => {
      const module: { configSchema: ConfigSchema; serviceName: string } = await import(
        pathToFileURL(join(root, path)).href
      );
      return { name: module.serviceName, schema: module.configSchema };
    }),
  );
}

/** What the chart sets itself, by its own values: addresses inside the pod, brokers, logins, and where the pod is reached. */
const chartKeys =
  /^(node|host|port|portBase|internalHost|internalPort|publicUrl|eventLog|dataPath|dataDir)$|^(kafka|nats)[A-Z]/;

/** The settings that stand under a service's `config:`: neither the chart's nor secret. */
export function openKeys({ schema }: ServiceSchema): ReadonlySet<string> {
  const keys = configKeysFrom(schema).filter(({ name, secret }) => !secret && !chartKeys.test(name));
  return new Set(keys.map(({ name }) => name));
}
