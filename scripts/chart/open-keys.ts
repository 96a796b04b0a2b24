import { configKeysFrom } from '@tailrace/platform/config-keys';
import type { ServiceSchema } from '../service-schemas.ts';

/**
 * Settings that the chart sets from its own values: addresses and certificates inside the pod, brokers, the database,
 * logins, and the pod's address.
 */
const chartKeys =
  /^(node|host|port|portBase|internalHost|internalPort|publicUrl|eventLog|dataPath|dataDir|tls[A-Z]\w*)$|^(kafka|nats)[A-Z]|^database(Url|Password|Tls\w*)$/;

/** Returns the settings that are allowed under a service's `config:`: neither the chart's nor secret. */
export function openKeys({ schema }: ServiceSchema): ReadonlySet<string> {
  const keys = configKeysFrom(schema).filter(({ name, secret }) => !secret && !chartKeys.test(name));
  return new Set(keys.map(({ name }) => name));
}
