import { configKeysFrom } from '@tailrace/platform/config-keys';
import type { ServiceSchema } from '../service-schemas.ts';

/**
 * By service: its keys and their defaults. The templates give a service what is among them, and count with the
 * defaults.
 */
export function settingsTable(services: readonly ServiceSchema[]): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    services.map(({ name, schema }) => [
      name,
      Object.fromEntries(configKeysFrom(schema).map((key) => [key.name, key.secret ? '' : (key.fallback ?? null)])),
    ]),
  );
}
