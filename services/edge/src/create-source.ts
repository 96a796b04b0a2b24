import { PolledSource } from './modbus/polled-source.ts';
import { SubscribedSource } from './opcua/subscribed-source.ts';
import type { Source, SourceOptions } from './source.ts';
import type { SourceConfig } from './sources-file.ts';

/** Creates the source of an entry of the sources file, by its protocol. */
export function createSource(source: SourceConfig, options: SourceOptions): Source {
  return 'opcua' in source ? new SubscribedSource({ source, ...options }) : new PolledSource({ source, ...options });
}
