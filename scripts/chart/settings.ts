import { configKeysFrom } from '@tailrace/platform/config-keys';
import type { ServiceSchema } from '../service-schemas.ts';

/**
 * Returns the keys and defaults of each service. The templates pass a service only the keys that it has, and calculate
 * with the defaults.
 */
export function settingsTable(services: readonly ServiceSchema[]): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    services.map(({ name, schema }) => [
      name,
      Object.fromEntries(configKeysFrom(schema).map((key) => [key.name, key.secret ? '' : (key.fallback ?? null)])),
    ]),
  );
}
